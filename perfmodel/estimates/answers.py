"""The estimate: specifications, operations, calls and equations put together. The only room that does."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel import equations
from perfmodel._layout import ShownInNotebooks
from perfmodel.errors import SpecificationError, UnknownNameError, ValueRangeError, shown
from perfmodel.estimates.capacity import MOST_DEVICES, resident_work
from perfmodel.estimates.figures import rates_of
from perfmodel.estimates.intervals import SideTimes, speedup_interval
from perfmodel.estimates.placement import bytes_in_tier, read_offload, what_does_not_fit
from perfmodel.estimates.prepared import PreparedSide, Question, prepare
from perfmodel.estimates.results import Asked, Assumption, Fits, LoopFound, OnChip, Peak, Placed, Side, Speedup
from perfmodel.estimates.splits import nearest_splits, obstacle
from perfmodel.estimates.terms import TERM_NAMES, Terms
from perfmodel.numbers.choices import ceil_div
from perfmodel.operations import Formats
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.work import ON_CHIP
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.formats import head_format, storage_format
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Experts, Layer, Model
from perfmodel.specifications.parameters import Quantity, parse_setting
from perfmodel.specifications.profiles import find_profile, with_profile

if TYPE_CHECKING:
    import pandas
    import polars

LARGEST_BATCH = 10_000_000
LONGEST_CONTEXT = 1_000_000_000
# How notes begin that are said on stderr too.
_WARNINGS = ("cannot be built", "does not fit", "context ")


class Estimate(msgspec.Struct, ShownInNotebooks, frozen=True, eq=False):
    """How fast the model decodes on the machine before and after looping, why, and how sure that is.

    parallel: how the devices share the work, as `--parallel` takes it; on_chip: None where nothing is fused or the
    device does not say what it has; placement: None where nothing streams from a slower tier. Base units: s, B, FLOP,
    tok/s. `to_dict` gives exactly what `perfmodel estimate --json` prints.
    """

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    bytes_per_step: int
    flops_per_step: int
    peak: Peak
    before: Side
    after: Side
    speedup: Speedup
    fits: Fits
    loops: tuple[LoopFound, ...]
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]
    parallel: str
    on_chip: OnChip | None
    placement: Placed | None
    asked: Asked

    def replace(self, **changes: Any) -> "Estimate":
        """Return the estimate of the same question with some arguments of `estimate` changed."""
        return estimate(**(self.asked.arguments | changes))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the notes without which the figures mislead."""
        return tuple(note for note in self.notes if note.startswith(_WARNINGS))

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain dicts, lists, numbers and texts, in base units."""
        answer: dict[str, Any] = msgspec.to_builtins(self)
        del answer["asked"]
        for side in ("before", "after"):
            answer[side]["terms"] = getattr(self, side).terms._asdict()
        return answer

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as one flat row with dotted names.

        Loops, assumptions, notes and what is on chip are left out.
        """
        return [
            dict(
                _flat(
                    "",
                    {
                        k: v
                        for k, v in self.to_dict().items()
                        if k not in ("loops", "assumptions", "notes", "on_chip", "placement")
                    },
                )
            )
        ]

    def to_pandas(self) -> "pandas.DataFrame":
        """Return `rows` as a pandas DataFrame (pandas is not a dependency of this package)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_polars(self) -> "polars.DataFrame":
        """Return `rows` as a polars DataFrame (polars is not a dependency of this package)."""
        import polars

        return polars.DataFrame(self.rows())


def estimate(
    model: str | Model,
    hardware: str | Hardware,
    *,
    devices: int | None = None,
    batch: int = 1,
    context: int = 4096,
    weights: str | None = None,
    kv: str | None = None,
    before: str | None = None,
    after: str = "looped",
    loop_at_most: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    profile: str | None = None,
    parallel: str | Mapping[str, Any] | Parallel | None = None,
    loop_only: str | None = None,
    offload: str | None = None,
) -> Estimate:
    """Estimate how fast `model` generates tokens on `hardware`, before and after looping.

    model: catalogue name, path of a model TOML or config.json, or a Model.
    hardware: catalogue name, path of a hardware TOML, or a Hardware.
    devices: devices that share the work [-]; None takes all of a system, else one.
    batch: sequences in a step [-]
    context: tokens in the cache that the step reads, per sequence [-]
    weights, kv: storage formats; None takes those the model is published in.
    before, after: launch modes; None takes the device's own for before.
    loop_at_most: iterations one looped call may hold [-]; None for no limit.
    parallel: how the devices share the work, such as "tp=8,ep=8" or {"tp": 4, "dp": 2} (see `read_parallel`); tensor
    parallelism where nothing is said.
    loop_only: what may be looped, as calls and layers of `perfmodel loops`: "decoder_layer_2" or "3-60"; None for all.
    offload: what streams from a slower memory tier: "host" for what does not fit, or "experts=host,weights=host:0.5";
    None for nothing.
    profile: overrides of a software stack, by name or path of a TOML file.
    parameters: what-ifs by dotted path, such as {"modes.graph.boundary": "2us", "memory.bandwidth": 4e12}.
    Raises PerfModelError (a name, file or value that cannot be used), with one line that says what can.

    >>> round(estimate("llama-3.1-8b", "sn40l", devices=8).after.fraction_of_peak, 1)
    0.7
    """
    asked = {
        "model": model,
        "hardware": hardware,
        "devices": devices,
        "batch": batch,
        "context": context,
        "weights": weights,
        "kv": kv,
        "before": before,
        "after": after,
        "loop_at_most": loop_at_most,
        "parameters": parameters,
        "profile": profile,
        "parallel": parallel,
        "loop_only": loop_only,
        "offload": offload,
    }
    batch = whole_number(batch, "batch", 1, LARGEST_BATCH)
    context = whole_number(context, "context", 0, LONGEST_CONTEXT)
    question = ask(
        model,
        hardware,
        devices=devices,
        weights=weights,
        kv=kv,
        before=before,
        after=after,
        loop_at_most=loop_at_most,
        parameters=parameters,
        profile=profile,
        parallel=parallel,
        loop_only=loop_only,
        offload=offload,
        workload=(batch, context),
    )
    return _answer(question, batch, context, asked)


def ask(
    model: str | Model,
    hardware: str | Hardware,
    *,
    devices: int | None = None,
    weights: str | None = None,
    kv: str | None = None,
    before: str | None = None,
    after: str = "looped",
    loop_at_most: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    profile: str | None = None,
    parallel: str | Mapping[str, Any] | Parallel | None = None,
    loop_only: str | None = None,
    offload: str | None = None,
    workload: tuple[int, int] = (1, 4096),
) -> Question:
    """Return the prepared question behind `estimate`, whose arguments these are.

    workload: batch and context [-] at which a memory tier that is named alone takes what does not fit.
    """
    chosen_model = find_model(model) if isinstance(model, str) else model
    device = find_hardware(hardware) if isinstance(hardware, str) else hardware
    if profile is not None:
        device = with_profile(device, find_profile(profile))
    if parameters:
        device = _with_settings(device, tuple(sorted(parameters.items())))
    shared = read_parallel(parallel, chosen_model, devices)
    if shared is None:
        shared = Parallel(
            tensor=device.devices if devices is None else whole_number(devices, "devices", 1, MOST_DEVICES)
        )
    if loop_at_most is not None:
        loop_at_most = whole_number(loop_at_most, "loop_at_most", 1, 10**6)
    formats = formats_of(chosen_model, weights, kv)
    placement = None
    if offload is not None:
        placement = read_offload(offload, device)
        if placement is None:
            resident = resident_work(chosen_model, formats, shared, device.replicates)
            sequences = shared.resident_sequences(workload[0])
            placement = what_does_not_fit(
                offload.strip(), resident.works, sequences, workload[1], device.values["memory.capacity"].value
            )
        if not placement.weights and not placement.experts:
            placement = None
    return prepare(
        chosen_model, device, shared, formats, before or device.default_mode, after, loop_at_most, loop_only, placement
    )


_SHARES = ("tp", "ep", "pp", "dp")


def read_parallel(
    given: str | Mapping[str, Any] | Parallel | None, model: Model, devices: int | None = None
) -> Parallel | None:
    """Return the way to share the work that `tp=4,ep=8,pp=2,dp=2` says, or a mapping with these keys; None for None.

    tp: devices that split each matrix; dp: groups of them that each do attention for their part of the batch; pp:
    stages that the layers are cut into; ep: groups, among the tp x dp devices of a stage, that routed experts are
    spread over. Without tp it is what ep needs. devices: what the product of tp, dp and pp must be, None where nothing
    is asked.
    Raises UnknownNameError for another key, ValueRangeError for a number that does not fit.
    """
    if given is None or isinstance(given, Parallel):
        return given
    found: dict[str, int] = {}
    for part in (
        given.items() if isinstance(given, Mapping) else [part.partition("=")[::2] for part in str(given).split(",")]
    ):
        key, value = str(part[0]).strip(), part[1]
        if key not in _SHARES or key in found:
            reason = "is given twice" if key in found else "is not understood"
            raise UnknownNameError(
                f"--parallel: {shown(key)} {reason}; tp=N splits matrices, dp=N the batch of attention, pp=N the"
                " layers, ep=N spreads experts"
            )
        if isinstance(value, str):
            value = int(value) if value.strip().isdecimal() and len(value) < 9 else value
        found[key] = whole_number(value, f"--parallel {key}", 1, MOST_DEVICES)
    groups, data, stages = found.get("ep", 1), found.get("dp", 1), found.get("pp", 1)
    tensor = found.get("tp", ceil_div(groups, data))
    parallel = Parallel(tensor=tensor, expert=groups, pipeline=stages, data=data)
    if parallel.stage_devices % groups:
        raise ValueRangeError(
            f"--parallel: ep={groups} does not divide the {parallel.stage_devices} devices of tp={tensor} x dp={data}"
        )
    counts = [
        layer.feed_forward.count
        for layer in model.layers
        if isinstance(layer, Layer) and isinstance(layer.feed_forward, Experts)
    ]
    if groups > 1 and (not counts or groups > min(counts)):
        raise ValueRangeError(
            f"--parallel: ep={groups}: {model.name} has {min(counts) if counts else 'no'} experts to spread"
        )
    if stages > 1 and model.step:
        raise ValueRangeError(
            f"--parallel: pp={stages}: {model.name} is no decoder, whose layers all hand on the same activations; tp"
            " and dp are for it"
        )
    if stages > len(model.layers):
        raise ValueRangeError(
            f"--parallel: pp={stages}: {model.name} has {len(model.layers)} layers to cut into stages"
        )
    if parallel.devices > MOST_DEVICES:
        raise ValueRangeError(f"--parallel: {parallel.devices:,} devices are more than {MOST_DEVICES:,}")
    if devices is not None and devices != parallel.devices:
        each = data * stages
        hint = (
            f"; tp={devices // each} would make as many"
            if isinstance(devices, int) and devices > 0 and devices % each == 0
            else ""
        )
        raise ValueRangeError(f"--parallel: {parallel} is for {parallel.devices} devices, not {shown(devices)}{hint}")
    return parallel


@lru_cache(maxsize=1024)
def formats_of(model: Model, weights: str | None, kv: str | None) -> Formats:
    """Return the storage formats of a query: those asked for, else those the model is published in.

    A format that is asked for is that of every matrix but the head, which files of that format may keep in another
    (`perfmodel.specifications.formats.head_format`). The one that a model, or its experts, are published in means the
    model as published.
    """
    asked = storage_format(weights, "--weights").name if weights else None
    if asked not in (None, model.expert_format or model.weight_format):
        matrices, experts, head = asked, asked, head_format(asked, model.activations)
    else:
        matrices = storage_format(model.weight_format, "--weights").name
        experts, head = model.expert_format or matrices, model.head_format or matrices
    return Formats(matrices, storage_format(kv or model.kv_format, "--kv").name, model.activations, experts, head)


def _with_settings(hardware: Hardware, settings: tuple[tuple[str, Any], ...]) -> Hardware:
    """Return the device with what-ifs set.

    Equal what-ifs on one device give one object, so that a question is prepared once.
    """
    try:
        return _settings_applied(hardware, settings)
    except TypeError:
        raise SpecificationError(f"parameters: expected texts and numbers, found {shown(dict(settings))}") from None


@lru_cache(maxsize=256)
def _settings_applied(hardware: Hardware, settings: tuple[tuple[str, Any], ...]) -> Hardware:
    return hardware.replace_values(
        {
            path: value if isinstance(value, Quantity) else parse_setting(path, value, hardware.values)
            for path, value in settings
        }
    )


def whole_number(value: object, name: str, least: int, most: int) -> int:
    """Return `value` as an int; raise ValueRangeError unless it is a whole number from `least` to `most`."""
    whole = value if isinstance(value, int) and not isinstance(value, bool) else _exact(value)
    if whole is None or not least <= whole <= most:
        raise ValueRangeError(f"{name}: {shown(value)} is not a whole number from {least} to {most:,}")
    return whole


def _exact(value: object) -> int | None:
    """The int that a float, a numpy integer or the like stands for, None when it stands for none."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        whole = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return whole if whole == value else None


