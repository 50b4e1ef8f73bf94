"""Kernel calls: what a schedule is made of."""

import msgspec

from perfmodel.operations.work import Collective, Work


class Stage(msgspec.Struct, frozen=True):
    """A dependent phase: the work between two barriers of a fused call, or all the work of a plain call.

    held: activations in and out that stay on chip inside a fused call, per sequence [B].
    matrix: which matrices it multiplies by: 'matrix', 'experts' (routed ones), or '' for none.
    """

    name: str
    work: Work
    collectives: tuple[Collective, ...] = ()
    held: float = 0.0
    matrix: str = ""


class Segment(msgspec.Struct, frozen=True):
    """`iterations` passes over the same stages, inside one call."""

    iterations: int
    stages: tuple[Stage, ...]


class Call(msgspec.Struct, frozen=True):
    """One kernel call.

    kernels: launches it stands for; fused: its stages are separated by barriers, not launches; split: it is a stage of
    a body that does not fit on chip, and is never looped.
    """

    name: str
    segments: tuple[Segment, ...]
    kernels: int = 1
    fused: bool = False
    split: bool = False


class Loop(msgspec.Struct, frozen=True):
    """A loop for the report. layers: 'first-last' decoder layers it covers, '' for none."""

    body: tuple[str, ...]
    layers: str
    count: int


class LoopOnly(msgspec.Struct, frozen=True):
    """What may be looped, where not everything: calls by name, layers by range (first, last)."""

    names: frozenset[str] = frozenset()
    layers: tuple[tuple[int, int], ...] = ()

    def takes(self, name: str, layer: int) -> bool:
        """Return whether the call `name` of decoder layer `layer` may be looped."""
        return name in self.names or any(first <= layer <= last for first, last in self.layers)


class Cutting(msgspec.Struct, frozen=True):
    """How the operations of a step are cut into kernel calls.

    kernels: the kernel style of the launch mode: primitive, separate, engine, tuned, layer or step.
    loops: whether runs of the same call become one looped call.
    loop_at_most: iterations that one looped call may hold, None for no limit [-].
    loop_only: what may be looped, None for all.
    room: on-chip memory [B], None where it is not known; a layer that one sequence overfills is split.
    """

    kernels: str
    loops: bool = False
    loop_at_most: int | None = None
    loop_only: LoopOnly | None = None
    room: float | None = None


class Schedule(msgspec.Struct, frozen=True):
    """The calls of a step, equal ones counted. loops: the outermost, left to right; runs of one are not listed.

    stages: for a pipeline, how many of its stages are alike, and how many entries of `calls` are those of all of them.
    split: bodies that do not fit on chip, so that each of their stages is a call of its own, and what one sequence of
    them would hold [B].
    """

    calls: tuple[tuple[int, Call], ...]
    loops: tuple[Loop, ...] = ()
    stages: tuple[tuple[int, int], ...] = ()
    split: tuple[tuple[str, float], ...] = ()

    @property
    def kernel_calls(self) -> int:
        """Kernel calls of a step, N."""
        return sum(count * call.kernels for count, call in self.calls)
