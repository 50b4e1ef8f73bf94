"""Price a recorded step against the bytes of its model.

Boundary, sustained share, a profile, and what other launch modes would bring.

The time of a recorded step is host time + collectives + kernels; the kernels are roofline time at the sustained
share of the memory plus a boundary each. One recording cannot tell a low share from a high boundary, so the two
are fitted together with the catalogue's intervals as prior: at the high end of the interval the kernels stream at
the device's best share and all else is boundary, which looping removes; at the low end only the gaps and the floor
in each kernel are boundary, and the rest is slow streaming, which looping keeps.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

import msgspec

from perfmodel.errors import SpecificationError, ValueRangeError, shown
from perfmodel.estimates.answers import Estimate, estimate
from perfmodel.estimates.options import Asked
from perfmodel.estimates.question import read_question
from perfmodel.operations import decode_step
from perfmodel.schedule.cutting import make_schedule
from perfmodel.specifications.hardware import Hardware, Mode, merge_mode
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import MODES
from perfmodel.specifications.profiles import Profile, with_profile
from perfmodel.specifications.quantities import Interval, Quantity
from perfmodel.traces import Summary, Trace, summarise
from perfmodel.traces.gaps import graph_launches
from perfmodel.traces.steps import Step

_STYLES = ("primitive", "separate", "engine", "tuned")
_PLAIN = ("eager", "stream", "graph", "pdl")  # modes that run the recorded kernels as they are
_FUSED = ("layer-fused", "looped", "megakernel-generated", "megakernel")
_PERCENTILE = 1.645  # standard deviations from the middle to the 5th or 95th percentile
_INFLATION_GRAPH, _INFLATION_EAGER = 0.09, 0.5  # share of a recorded step that a profiler may have added
_FARTHEST = (
    2 * _PERCENTILE
)  # standard deviations by which a share may lie below its value before something else must explain the time
_SHORTEST_BOUNDARY = 1e-9  # s
_DOUBTFUL = 2.0  # times the highest boundary that is known of the device
_WHAT = {
    "graph": "the same kernels in a graph",
    "pdl": "dependent launch of the same kernels",
    "layer-fused": "one kernel a layer",
    "looped": "the layers as one looped kernel",
    "megakernel-generated": "the step as one generated kernel",
    "megakernel": "the step as one kernel",
}


class Share(msgspec.Struct, frozen=True):
    """The sustained share of one kind of bytes [-]: as the device's file has it, and as the recording tells it."""

    path: str
    device: Interval
    recorded: Interval


class Prediction(msgspec.Struct, frozen=True):
    """A step in another launch mode.

    time [s]; speedup [-] against the mode `against`, parameters that both share taken alike.
    """

    mode: str
    what: str
    kernel_calls: int
    time: Interval
    speedup: Interval
    against: str


