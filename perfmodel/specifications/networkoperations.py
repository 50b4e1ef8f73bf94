"""The operations of a network file by kind and shape: what each table must say, and the primitive that it becomes."""

from collections.abc import Callable, Mapping
from math import prod

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.fields import LARGEST_INTEGER, Fields
from perfmodel.specifications.primitives import (
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

_CELLS = {"lstm": (4, 2), "gru": (3, 1), "rnn": (1, 1)}  # gates, states
_LONGEST_PRODUCT = 200  # characters of a text of arguments
_MOST_WEIGHTS = 10**13

Arguments = Mapping[str, int]


def read_operation(raw: object, where: str, arguments: Arguments) -> Primitive:
    """Return the operation that a table says; arguments: what its texts may name. Raises SpecificationError."""
    fields = OperationFields(raw, where, arguments)
    kind = fields.choice("kind", _READERS)
    keys, read = _READERS[kind]
    fields.only(("name", "kind", *keys), f"an operation of kind {kind}")
    name = fields.text("name", kind)
    if not name.isidentifier():
        raise SpecificationError(f"{where}.name: {shown(name)} is not a name of letters, digits and underscores")
    built = read(name, fields)
    if weights_of(built) > _MOST_WEIGHTS:
        raise SpecificationError(f"{where}: has more than {_MOST_WEIGHTS:.0e} weights")
    return built


class OperationFields(Fields):
    """The keys of one operation, whose whole numbers may be texts of arguments, with + and *, such as '4*width'."""

    def __init__(self, table: object, where: str, arguments: Arguments) -> None:
        super().__init__(table, where)
        self._arguments = arguments

    def _whole(self, key: str, value: object) -> object:
        if not isinstance(value, str) or len(value) > _LONGEST_PRODUCT:
            return value
        return sum(prod(self._factor(key, factor.strip()) for factor in term.split("*")) for term in value.split("+"))

    def _factor(self, key: str, text: str) -> int:
        if text.isascii() and text.isdecimal() and len(text) < 12:
            return int(text)
        if text not in self._arguments:
            has = f"; the block has {', '.join(self._arguments)}" if self._arguments else ""
            wrong = f"is neither a whole number nor an argument{nearest(text, self._arguments)}{has}"
            raise self._refuse(key, text, wrong)
        return self._arguments[text]

    def counts(self, key: str) -> list[int]:
        """Return the 1 to 4 whole numbers at `key`, one a dimension."""
        listed = self.raw(key)
        if not isinstance(listed, list) or not 1 <= len(listed) <= 4:
            raise self._refuse(key, listed, "is not a list of 1 to 4 whole numbers, one a dimension")
        return [self._counted(key, value, 1, LARGEST_INTEGER) for value in listed]


def _linear(name: str, entry: OperationFields) -> Primitive:
    return Linear(
        name=name,
        inputs=entry.integer("inputs"),
        outputs=entry.integer("outputs"),
        positions=entry.integer("positions", 1),
        biases=int(entry.flag("bias")),
        shares_input=entry.flag("shares_input"),
    )


def _convolution(name: str, entry: OperationFields) -> Primitive:
    size, stride = entry.counts("size"), entry.integer("stride", 1)
    kernel = entry.counts("kernel") if isinstance(entry.raw("kernel"), list) else [entry.integer("kernel")] * len(size)
    if len(kernel) != len(size):
        raise SpecificationError(f"{entry.where}: kernel has {len(kernel)} dimensions, size {len(size)}")
    inputs, groups = entry.integer("inputs"), entry.integer("groups", 1)
    if inputs % groups:
        raise SpecificationError(f"{entry.where}.groups: {groups} does not divide inputs {inputs}")
    positions, read = prod(size), prod(size) * stride ** len(size)
    if max(positions, read, prod(kernel)) > LARGEST_INTEGER:
        raise SpecificationError(f"{entry.where}: has more than {LARGEST_INTEGER:,} positions or taps")
    return Convolution(
        name=name,
        inputs=inputs,
        outputs=entry.integer("outputs"),
        taps=prod(kernel),
        positions=positions,
        read=read,
        groups=groups,
        biases=int(entry.flag("bias")),
        shares_input=entry.flag("shares_input"),
    )


def _recurrent(name: str, entry: OperationFields) -> Primitive:
    cell = entry.raw("cell")
    if not isinstance(cell, str) or cell not in _CELLS:
        raise SpecificationError(
            f"{entry.where}.cell: {shown(cell)} is not one of {', '.join(_CELLS)}{nearest(str(cell), _CELLS)}"
        )
    gates, states = _CELLS[cell]
    return Recurrent(
        name=name,
        gates=gates,
        states=states,
        inputs=entry.integer("inputs"),
        hidden=entry.integer("hidden"),
        biases=entry.integer("biases", 2, least=0),
        projection=entry.integer("projection", 0, least=0),
    )


def _normalisation(name: str, entry: OperationFields) -> Primitive:
    return Normalisation(
        name=name,
        width=entry.integer("width"),
        positions=entry.integer("positions", 1),
        weights=entry.integer("weights", 1, least=0),
        shares_input=entry.flag("shares_input"),
    )


def _elementwise(name: str, entry: OperationFields) -> Primitive:
    return Elementwise(
        name=name,
        width=entry.integer("width"),
        positions=entry.integer("positions", 1),
        flops=entry.integer("flops", 1, least=0),
        inputs=entry.integer("inputs", 1),
        weights=entry.integer("weights", 0, least=0),
        shares_input=entry.flag("shares_input"),
    )


def _attention(name: str, entry: OperationFields) -> Primitive:
    heads = entry.integer("heads")
    kv_heads = entry.integer("kv_heads", heads)
    if heads % kv_heads:
        raise SpecificationError(f"{entry.where}.kv_heads: {kv_heads} does not divide heads {heads}")
    cached = entry.raw("tokens") == "context"
    window = entry.integer("window", 0, least=0) or None
    if window is not None and not cached:
        raise SpecificationError(f"{entry.where}.window: is for a cache, with tokens = 'context'")
    return DotProduct(
        name=name,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=entry.integer("head_dim"),
        positions=entry.integer("positions", 1),
        tokens=None if cached else entry.integer("tokens"),
        window=window,
    )


def _lookup(name: str, entry: OperationFields) -> Primitive:
    return Lookup(
        name=name,
        rows=entry.integer("rows"),
        width=entry.integer("width"),
        positions=entry.integer("positions", 1),
        tied=entry.flag("tied"),
    )


def _custom(name: str, entry: OperationFields) -> Primitive:
    return Custom(name=name, **{key: entry.integer(key, 0, least=0) for key in _READERS["custom"][0]})


_READERS: dict[str, tuple[tuple[str, ...], Callable[[str, OperationFields], Primitive]]] = {
    "linear": (("inputs", "outputs", "positions", "bias", "shares_input"), _linear),
    "convolution": (("inputs", "outputs", "kernel", "size", "stride", "groups", "bias", "shares_input"), _convolution),
    "recurrent": (("cell", "inputs", "hidden", "biases", "projection"), _recurrent),
    "normalisation": (("width", "positions", "weights", "shares_input"), _normalisation),
    "elementwise": (("width", "positions", "flops", "inputs", "weights", "shares_input"), _elementwise),
    "attention": (("heads", "kv_heads", "head_dim", "positions", "tokens", "window"), _attention),
    "lookup": (("rows", "width", "positions", "tied"), _lookup),
    "custom": (("weights", "flops", "reads", "writes", "state"), _custom),
}


def weights_of(primitive: Primitive) -> int:
    """Return the weights that a step reads."""
    if isinstance(primitive, Linear):
        return (primitive.inputs + primitive.biases) * primitive.outputs
    if isinstance(primitive, Convolution):
        return (primitive.inputs // primitive.groups * primitive.taps + primitive.biases) * primitive.outputs
    if isinstance(primitive, Recurrent):
        return (
            primitive.gates
            * primitive.hidden
            * (primitive.inputs + (primitive.projection or primitive.hidden) + primitive.biases)
        )
    if isinstance(primitive, Normalisation | Elementwise):
        return primitive.weights * primitive.width
    return primitive.weights if isinstance(primitive, Custom) else 0