def _answer(question: Question, batch: int, context: int, asked: dict[str, Any]) -> Estimate:
    model, hardware = question.model, question.hardware
    size = question.whole.bytes_read(batch, context)
    peak = equations.peak_time(size, question.devices, hardware.values["memory.bandwidth"].value)
    times_before, times_after = SideTimes(question.before, batch, context), SideTimes(question.after, batch, context)
    terms_before, terms_after = times_before.terms(), times_after.terms()
    before = _side(question, question.before, times_before, terms_before, peak, batch)
    after = _side(question, question.after, times_after, terms_after, peak, batch)
    low, high = speedup_interval(question, times_before, times_after, terms_before, terms_after)
    value = equations.speedup(before.time_per_step, after.time_per_step)
    speedup = Speedup(value, low, high)
    enough, on_chip = question.fewest_split(batch, context), question.after.on_chip(batch)
    fits = _fits(question, batch, context, enough)
    return Estimate(
        model.name,
        hardware.name,
        question.devices,
        batch,
        context,
        question.formats.experts if question.whole.experts else question.formats.weights,
        question.formats.kv,
        round(size),
        round(question.whole.flops_at(batch, context)),
        Peak(peak, batch / peak),
        before,
        after,
        speedup,
        fits,
        question.loops,
        question.assumptions,
        _notes(question, fits, enough, speedup, context, on_chip),
        str(question.parallel),
        on_chip,
        _placed(question),
        Asked(asked, model.step),
    )