class TracePricing(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded step priced against its model. Times [s].

    mode: the launch mode of the recording; style: the kernel style nearest to it, which calls `modelled_calls` kernels
    where the recording has `recorded_kernels`. step = host + active: unprofiled if that was given, else as recorded.
    streaming: bytes over sustained bandwidth. floors: the least time of each kernel, and the gaps between kernels in a
    graph. boundary: of one recorded kernel; call_boundary: of one modelled call. recorded_as: what `estimate` says of
    the recorded mode with the profile. plausible: whether the boundary is one that a kernel call can have.
    """

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    bytes_per_step: int
    mode: str
    style: str
    model_layers: int
    recorded_kernels: int
    modelled_calls: int
    modelled_calls_per_layer: float
    step: float
    active: float
    host: Interval
    collectives: float
    floors: float
    streaming: Interval
    boundary: Interval
    call_boundary: Interval
    shares: tuple[Share, ...]
    recorded_as: Interval
    predictions: tuple[Prediction, ...]
    plausible: bool
    notes: tuple[str, ...]
    profile: Profile

    def prediction(self, mode: str) -> Prediction | None:
        """Return the prediction for a launch mode, None when the device has no such mode."""
        return next((one for one in self.predictions if one.mode == mode), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values in base units, without the profile."""
        return {name: msgspec.to_builtins(getattr(self, name)) for name in self.__struct_fields__ if name != "profile"}


class _Question(NamedTuple):
    """What is asked of `estimate`, besides the device and the modes."""

    model: Model
    arguments: dict[str, Any]

    def ask(self, device: Hardware, before: str, after: str, parameters: Mapping[str, Any] | None = None) -> Estimate:
        return estimate(self.model, device, before=before, after=after, parameters=parameters, **self.arguments)


class _Split(NamedTuple):
    """Where the time of a recorded step goes [s].

    Idle that no kernel owns, kernels with their boundaries, collectives; floors in `active`.
    """

    step: float
    host: float
    active: float
    collectives: float
    floors: float
    spread: tuple[float, float]  # the 5th and 95th percentile of the steps over the one described


def price_trace(
    trace: Trace,
    model: str | Model,
    hardware: str | Hardware,
    *,
    measured: float | None = None,
    mode: str | None = None,
    name: str = "recorded",
    **asked: Unpack[Asked],
) -> TracePricing:
    """Price the middle step of `trace` against the bytes of `model` and predict other launch modes.

    measured: an unprofiled step [s]. The other arguments are those of `estimate`, as the recording was made; its launch
    mode is `mode`, so before and after have no meaning here.
    mode: the launch mode of the recording; found from its launches if None. name: of the profile.
    Raises ValueRangeError when the bytes cannot be read in the recorded time or the trace has no step,
    and what `estimate` raises.
    """
    summary = _with_step(trace, measured)
    given = read_question(model, hardware, **asked)
    chosen, device, devices, formats = given.model, given.hardware, given.parallel.devices, given.formats
    batch, context = given.batch, given.context
    # The device comes as asked, and the modes vary.
    varied = ("model", "hardware", "before", "after", "profile", "parameters")
    question = _Question(chosen, {name: value for name, value in given.arguments.items() if name not in varied})
    kernels = summary.kernels_per_step or 0

    # The style whose calls are nearest in number stands for the recorded kernels.
    counts = {
        style: make_schedule(
            decode_step(chosen, formats, given.parallel, device.replicates), style, loops=False
        ).kernel_calls
        for style in _STYLES
    }
    style = min(_STYLES, key=lambda one: abs(math.log(counts[one] / kernels)))
    recorded_mode = _recorded_mode(trace, summary, style, device) if mode is None else device.mode(mode, "mode").name
    if recorded_mode not in _PLAIN:
        raise SpecificationError(
            f"mode: {shown(recorded_mode)} fuses layers: a recording of it has no kernels to fuse; give one of"
            f" {', '.join(m for m in _PLAIN if m in device.modes)}"
        )
    split = _split(summary, measured, recorded_mode)
    plain = _with_style(device, style)
    first = question.ask(plain, recorded_mode, recorded_mode)
    calls = first.before.kernel_calls
    prior = {a.name: a for a in first.assumptions if a.name.startswith("memory.sustained.")}
    collective_values = _collective_latency(question, plain, recorded_mode, split.collectives, first)
    plain = plain.replace_values(collective_values)
    collective_term = question.ask(plain, recorded_mode, recorded_mode).before.terms.collective

    def shares_at(position: float) -> dict[str, Quantity]:
        return {path: _moved(a.low, a.value, a.high, position, a.unit) for path, a in prior.items()}

    def overhead(position: float) -> float:
        """Time [s] of the step that is left for boundaries when the memory's shares stand at `position`."""
        terms = question.ask(plain, recorded_mode, recorded_mode, shares_at(position)).before.terms
        return split.active - float(terms.stream) - float(terms.compute) - float(terms.collective or split.collectives)

    fastest = _position(overhead, 0.0)
    if fastest is None:
        raise ValueRangeError(
            f"{first.bytes_per_step / 1e9:.4g} GB on {devices} x {device.name} cannot be read in the"
            f" {split.active * 1e3:.4g} ms that the kernels of the recorded step take: are model, devices, batch,"
            " context and formats those of the trace?"
        )
    prior_boundary = _prior_boundary(device, recorded_mode)
    notes = _notes(summary, chosen, split, measured, collective_term, devices, recorded_mode, fastest)
    middle = _likeliest(overhead, max(fastest, -_FARTHEST), prior_boundary, kernels)
    slow_position = _position(overhead, min(split.floors, overhead(middle)))
    slow = min(middle, fastest if slow_position is None else slow_position)
    quick = max(middle, _PERCENTILE)
    low_spread, high_spread = split.spread
    totals = Interval(
        max(_SHORTEST_BOUNDARY, overhead(slow) + low_spread),
        max(_SHORTEST_BOUNDARY, overhead(middle)),
        max(_SHORTEST_BOUNDARY, overhead(quick) + high_spread),
    )
    totals = Interval(min(totals.low, totals.value), totals.value, max(totals.high, totals.value))
    recorded = {
        path: Interval(shares_at(slow)[path].value, shares_at(middle)[path].value, shares_at(quick)[path].value)
        for path in prior
    }
    host = _host(split, measured, recorded_mode)
    plausible = totals.value / kernels <= _DOUBTFUL * prior_boundary.high
    if not plausible:
        notes.insert(
            0,
            f"{totals.value / kernels * 1e6:.3g} us a kernel that neither bytes nor arithmetic explain is more than a"
            " boundary can be: a prefill, another model, or kernels far from their bytes",
        )
    source = (
        f"recorded step of {trace.source.rpartition('/')[2]}: {chosen.name} on {devices} x {device.name}, batch"
        f" {batch}, context {context}"
    )
    profile = _profile(
        name,
        source,
        device,
        recorded_mode,
        style,
        recorded,
        _over(totals, kernels),
        _over(totals, calls),
        host,
        collective_values,
    )
    fitted = with_profile(device, profile)
    again = question.ask(fitted, recorded_mode, recorded_mode)
    streams = [
        question.ask(
            fitted, recorded_mode, recorded_mode, {path: one.value for path, one in shares_at(p).items()}
        ).before.terms.stream
        for p in (quick, middle, slow)
    ]
    layers = len(chosen.layers)
    return TracePricing(
        model=chosen.name,
        hardware=device.name,
        devices=devices,
        batch=first.batch,
        context=first.context,
        weight_format=first.weight_format,
        kv_format=first.kv_format,
        bytes_per_step=first.bytes_per_step,
        mode=recorded_mode,
        style=style,
        model_layers=layers,
        recorded_kernels=kernels,
        modelled_calls=calls,
        modelled_calls_per_layer=calls / layers,
        step=split.step,
        active=split.active,
        host=host,
        collectives=split.collectives,
        floors=split.floors,
        streaming=Interval(*streams),
        boundary=_over(totals, kernels),
        call_boundary=_over(totals, calls),
        shares=tuple(Share(path, Interval(a.low, a.value, a.high), recorded[path]) for path, a in prior.items()),
        recorded_as=_times(again, "before"),
        predictions=_predictions(question, fitted, recorded_mode),
        plausible=plausible,
        notes=(*notes, *first.notes),
        profile=profile,
    )


def _with_step(trace: Trace, measured: float | None) -> Summary:
    """Return the summary of a trace whose kernels can be priced; raise ValueRangeError for any other."""
    summary = summarise(trace, measured=measured)
    if summary.step is None or summary.step_time is None:
        raise ValueRangeError(f"{trace.source}: has totals only, no step to price; give a trace with times of day")
    if summary.prize is None:
        raise ValueRangeError(
            f"{trace.source}: graphs were recorded whole, so there are no kernels to price; record nodes (nsys profile"
            f" --cuda-graph-trace=node), or ask explain-gap with --measured {summary.step_time * 1e3:.4g}ms"
        )
    return summary


def _recorded_mode(trace: Trace, summary: Summary, style: str, device: Hardware) -> str:
    """Return graph when most kernels came under shared launches.

    Else eager for the many small kernels of a framework, else stream.
    """
    kernels = [kernel for kernel in trace.kernels if kernel.kind == "kernel"]
    graphs = graph_launches(trace.kernels)
    launched = any(kernel.launched is not None for kernel in kernels)
    in_graphs = sum(kernel.correlation in graphs for kernel in kernels) >= 0.5 * len(kernels)
    host_bound = summary.shares is not None and summary.shares.host > 0.05
    if in_graphs or (not launched and not host_bound):
        wanted = ("graph", "stream")
    elif style == "primitive":
        wanted = ("eager", "stream")
    else:
        wanted = ("stream", "eager")
    found = next((mode for mode in wanted if mode in device.modes), None)
    if found is None:
        raise SpecificationError(
            f"{device.name} runs kernels in none of the modes {', '.join(_PLAIN)}: a trace of kernels cannot be priced"
            " on it"
        )
    return found


def _split(summary: Summary, measured: float | None, mode: str) -> _Split:
    assert summary.step is not None  # noqa: S101 (checked by the caller, for the types)
    step = summary.steps[summary.step]
    gaps = sum(kernel.gap for kernel in step.kernels if kernel.cause == "kernel")
    collectives = (summary.shares.collectives if summary.shares else 0.0) * step.time
    floor = summary.floor or 0.0
    floors = sum(
        min(kernel.duration, floor) for kernel in step.kernels if kernel.kind == "kernel" and not kernel.collective
    )
    if mode == "graph":
        floors += gaps  # outside graphs a profiler inflates gaps, so only the kernels themselves are sure
    wall = step.time if measured is None else measured
    # Busy time, not wall time, of a recording that waits for launches tells the step as a graph.
    active = min(step.busy + gaps, wall)
    complete = sorted(one.time for one in summary.steps if one.complete)
    spread = (
        (_at(complete, 0.05) - step.time, _at(complete, 0.95) - step.time)
        if len(complete) > 2 and measured is None and mode == "graph"
        else _busy_spread(summary.steps, step)
    )
    scale = active / (step.busy + gaps)
    return _Split(
        wall,
        wall - active,
        active,
        collectives * scale,
        min(floors * scale, active),
        (min(0.0, spread[0]), max(0.0, spread[1])),
    )


def _busy_spread(steps: tuple[Step, ...], middle: Step) -> tuple[float, float]:
    busy = sorted(step.busy for step in steps if step.complete)
    return _at(busy, 0.05) - middle.busy, _at(busy, 0.95) - middle.busy


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _host(split: _Split, measured: float | None, mode: str) -> Interval:
    """Return the idle time of the step that no kernel owns [s]; what a profiler may have added widens it downwards."""
    added = 0.0 if measured is not None else split.step * (_INFLATION_GRAPH if mode == "graph" else _INFLATION_EAGER)
    return Interval(max(0.0, split.host - added), split.host, split.host)


def _with_style(device: Hardware, style: str) -> Hardware:
    modes = {
        name: msgspec.structs.replace(mode, kernels=style) if name in _PLAIN else mode
        for name, mode in device.modes.items()
    }
    return msgspec.structs.replace(device, modes=modes)


def _moved(low: float, value: float, high: float, position: float, unit: str) -> Quantity:
    """Return a share at `position` standard deviations from its value, on a logarithmic scale, below 1."""
    end = low if position < 0 else high
    spread = max(abs(math.log(end / value)) / _PERCENTILE, 0.02)
    moved = min(1.0, value * math.exp(max(-60.0, position * spread)))
    return Quantity(low=moved, value=moved, high=moved, unit=unit, kind="derived", source="recorded")


def _position(overhead: Any, wanted: float) -> float | None:
    """Return the least position of the shares [standard deviations] that leaves `wanted` [s] for boundaries, None when none does."""
    low, high = -60.0, 60.0
    if overhead(high) < wanted:
        return None
    if overhead(low) >= wanted:
        return low
    for _ in range(40):
        middle = (low + high) / 2
        if overhead(middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def _prior_boundary(device: Hardware, mode: str) -> Interval:
    """Return the boundary of a call [s] as the device's file has it, whole or the sum of its parts."""
    whole = device.mode_value(mode, "boundary")
    parts = (
        [whole[1]]
        if whole
        else [found[1] for key in ("bare", "ramp", "tail") if (found := device.mode_value(mode, key))]
    )
    if not parts or sum(part.value for part in parts) <= 0:
        return Interval(1e-6, 4e-6, 16e-6)
    return Interval(
        *(max(_SHORTEST_BOUNDARY, sum(getattr(part, end) for part in parts)) for end in ("low", "value", "high"))
    )


def _likeliest(overhead: Any, least: float, prior: Interval, kernels: int) -> float:
    """Return the position of the shares at which they and the boundary together are nearest to what the catalogue expects of them."""

    def deviation(position: float) -> float:
        boundary = max(overhead(position) / kernels, _SHORTEST_BOUNDARY)
        end = prior.low if boundary < prior.value else prior.high
        spread = max(abs(math.log(end / prior.value)) / _PERCENTILE, 0.05)
        return position**2 + (math.log(boundary / prior.value) / spread) ** 2

    # From where the bytes just fit upwards: coarse steps, then finer ones around the best.
    best, step = min((least + 0.5 * i for i in range(1, 2 + int(2 * max(4.0, 4.0 - least)))), key=deviation), 0.5
    for _ in range(4):
        step /= 4
        best = min((max(least, best + step * i) for i in range(-4, 5)), key=deviation)
    return best


def _collective_latency(
    question: _Question, device: Hardware, mode: str, recorded: float, answer: Estimate
) -> dict[str, Quantity]:
    """Return the latency of a collective [s] with which the model's collectives take as long as the recorded ones."""
    path = next(
        (a.name for a in answer.assumptions if a.name.startswith("collectives.") and a.name.endswith(".latency")), None
    )
    if path is None or not recorded:
        return {}
    now = device.values[path]
    step = 1e-6
    slope = (
        question.ask(device, mode, mode, {path: now.value + step}).before.terms.collective
        - answer.before.terms.collective
    ) / step
    latency = max(0.0, now.value + (recorded - answer.before.terms.collective) / slope) if slope > 0 else now.value
    return {
        path: Quantity(
            low=min(now.low, latency),
            value=latency,
            high=latency,
            unit="s",
            kind="derived",
            source="recorded collectives, which hold waiting for other devices",
        )
    }


def _profile(
    name: str,
    source: str,
    device: Hardware,
    mode: str,
    style: str,
    shares: Mapping[str, Interval],
    kernel: Interval,
    call: Interval,
    host: Interval,
    collectives: Mapping[str, Quantity],
) -> Profile:
    def seconds(found: Interval) -> Quantity:
        return Quantity(low=found.low, value=found.value, high=found.high, unit="s", kind="derived", source=source)

    root = mode
    while (base := device.modes[root].base) in _PLAIN and base is not None:
        root = base
    plain = [one for one in MODES if one in _PLAIN and one in device.modes and (one in (mode, root, "graph", "pdl"))]
    values = {
        path: Quantity(low=r.low, value=r.value, high=r.high, unit="1", kind="derived", source=source)
        for path, r in shares.items()
    } | dict(collectives)
    # One boundary that modes share through the mode they rest on: it cannot be high in one and low in the other.
    values[f"modes.{root}.boundary"] = seconds(call)
    modes = {
        one: Mode(name=one, kernels=style, base=root if one == "graph" and mode != "graph" else None) for one in plain
    }
    merged = device.modes | {one: merge_mode(device.modes[one], own) for one, own in modes.items()}
    rooted = msgspec.structs.replace(device, values=device.values | values, modes=merged)
    values |= {
        f"modes.{one}.boundary": seconds(call)
        for one in plain
        if (found := rooted.mode_value(one, "boundary")) is None or found[0] != f"modes.{root}.boundary"
    }
    # A fused kernel ends once, like one recorded kernel, not like a modelled call that stands for several.
    values |= {f"modes.{one}.boundary": seconds(kernel) for one in _FUSED if one in device.modes}
    zero = Quantity(low=0.0, value=0.0, high=0.0, unit="s", kind="derived", source=source)
    if mode != "graph" and "graph" in device.modes:
        # What the device's file says of the host in a graph stays; what it leaves to the recorded mode is not the
        # graph's.
        values |= {
            f"modes.graph.{key}": found[1] if (found := device.mode_value("graph", key)) else zero
            for key in ("host", "issue")
        }
    values |= {f"modes.{mode}.host": seconds(host), f"modes.{mode}.issue": zero}
    return Profile(
        name=name,
        title=source[:200],
        values=values,
        modes=modes,
        replicates=device.replicates,
        fitted_on=source,
        tested_on="nothing: one recording leaves none to test on",
        path=name,
    )


def _predictions(question: _Question, fitted: Hardware, mode: str) -> tuple[Prediction, ...]:
    """Return the step in the other modes.

    What a graph brings is not counted as the gain of looping, so fused modes stand against the graph.
    """
    graph = "graph" if "graph" in fitted.modes else mode
    found = []
    for after in ("graph", "pdl", *_FUSED):
        if after == mode or after not in fitted.modes:
            continue
        against = mode if after == "graph" else graph
        answer = question.ask(fitted, against, after)
        speedup = Interval(answer.speedup.low, answer.speedup.value, answer.speedup.high)
        found.append(
            Prediction(after, _WHAT[after], answer.after.kernel_calls, _times(answer, "after"), speedup, against)
        )
    return tuple(found)


def _times(answer: Estimate, side: str) -> Interval:
    one = getattr(answer, side)
    return Interval(one.high.time_per_step, one.time_per_step, one.low.time_per_step)


def _over(total: Interval, count: int) -> Interval:
    return Interval(total.low / count, total.value / count, total.high / count)


def _notes(
    summary: Summary,
    model: Model,
    split: _Split,
    measured: float | None,
    collective: float,
    devices: int,
    mode: str,
    fastest: float,
) -> list[str]:
    notes = []
    if summary.layers and summary.layers != len(model.layers):
        notes.append(
            f"the trace repeats {summary.layers} layers, {model.name} has {len(model.layers)}: is it the model of the"
            " trace?"
        )
    if not split.collectives and collective:
        notes.append(f"{devices} devices were asked for, and the step has no collective: are they apart in the trace?")
    if split.collectives and devices == 1:
        notes.append("the step has collectives: give the number of devices that shared it")
    if measured is None and mode != "graph":
        notes.append(
            "a profiler inflates a step whose kernels are launched one by one up to two-fold: predictions rest on busy"
            " time; give the unprofiled step as measured"
        )
    if fastest > _PERCENTILE:
        notes.append(
            "the bytes fit the recorded step only at more than the best share of the memory that is known of this"
            f" device ({fastest:.1f} standard deviations): is it the same work?"
        )
    return notes
