"""Predictions beside published measurements: rows of validation/rows.csv asked one by one, and the errors of the answers.

A row is asked either from first principles (specifications and modes only) or with the profile of its
software stack; the two are never mixed in one result. Errors are of the time per step, relative to the
measured one: +0.1 means that the prediction is a tenth slower than the measurement.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from perfmodel._layout import data_folder
from perfmodel.catalogue import find_hardware, find_model
from perfmodel.errors import PerfModelError, SpecificationError, shown
from perfmodel.estimator import formats_of
from perfmodel.formats import STORAGE_FORMATS, storage_format
from perfmodel.hardware import Hardware
from perfmodel.intervals import SideTimes
from perfmodel.model import Model
from perfmodel.operations import Formats
from perfmodel.parameters import parse_setting
from perfmodel.profiles import Profile, find_profile, profile_names, with_profile
from perfmodel.questions import prepare
from perfmodel.results import Estimate
from perfmodel.specfiles import read_text, read_toml

FILTERS = ("class", "source", "model", "hardware", "stack", "trust")
_LAUNCH_ORDER = ("eager", "stream", "graph", "pdl", "layer-fused", "looped", "megakernel")
# Reasons why a row cannot be asked, in the order they are looked for.
REASONS = ("unknown model", "unknown device", "unknown format", "mode the device lacks", "parameter the device lacks", "profile that does not fit the device")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement and the question it answers. time_per_step [s]; context: mean tokens in the cache, per sequence; weight_format_source: the source's word.

    settings: what else the source says of the question, as `--set` takes it, joined by semicolons.
    """

    id: str
    source_id: str
    source: str
    trust: str
    model: str
    hardware: str
    devices: int
    parallel: str
    weight_format: str
    weight_format_source: str
    kv_format: str
    batch: int
    context: int
    engine: str
    mode: str
    stack: str
    time_per_step: float
    row_class: str
    ladder: tuple[str, ...]
    settings: str
    caveat: str

    def devices_at_work(self) -> int:
        """Return how many devices work on a step at the same time.

        Where layers are split (`pp=N`) the devices work one after another, so that a step has the bandwidth of one
        over the bytes of the whole model: it is asked as one device, whose capacity is then not looked at.
        """
        if "pp=" not in self.parallel:
            return self.devices
        return next((int(part[3:]) for part in self.parallel.split(",") if part.startswith("tp=")), 1)


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """A row with its prediction. time, low, high [s]: value and interval; terms: where the time goes [s]; profile: '' for first principles."""

    row: Row
    time: float
    low: float
    high: float
    terms: Mapping[str, float]
    kernel_calls: int
    profile: str

    @property
    def error(self) -> float:
        """Predicted over measured time, less 1 [-]."""
        return self.time / self.row.time_per_step - 1

    @property
    def inside(self) -> bool:
        """Whether the measurement lies inside the interval."""
        return self.low <= self.row.time_per_step <= self.high

    @property
    def width(self) -> float:
        """High over low end of the interval, in time [-]."""
        return self.high / self.low


