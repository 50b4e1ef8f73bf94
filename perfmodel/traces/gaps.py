"""The gap before each event of a step: how long its stream had nothing to do, and why."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import msgspec

from perfmodel.numbers.choices import added
from perfmodel.traces.events import Kernel
from perfmodel.traces.names import is_collective

Span = tuple[float, float]  # start and stop [s]
CLOCK_TICKS = 128e-9  # s; neighbours that overlap by less only show the grain of the clock
GRAPH_KERNELS = 3  # events under one launch that make it a graph
_STALL, _STALL_TIMES = 20e-6, 20.0  # s and medians; a gap beyond both is a disturbance of the recording
_MEMORY = ("copy", "set")
CAUSES = ("kernel", "memory", "graph", "host", "stall")


class StepKernel(msgspec.Struct, frozen=True, gc=False):
    """An event of a step. Times [s]; start from the begin of the step.

    gap: time since everything before it on the compute streams had ended. covered: part of the gap in which
    other streams of the device worked. overlap: how long it ran beside events before it, clock grain taken off.
    cause of the gap: 'kernel' (the boundary itself), 'memory' (beside a copy or memset), 'graph' (the launch of a
    graph), 'host' (the launch came late), 'stall' (far beyond the others) or '' without a gap.
    """

    name: str
    start: float
    duration: float
    stream: str
    kind: str
    collective: bool
    gap: float
    covered: float
    overlap: float
    cause: str


def graph_launches(events: Sequence[Kernel]) -> frozenset[int]:
    """Return the correlation ids under which several events were launched at once."""
    counts = Counter(event.correlation for event in events if event.correlation is not None)
    return frozenset(correlation for correlation, count in counts.items() if count >= GRAPH_KERNELS)


def launch_latency(events: Sequence[Kernel]) -> float | None:
    """Return the shortest time [s] from launch call to start, its 1st percentile; None when no launch is known."""
    delays = sorted(
        event.start - event.launched for event in events if event.launched is not None and event.start > event.launched
    )
    return delays[len(delays) // 100] if delays else None


def step_kernels(
    events: Sequence[Kernel], background: Sequence[Span], graphs: frozenset[int], latency: float | None
) -> tuple[StepKernel, ...]:
    """Return the events of one step with their gaps; the gaps and the busy time add up to the step.

    events: those of the compute streams, by start. background: when other streams of the device worked (`merged`).
    """
    zero = events[0].start
    reached = zero
    previous: Kernel | None = None
    found: list[StepKernel] = []
    place = max(0, bisect_left(background, (zero, 0.0)) - 1)
    for event in events:
        gap = max(0.0, event.start - reached)
        while place < len(background) and background[place][1] <= reached:
            place += 1
        covered = _covered(background, place, reached, event.start) if gap else 0.0
        cause = _cause(event, previous, reached, gap, graphs, latency) if gap and previous else ""
        overlap = reached - event.start
        found.append(
            StepKernel(
                event.name,
                event.start - zero,
                event.duration,
                event.stream,
                event.kind,
                is_collective(event.name),
                gap,
                covered,
                min(overlap, event.duration) if overlap > CLOCK_TICKS else 0.0,
                cause,
            )
        )
        if event.stop >= reached:
            reached, previous = event.stop, event
    return _with_stalls(found)


def _cause(
    event: Kernel, previous: Kernel, reached: float, gap: float, graphs: frozenset[int], latency: float | None
) -> str:
    if event.kind == "graph":
        return "graph"
    if event.correlation in graphs:
        if event.correlation != previous.correlation:
            return "graph"
    elif event.launched is not None and latency is not None and event.launched + latency - reached > 0.5 * gap:
        return "host"
    return "memory" if event.kind in _MEMORY or previous.kind in _MEMORY else "kernel"


def _with_stalls(kernels: list[StepKernel]) -> tuple[StepKernel, ...]:
    gaps = sorted(kernel.gap for kernel in kernels if kernel.cause == "kernel")
    limit = max(_STALL, _STALL_TIMES * gaps[len(gaps) // 2]) if gaps else _STALL
    return tuple(
        msgspec.structs.replace(kernel, cause="stall") if kernel.cause == "kernel" and kernel.gap > limit else kernel
        for kernel in kernels
    )


def merged(events: Sequence[Kernel]) -> list[Span]:
    """Return the times [start, stop) in which at least one of `events` ran."""
    spans: list[Span] = []
    for event in sorted(events, key=lambda e: e.start):
        if spans and event.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], event.stop))
        else:
            spans.append((event.start, event.stop))
    return spans


def busy_time(events: Sequence[Kernel]) -> float:
    """Return the time [s] in which at least one of `events` ran."""
    return added(stop - start for start, stop in merged(events))


def shared_time(left: Sequence[Span], right: Sequence[Span]) -> float:
    """Return the time [s] in which both worked, each given as `merged` gives it."""
    if not left or not right:
        return 0.0
    total = 0.0
    i, j = 0, max(0, bisect_left(right, (left[0][0], 0.0)) - 1)
    while i < len(left) and j < len(right):
        if right[j][0] >= left[-1][1]:
            break
        total += max(0.0, min(left[i][1], right[j][1]) - max(left[i][0], right[j][0]))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return total


def _covered(spans: Sequence[Span], place: int, start: float, stop: float) -> float:
    total = 0.0
    while place < len(spans) and spans[place][0] < stop:
        total += max(0.0, min(stop, spans[place][1]) - max(start, spans[place][0]))
        place += 1
    return total
