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
from typing import Any, Unpack

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.errors import SpecificationError, ValueRangeError, shown
from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.options import Asked
from perfmodel.estimates.question import Question, read_question
from perfmodel.operations import decode_step
from perfmodel.schedule.calls import Cutting
from perfmodel.schedule.cutting import make_schedule
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.profiles import with_profile
from perfmodel.specifications.quantities import Interval
from perfmodel.traces import Trace, TraceSummary
from perfmodel.traces.predictions import predictions_of, times_of
from perfmodel.traces.priced import Share, TracePricing
from perfmodel.traces.recordedsteps import Split, host_of, recorded_mode_of, split_of, with_step
from perfmodel.traces.shares import PLAIN, Pricing, collective_latency, divided, prior_boundary_of, with_style
from perfmodel.traces.stacks import stack_profile

_STYLES = ("primitive", "separate", "engine", "tuned")
_DOUBTFUL = 2.0  # times the highest boundary that is known of the device


def price_trace(
    trace: Trace,
    model: str | Model,
    hardware: str | Hardware,
    *,
    step_time: float | None = None,
    mode: str | None = None,
    name: str = "recorded",
    **asked: Unpack[Asked],
) -> TracePricing:
    """Price the middle step of `trace` against the bytes of `model` and predict other launch modes.

    step_time: an unprofiled step [s]. The other arguments are those of `estimate`, as the recording was made; its
    launch mode is `mode`, so before and after have no meaning here.
    mode: the launch mode of the recording; found from its launches if None. name: of the profile.
    Raises ValueRangeError when the bytes cannot be read in the recorded time or the trace has no step,
    and what `estimate` raises.
    """
    summary = with_step(trace, step_time)
    given = read_question(model, hardware, **asked)
    device = given.hardware
    # The device comes as asked, and the modes vary.
    varied = ("model", "hardware", "before", "after", "profile", "parameters")
    question = Pricing(given.model, {name: value for name, value in given.arguments.items() if name not in varied})
    kernels = summary.kernels_per_step or 0
    style = _nearest_style(given, kernels)
    recorded_mode = recorded_mode_of(trace, summary, style, device) if mode is None else _plain_mode(device, mode)
    split = split_of(summary, step_time, recorded_mode)
    plain = with_style(device, style)
    first = question.ask(plain, recorded_mode, recorded_mode)
    calls = first.before.kernel_calls
    collective_values = collective_latency(question, plain, recorded_mode, split.collectives, first)
    plain = plain.replace_values(collective_values)
    collective_term = question.ask(plain, recorded_mode, recorded_mode).before.terms.collective

    boundary = prior_boundary_of(device, recorded_mode)
    division = divided(question, plain, recorded_mode, first.assumptions, split, kernels, boundary)
    if division is None:
        raise _not_these_bytes(first, split)
    totals = division.totals
    notes = _notes(
        summary, given.model, split, step_time, collective_term, first.devices, recorded_mode, division.fastest
    )
    host = host_of(split, step_time, recorded_mode)
    plausible = totals.value / kernels <= _DOUBTFUL * boundary.high
    if not plausible:
        notes.insert(0, _implausible(totals.value / kernels))
    a_kernel, a_call = _over(totals, kernels), _over(totals, calls)
    source, shares = _recorded_at(trace, first), division.shares
    profile = stack_profile(
        name, source, device, recorded_mode, style, shares, a_kernel, a_call, host, collective_values
    )
    fitted = with_profile(device, profile)
    return TracePricing(
        **_asked(first),
        mode=recorded_mode,
        style=style,
        model_layers=len(given.model.layers),
        recorded_kernels=kernels,
        modelled_calls=calls,
        modelled_calls_per_layer=calls / len(given.model.layers),
        step=split.step,
        active=split.active,
        host=host,
        collectives=split.collectives,
        floors=split.floors,
        streaming=division.streaming(question, fitted, recorded_mode),
        boundary=a_kernel,
        call_boundary=a_call,
        shares=_shares(first, shares),
        recorded_as=times_of(question.ask(fitted, recorded_mode, recorded_mode), "before"),
        predictions=predictions_of(question, fitted, recorded_mode),
        plausible=plausible,
        notes=(*notes, *map(str, first.notes)),
        profile=profile,
    )


def _plain_mode(device: Hardware, mode: str) -> str:
    """Return the name of the mode of a recording; raise SpecificationError for one that fuses layers."""
    name = device.mode(mode, "mode").name
    if name not in PLAIN:
        raise SpecificationError(
            f"mode: {shown(name)} fuses layers: a recording of it has no kernels to fuse; give one of"
            f" {', '.join(m for m in PLAIN if m in device.modes)}"
        )
    return name


def _not_these_bytes(answer: Estimate, split: Split) -> ValueRangeError:
    return ValueRangeError(
        f"{answer.bytes_per_step / 1e9:.4g} GB on {answer.devices} x {answer.hardware} cannot be read in the"
        f" {split.active * 1e3:.4g} ms that the kernels of the recorded step take: are model, devices, batch,"
        " context and formats those of the trace?"
    )


def _implausible(boundary: float) -> str:
    return (
        f"{boundary * 1e6:.3g} us a kernel that neither bytes nor arithmetic explain is more than a"
        " boundary can be: a prefill, another model, or kernels far from their bytes"
    )


def _recorded_at(trace: Trace, answer: Estimate) -> str:
    """Return what a profile says of where it comes from."""
    return (
        f"recorded step of {trace.source.rpartition('/')[2]}: {answer.model} on {answer.devices} x {answer.hardware},"
        f" batch {answer.batch}, context {answer.context}"
    )


def _asked(answer: Estimate) -> dict[str, Any]:
    """Return what of the pricing says what was asked."""
    names = ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format", "bytes_per_step")
    return {name: getattr(answer, name) for name in names}


def _shares(answer: Estimate, recorded: Mapping[str, Interval]) -> tuple[Share, ...]:
    """Return each sustained share that was recorded, beside what the device's file has."""
    return tuple(
        Share(a.name, Interval(a.low, a.value, a.high), recorded[a.name])
        for a in answer.assumptions
        if a.name in recorded
    )


def _nearest_style(given: Question, kernels: int) -> str:
    """Return the style whose calls are nearest in number to the recorded kernels, for which it stands."""
    step = decode_step(given.model, given.formats, given.parallel, given.hardware.replicates)
    counts = {style: make_schedule(step, Cutting(style)).kernel_calls for style in _STYLES}
    return min(_STYLES, key=lambda one: abs(math.log(counts[one] / kernels)))


def _over(total: Interval, count: int) -> Interval:
    return Interval(total.low / count, total.value / count, total.high / count)


def _notes(
    summary: TraceSummary,
    model: Model,
    split: Split,
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
            "where kernels are launched one by one, a profiler makes a step up to twice as long. So predictions rest on"
            " the busy time. Give the time of a step without the profiler, with --measured"
        )
    if fastest > NORMAL_PERCENTILE:
        notes.append(
            "the bytes fit the recorded step only at more than the best share of the memory that is known of this"
            f" device ({fastest:.1f} standard deviations): is it the same work?"
        )
    return notes