class Unasked(msgspec.Struct, frozen=True):
    """A row that cannot be asked. reason: one of `REASONS`."""

    row: Row
    reason: str
    message: str


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of some rows [-]: median and 90th percentile of |error|, median error, share inside the interval, median width of it, share within a factor 1.5."""

    name: str
    rows: int
    median: float
    ninetieth: float
    bias: float
    inside: float
    width: float
    within_half: float


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """All rows that were asked for. way: first principles or profiles; over_sources: the median of each figure over the sources."""

    way: str
    predicted: tuple[Predicted, ...]
    unasked: tuple[Unasked, ...]
    sources: tuple[Errors, ...]
    over_sources: Errors | None
    over_rows: Errors | None

    def worst(self, count: int = 10) -> list[Predicted]:
        """Return the rows with the largest ratio between prediction and measurement, either way."""
        return sorted(self.predicted, key=lambda p: -abs(math.log(p.time / p.row.time_per_step)))[:count]

    def reasons(self) -> dict[str, int]:
        """Return how many rows could not be asked, by reason and what was unknown, most first."""
        found: dict[str, int] = {}
        for one in self.unasked:
            key = f"{one.reason}: {_culprit(one)}"
            found[key] = found.get(key, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def to_dict(self) -> dict[str, Any]:
        """Return figures and rows as plain dicts and lists."""
        return {
            "way": self.way, "sources": [msgspec.to_builtins(e) for e in self.sources], "over_sources": msgspec.to_builtins(self.over_sources),
            "over_rows": msgspec.to_builtins(self.over_rows), "not_asked": self.reasons(), "rows": self.rows(),
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row for each prediction."""
        return [
            {
                "id": p.row.id, "source_id": p.row.source_id, "trust": p.row.trust, "class": p.row.row_class, "stack": p.row.stack, "profile": p.profile,
                "model": p.row.model, "hardware": p.row.hardware, "devices": p.row.devices, "parallel": p.row.parallel, "weight_format": p.row.weight_format,
                "kv_format": p.row.kv_format, "batch": p.row.batch, "context": p.row.context, "mode": p.row.mode, "measured": p.row.time_per_step,
                "predicted": p.time, "low": p.low, "high": p.high, "error": p.error, "inside": p.inside, "width": p.width, "kernel_calls": p.kernel_calls,
                **{f"terms.{name}": value for name, value in p.terms.items()}, "source": p.row.source,
            }
            for p in self.predicted
        ]  # fmt: skip


@lru_cache(maxsize=1)
def all_rows() -> tuple[Row, ...]:
    """Return the rows of the validation set that comes with the package."""
    return read_rows(data_folder("validation") / "rows.csv")