def _side(question: Question, side: PreparedSide, times: SideTimes, terms: Terms, peak: float, batch: int) -> Side:
    # Every parameter moves a time one way only, so its bounds are two corners.
    slow, fast = times.step(question.slow, -1.0), times.step(question.fast, 1.0)
    value = rates_of(terms.total(), peak, batch)
    largest = terms.index(max(terms))
    return Side(
        side.mode.name,
        side.plan.kernel_calls,
        value.time_per_step,
        value.tokens_per_second,
        value.tokens_per_second_per_sequence,
        value.fraction_of_peak,
        TERM_NAMES[largest],
        rates_of(slow, peak, batch),
        rates_of(fast, peak, batch),
        terms,
    )


def _fits(question: Question, batch: int, context: int, enough: Parallel | None) -> Fits:
    needed = float(question.resident.bytes_resident(batch, context))
    available = question.hardware.values["memory.capacity"].value
    return Fits(needed <= available, round(needed), round(available), enough.devices if enough is not None else None)


def _placed(question: Question) -> Placed | None:
    placement = question.placement
    if placement is None:
        return None
    return Placed(
        placement.tier,
        placement.weights,
        placement.experts,
        round(max(bytes_in_tier(placement.tier, work) for work in question.resident.works)),
    )


def _notes(
    question: Question, fits: Fits, enough: Parallel | None, speedup: Speedup, context: int, on_chip: OnChip | None
) -> tuple[str, ...]:
    notes = list(question.model.notes)
    if why := obstacle(question.model, question.parallel):
        near = " or ".join(str(split) for split in nearest_splits(question.model, question.parallel))
        notes.append(f"cannot be built: {why}; {near} can be; figures are those of the fullest device")
    if not fits.fits:
        would_do = (
            "no number of devices would do"
            if enough is None
            else f"{enough.devices:,} would do"
            + (f", as {enough}" if enough.tensor < enough.devices or enough.expert > 1 else "")
        )
        notes.append(
            f"does not fit: {fits.bytes_needed / 1e9:.1f} GB needed on each of {question.devices}"
            f" {question.hardware.name}, {fits.bytes_available / 1e9:.1f} GB there; {would_do}; figures are as if it"
            " fitted"
        )
    if on_chip is not None and on_chip.fits == "split":
        notes.append(
            f"split: activations of {', '.join(name for name, _ in question.after.schedule.split)} do not fit on chip"
            " for one sequence, so its stages are calls of their own"
        )
    elif on_chip is not None and on_chip.fits == "tiled":
        through = f", and {on_chip.spilled / 1e6:.3g} MB of a stage go through memory" if on_chip.spilled else ""
        notes.append(
            f"tiled: {on_chip.bytes_needed / 1e6:.3g} MB are wanted on chip, {on_chip.bytes_available / 1e6:.3g} MB are"
            f" there: {on_chip.prefetch / 1e6:.3g} MB are left to fetch ahead{through}"
        )
    if (placed := _placed(question)) is not None:
        capacity = question.hardware.values.get(f"tiers.{placed.tier}.capacity")
        notes.append(
            f"{placed.tier}: {placed.weights:.1%} of the weights and {placed.experts:.1%} of routed experts,"
            f" {placed.bytes / 1e9:.1f} GB on each device, stream from there".replace("%", " %")
        )
        if capacity is not None and placed.bytes > capacity.value:
            notes.append(
                f"does not fit {placed.tier} either: {capacity.value / 1e9:.1f} GB there; figures are as if it did"
            )
    kept, room = (
        dict(question.resident.works[0].weights).get(ON_CHIP, 0.0),
        question.hardware.values.get("on_chip.capacity"),
    )
    if room is not None and kept > room.value:
        notes.append(
            f"weights do not stay on chip: {kept / 1e6:.1f} MB on each device, {room.value / 1e6:.1f} MB there; figures"
            " are as if they did"
        )
    longest = question.model.longest_context
    if longest is not None and context > longest:
        notes.append(f"context {context:,} is longer than the {longest:,} tokens {question.model.name} was made for")
    if speedup.value < 1:
        notes.append(
            f"{question.after.mode.name} is slower than {question.before.mode.name} here: its stages cost more than the"
            " boundaries it removes"
        )
    return tuple(notes)


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, part)]
    return [(prefix, value)]
