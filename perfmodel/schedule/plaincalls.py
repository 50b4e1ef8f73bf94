"""Calls that fuse no layer: one kernel each, launched one by one."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from perfmodel.operations import Operation, Step
from perfmodel.operations.work import Work
from perfmodel.schedule.calls import Call, Segment, Stage
from perfmodel.schedule.groupings import GROUPS, MATRICES, primitive_kernels, separate_kernels, with_groups
from perfmodel.schedule.styles import engine_groups, tuned_groups


def plain_calls(step: Step, kernels: str) -> Iterable[Call]:
    """Yield the calls of a step in order; kernels: the style, primitive, separate, engine, joined or tuned."""
    operations = step.all_operations()
    made: dict[tuple[int, ...], Call] = {}  # equal layers are the same operations, and make the same calls
    if kernels in ("primitive", "separate"):
        for operation in operations:
            alike: tuple[int, ...] = (id(operation),)
            if alike not in made and kernels == "primitive":
                made[alike] = plain_call(operation.kind, (operation.run_unfused(),), primitive_kernels(operation))
            elif alike not in made:
                made[alike] = plain_call(operation.kind, (operation,), separate_kernels(operation))
            yield made[alike]
        return
    if step.names:
        for name, together in (
            engine_groups(operations)
            if kernels in ("engine", "joined")
            else tuned_groups(operations, collectives_ride=False)
        ):
            yield plain_call(name, together)
        return
    for group, members in groupby(with_groups(operations, GROUPS[kernels]), key=lambda pair: pair[0]):
        together = tuple(operation for _, operation in members)
        alike = tuple(map(id, together))
        if alike not in made:
            made[alike] = plain_call(group, together)
        yield made[alike]


def plain_call(name: str, operations: Sequence[Operation], kernels: int = 1) -> Call:
    """Return one call that does `operations`; kernels: launches it stands for [-]."""
    work = sum((o.work for o in operations), Work()) + Work(activations=activation_traffic(operations))
    collectives = tuple(o.collective for o in operations if o.collective is not None)
    stage = Stage(name, work, collectives, matrix=matrix_of(operations))
    return Call(name, (Segment(1, (stage,)),), kernels)


def matrix_of(operations: Iterable[Operation]) -> str:
    """Return which matrices the operations multiply by: routed experts, others, or none."""
    if any(o.work.experts for o in operations):
        return "experts"
    return "matrix" if any(o.work.weights and (o.kind in MATRICES or o.fusion == "anchor") for o in operations) else ""


def activation_traffic(operations: Sequence[Operation]) -> float:
    """Bytes in and out of a call per sequence: what one operation hands to the next stays on chip."""
    first = operations[0]
    traffic, handed_on = first.reads, first.writes
    for operation in operations[1:]:
        if operation.shares_input:
            handed_on += operation.writes
        else:
            traffic += max(operation.reads - handed_on, 0.0)
            handed_on = operation.writes
    return traffic + handed_on