def read_rows(path: Path) -> tuple[Row, ...]:
    """Return the rows of a CSV file with the columns of validation/rows.csv.

    Needed are model, hardware, mode and time_per_step [s] or tokens_per_second (summed over the batch); devices, batch
    and context are 1, 1 and 4096 where empty, other columns may be missing.
    Raises SpecificationError with line, column and what would be right.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)))
    known = set(reader.fieldnames or ())
    for needed in ("model", "hardware"):
        if needed not in known:
            raise SpecificationError(f"{path}: has no column {needed}; the columns are those of validation/rows.csv")
    if not known & {"time_per_step", "tokens_per_second"}:
        raise SpecificationError(f"{path}: has neither a column time_per_step [s] nor tokens_per_second")
    return tuple(_row({k: (v or "").strip() for k, v in raw.items() if isinstance(k, str) and isinstance(v, str | None)}, f"{path}: line {number}", number) for number, raw in enumerate(reader, 2))


def _row(raw: Mapping[str, str], where: str, number: int) -> Row:
    def count(column: str, absent: int) -> int:
        text = raw.get(column, "")
        if not text:
            return absent
        if not text.isascii() or not text.isdigit() or int(text) < 1 or len(text) > 9:
            raise SpecificationError(f"{where}: {column}: {shown(text)} is not a whole number from 1")
        return int(text)

    def positive(column: str) -> float:
        try:
            value = float(raw[column])
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise SpecificationError(f"{where}: {column}: {shown(raw[column])} is not a positive number")
        return value

    batch = count("batch", 1)
    if raw.get("time_per_step"):
        time = positive("time_per_step")
    elif raw.get("tokens_per_second"):
        time = batch / positive("tokens_per_second")
    else:
        raise SpecificationError(f"{where}: has neither time_per_step nor tokens_per_second")
    for needed in ("model", "hardware"):
        if not raw.get(needed):
            raise SpecificationError(f"{where}: has no {needed}")
    text = {column: raw.get(column, "") for column in ("source_id", "source", "trust", "parallel", "weight_format", "weight_format_source", "kv_format", "engine", "mode", "stack", "settings", "caveat")}
    return Row(
        id=raw.get("id") or f"line-{number}", model=raw["model"], hardware=raw["hardware"], devices=count("devices", 1), batch=batch, context=count("context", 4096),
        time_per_step=time, row_class=raw.get("class", ""), ladder=tuple(raw.get("ladder", "").split()), **text,
    )  # fmt: skip


class _Stacks(msgspec.Struct, frozen=True):
    """What validation/stacks.toml says: stacks that quantise the head too, stacks with ggml files, kinds of software, profiles by stack and by engine."""

    narrow_head: frozenset[str]
    ggml: frozenset[str]
    kinds: dict[str, str]
    profiles: dict[str, str]
    engines: dict[str, str]


@lru_cache(maxsize=1)
def _stacks() -> _Stacks:
    raw = read_toml(data_folder("validation") / "stacks.toml")
    return _Stacks(frozenset(raw["narrow_head"]), frozenset(raw["ggml"]), {stack: kind for kind, stacks in raw["kinds"].items() for stack in stacks}, raw["profiles"], raw["engines"])


def profile_of(row: Row) -> str | None:
    """Return the name of the profile for the software stack of a row, or None where none exists."""
    name = _stacks().engines.get(row.engine) or _stacks().profiles.get(row.stack)
    return name if name in profile_names() else None


def kind_of(row: Row) -> Profile | None:
    """Return the profile of the kind of software that a row's stack is, such as a server; None for engines like any other.

    It rests on no single stack and is part of predicting from first principles: what a server is, is known before it is measured.
    """
    name = _stacks().kinds.get(row.stack)
    return find_profile(name) if name else None


def row_formats(row: Row, model: Model) -> Formats:
    """Return the storage formats of a row: those stated, but for parts that its software stack keeps in another."""
    formats = formats_of(model, row.weight_format or None, row.kv_format or None)
    if row.stack in _stacks().ggml and formats.experts == "mxfp4":
        return msgspec.structs.replace(formats, weights="q8_0", head="q8_0")
    if row.stack in _stacks().narrow_head:
        return msgspec.structs.replace(formats, head=formats.weights)
    return formats


def row_hardware(row: Row, profile: Profile | None) -> Hardware:
    """Return the device of a row, with the overrides of `profile`, and what the row itself says over both.

    Raises UnknownNameError or SpecificationError for a device or setting that does not exist.
    """
    hardware = find_hardware(row.hardware)
    if profile is not None:
        hardware = with_profile(hardware, profile)
    settings = (setting.partition("=") for setting in row.settings.split(";") if setting)
    return hardware.replace_values({path: parse_setting(path, value, hardware.values, row.id) for path, _, value in settings})


def predict(row: Row, profile: Profile | None = None, adjust: Callable[[Hardware], Hardware] | None = None) -> Predicted:
    """Return the prediction for a row, with the overrides of `profile`, or else of the kind of software (see `kind_of`).

    adjust: what else to change on the device, after the profile.
    Raises UnknownNameError or SpecificationError for a row that cannot be asked.
    """
    model, hardware = find_model(row.model), row_hardware(row, profile or kind_of(row))
    if adjust is not None:
        hardware = adjust(hardware)
    mode = row.mode or hardware.default_mode
    side_of = prepare(model, hardware, row.devices_at_work(), row_formats(row, model), mode, mode, None)
    times = SideTimes(side_of.before, row.batch, row.context)
    terms = times.terms()
    # Every parameter moves a time one way only, so its bounds are two corners.
    low, high = times.step(side_of.fast, 1.0), times.step(side_of.slow, -1.0)
    return Predicted(
        row=row, time=float(terms.total()), low=low, high=high, terms={name: float(value) for name, value in terms._asdict().items()},
        kernel_calls=side_of.before.plan.kernel_calls, profile="" if profile is None else profile.name,
    )  # fmt: skip


def validate(rows: Iterable[Row], *, profiles: bool = False) -> Validation:
    """Predict each of `rows` and summarise the errors.

    profiles: whether to use the profile of a row's software stack; rows of stacks without one are then left to first
    principles and their `profile` is empty.
    """
    predicted: list[Predicted] = []
    unasked: list[Unasked] = []
    # Rows with the same question but for batch and context stand together, so that it is prepared once.
    for row in sorted(rows, key=lambda r: (r.hardware, r.stack, r.model, r.mode, r.devices, r.weight_format, r.kv_format, r.id)):
        reason = why_not(row)
        if reason is not None:
            unasked.append(reason)
            continue
        name = profile_of(row) if profiles else None
        try:
            predicted.append(predict(row, find_profile(name) if name else None))
        except PerfModelError as error:
            unasked.append(Unasked(row, REASONS[5], str(error)))
    return summary("profiles" if profiles else "first principles", predicted, unasked)


def why_not(row: Row) -> Unasked | None:
    """Return why `row` cannot be asked, None where it can."""
    try:
        find_model(row.model)
    except PerfModelError as error:
        return Unasked(row, REASONS[0], str(error))
    try:
        device = find_hardware(row.hardware)
    except PerfModelError as error:
        return Unasked(row, REASONS[1], str(error))
    try:
        for text in (row.weight_format, row.kv_format):
            storage_format(text or "bf16", row.id)
    except PerfModelError as error:
        return Unasked(row, REASONS[2], str(error))
    if row.mode and row.mode not in device.modes:
        return Unasked(row, REASONS[3], f"{row.hardware} has no mode {row.mode}")
    try:
        predict(row)
    except PerfModelError as error:
        return Unasked(row, REASONS[4], str(error))
    return None


def summary(way: str, predicted: Sequence[Predicted], unasked: Sequence[Unasked] = ()) -> Validation:
    """Return predictions with their errors by source and over sources."""
    by_source: dict[str, list[Predicted]] = {}
    for one in predicted:
        by_source.setdefault(one.row.source_id, []).append(one)
    sources = tuple(errors_of(name, by_source[name]) for name in sorted(by_source))
    return Validation(
        way=way, predicted=tuple(predicted), unasked=tuple(unasked), sources=sources,
        over_sources=_median_over(sources), over_rows=errors_of("all rows", predicted) if predicted else None,
    )  # fmt: skip


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Two launch modes on one machine and model: measured and predicted times [s] of the first over the second."""

    name: str
    modes: tuple[str, str]
    rows: tuple[str, str]
    measured: float
    predicted: float

    @property
    def right_order(self) -> bool:
        """Whether the faster of the two is the one that was measured to be."""
        return (self.measured > 1) == (self.predicted > 1)

    @property
    def error(self) -> float:
        """Predicted over measured ratio, less 1 [-]."""
        return self.predicted / self.measured - 1


