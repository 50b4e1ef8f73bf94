"""What a model's step looks like as loops: the bodies, what stays outside and why, and what looping removes."""

import msgspec

from perfmodel.operations import decode_step, pipeline_stages
from perfmodel.operations.parallel import Parallel, over
from perfmodel.operations.storing import formats_of
from perfmodel.schedule.calls import Cutting
from perfmodel.schedule.cutting import fused_step, layer_range, loop_runs, make_pipeline, read_loop_only
from perfmodel.specifications.model import Model


class LoopPart(msgspec.Struct, frozen=True):
    """A part of the step, in order. calls: those of one body; count: repeats; layers: 'first-last' decoder layers.

    reason: why it is a loop, or why it stays outside.
    """

    calls: tuple[str, ...]
    count: int
    layers: str
    reason: str


class LoopReport(msgspec.Struct, frozen=True):
    """The loops of a model.

    calls_engine: kernel calls of ordinary engine kernels; calls_fused: one a layer; calls_looped: after looping.
    """

    model: str
    parts: tuple[LoopPart, ...]
    calls_engine: int
    calls_fused: int
    calls_looped: int


def loop_report(
    model: Model, *, devices: int | Parallel = 1, loop_at_most: int | None = None, loop_only: str | None = None
) -> LoopReport:
    """Return the loops of a decode step of `model`.

    devices: how they share the work, a number for tensor parallelism; loop_at_most: iterations one looped call may hold
    [-];
    loop_only: what may be looped, None for all.
    """
    formats = formats_of(model, None, None)
    stages = pipeline_stages(decode_step(model, formats, devices), model.hidden, formats, over(devices).pipeline)
    only = read_loop_only(loop_only, stages)
    parts: list[LoopPart] = []
    for stage in stages:
        found = fused_step(stage)
        runs = loop_runs(found, only)
        for index, run in enumerate(runs):
            layers = layer_range(run, found)
            names = tuple(call.name for call in found.calls[run.start : run.start + run.body])
            parts.append(
                LoopPart(
                    names,
                    run.count,
                    layers,
                    _reason(
                        run.count,
                        bool(layers),
                        index,
                        len(runs),
                        names,
                        asked=only is None
                        or any(only.takes(found.calls[i].name, found.layers[i]) for i in range(run.start, run.stop)),
                    ),
                )
            )
    styles = (("engine", False), ("layer", False), ("layer", True))
    return LoopReport(
        model.name,
        tuple(parts),
        *(make_pipeline(stages, Cutting(kernels, loops, loop_at_most, only)).kernel_calls for kernels, loops in styles),
    )


def _reason(count: int, inside: bool, index: int, parts: int, names: tuple[str, ...], *, asked: bool) -> str:
    if count > 1:
        return "the same kernel with other weights"
    if inside and not asked:
        return "left alone, as asked"
    if inside:
        return "differs from the layers beside it"
    if names == ("send",):
        return "hands the activations to the next stage"
    return (
        "runs once, before the layers"
        if index == 0
        else "runs once, after the layers"
        if index >= parts - 2
        else "runs once"
    )
