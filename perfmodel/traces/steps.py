"""Find the compute streams of a trace, its decode steps, and the repeated layer in each."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from perfmodel.numbers.choices import added
from perfmodel.traces.cuts import Piece, around_graphs, holds, parted_at_marks, pieces_of, repeats_in
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


class TracedStep(msgspec.Struct, frozen=True):
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
    steps: tuple[TracedStep, ...]
    notes: tuple[str, ...]


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
    found = repeats_in(events, breaks)
    whole = tuple(run for run in found if holds(run, events, ("graph",)))
    runs = tuple(part for run in found if run not in whole for part in parted_at_marks(run, families))
    graphs = [event for event in events if event.kind == "graph"]
    if 2 * added(event.duration for event in graphs) > added(event.duration for event in events):
        runs = ()  # the layers of a prompt, run before the graphs, are not those of a step
    notes: list[str] = []
    pieces = pieces_of(families, events, runs, notes)
    if not runs and len(pieces) == 1:
        pieces = around_graphs(whole, events) or pieces
    if graphs:
        notes.append(
            f"{len(graphs):,} graphs were recorded whole, as one event each: what is inside cannot be seen; record"
            " nodes (nsys profile --cuda-graph-trace=node) to see kernels, gaps and layers"
        )
    elif not runs:
        notes.append("no layer repeats: nothing here that kernel looping could loop")
    return StepsFound(device, devices, streams, _steps(pieces, events, background), tuple(notes))


def _busiest_device(trace: Trace) -> tuple[str, int]:
    times: Counter[str] = Counter()
    for event in trace.kernels:
        # A Counter of seconds, where its type says whole numbers.
        times[event.device] += event.duration if event.kind in ("kernel", "graph") else 0.0  # type: ignore[assignment]
    return max(times, key=lambda device: times[device]), len(times)


def _streams(events: Sequence[Kernel]) -> tuple[Stream, ...]:
    """Return the streams of a device, the main one first: it has the most time in kernels that are no collectives."""
    by_stream: dict[str, list[Kernel]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event)
    work = {
        name: added(e.duration for e in members if e.kind in ("kernel", "graph") and not is_collective(e.name))
        for name, members in by_stream.items()
    }
    if not any(work.values()):
        work = {name: added(e.duration for e in members) for name, members in by_stream.items()}
    order = sorted(by_stream, key=lambda name: -work[name])
    main = merged(by_stream[order[0]])
    found = []
    for name in order:
        members = by_stream[name]
        spans = merged(members)
        busy = added(stop - start for start, stop in spans)
        # A fork of the same sequence runs between the kernels of the main stream, not beside them.
        joins = (
            name != order[0]
            and work[name] >= _SECOND_STREAM * work[order[0]]
            and shared_time(spans, main) <= _CONCURRENT * busy
        )
        found.append(Stream(name, len(members), busy, name == order[0] or joins))
    return tuple(found)


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


def _steps(pieces: Sequence[Piece], events: Sequence[Kernel], background: Sequence[Span]) -> tuple[TracedStep, ...]:
    graphs, latency = graph_launches(events), launch_latency(events)
    usual = Counter(sum(run.count for run in piece.runs) for piece in pieces).most_common(1)[0][0]
    found: list[TracedStep] = []
    end: float | None = None
    for piece in pieces:
        members = events[piece.first : piece.stop]
        kernels = step_kernels(members, background, graphs, latency)
        start, stop = members[0].start, max(event.stop for event in members)
        idle = added(kernel.gap for kernel in kernels)
        layers = tuple(
            msgspec.structs.replace(run, first=run.first - piece.first, stop=run.stop - piece.first)
            for run in piece.runs
        )
        layers = _other_layers(members[: layers[0].first] if layers else []) + layers
        complete = sum(run.count for run in piece.runs) == usual
        before = None if end is None else max(0.0, start - end)
        found.append(
            TracedStep(piece.label, start, stop - start, busy_time(members), idle, before, complete, kernels, layers)
        )
        end = stop
    return tuple(found)