def ladders(predicted: Iterable[Predicted]) -> list[Ladder]:
    """Return every pair of launch modes of one source that answer the same question otherwise, slower mode first.

    Rows that differ by less than a hundredth in time tell no order and make no pair.
    """
    groups: dict[tuple[Any, ...], list[Predicted]] = {}
    for p in predicted:
        r = p.row
        if any(tag.startswith("a-") for tag in r.ladder):
            groups.setdefault((r.source_id, r.model, r.hardware, r.devices, r.parallel, r.weight_format, r.weight_format_source, r.batch, r.context), []).append(p)
    found: list[Ladder] = []
    for key, members in groups.items():
        for i, one in enumerate(members):
            for other in members[:i]:
                slow, fast = (one, other) if _LAUNCH_ORDER.index(one.row.mode) < _LAUNCH_ORDER.index(other.row.mode) else (other, one)
                measured = slow.row.time_per_step / fast.row.time_per_step
                if one.row.mode != other.row.mode and not 0.99 < measured < 1.01:
                    found.append(Ladder(
                        name=" ".join(str(part) for part in key[:4]), modes=(slow.row.mode, fast.row.mode), rows=(slow.row.id, fast.row.id), measured=measured, predicted=slow.time / fast.time,
                    ))  # fmt: skip
    return found


