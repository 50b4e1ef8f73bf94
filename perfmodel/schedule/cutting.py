"""Operations to kernel calls: what a launch mode fuses, and which calls it loops. Counts only, no time.

A mode names a kernel style. Its rule is a table: consecutive operations with the same group run in
one call (or, inside a fused call, in one stage). How many calls a layer has follows from the table
and from the operations of the model; no count is typed anywhere.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.operations import Operation, Step
from perfmodel.operations.work import Work
from perfmodel.schedule.calls import Call, Cutting, Loop, LoopOnly, Schedule, Segment, Stage
from perfmodel.schedule.groupings import STAGES
from perfmodel.schedule.loops import Run, find_loops
from perfmodel.schedule.plaincalls import activation_traffic, matrix_of, plain_call, plain_calls
from perfmodel.schedule.styles import tuned_groups


def make_schedule(step: Step, cutting: Cutting) -> Schedule:
    """Cut the operations of `step` into kernel calls."""
    if cutting.kernels == "layer":
        return _layer_calls(step, cutting)
    if cutting.kernels == "step":
        return _one_call(step, cutting.room)
    return Schedule(_counted(plain_calls(step, cutting.kernels)))


def make_pipeline(stages: Sequence[Step], cutting: Cutting) -> Schedule:
    """Cut the operations of each stage of a pipeline into kernel calls; no call spans stages."""
    schedules = [make_schedule(stage, cutting) for stage in stages]
    if len(schedules) == 1:
        return schedules[0]
    alike: dict[tuple[tuple[int, Call], ...], int] = {}
    for schedule in schedules:
        alike[schedule.calls] = alike.get(schedule.calls, 0) + 1
    calls = tuple(
        (count * stages_alike, call) for stage_calls, stages_alike in alike.items() for count, call in stage_calls
    )
    return Schedule(
        calls,
        tuple(loop for schedule in schedules for loop in schedule.loops),
        tuple((times, len(stage_calls)) for stage_calls, times in alike.items()),
        tuple(dict.fromkeys(body for schedule in schedules for body in schedule.split)),
    )


def _stages(operations: Sequence[Operation]) -> tuple[Stage, ...]:
    if any(o.fusion for o in operations):
        # Activations of many positions are too large to stay on chip for sure: each stage moves its own, as a call
        # does.
        return tuple(
            plain_call(name, members).segments[0].stages[0]
            for name, members in tuned_groups(operations, collectives_ride=True)
        )
    return tuple(
        Stage(
            group,
            sum((o.work for o in members), Work()),
            tuple(o.collective for o in members if o.collective is not None),
            activation_traffic(members),
            matrix_of(members),
        )
        for group, members in (
            (g, tuple(m)) for g, m in groupby(operations, key=lambda o: STAGES.get(o.name) or o.name)
        )
    )


def _fused_call(name: str, operations: Sequence[Operation]) -> Call:
    """One call for all of `operations`; with a single stage it has no barrier inside and is a plain call."""
    stages = _stages(operations)
    return Call(name, (Segment(1, stages),), fused=True) if len(stages) > 1 else plain_call(name, operations)


class FusedStep(msgspec.Struct, frozen=True):
    """The fused calls of a step in order.

    layers: the decoder layer of each, -1 outside; numbered through all stages of a pipeline.
    """

    calls: tuple[Call, ...]
    layers: tuple[int, ...]
    split: tuple[tuple[str, float], ...] = ()


def fused_step(step: Step, room: float | None = None) -> FusedStep:
    """Return the fused calls of a step, one a layer.

    A layer whose activations do not fit into `room` [B] on chip is split into its stages.
    """
    named = list(step.names) if step.names else ["decoder_layer"] * len(step.layers)
    fused: dict[tuple[Operation, ...], tuple[Call, ...]] = {}
    split: list[tuple[str, float]] = []
    for number, layer in enumerate(dict.fromkeys((*step.seen, *step.layers)), start=1):
        name = (
            named[step.layers.index(layer)]
            if step.names
            else "decoder_layer"
            if number == 1
            else f"decoder_layer_{number}"
        )
        call = _fused_call(name, layer)
        held = max(stage.held + stage.work.state for stage in call.segments[0].stages)
        fits = room is None or not call.fused or held <= room
        fused[layer] = (call,) if fits else _split_call(name, layer)
        split += [] if fits else [(name, held)]
    head = [o for o in step.after if STAGES.get(o.name) != "sampling"]
    sampling = [o for o in step.after if STAGES.get(o.name) == "sampling"]
    before = [_fused_call("embedding", step.before)] if step.before else []
    after = [
        _fused_call(name, operations)
        for name, operations in (("classifier" if sampling else "send", head), ("sampling", sampling))
        if operations
    ]
    inside = [
        (call, number) for number, layer in enumerate(step.layers, start=step.first_layer) for call in fused[layer]
    ]
    calls = (*before, *(call for call, _ in inside), *after)
    return FusedStep(
        calls, (-1,) * len(before) + tuple(number for _, number in inside) + (-1,) * len(after), tuple(split)
    )


def read_loop_only(given: str | None, stages: Sequence[Step]) -> LoopOnly | None:
    """Return what `--loop-only` names.

    Calls as `perfmodel loops` prints them, and ranges of layers such as 3-60; None for None.

    Raises UnknownNameError for a call that is not there, ValueRangeError for layers that are not.
    """
    if given is None:
        return None
    known = list(dict.fromkeys(call.name for stage in stages for call in fused_step(stage).calls))
    last = stages[-1].first_layer + len(stages[-1].layers) - 1
    names, layers = set(), []
    for part in (text.strip() for text in str(given).split(",")):
        ends = part.split("-") if "-" in part else [part, part]
        if part in known:
            names.add(part)
        elif len(ends) == 2 and all(end.isdecimal() and len(end) < 9 for end in ends):
            if not int(ends[0]) <= int(ends[1]) <= last:
                raise ValueRangeError(f"--loop-only: {shown(part)} is not a range of layers from 0 to {last}")
            layers.append((int(ends[0]), int(ends[1])))
        else:
            raise UnknownNameError(
                f"--loop-only: {shown(part)} is neither a call of this model nor a range of"
                f" layers{nearest(part, known)}; its calls are {', '.join(known)}"
            )
    return LoopOnly(frozenset(names), tuple(layers))


def _split_call(name: str, operations: Sequence[Operation]) -> tuple[Call, ...]:
    """One plain call for each stage of a layer."""
    fused = tuned_groups(operations, collectives_ride=True) if any(o.fusion for o in operations) else None
    groups = fused or [
        (group, tuple(members)) for group, members in groupby(operations, key=lambda o: STAGES.get(o.name) or o.name)
    ]
    return tuple(
        msgspec.structs.replace(plain_call(f"{name}.{group}", members), split=True) for group, members in groups
    )


def _layer_calls(step: Step, cutting: Cutting) -> Schedule:
    found = fused_step(step, cutting.room)
    if not cutting.loops:
        return Schedule(_counted(found.calls), split=found.split)
    calls: list[Call] = []
    runs = loop_runs(found, cutting.loop_only)
    for run in runs:
        body = found.calls[run.start : run.start + run.body]
        if run.count == 1:
            calls += body
        else:
            stages = tuple(stage for call in body for segment in call.segments for stage in segment.stages)
            calls += [
                Call("+".join(call.name for call in body), (Segment(k, stages),), fused=True)
                for k in _pieces(run.count, cutting.loop_at_most)
            ]
    return Schedule(_counted(calls), _reported(runs, found), split=found.split)


def _one_call(step: Step, room: float | None) -> Schedule:
    """The whole step in one call: layers loop inside it, and prefetch crosses into the head. What is split cuts it."""
    found = fused_step(step, room)
    runs = loop_runs(found, None)
    calls: list[Call] = []
    for whole, stretch in groupby(runs, key=lambda run: not found.calls[run.start].split):
        if whole:
            calls.append(
                Call(
                    "step",
                    tuple(
                        Segment(
                            run.count,
                            tuple(
                                stage
                                for call in found.calls[run.start : run.start + run.body]
                                for segment in call.segments
                                for stage in segment.stages
                            ),
                        )
                        for run in stretch
                    ),
                    fused=True,
                )
            )
        else:
            calls += [call for run in stretch for call in found.calls[run.start : run.stop]]
    return Schedule(_counted(calls), _reported(runs, found), split=found.split)


def _pieces(count: int, at_most: int | None) -> list[int]:
    """Cut `count` iterations into calls of at most `at_most`."""
    if at_most is None or at_most >= count:
        return [count]
    full, rest = divmod(count, at_most)
    return [at_most] * full + ([rest] if rest else [])


def _reported(runs: Iterable[Run], found: FusedStep) -> tuple[Loop, ...]:
    return tuple(
        Loop(
            tuple(call.name for call in found.calls[run.start : run.start + run.body]),
            layer_range(run, found),
            run.count,
        )
        for run in runs
        if run.count > 1
    )


def layer_range(run: Run, found: FusedStep) -> str:
    """Return 'first-last' of the decoder layers of a run, '' where it has none."""
    layers = [number for number in found.layers[run.start : run.stop] if number >= 0]
    return f"{layers[0]}-{layers[-1]}" if layers else ""


def loop_runs(found: FusedStep, only: LoopOnly | None = None) -> list[Run]:
    """Return the runs of equal calls of a step, but for what is split and what `only` leaves out."""
    # Numbers compare faster than calls; what must stay alone has a number of its own.
    numbers: dict[Call, int] = {}
    signatures = [
        (
            -1 - i
            if call.split or (only is not None and not only.takes(call.name, layer))
            else numbers.setdefault(call, len(numbers))
        )
        for i, (call, layer) in enumerate(zip(found.calls, found.layers, strict=True))
    ]
    return find_loops(signatures)


def _counted(calls: Iterable[Call]) -> tuple[tuple[int, Call], ...]:
    same: dict[int, tuple[int, Call]] = {}  # the same object is looked up faster than an equal one
    for call in calls:
        same[id(call)] = (same[id(call)][0] + 1 if id(call) in same else 1, call)
    counts: dict[Call, int] = {}
    for count, call in same.values():
        counts[call] = counts.get(call, 0) + count
    return tuple((count, call) for call, count in counts.items())
