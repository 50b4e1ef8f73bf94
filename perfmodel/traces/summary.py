"""Summarise a recorded trace.

Steps, kernels, gaps, layers, what bounds the step, and the range of the prize.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import msgspec

from perfmodel.numbers.choices import added
from perfmodel.traces.events import KernelTotal, Trace
from perfmodel.traces.gaps import CAUSES, StepKernel
from perfmodel.traces.names import is_collective
from perfmodel.traces.prize import Prize, check_positive, kernel_floor, price_step
from perfmodel.traces.records import GapClass, KernelShare, Shares, TracedLayer, TraceSummary
from perfmodel.traces.steps import TracedStep, find_steps

_SHORT = 2.0  # floors; a kernel below is short
_NOTABLE = 0.1  # share of the step from which idle time between steps is worth a note


def summarise(
    trace: Trace, *, bandwidth: float | None = None, bytes_per_step: float | None = None, measured: float | None = None
) -> TraceSummary:
    """Return steps, kernels, gaps, layers, bound and prize of a trace.

    bandwidth [B/s] that the device sustains and bytes_per_step [B] give the high end of the prize;
    measured [s] is an unprofiled step, which a profiler makes longer.
    Raises ValueRangeError for a number that is not positive.
    """
    given = {"bandwidth": bandwidth, "bytes_per_step": bytes_per_step, "measured": measured}
    for name, value in given.items():
        check_positive(name, value)
    if not trace.kernels:
        return _of_totals(trace)
    found = find_steps(trace)
    busiest = f"{found.devices} devices: the figures are of device {found.device}, the busiest"
    notes = [*trace.notes, *found.notes, *([busiest] if found.devices > 1 else [])]
    complete = [step for step in found.steps if step.complete]
    step = _middle(complete)
    kernels = [kernel for kernel in step.kernels if kernel.kind == "kernel"]
    floor = kernel_floor(step.kernels)
    shares = _shares(step, _SHORT * floor)
    repeats = tuple(_layer(run, step) for run in step.layers)
    main = max(repeats, key=lambda layer: layer.events * layer.count, default=None)
    gaps = sorted(kernel.gap for kernel in step.kernels[1:])
    period = _median([b.start - a.start for a, b in pairwise(complete)])
    between = _median([each.before for each in complete if each.before is not None])
    if between is not None and between > _NOTABLE * step.time:
        notes.append(
            f"{between * 1e3:.4g} ms lie idle between two steps. They are the host's, and in no figure of the step"
        )
    return TraceSummary(
        source=trace.source,
        format=trace.format,
        hardware=trace.hardware,
        device=found.device,
        devices=found.devices,
        streams=found.streams,
        resolution=trace.resolution,
        calls=sum(kernel.kind == "kernel" for kernel in trace.kernels),
        steps_found=len(found.steps),
        steps_complete=len(complete),
        shortest_step=min(each.time for each in complete),
        longest_step=max(each.time for each in complete),
        step_period=period,
        between_steps=between,
        step=found.steps.index(step),
        step_label=step.label,
        step_time=step.time,
        busy=step.busy,
        idle=step.idle,
        events_per_step=len(step.kernels),
        kernels_per_step=len(kernels),
        kernels_per_layer=main.kernels * main.count / main.layers if main else None,
        layers=sum(layer.layers for layer in repeats),
        repeats=repeats,
        gap_median=_seen(_median(gaps), trace.resolution),
        gap_90=_seen(gaps[len(gaps) * 9 // 10] if gaps else None, trace.resolution),
        gaps=_gap_classes(step, trace.resolution),
        overlap=added(kernel.overlap for kernel in step.kernels),
        floor=floor,
        short_below=_SHORT * floor,
        shares=shares,
        bound=_largest(shares),
        top=_top([(kernel.name, 1, kernel.duration) for kernel in step.kernels], step.time),
        prize=_prize(step, step.time if period is None else period, notes, given),
        notes=tuple(notes),
        steps=found.steps,
    )


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _prize(step: TracedStep, period: float, notes: list[str], given: dict[str, float | None]) -> Prize | None:
    """Return what looping could gain, None for a step whose graphs were recorded whole; it may add to `notes`."""
    if any(kernel.kind == "graph" for kernel in step.kernels):
        return None
    return price_step(step, **given, period=period, notes=notes)


def _middle(steps: Sequence[TracedStep]) -> TracedStep:
    """Return the step of median time, of those marked as decode if any is."""
    chosen = [step for step in steps if "decode" in step.label.lower()] or list(steps)
    return sorted(chosen, key=lambda step: step.time)[(len(chosen) - 1) // 2]


def _layer(run: Any, step: TracedStep) -> TracedLayer:
    inside = step.kernels[run.first : run.first + len(run.body)]
    return TracedLayer(
        run.body,
        len(run.body),
        sum(kernel.kind == "kernel" for kernel in inside),
        run.count,
        run.layers,
        run.first,
        run.every,
        run.odd,
        run.matched,
    )


def _seen(value: float | None, resolution: float | None) -> float | None:
    """Return `value` unless the stamps are too coarse to show it; one of 0 on fine stamps is 0."""
    return None if value is None or (resolution is not None and resolution >= 1e-7 and value < resolution) else value


def _gap_classes(step: TracedStep, resolution: float | None) -> tuple[GapClass, ...]:
    found = []
    for cause in CAUSES:
        gaps = [kernel.gap for kernel in step.kernels if kernel.cause == cause]
        if gaps:
            found.append(GapClass(cause, len(gaps), added(gaps), _seen(median(gaps), resolution)))
    return tuple(found)


def _shares(step: TracedStep, short: float) -> Shares:
    """Return where the time of a step goes; events that overlap share the time between them."""
    host = added(kernel.gap for kernel in step.kernels if kernel.cause == "host")
    parts = {"copies": 0.0, "collectives": 0.0, "short": 0.0, "long": 0.0, "graphs": 0.0}
    for kernel in step.kernels:
        parts[_part(kernel, short)] += kernel.duration
    total = added(parts.values())
    scale = step.busy / total / step.time if total and step.time else 0.0
    time = step.time or 1.0
    return Shares(
        parts["long"] * scale,
        parts["short"] * scale,
        parts["collectives"] * scale,
        parts["copies"] * scale,
        (step.idle - host) / time,
        host / time,
        parts["graphs"] * scale,
    )


def _largest(shares: Shares) -> str:
    """Return the name of the largest share, in words."""
    parts: dict[str, float] = msgspec.structs.asdict(shares)
    return max(parts, key=parts.__getitem__).replace("_", " ")


def _part(kernel: StepKernel, short: float) -> str:
    if kernel.kind != "kernel":
        return "graphs" if kernel.kind == "graph" else "copies"
    if kernel.collective:
        return "collectives"
    return "short" if kernel.duration < short else "long"


def _top(calls: Sequence[tuple[str, int, float]], time: float) -> tuple[KernelShare, ...]:
    sums: dict[str, tuple[int, float]] = {}
    for name, count, total in calls:
        before = sums.get(name, (0, 0.0))
        sums[name] = before[0] + count, before[1] + total
    ordered = sorted(sums.items(), key=lambda item: -item[1][1])[:20]
    return tuple(KernelShare(name, count, total, total / time if time else 0.0) for name, (count, total) in ordered)


def _of_totals(trace: Trace) -> TraceSummary:
    """Return what a summary file can say: time by kernel, short kernels and collectives, no gaps and no steps."""
    totals = trace.totals
    busy = added(total.total for total in totals)
    floors = [total.shortest for total in totals for _ in range(1) if total.shortest is not None]
    floor = min(floors) if floors else None
    short = None if floor is None else _SHORT * floor
    parts = {"collectives": 0.0, "short": 0.0, "long": 0.0}
    for total in totals:
        mean = total.total / total.count
        parts[
            (
                "collectives"
                if is_collective(total.name)
                else "short"
                if short is not None and _typical(total, mean) < short
                else "long"
            )
        ] += total.total
    scale = 1.0 / busy if busy else 0.0
    shares = Shares(parts["long"] * scale, parts["short"] * scale, parts["collectives"] * scale, 0.0, 0.0, 0.0)
    return TraceSummary(
        source=trace.source,
        format=trace.format,
        hardware=trace.hardware,
        device="",
        devices=1,
        streams=(),
        resolution=None,
        calls=sum(total.count for total in totals),
        steps_found=0,
        steps_complete=0,
        shortest_step=None,
        longest_step=None,
        step_period=None,
        between_steps=None,
        step=None,
        step_label="",
        step_time=None,
        busy=busy,
        idle=None,
        events_per_step=None,
        kernels_per_step=None,
        kernels_per_layer=None,
        layers=0,
        repeats=(),
        gap_median=None,
        gap_90=None,
        gaps=(),
        overlap=None,
        floor=floor,
        short_below=short,
        shares=shares,
        bound=_largest(shares),
        top=_top([(total.name, total.count, total.total) for total in totals], busy),
        prize=None,
        notes=trace.notes,
        steps=(),
    )


def _typical(total: KernelTotal, mean: float) -> float:
    return mean if total.median is None else total.median