def selected(rows: Iterable[Row], wanted: Mapping[str, str]) -> list[Row]:
    """Return the rows that match every filter; wanted: filter name (see `FILTERS`) to values joined by commas."""
    columns = {"class": "row_class", "source": "source_id"}
    tests = [(columns.get(name, name), frozenset(part.strip() for part in text.split(","))) for name, text in wanted.items()]
    return [row for row in rows if all(getattr(row, column) in values for column, values in tests)]


def errors_of(name: str, predicted: Sequence[Predicted]) -> Errors:
    """Return the errors of one or more predictions."""
    absolute = [abs(p.error) for p in predicted]
    return Errors(
        name=name, rows=len(predicted), median=percentile(absolute, 0.5), ninetieth=percentile(absolute, 0.9), bias=percentile([p.error for p in predicted], 0.5),
        inside=sum(p.inside for p in predicted) / len(predicted), width=percentile([p.width for p in predicted], 0.5),
        within_half=sum(1 / 1.5 <= 1 + p.error <= 1.5 for p in predicted) / len(predicted),
    )  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """Return the percentile of one or more values, straight between neighbours; share from 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def known_measurements(model: str, hardware: str) -> tuple[Row, ...]:
    """Return the published measurements of `model` on `hardware` (catalogue names or their aliases), fewest devices first.

    Names that the catalogue does not know, and files, have no measurements.
    """
    wanted = _catalogue_names(model, hardware)
    found = [row for row in all_rows() if wanted is not None and (row.model, row.hardware) == wanted]
    return tuple(sorted(found, key=lambda row: (row.devices, row.batch, row.weight_format, row.context, row.id)))


def measured_nearby(answer: Estimate, most: int = 5) -> tuple[tuple[str, float, str], ...]:
    """Return up to `most` published measurements nearest to the question, as (what was measured, time per step [s], source).

    Only those of the same model, machine and number of devices; those of the same width of weights, mode, batch and context come first.
    """
    bits = STORAGE_FORMATS[answer.weight_format].bits
    modes = (answer.before.mode, answer.after.mode)

    def distance(row: Row) -> tuple[bool, bool, float, float]:
        stored = storage_format(row.weight_format, row.id).bits if row.weight_format else 0.0
        return stored != bits, row.mode not in modes, abs(math.log(row.batch / answer.batch)), abs(math.log((row.context + 256) / (answer.context + 256)))

    near = [row for row in known_measurements(answer.model, answer.hardware) if row.devices == answer.devices]
    rows = sorted(near, key=lambda row: (*distance(row), row.id))[:most]
    return tuple((f"{row.weight_format}, batch {row.batch}, context {row.context:,}: {row.engine}", row.time_per_step, row.source_id) for row in rows)


def _catalogue_names(model: str, hardware: str) -> tuple[str, str] | None:
    try:
        return find_model(model).name, find_hardware(hardware).name
    except PerfModelError:
        return None


def _median_over(sources: Sequence[Errors]) -> Errors | None:
    if not sources:
        return None
    figures = {field: percentile([getattr(e, field) for e in sources], 0.5) for field in ("median", "ninetieth", "bias", "inside", "width", "within_half")}
    return Errors(name="over sources", rows=sum(e.rows for e in sources), **figures)


def _culprit(one: Unasked) -> str:
    row = one.row
    return {"unknown model": row.model, "unknown device": row.hardware, "unknown format": row.weight_format, "mode the device lacks": f"{row.mode} on {row.hardware}"}.get(one.reason, row.hardware)
