"""The operations of a block of primitives, for networks that are no transformers.

Several devices split each matrix by its outputs and gather the result; norms and elementwise work are whole on each.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation
from perfmodel.operations.formats import Formats, stored
from perfmodel.operations.work import ON_CHIP, Cache, Collective, Work
from perfmodel.specifications.primitives import (
    Block,
    Convolution,
    Custom,
    DotProduct,
    Elementwise,
    Linear,
    Lookup,
    Normalisation,
    Primitive,
    Recurrent,
)


class Where(msgspec.Struct, frozen=True):
    """Where a block runs: storage formats, devices that share it, whether its matrices stay on chip."""

    formats: Formats
    devices: int
    on_chip: bool

    def weights(self, elements: int, biases: int = 0) -> tuple[tuple[str, float], ...]:
        """Return the bytes of matrices and of `biases`, each read once a step."""
        kept = [
            (ON_CHIP if self.on_chip else kind, size) for kind, size in stored(elements, self.formats.mix("", "other"))
        ]
        kept = kept if elements else []
        if biases:
            kept.append(
                (ON_CHIP if self.on_chip else self.formats.activations, biases * self.formats.activation_size())
            )
        return sum((Work(weights=(one,)) for one in kept), Work()).weights


def block_operations(block: Block, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the operations of `block` on the fullest of `devices`."""
    where = Where(formats, devices, block.on_chip)
    for primitive in block.operations:
        yield from _BUILDERS[type(primitive)](primitive, where)


def _matrix(
    name: str,
    work: Work,
    elements: int,
    reads: float,
    writes: float,
    gathered: int,
    where: Where,
    *,
    shares_input: bool = False,
) -> Iterator[Operation]:
    """Yield work that splits by its outputs, and the gathering of its `gathered` activations."""
    size = where.formats.activation_size()
    yield Operation(
        name,
        "linear",
        work,
        elements=elements,
        active=elements,
        reads=reads * size,
        writes=writes * size,
        shares_input=shares_input,
        fusion="anchor",
    )
    if where.devices > 1:
        yield Operation(
            f"{name}_gather",
            "all_gather",
            collective=Collective("all_gather", gathered * size, where.devices),
            fusion="anchor",
        )


def _linear(linear: Linear, where: Where) -> Iterator[Operation]:
    outputs = ceil_div(linear.outputs, where.devices)
    matrix, biases = linear.inputs * outputs, linear.biases * outputs
    work = Work(weights=where.weights(matrix, biases), flops=(2.0 * matrix + biases) * linear.positions)
    yield from _matrix(
        linear.name,
        work,
        matrix + biases,
        linear.inputs * linear.positions,
        outputs * linear.positions,
        linear.outputs * linear.positions,
        where,
        shares_input=linear.shares_input,
    )


def _convolution(convolution: Convolution, where: Where) -> Iterator[Operation]:
    outputs = ceil_div(convolution.outputs, where.devices)
    matrix, biases = convolution.inputs // convolution.groups * outputs * convolution.taps, convolution.biases * outputs
    work = Work(weights=where.weights(matrix, biases), flops=(2.0 * matrix + biases) * convolution.positions)
    yield from _matrix(
        convolution.name,
        work,
        matrix + biases,
        convolution.inputs * convolution.read,
        outputs * convolution.positions,
        convolution.outputs * convolution.positions,
        where,
        shares_input=convolution.shares_input,
    )


