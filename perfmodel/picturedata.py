"""The numbers of each picture, asked of `estimate` one by one. Nothing here draws."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from perfmodel.breakeven import last_paying_batch
from perfmodel.catalogue import find_hardware
from perfmodel.errors import SpecificationError
from perfmodel.estimator import LARGEST_BATCH, MOST_DEVICES, ask
from perfmodel.operations import Operation, decode_step
from perfmodel.parameters import MODES
from perfmodel.profiles import find_profile, with_profile
from perfmodel.questions import Question
from perfmodel.results import Assumption, Estimate, Side
from perfmodel.sensitivities import sensitivity
from perfmodel.terms import TERM_NAMES
from perfmodel.units import format_quantity
from perfmodel.validation import Row, all_rows, validate

KINDS = ("waterfall", "roofline", "scaling", "context", "batch", "map", "tornado", "validation")
_MOST_CURVE_DEVICES = 16
_CURVE_BATCHES = 1024
_CURVE_CONTEXT = 131_072
_SAME_INTENSITY = 1.12


class Caption(msgspec.Struct, frozen=True):
    """What stands under a picture: the question, and every assumption with its interval."""

    question: str
    assumptions: tuple[str, ...]


class Band(msgspec.Struct, frozen=True):
    """A curve with its interval; low is never above high."""

    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class SideBars(msgspec.Struct, frozen=True):
    """One side of a waterfall: terms [s] in the order of TERM_NAMES, the step and its interval [s]."""

    mode: str
    terms: tuple[float, ...]
    step: float
    low: float
    high: float
    kernel_calls: int


class Waterfall(msgspec.Struct, frozen=True):
    """Where the time of a step goes. peak [s]: the step at the datasheet bandwidth."""

    caption: Caption
    peak: float
    before: SideBars
    after: SideBars
    speedup: tuple[float, float, float]


class RooflinePoint(msgspec.Struct, frozen=True):
    """Operations of alike intensity [FLOP/B], the rate [FLOP/s] they reach under the roofs, and their share of the bytes [-]."""

    names: tuple[str, ...]
    intensity: float
    rate: float
    share: float


class Roofline(msgspec.Struct, frozen=True):
    """The roofs of one device and what lies under them.

    bandwidth, sustained_bandwidth [B/s]; rates: arithmetic format and datasheet rate [FLOP/s], the one in use first;
    sustained_rate [FLOP/s]; step: intensity of the whole step, its rate before and after on one device, and at peak.
    """

    caption: Caption
    hardware: str
    bandwidth: float
    sustained_bandwidth: float
    rates: tuple[tuple[str, float], ...]
    sustained_rate: float
    points: tuple[RooflinePoint, ...]
    step_intensity: float
    step_rates: tuple[float, float, float]
    modes: tuple[str, str]


class Curves(msgspec.Struct, frozen=True):
    """Rates [tok/s], fractions of peak [-] and speed-up [-] over one axis.

    axis: devices, context or batch; at: the points; fits: whether weights and cache fit at each.
    marks: places on the axis worth a line, with what they are.
    """

    caption: Caption
    axis: str
    at: tuple[int, ...]
    fits: tuple[bool, ...]
    modes: tuple[str, str]
    peak: tuple[float, ...]
    before: Band
    after: Band
    before_fraction: Band
    after_fraction: Band
    speedup: Band
    marks: tuple[tuple[str, float], ...] = ()


class Map(msgspec.Struct, frozen=True):
    """Speed-up [-] over batch (columns) and context (rows), and whether each fits."""

    caption: Caption
    batches: tuple[int, ...]
    contexts: tuple[int, ...]
    speedup: tuple[tuple[float, ...], ...]
    fits: tuple[tuple[bool, ...], ...]
    modes: tuple[str, str]


class TornadoBar(msgspec.Struct, frozen=True):
    """One assumption, its ends as text, and the figure with it alone at either end."""

    name: str
    low: str
    high: str
    at_low: float
    at_high: float
    share: float


class Tornado(msgspec.Struct, frozen=True):
    """How far each assumption alone moves a figure, the most first; value, low, high of that figure [unit]."""

    caption: Caption
    figure: str
    unit: str
    value: float
    low: float
    high: float
    bars: tuple[TornadoBar, ...]


class Measured(msgspec.Struct, frozen=True):
    """One published measurement beside its prediction and interval [s]; group: its class."""

    name: str
    group: str
    measured: float
    predicted: float
    low: float
    high: float


class Validated(msgspec.Struct, frozen=True):
    """Predicted against measured. median: of |error| [-]; inside: share of measurements inside the interval [-]."""

    caption: Caption
    points: tuple[Measured, ...]
    median: float
    inside: float


class WhatIf(msgspec.Struct, frozen=True):
    """A question next to the one asked, and its answer."""

    change: str
    answer: Estimate


class Report(msgspec.Struct, frozen=True):
    """Everything a page about one answer shows. last_paying_batch: None where it does not pay or has no end."""

    answer: Estimate
    last_paying_batch: int | None
    pictures: tuple["Picture", ...]
    what_ifs: tuple[WhatIf, ...]


Picture = Waterfall | Roofline | Curves | Map | Tornado | Validated


def picture_data(kind: str, answer: Estimate) -> Picture:
    """Return the numbers of the picture `kind`, one of KINDS, around `answer`."""
    makers: dict[str, Callable[[Estimate], Picture]] = {
        "waterfall": waterfall, "roofline": roofline, "scaling": scaling, "context": over_context, "batch": over_batch, "map": speedup_map, "tornado": tornado,
        "validation": lambda found: validation(measurements_near(found), f"{found.model} or {found.hardware}"),
    }  # fmt: skip
    return makers[kind](answer)


def question_line(answer: Estimate) -> str:
    """Return the question in one line."""
    devices = f"{answer.devices} x " if answer.devices > 1 else ""
    return f"{answer.model} on {devices}{answer.hardware}, batch {answer.batch:,}, context {answer.context:,}, weights {answer.weight_format}, cache {answer.kv_format}"


def assumption_text(assumption: Assumption) -> str:
    """Return an assumption as name, value and interval."""
    value, low, high = (format_quantity(x, assumption.unit, 3) for x in (assumption.value, assumption.low, assumption.high))
    return f"{assumption.name} {value}" if low == high else f"{assumption.name} {value} ({low} to {high})"


def _caption(question: str, answers: Iterable[Estimate]) -> Caption:
    # Several devices have assumptions that one has not.
    found = {assumption.name: assumption for answer in answers for assumption in answer.assumptions}
    return Caption(question, tuple(assumption_text(a) for a in found.values()))


def waterfall(answer: Estimate) -> Waterfall:
    """Return the terms of both sides."""

    def bars(side: Side) -> SideBars:
        terms = tuple(float(getattr(side.terms, name)) for name in TERM_NAMES)
        return SideBars(side.mode, terms, side.time_per_step, side.high.time_per_step, side.low.time_per_step, side.kernel_calls)

    speedup = (answer.speedup.value, answer.speedup.low, answer.speedup.high)
    return Waterfall(_caption(question_line(answer), [answer]), answer.peak.time_per_step, bars(answer.before), bars(answer.after), speedup)


def _question_of(answer: Estimate) -> Question:
    arguments = {name: value for name, value in answer.asked.arguments.items() if name not in ("batch", "context")}
    return ask(**arguments)


def roofline(answer: Estimate) -> Roofline:
    """Return the operations of the step on the roofs of one device."""
    question = _question_of(answer)
    plan, rates = question.before.plan, question.before.parameters.rates(0.0, 0.0, 0.0, 0.0)
    bandwidth_of = dict(zip(plan.kinds, rates.bandwidths, strict=True))
    found: list[tuple[str, float, float, float]] = []  # name, flops, bytes, time
    for operation in decode_step(question.model, question.formats, question.devices, question.hardware.replicates).all_operations():
        sizes = _bytes_by_kind(operation, answer.batch, answer.context)
        flops = float(operation.work.flops_at(answer.batch, answer.context))
        size = sum(sizes.values())
        if flops and size:
            arithmetic = flops / (rates.arithmetic * rates.arithmetic_share)
            found.append((operation.name, flops, size, max(sum(part / bandwidth_of[kind] for kind, part in sizes.items()), arithmetic)))
    values = question.hardware.values
    used = next(path for path in question.before.parameters.used if path.startswith("arithmetic.") and path != "arithmetic.sustained").removeprefix("arithmetic.")
    offered = {p.removeprefix("arithmetic."): q.value for p, q in values.items() if p.startswith("arithmetic.") and p != "arithmetic.sustained" and not p.endswith("-sparse")}
    others = sorted(((name, rate) for name, rate in offered.items() if name != used), key=lambda pair: -pair[1])
    flops, size = answer.flops_per_step / answer.devices, answer.bytes_per_step / answer.devices
    times = (answer.before.time_per_step, answer.after.time_per_step, answer.peak.time_per_step)
    return Roofline(
        _caption(question_line(answer), [answer]), answer.hardware, rates.datasheet_bandwidth, rates.bandwidths[0], ((used, offered[used]), *others),
        rates.arithmetic * rates.arithmetic_share, _grouped(found), flops / size, (flops / times[0], flops / times[1], flops / times[2]), (answer.before.mode, answer.after.mode),
    )  # fmt: skip


def _bytes_by_kind(operation: Operation, batch: int, context: int) -> dict[str, float]:
    """Bytes of an operation called on its own [B]."""
    work = operation.work
    sizes = {kind: float(size) for kind, size in work.weights}
    for bank in work.experts:
        sizes[bank.kind] = sizes.get(bank.kind, 0.0) + float(bank.bytes_read(batch))
    sizes["kv"] = float(work.cache_bytes(batch, context))
    sizes["activations"] = batch * float(work.activations + operation.reads + operation.writes)
    return {kind: size for kind, size in sizes.items() if size}


def _grouped(operations: Sequence[tuple[str, float, float, float]]) -> tuple[RooflinePoint, ...]:
    """Operations of one name together, then those of alike intensity, most bytes first."""
    named: dict[str, tuple[float, float, float]] = {}
    for name, flops, size, time in operations:
        before = named.get(name, (0.0, 0.0, 0.0))
        named[name] = (before[0] + flops, before[1] + size, before[2] + time)
    total = sum(size for _, size, _ in named.values())
    groups: list[list[tuple[str, tuple[float, float, float]]]] = []
    for entry in sorted(named.items(), key=lambda item: item[1][0] / item[1][1]):
        intensity = entry[1][0] / entry[1][1]
        if groups and intensity < _SAME_INTENSITY * groups[-1][0][1][0] / groups[-1][0][1][1]:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    points = []
    for group in groups:
        flops, size, time = (sum(numbers[i] for _, numbers in group) for i in range(3))
        names = tuple(name for name, _ in sorted(group, key=lambda item: -item[1][1]))
        points.append(RooflinePoint(names, flops / size, flops / time, size / total))
    return tuple(points)


def _band(answers: Sequence[Estimate], side: str, figure: str) -> Band:
    sides = [getattr(answer, side) for answer in answers]
    ends = [sorted((getattr(s.low, figure), getattr(s.high, figure))) for s in sides]
    return Band(tuple(getattr(s, figure) for s in sides), tuple(low for low, _ in ends), tuple(high for _, high in ends))


def _curves(axis: str, at: Sequence[int], answers: Sequence[Estimate], question: str, marks: Sequence[tuple[str, float]] = ()) -> Curves:
    speedup = Band(tuple(a.speedup.value for a in answers), tuple(a.speedup.low for a in answers), tuple(a.speedup.high for a in answers))
    return Curves(
        _caption(question, answers), axis, tuple(at), tuple(a.fits.fits for a in answers), (answers[0].before.mode, answers[0].after.mode),
        tuple(a.peak.tokens_per_second for a in answers), _band(answers, "before", "tokens_per_second"), _band(answers, "after", "tokens_per_second"),
        _band(answers, "before", "fraction_of_peak"), _band(answers, "after", "fraction_of_peak"), speedup, tuple(marks),
    )  # fmt: skip


def _doubling(first: int, last: int, asked: int) -> tuple[int, ...]:
    """First, twice, four times and so on up to last, with the asked point among them."""
    found = {asked}
    while first <= last:
        found.add(first)
        first *= 2
    return tuple(sorted(found))


def scaling(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over devices; `at` or powers of two up to sixteen, or twice the asked number.

    Where the device has no figures of a link, only the numbers asked for stay.
    """
    devices = tuple(at or _doubling(1, min(max(_MOST_CURVE_DEVICES, 2 * answer.devices), MOST_DEVICES), answer.devices))
    answers: list[Estimate] = []
    reached: list[int] = []
    for count in devices:
        try:
            answers.append(answer if count == answer.devices else answer.replace(devices=count))
            reached.append(count)
        except SpecificationError:
            continue
    domain = _question_of(answer).hardware.values.get("link.domain")
    marks = [(f"link domain: {domain.value:g}", domain.value)] if domain is not None and domain.value < reached[-1] else []
    question = f"{answer.model} on {answer.hardware}, batch {answer.batch:,}, context {answer.context:,}, weights {answer.weight_format}, cache {answer.kv_format}"
    return _curves("devices", reached, answers, question, marks)


