"""What a model's step looks like as loops: the bodies, what stays outside and why, and what looping removes."""

import msgspec

from perfmodel.estimator import formats_of
from perfmodel.model import Model
from perfmodel.operations import decode_step
from perfmodel.parallel import Parallel
from perfmodel.schedule import layer_sequence, loop_runs, make_schedule


class Part(msgspec.Struct, frozen=True):
    """A part of the step, in order. calls: those of one body; count: repeats; layers: 'first-last' decoder layers.

    reason: why it is a loop, or why it stays outside.
    """

    calls: tuple[str, ...]
    count: int
    layers: str
    reason: str


class LoopReport(msgspec.Struct, frozen=True):
    """The loops of a model. calls_engine: kernel calls of ordinary engine kernels; calls_fused: one a layer; calls_looped: after looping."""

    model: str
    parts: tuple[Part, ...]
    calls_engine: int
    calls_fused: int
    calls_looped: int


def loop_report(model: Model, *, devices: int | Parallel = 1, loop_at_most: int | None = None) -> LoopReport:
    """Return the loops of a decode step of `model`.

    devices: how they share the work, a number for tensor parallelism; loop_at_most: iterations one looped call may hold [-].
    """
    step = decode_step(model, formats_of(model, None, None), devices)
    sequence, offset = layer_sequence(step)
    runs = loop_runs(sequence)
    parts = []
    for index, run in enumerate(runs):
        first, last = run.start - offset, run.stop - 1 - offset
        inside = first >= 0 and last < len(step.layers)
        names = tuple(call.name for call in sequence[run.start : run.start + run.body])
        parts.append(Part(names, run.count, f"{first}-{last}" if inside else "", _reason(run.count, inside, index, len(runs))))
    schedules = [make_schedule(step, "engine", loops=False), make_schedule(step, "layer", loops=False), make_schedule(step, "layer", loops=True, loop_at_most=loop_at_most)]
    return LoopReport(model.name, tuple(parts), *(schedule.kernel_calls for schedule in schedules))


def _reason(count: int, inside: bool, index: int, parts: int) -> str:
    if count > 1:
        return "the same kernel with other weights"
    if inside:
        return "differs from the layers beside it"
    return "runs once, before the layers" if index == 0 else "runs once, after the layers" if index >= parts - 2 else "runs once"
