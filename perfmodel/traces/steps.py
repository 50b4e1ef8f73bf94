"""Find the compute streams of a trace, its decode steps, and the repeated layer in each."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import msgspec

from perfmodel.traces.events import Kernel, Trace
from perfmodel.traces.gaps import (
    Span,
    StepKernel,
    busy_time,
    graph_launches,
    launch_latency,
    merged,
    shared_time,
    step_kernels,
)
from perfmodel.traces.layers import LayerRun, find_layer_runs
from perfmodel.traces.marks import groups, step_families
from perfmodel.traces.names import is_attention, is_collective
from perfmodel.traces.repeats import FEWEST_BODIES

_SECOND_STREAM = 0.05  # share of the main stream's time that makes another one worth a look
_CONCURRENT = 0.1  # share of a stream's time beside the main stream above which it is no part of the sequence
_NEAR = 0.3  # share of a body by which a marked step may begin beside one
_FAR_UNMARKED, _FAR_MARKED = 0.1, 0.5  # gap as a share of the layers' time beyond which an event is not of the step


class Step(msgspec.Struct, frozen=True):
    """One step on the compute streams.

    Times [s]: start in the trace, time from first start to last end, busy + idle = time.

    before: idle time since the step before, None for the first. layers: LayerRun with indices into `kernels`.
    complete: has as many layers as most steps.
    """

    label: str
    start: float
    time: float
    busy: float
    idle: float
    before: float | None
    complete: bool
    kernels: tuple[StepKernel, ...]
    layers: tuple[LayerRun, ...]


class Stream(msgspec.Struct, frozen=True):
    """A stream of the device. busy [s] in all; compute: whether it is part of the kernel sequence."""

    name: str
    events: int
    busy: float
    compute: bool


class StepsFound(msgspec.Struct, frozen=True):
    """The steps on one device of a trace, the streams there, and how many devices the trace has."""

    device: str
    devices: int
    streams: tuple[Stream, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


class _Piece(NamedTuple):
    """A stretch of the sequence that is one step: indices, and the layer runs inside."""

    label: str
    first: int
    stop: int
    runs: tuple[LayerRun, ...]


def find_steps(trace: Trace) -> StepsFound:
    """Return the steps of the busiest device of `trace`, which must have kernels.

    Steps are the ranges annotated as such if there are any that hold layers, otherwise one a run of
    the repeated layer, parted at the longest gap between two runs; the whole trace when nothing repeats.
    """
    device, devices = _busiest_device(trace)
    here = [event for event in trace.kernels if event.device == device]
    streams = _streams(here)
    compute = {stream.name for stream in streams if stream.compute}
    events = [event for event in here if event.stream in compute]
    background = merged([event for event in here if event.stream not in compute])
    families = [groups(marks, events) for marks in step_families(trace)]
    breaks = sorted({place for held in families for _, first, stop in held for place in (first, stop)})
    found = _repeats(events, breaks)
    whole = tuple(run for run in found if _holds(run, events, ("graph",)))
    runs = tuple(part for run in found if run not in whole for part in _parted(run, families))
    graphs = [event for event in events if event.kind == "graph"]
    if 2 * sum(event.duration for event in graphs) > sum(event.duration for event in events):
        runs = ()  # the layers of a prompt, run before the graphs, are not those of a step
    notes: list[str] = []
    pieces = _pieces(families, events, runs, notes)
    if not runs and len(pieces) == 1:
        pieces = _around_graphs(whole, events) or pieces
    if graphs:
        notes.append(
            f"{len(graphs):,} graphs were recorded whole, as one event each: what is inside cannot be seen; record"
            " nodes (nsys profile --cuda-graph-trace=node) to see kernels, gaps and layers"
        )
    elif not runs:
        notes.append("no layer repeats: nothing here that kernel looping could loop")
    return StepsFound(device, devices, streams, _steps(pieces, events, background), tuple(notes))


def _repeats(events: Sequence[Kernel], breaks: Sequence[int]) -> tuple[LayerRun, ...]:
    """Return what repeats in a sequence, of kernels or of graphs; copies and memsets alone are no layer."""
    names = [event.name for event in events]
    anchors = [event.kind == "kernel" and is_attention(event.name) for event in events]
    for _ in range(2):
        runs = find_layer_runs(names, anchors, breaks)
        bare = [run for run in runs if not _holds(run, events, ("kernel", "graph"))]
        if not bare:
            return runs
        # Named apart they repeat no longer, and what else repeats is found.
        for run in bare:
            for place in range(run.first, run.stop):
                names[place] = f"{names[place]} at {place}"
    return tuple(run for run in runs if run not in bare)


def _holds(run: LayerRun, events: Sequence[Kernel], kinds: tuple[str, ...]) -> bool:
    """Whether a body of the run has an event of these kinds."""
    return any(event.kind in kinds for event in events[run.first : run.first + len(run.body)])


def _parted(run: LayerRun, families: Sequence[list[tuple[str, int, int]]]) -> list[LayerRun]:
    """Return a run cut where steps are marked to begin: layers of one step may follow those of another at once."""
    length = len(run.body)
    if run.odd:
        return [run]
    for held in families:
        starts = [first for _, first, _ in held if run.first < first < run.stop]
        bodies = [round((first - run.first) / length) for first in starts]
        near = all(
            abs(run.first + count * length - first) <= _NEAR * length
            for count, first in zip(bodies, starts, strict=True)
        )
        edges = [0, *bodies, run.count]
        if starts and near and all(b - a >= FEWEST_BODIES for a, b in pairwise(edges)):
            within = run.layers // run.count
            return [
                msgspec.structs.replace(
                    run, first=run.first + a * length, stop=run.first + b * length, count=b - a, layers=(b - a) * within
                )
                for a, b in pairwise(edges)
            ]
    return [run]


def _around_graphs(runs: Sequence[LayerRun], events: Sequence[Kernel]) -> list[_Piece]:
    """Return a step for each whole body that has a graph recorded whole, begun at the longest gap of a body."""
    pieces = []
    for run in runs:
        length = len(run.body)
        starts = range(run.first, run.stop - length + 1, length)
        turn = max(range(length), key=lambda turn: sum(_gap(events, start + turn) for start in starts))
        edges = range(run.first + turn, run.stop + 1, length)
        pieces += [_Piece("", a, b, ()) for a, b in pairwise(edges)]
    return pieces


def _busiest_device(trace: Trace) -> tuple[str, int]:
    times: Counter[str] = Counter()
    for event in trace.kernels:
        times[event.device] += event.duration if event.kind in ("kernel", "graph") else 0.0  # type: ignore[assignment]  # a Counter of seconds
    return max(times, key=lambda device: times[device]), len(times)


def _streams(events: Sequence[Kernel]) -> tuple[Stream, ...]:
    """Return the streams of a device, the main one first: it has the most time in kernels that are no collectives."""
    by_stream: dict[str, list[Kernel]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event)
    work = {
        name: sum(e.duration for e in members if e.kind in ("kernel", "graph") and not is_collective(e.name))
        for name, members in by_stream.items()
    }
    if not any(work.values()):
        work = {name: sum(e.duration for e in members) for name, members in by_stream.items()}
    order = sorted(by_stream, key=lambda name: -work[name])
    main = merged(by_stream[order[0]])
    found = []
    for name in order:
        members = by_stream[name]
        spans = merged(members)
        busy = sum(stop - start for start, stop in spans)
        # A fork of the same sequence runs between the kernels of the main stream, not beside them.
        joins = (
            name != order[0]
            and work[name] >= _SECOND_STREAM * work[order[0]]
            and shared_time(spans, main) <= _CONCURRENT * busy
        )
        found.append(Stream(name, len(members), busy, name == order[0] or joins))
    return tuple(found)


def _pieces(
    families: Sequence[list[tuple[str, int, int]]], events: Sequence[Kernel], runs: Sequence[LayerRun], notes: list[str]
) -> list[_Piece]:
    best: list[tuple[str, int, int]] = []
    best_score = (0, 0)
    for held in families:
        with_layers = [group for group in held if any(_inside(run, group) for run in runs)]
        score = (len(with_layers), sum(stop - first for _, first, stop in held))
        if score > best_score and (with_layers or not runs):
            best, best_score = with_layers or held, score
    if best:
        outside = len(events) - sum(stop - first for _, first, stop in best)
        if outside:
            notes.append(f"{outside:,} events lie outside the annotated steps and are left out")
        pieces = [
            piece
            for label, first, stop in best
            for piece in _split(
                label, first, stop, [run for run in runs if _inside(run, (label, first, stop))], events, marked=True
            )
        ]
    else:
        pieces = _split("", 0, len(events), list(runs), events, marked=False)
        if len(pieces) > 2:
            pieces = _like_the_others(pieces)
    kept = [_without_strays(piece, events, _FAR_MARKED if best else _FAR_UNMARKED) for piece in pieces]
    strays = sum(a.stop - a.first - (b.stop - b.first) for a, b in zip(pieces, kept, strict=True))
    if strays:
        notes.append(f"{strays:,} events far before or after the steps are left out")
    return kept


def _inside(run: LayerRun, group: tuple[str, int, int]) -> bool:
    """Whether the middle of a run lies in a range of events."""
    return group[1] <= (run.first + run.stop) // 2 < group[2]


def _split(
    label: str, first: int, stop: int, runs: list[LayerRun], events: Sequence[Kernel], *, marked: bool
) -> list[_Piece]:
    """Cut a stretch with several runs of the layer into steps, between runs, where the gap is longest."""
    counts = [run.count for run in runs]
    together = _runs_in_a_step(counts)
    if len(runs) <= together or (marked and max(counts) - min(counts) > 1 and together == 1):
        return [_Piece(label, first, stop, tuple(runs))]
    cuts = [first]
    ends = [(runs[i - 1].stop, runs[i].first) for i in range(together, len(runs), together)]
    cuts += _cuts(ends, events)
    cuts.append(stop)
    return [
        _Piece(label, a, b, tuple(runs[i * together : (i + 1) * together])) for i, (a, b) in enumerate(pairwise(cuts))
    ]


def _runs_in_a_step(counts: Sequence[int]) -> int:
    """Return how many runs make a step: more than one when different counts come again in the same order."""
    for period in range(2, len(counts) // 2 + 1):
        if len(set(counts[:period])) > 1 and all(a == b for a, b in zip(counts, counts[period:], strict=False)):
            return period
    return 1


def _cuts(ends: Sequence[tuple[int, int]], events: Sequence[Kernel]) -> list[int]:
    """Return the first index of a step in each stretch between two runs.

    At the longest gap, the same place in all that are alike.
    """
    lengths = Counter(second - first for first, second in ends)
    places: dict[int, int] = {}
    for length in lengths:
        alike = [first for first, second in ends if second - first == length]
        places[length] = max(range(length + 1), key=lambda place: sum(_gap(events, first + place) for first in alike))
    return [first + places[second - first] for first, second in ends]


def _gap(events: Sequence[Kernel], index: int) -> float:
    return max(0.0, events[index].start - events[index - 1].stop) if index else 0.0


def _like_the_others(pieces: list[_Piece]) -> list[_Piece]:
    """Return the pieces with the first and last as long before and after their layers as the others.

    A recording has other things at its ends.
    """
    inner = pieces[1:-1]
    head = round(median(p.runs[0].first - p.first for p in [*inner, pieces[-1]]))
    tail = round(median(p.stop - p.runs[-1].stop for p in [pieces[0], *inner]))
    start, end = pieces[0], pieces[-1]
    return [
        start._replace(first=max(start.first, start.runs[0].first - head)),
        *inner,
        end._replace(stop=min(end.stop, end.runs[-1].stop + tail)),
    ]


def _without_strays(piece: _Piece, events: Sequence[Kernel], far: float) -> _Piece:
    """Return the piece without the events that a long idle time parts from its layers."""
    if not piece.runs:
        return piece
    low, high = piece.runs[0].first, piece.runs[-1].stop
    limit = far * (events[high - 1].stop - events[low].start)
    first = next((index for index in range(low, piece.first, -1) if _gap(events, index) > limit), piece.first)
    stop = next((index for index in range(high, piece.stop) if _gap(events, index) > limit), piece.stop)
    return piece._replace(first=first, stop=stop)


def _other_layers(events: Sequence[Kernel]) -> tuple[LayerRun, ...]:
    """Return the layers of another kind before the main ones, such as dense ones before those with experts.

    Only bodies with attention count.
    """
    if len(events) < 2 * FEWEST_BODIES:
        return ()
    found = find_layer_runs(
        [event.name for event in events], [event.kind == "kernel" and is_attention(event.name) for event in events]
    )
    return tuple(run for run in found if any(map(is_attention, run.body)))


def _steps(pieces: Sequence[_Piece], events: Sequence[Kernel], background: Sequence[Span]) -> tuple[Step, ...]:
    graphs, latency = graph_launches(events), launch_latency(events)
    usual = Counter(sum(run.count for run in piece.runs) for piece in pieces).most_common(1)[0][0]
    found: list[Step] = []
    end: float | None = None
    for piece in pieces:
        members = events[piece.first : piece.stop]
        kernels = step_kernels(members, background, graphs, latency)
        start, stop = members[0].start, max(event.stop for event in members)
        idle = sum(kernel.gap for kernel in kernels)
        layers = tuple(
            msgspec.structs.replace(run, first=run.first - piece.first, stop=run.stop - piece.first)
            for run in piece.runs
        )
        layers = _other_layers(members[: layers[0].first] if layers else []) + layers
        complete = sum(run.count for run in piece.runs) == usual
        before = None if end is None else max(0.0, start - end)
        found.append(
            Step(piece.label, start, stop - start, busy_time(members), idle, before, complete, kernels, layers)
        )
        end = stop
    return tuple(found)