def over_context(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over context; `at` or powers of two up to what the model was made for."""
    longest = _question_of(answer).model.longest_context or _CURVE_CONTEXT
    contexts = tuple(at or _doubling(128, min(max(longest, 4096), _CURVE_CONTEXT), max(answer.context, 1)))
    devices = f"{answer.devices} x " if answer.devices > 1 else ""
    question = f"{answer.model} on {devices}{answer.hardware}, batch {answer.batch:,}, weights {answer.weight_format}, cache {answer.kv_format}"
    return _curves("context", contexts, [answer.replace(context=c) for c in contexts], question)


def over_batch(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over batch; `at` or powers of two, with the largest batch at which looping pays."""
    batches = tuple(at or _doubling(1, min(max(_CURVE_BATCHES, answer.batch), LARGEST_BATCH), answer.batch))
    devices = f"{answer.devices} x " if answer.devices > 1 else ""
    question = f"{answer.model} on {devices}{answer.hardware}, context {answer.context:,}, weights {answer.weight_format}, cache {answer.kv_format}"
    last = last_paying_batch(answer.replace(batch=1))
    marks = [(f"pays up to {last:,}", float(last))] if last is not None and last <= batches[-1] else []
    return _curves("batch", batches, [answer.replace(batch=b) for b in batches], question, marks)


def speedup_map(answer: Estimate, batches: Sequence[int] | None = None, contexts: Sequence[int] | None = None) -> Map:
    """Return the speed-up over batch and context."""
    longest = _question_of(answer).model.longest_context or _CURVE_CONTEXT
    columns = tuple(batches or _doubling(1, max(512, answer.batch), answer.batch))
    rows = tuple(contexts or _doubling(512, min(max(longest, 4096), _CURVE_CONTEXT), max(answer.context, 1)))
    answers = [[answer.replace(batch=b, context=c) for b in columns] for c in rows]
    devices = f"{answer.devices} x " if answer.devices > 1 else ""
    question = f"{answer.model} on {devices}{answer.hardware}, weights {answer.weight_format}, cache {answer.kv_format}"
    return Map(
        _caption(question, [answer]), columns, rows, tuple(tuple(a.speedup.value for a in row) for row in answers), tuple(tuple(a.fits.fits for a in row) for row in answers),
        (answer.before.mode, answer.after.mode),
    )  # fmt: skip


def tornado(answer: Estimate, figure: str = "speedup", most: int = 12) -> Tornado:
    """Return the assumptions that move `figure`, the most first, at most `most` of them."""
    arguments = dict(answer.asked.arguments)
    profile = arguments.pop("profile", None)
    if profile is not None:
        hardware = arguments["hardware"]
        arguments["hardware"] = with_profile(find_hardware(hardware) if isinstance(hardware, str) else hardware, find_profile(profile))
    found = sensitivity(**arguments, figure=figure)
    bars = tuple(TornadoBar(i.name, format_quantity(i.low, i.unit, 3), format_quantity(i.high, i.unit, 3), i.at_low, i.at_high, i.share) for i in found.influences if i.swing > 0)
    return Tornado(_caption(question_line(answer), [answer]), found.figure, found.unit, found.value, found.low, found.high, bars[:most])


def measurements_near(answer: Estimate) -> tuple[Row, ...]:
    """Return the published measurements of the same model on any device, and of the same device with any model."""
    question = _question_of(answer)
    return tuple(row for row in all_rows() if row.model == question.model.name or row.hardware == question.hardware.name)


def validation(rows: Iterable[Row], what: str = "") -> Validated:
    """Return predictions from first principles beside the measurements of `rows`.

    Raises SpecificationError where none of them can be predicted.
    """
    result = validate(rows)
    if result.over_rows is None:
        raise SpecificationError("validation: no published measurement of these that could be predicted; `perfmodel validate` lists all")
    points = tuple(Measured(p.row.id, p.row.row_class or "other", p.row.time_per_step, p.time, p.low, p.high) for p in result.predicted)
    sources = len(result.sources)
    question = f"{len(points):,} measurements from {sources} source{'s' if sources != 1 else ''}{f' of {what}' if what else ''}, predicted from specifications and launch modes, without profiles"
    return Validated(Caption(question, ()), points, result.over_rows.median, result.over_rows.inside)


def what_ifs(answer: Estimate) -> tuple[WhatIf, ...]:
    """Return the questions next to the one asked: twice the devices, eight times the batch, half the boundary, other modes."""
    question = _question_of(answer)
    found: list[WhatIf] = []

    def add(change: str, **changes: Any) -> None:
        try:
            found.append(WhatIf(change, answer.replace(**changes)))
        except SpecificationError:
            # The device lacks what this question needs, such as the figures of a link.
            return

    if answer.devices * 2 <= MOST_DEVICES:
        add(f"{answer.devices * 2} devices", devices=answer.devices * 2)
    if answer.batch * 8 <= LARGEST_BATCH:
        add(f"batch {answer.batch * 8:,}", batch=answer.batch * 8)
    halves = {}
    for side in (question.before, question.after):
        for path, (group, quantity) in side.parameters.used.items():
            if group == "boundary" and path.rpartition(".")[2] in ("boundary", "bare", "ramp", "tail"):
                halves[path] = msgspec.structs.replace(quantity, value=quantity.value / 2, low=quantity.low / 2, high=quantity.high / 2)
    add("each call boundary costs half", parameters={**(answer.asked.arguments["parameters"] or {}), **halves})
    for mode in MODES:
        if mode in question.hardware.modes and mode not in (answer.before.mode, answer.after.mode):
            add(f"{mode} instead of {answer.after.mode}", after=mode)
    return tuple(found)


def report_data(answer: Estimate) -> Report:
    """Return the pictures and what-ifs around `answer`; a picture of measurements only where some were published."""
    kinds = [kind for kind in KINDS if kind != "validation" or measurements_near(answer)]
    pictures = []
    for kind in kinds:
        try:
            pictures.append(picture_data(kind, answer))
        except SpecificationError:
            # Measurements there are, but none that can be predicted.
            if kind != "validation":
                raise
    return Report(answer, last_paying_batch(answer), tuple(pictures), what_ifs(answer))


def rows_of(data: Picture) -> list[dict[str, Any]]:
    """Return the numbers of a picture as flat rows, in base units."""
    if isinstance(data, Waterfall):
        sides = (("before", data.before), ("after", data.after))
        rows = [{"side": "", "term": "peak", "time": data.peak}]
        for name, side in sides:
            rows += [{"side": name, "term": term, "time": time} for term, time in zip((*TERM_NAMES, "step"), (*side.terms, side.step), strict=True)]
        return rows
    if isinstance(data, Roofline):
        return [{"operations": " ".join(p.names), "intensity": p.intensity, "rate": p.rate, "share": p.share} for p in data.points]
    if isinstance(data, Curves):
        bands = {"before.tokens_per_second": data.before, "after.tokens_per_second": data.after, "before.fraction_of_peak": data.before_fraction,
                 "after.fraction_of_peak": data.after_fraction, "speedup": data.speedup}  # fmt: skip
        return [
            {data.axis: at, "fits": data.fits[i], "peak.tokens_per_second": data.peak[i]}
            | {f"{name}.{end}": getattr(band, field)[i] for name, band in bands.items() for end, field in (("value", "values"), ("low", "low"), ("high", "high"))}
            for i, at in enumerate(data.at)
        ]
    if isinstance(data, Map):
        return [{"context": c, "batch": b, "speedup": data.speedup[i][j], "fits": data.fits[i][j]} for i, c in enumerate(data.contexts) for j, b in enumerate(data.batches)]
    points: Sequence[Any] = data.bars if isinstance(data, Tornado) else data.points
    return [dict(msgspec.to_builtins(point)) for point in points]
