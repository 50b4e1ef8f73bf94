"""An operation, and the few shapes that all operations of a network have.

Matrices, elementwise work, norms, collectives.
"""

from functools import lru_cache

import msgspec

from perfmodel.operations.formats import Formats, stored
from perfmodel.operations.work import Collective, ExpertBank, Work


class Operation(msgspec.Struct, frozen=True):
    """One tensor operation on the fullest device.

    name: what it is in the layer; kind: what sort of kernel runs it.
    elements: weights it holds [-]; active: weights one token uses [-], which differs for routed experts.
    reads, writes: activation bytes per sequence [B].
    shares_input: it reads the same activations as the operation before it.
    fusion: what shares its kernel call: '' as its name says, else 'anchor', 'norm' or 'pointwise' (see
    `perfmodel.schedule.styles`).
    part: of the model that its matrix belongs to, 'other' for one without; columns: elements of a row of the matrix.
    unfused: what it does instead where a framework runs it out of primitive kernels, None for the same work.
    """

    name: str
    kind: str
    work: Work = Work()
    elements: int = 0
    active: int = 0
    reads: float = 0.0
    writes: float = 0.0
    shares_input: bool = False
    collective: Collective | None = None
    fusion: str = ""
    unfused: Work | None = None
    part: str = "other"
    columns: int = 0

    def run_unfused(self) -> "Operation":
        """Return this operation as a framework runs it out of primitive kernels."""
        return self if self.unfused is None else msgspec.structs.replace(self, work=self.unfused, unfused=None)


def matrix(
    name: str,
    rows: int,
    columns: int,
    formats: Formats,
    *,
    bias: bool = False,
    shares_input: bool = False,
    kind: str = "linear",
    count: int = 1,
) -> Operation:
    """Return a projection from `columns` inputs to `rows` outputs; `count` of them side by side, as one a head."""
    elements = count * rows * columns
    biases = count * rows if bias else 0
    part = "head" if kind == "head" else formats.part
    work = Work(weights=stored(elements, formats.mix(name, part)))
    if bias:
        work = work + Work(weights=((formats.vectors, biases * formats.vector_size()),))
    size = formats.activation_size()
    return Operation(
        name,
        kind,
        msgspec.structs.replace(work, flops=2.0 * elements + biases),
        elements=elements + biases,
        active=elements + biases,
        reads=count * columns * size,
        writes=count * rows * size,
        shares_input=shares_input,
        part=part,
        columns=columns,
    )


@lru_cache(maxsize=256)
def largest_of_normals(count: int) -> float:
    """Return the expected maximum of `count` standard normal numbers [-], after Blom, doi 10.2307/2985147."""
    if count == 1:
        return 0.0
    from statistics import NormalDist

    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def expert_matrix(
    name: str,
    rows: int,
    columns: int,
    formats: Formats,
    *,
    experts: int,
    chosen: int,
    bias: bool,
    groups: int = 1,
    shares_input: bool = False,
) -> Operation:
    """Return one projection of all routed experts, of which a token uses `chosen`, spread over `groups` of devices."""
    spread = largest_of_normals(groups)
    one, biases = rows * columns, rows if bias else 0
    banks = [
        ExpertBank(kind, experts, chosen, size, groups, spread)
        for kind, size in stored(one, formats.mix(name, "experts"))
    ]
    if bias:
        banks.append(ExpertBank(formats.vectors, experts, chosen, biases * formats.vector_size(), groups, spread))
    size = formats.activation_size()
    # Tokens spread evenly enough: a group does its part of the chosen pairs of token and expert.
    share = chosen / groups
    work = Work(experts=tuple(banks), flops=share * (2.0 * one + biases))
    return Operation(
        name,
        "expert",
        Work() + work,
        elements=experts * (one + biases),
        active=chosen * (one + biases),
        reads=share * columns * size,
        writes=share * rows * size,
        shares_input=shares_input,
        part="experts",
        columns=columns,
    )


def for_tokens(operation: Operation, factor: int) -> Operation:
    """Return `operation` done for `factor` times the sequences, with the same weights."""
    if factor == 1:
        return operation
    work = operation.work
    more = msgspec.structs.replace(work, activations=work.activations * factor, flops=work.flops * factor)
    return msgspec.structs.replace(
        operation, work=more, reads=operation.reads * factor, writes=operation.writes * factor
    )


def elementwise(
    name: str,
    kind: str,
    width: int,
    formats: Formats,
    *,
    flops: float,
    inputs: int = 1,
    weights: int = 0,
    state: float = 0.0,
    shares_input: bool = False,
) -> Operation:
    """Return an operation over `width` activations.

    flops: per activation [FLOP]; inputs: tensors of that width it reads; weights: elements it holds [-];
    state: bytes of recurrent state it reads and writes back, per sequence [B].
    """
    size = formats.activation_size()
    work = Work(
        weights=((formats.vectors, weights * formats.vector_size()),) if weights else (),
        state=state,
        activations=state,
        flops=flops * width,
    )
    return Operation(
        name,
        kind,
        work,
        elements=weights,
        active=weights,
        reads=inputs * width * size,
        writes=width * size,
        shares_input=shares_input,
    )


def norm(
    name: str, width: int, formats: Formats, *, elements: int = 1, copies: int = 1, shares_input: bool = False
) -> Operation:
    """Return a norm over `width` channels, `copies` times side by side with the same `elements` x width weights."""
    # Square, sum, scale, weight: four operations an element.
    return elementwise(
        name, "norm", width * copies, formats, flops=4.0, weights=elements * width, shares_input=shares_input
    )


def collective(name: str, kind: str, width: float, formats: Formats, group: int, stride: int = 1) -> Operation:
    """Return a collective of `width` activations per sequence over `group` devices, each `stride` from the next."""
    return Operation(name, kind, collective=Collective(kind, width * formats.activation_size(), group, stride))