def _recurrent(cell: Recurrent, where: Where) -> Iterator[Operation]:
    hidden, size = ceil_div(cell.hidden, where.devices), where.formats.activation_size()
    handed_on = cell.projection or cell.hidden
    matrix, biases = cell.gates * hidden * (cell.inputs + handed_on), cell.biases * cell.gates * hidden
    work = Work(weights=where.weights(matrix, biases), flops=2.0 * matrix + biases)
    yield Operation(
        f"{cell.name}_gates",
        "linear",
        work,
        elements=matrix + biases,
        active=matrix + biases,
        reads=cell.inputs * size,
        writes=cell.gates * hidden * size,
        fusion="anchor",
    )
    # What was handed on goes into every gate, so it is read whole; the other states are a device's own.
    state = (handed_on + (cell.states - 1) * hidden) * size
    # A sum and a nonlinearity of some four operations a gate, and the update of the states.
    update = Work(state=state, activations=state, flops=(5.0 * cell.gates + 4.0) * hidden)
    yield Operation(
        f"{cell.name}_update",
        "elementwise",
        update,
        reads=cell.gates * hidden * size,
        writes=hidden * size,
        fusion="pointwise",
    )
    if cell.projection:
        yield from _matrix(
            f"{cell.name}_projection",
            Work(weights=where.weights(cell.projection * hidden), flops=2.0 * cell.projection * hidden),
            cell.projection * hidden,
            hidden,
            cell.projection,
            cell.projection,
            where,
        )
    elif where.devices > 1:
        yield Operation(
            f"{cell.name}_gather",
            "all_gather",
            collective=Collective("all_gather", cell.hidden * size, where.devices),
            fusion="anchor",
        )


def _pointwise(
    name: str,
    kind: str,
    width: int,
    positions: int,
    flops: float,
    inputs: int,
    weights: int,
    where: Where,
    *,
    shares_input: bool,
) -> Operation:
    size, elements = where.formats.activation_size(), weights * width
    work = Work(weights=where.weights(0, elements), flops=flops * width * positions)
    return Operation(
        name,
        kind,
        work,
        elements=elements,
        active=elements,
        reads=inputs * width * positions * size,
        writes=width * positions * size,
        shares_input=shares_input,
        fusion="norm" if kind == "normalisation" else "pointwise",
    )


def _normalisation(norm: Normalisation, where: Where) -> Iterator[Operation]:
    # Square, sum, scale, weight: four operations an element.
    yield _pointwise(
        norm.name,
        "normalisation",
        norm.width,
        norm.positions,
        4.0,
        1,
        norm.weights,
        where,
        shares_input=norm.shares_input,
    )


def _elementwise(work: Elementwise, where: Where) -> Iterator[Operation]:
    yield _pointwise(
        work.name,
        "elementwise",
        work.width,
        work.positions,
        float(work.flops),
        work.inputs,
        work.weights,
        where,
        shares_input=work.shares_input,
    )


def _dot_product(attention: DotProduct, where: Where) -> Iterator[Operation]:
    heads, kv_heads = ceil_div(attention.heads, where.devices), ceil_div(attention.kv_heads, where.devices)
    width, keys = heads * attention.head_dim, 2 * kv_heads * attention.head_dim
    flops = 4.0 * width * attention.positions
    if attention.tokens is None:
        entry = keys * where.formats.cache_size()
        work = Work(caches=(Cache(attention.window, entry, flops),), activations=entry * attention.positions)
        reads = width * attention.positions + keys * attention.positions
    else:
        work, reads = Work(flops=flops * attention.tokens), width * attention.positions + keys * attention.tokens
    yield from _matrix(
        attention.name,
        work,
        0,
        reads,
        width * attention.positions,
        attention.heads * attention.head_dim * attention.positions,
        where,
    )


def _lookup(lookup: Lookup, where: Where) -> Iterator[Operation]:
    moved = lookup.width * lookup.positions * where.formats.activation_size()
    yield Operation(lookup.name, "embedding", reads=moved, writes=moved, fusion="pointwise")


def _custom(custom: Custom, where: Where) -> Iterator[Operation]:
    work = Work(
        weights=where.weights(custom.weights),
        state=float(custom.state),
        activations=float(custom.state),
        flops=float(custom.flops),
    )
    yield Operation(
        custom.name,
        "custom",
        work,
        elements=custom.weights,
        active=custom.weights,
        reads=float(custom.reads),
        writes=float(custom.writes),
        fusion="anchor",
    )


_BUILDERS: dict[type[Primitive], Callable[[Any, Where], Iterator[Operation]]] = {
    Linear: _linear,
    Convolution: _convolution,
    Recurrent: _recurrent,
    Normalisation: _normalisation,
    Elementwise: _elementwise,
    DotProduct: _dot_product,
    Lookup: _lookup,
    Custom: _custom,
}
