"""Which operations of a block share a kernel call, by what they do.

For networks whose operations have names of their own.

An anchor (a matrix, a convolution, attention) has a call of its own; elementwise work and norms ride in a neighbour.
"""

from collections.abc import Iterable

from perfmodel.operations import Operation

Groups = list[tuple[str, tuple[Operation, ...]]]


def engine_groups(operations: Iterable[Operation]) -> Groups:
    """Return the calls of ordinary engine kernels.

    Each anchor alone, matrices of one input merged, a run of norms and elementwise work as one.
    """
    groups: list[list[Operation]] = []
    for operation in operations:
        last = groups[-1][-1] if groups else None
        rides = operation.fusion != "anchor"
        if last is not None and rides == (last.fusion != "anchor") and (rides or _merges(operation, last)):
            groups[-1].append(operation)
        else:
            groups.append([operation])
    return _named(groups)


def tuned_groups(operations: Iterable[Operation], *, collectives_ride: bool) -> Groups:
    """Return the calls of careful kernels, which are the stages of a fused one: each anchor with what rides in it.

    Elementwise work rides in the anchor before it, norms and what follows them in the anchor behind.
    collectives_ride: a collective belongs to the anchor that produces its payload, as in a fused kernel.
    """
    groups: list[list[Operation]] = []
    waiting: list[Operation] = []
    for operation in operations:
        if operation.fusion != "anchor":
            joins = waiting or operation.fusion == "norm" or not groups
            (waiting if joins else groups[-1]).append(operation)
        elif (
            groups
            and not waiting
            and (_merges(operation, groups[-1][-1]) or (collectives_ride and operation.collective is not None))
        ):
            groups[-1].append(operation)
        else:
            groups.append([*waiting, operation])
            waiting = []
    if waiting:
        # Nothing is left to ride in but the call before.
        groups[-1:] = [[*(groups[-1] if groups else ()), *waiting]]
    return _named(groups)


def _merges(operation: Operation, last: Operation) -> bool:
    """Whether two anchors are one kernel: matrices that read the same input."""
    return operation.shares_input and operation.collective is None and last.collective is None


def _named(groups: Iterable[list[Operation]]) -> Groups:
    return [
        (next((o.name for o in members if o.fusion == "anchor"), members[0].name), tuple(members)) for members in groups
    ]
