"""The step of a recording that is priced: how it was launched, and where its time goes."""

from typing import NamedTuple

from perfmodel.errors import SpecificationError, ValueRangeError
from perfmodel.numbers.choices import added
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Interval
from perfmodel.traces.events import Trace
from perfmodel.traces.gaps import graph_launches
from perfmodel.traces.records import TraceSummary
from perfmodel.traces.shares import PLAIN
from perfmodel.traces.steps import TracedStep
from perfmodel.traces.summary import summarise

_INFLATION_GRAPH, _INFLATION_EAGER = 0.09, 0.5  # share of a recorded step that a profiler may have added


class Split(NamedTuple):
    """Where the time of a recorded step goes [s].

    Idle that no kernel owns, kernels with their boundaries, collectives; floors in `active`.
    """

    step: float
    host: float
    active: float
    collectives: float
    floors: float
    spread: tuple[float, float]  # the 5th and 95th percentile of the steps over the one described


def with_step(trace: Trace, measured: float | None) -> TraceSummary:
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


def recorded_mode_of(trace: Trace, summary: TraceSummary, style: str, device: Hardware) -> str:
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
            f"{device.name} runs kernels in none of the modes {', '.join(PLAIN)}: a trace of kernels cannot be priced"
            " on it"
        )
    return found


def split_of(summary: TraceSummary, measured: float | None, mode: str) -> Split:
    """Return where the time of the middle step goes; measured: an unprofiled step [s], from one to the next."""
    assert summary.step is not None  # noqa: S101 (checked by the caller, for the types)
    step = summary.steps[summary.step]
    gaps = added(kernel.gap for kernel in step.kernels if kernel.cause == "kernel")
    collectives = (summary.shares.collectives if summary.shares else 0.0) * step.time
    floor = summary.floor or 0.0
    floors = added(
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
    return Split(
        wall,
        wall - active,
        active,
        collectives * scale,
        min(floors * scale, active),
        (min(0.0, spread[0]), max(0.0, spread[1])),
    )


def _busy_spread(steps: tuple[TracedStep, ...], middle: TracedStep) -> tuple[float, float]:
    busy = sorted(step.busy for step in steps if step.complete)
    return _at(busy, 0.05) - middle.busy, _at(busy, 0.95) - middle.busy


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def host_of(split: Split, measured: float | None, mode: str) -> Interval:
    """Return the idle time of the step that no kernel owns [s]; what a profiler may have added widens it downwards."""
    added = 0.0 if measured is not None else split.step * (_INFLATION_GRAPH if mode == "graph" else _INFLATION_EAGER)
    return Interval(max(0.0, split.host - added), split.host, split.host)
