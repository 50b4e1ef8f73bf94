"""Read a network that is no transformer from a model file.

Segments with repeats, blocks, operations by kind and shape.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.fields import LARGEST_INTEGER, Fields
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.model import Model
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

NETWORK_KEYS = ("step", "weights", "cache", "activations", "weights_stay_on_chip")
_SEGMENT_KEYS = ("name", "repeat", "body", "operations")
_BLOCK_KEYS = ("arguments", "operations")
_ACTIVATIONS = ("bf16", "fp16", "fp32")
_CELLS = {"lstm": (4, 2), "gru": (3, 1), "rnn": (1, 1)}  # gates, states
_LONGEST_PRODUCT = 200  # characters of a text of arguments
_MOST_BLOCKS, _MOST_OPERATIONS, _MOST_WEIGHTS = 1_000, 500, 10**13

Arguments = Mapping[str, int]


def model_from_network(raw: dict[str, Any], where: str, **described: Any) -> Model:
    """Return the Model that the [network], [blocks.*] and [[segments]] tables of a model file describe.

    described: the fields of Model that the head of the file gives. Raises SpecificationError with where, what, and what
    would be right.
    """
    whole = Fields(raw, where)
    network = Fields(whole.raw("network"), f"{where}: network")
    network.only(NETWORK_KEYS, "a network")
    if not network.has("step"):
        raise SpecificationError(f"{where}: network: has no step, which says what one step is, such as 'time step'")
    step = network.text("step")
    activations = storage_format(network.text("activations", "bf16"), f"{where}: network.activations").name
    if activations not in _ACTIVATIONS:
        raise SpecificationError(
            f"{where}: network.activations: {shown(activations)} is not one of {', '.join(_ACTIVATIONS)}"
        )
    on_chip = network.flag("weights_stay_on_chip")
    known = _blocks(whole.table("blocks") or {}, where)
    segments = whole.tables("segments", _MOST_BLOCKS, "the parts of the network in order")
    layers: list[Block] = []
    for index, segment in enumerate(segments, 1):
        layers += _segment(segment, f"{where}: segment {index}", known, on_chip, _MOST_BLOCKS - len(layers))
    tables = sum(p.rows * p.width for block in layers for p in block.operations if isinstance(p, Lookup) and not p.tied)
    if not any(_reads(p, on_chip) for block in layers for p in block.operations):
        raise SpecificationError(
            f"{where}: reads no weights, cache or state from memory in a step, so there is no peak to compare with"
        )
    return Model(
        family="network",
        hidden=0,
        vocabulary=0,
        layers=tuple(layers),
        tied=False,
        step=step,
        other_parameters=tables,
        weight_format=storage_format(network.text("weights", activations), f"{where}: network.weights").name,
        kv_format=storage_format(network.text("cache", activations), f"{where}: network.cache").name,
        activations=activations,
        **described,
    )


class _Kept(msgspec.Struct, frozen=True):
    """A block of the file before its arguments have values. built: those it was built with already."""

    arguments: tuple[str, ...]
    operations: list[Any]
    where: str
    built: dict[tuple[int, ...], Block] = {}


def _blocks(raw: dict[str, Any], where: str) -> dict[str, _Kept]:
    found: dict[str, _Kept] = {}
    for name, block in raw.items():
        fields = Fields(block, f"{where}: blocks.{shown(name)[1:-1]}")
        fields.only(_BLOCK_KEYS, "a block")
        arguments = fields.texts("arguments") or []
        allowed = all(a.isidentifier() and a not in ("block", "repeat") for a in arguments)
        if not allowed or len(set(arguments)) < len(arguments):
            raise SpecificationError(
                f"{fields.where}.arguments: {shown(arguments)} is not a list of different names, other than block and"
                " repeat"
            )
        found[name] = _Kept(tuple(arguments), _operations_list(fields), fields.where)
    return found


def _operations_list(fields: Fields) -> list[Any]:
    return fields.tables("operations", _MOST_OPERATIONS, "what is done in order")


def _segment(raw: object, where: str, known: dict[str, _Kept], on_chip: bool, most: int) -> list[Block]:
    segment = Fields(raw, where)
    segment.only(_SEGMENT_KEYS, "a segment")
    name = segment.text("name")
    segment.where = where = f"{where} ({shown(name)[1:-1]})"
    repeat: int = segment.integer("repeat", 1, most=_MOST_BLOCKS)
    if segment.has("body") == segment.has("operations"):
        raise SpecificationError(f"{where}: needs either operations or a body of blocks")
    if segment.has("operations"):
        body = [_block(name, _operations_list(segment), {}, where, on_chip)]
    else:
        listed = segment.tables("body", _MOST_BLOCKS, "tables like { block = ..., its arguments }")
        body = [
            block
            for i, entry in enumerate(listed, 1)
            for block in _named_blocks(entry, f"{where}.body[{i}]", known, on_chip)
        ]
    if repeat * len(body) > most:
        raise SpecificationError(f"{where}: the network has more than {_MOST_BLOCKS} blocks")
    return body * repeat


def _named_blocks(raw: object, where: str, known: dict[str, _Kept], on_chip: bool) -> list[Block]:
    """Return the block that an entry of a body names, as often as it says."""
    entry = Fields(raw, where)
    name = entry.choice("block", known)
    kept = known[name]
    entry.only(("block", "repeat", *kept.arguments), f"a use of block {name}")
    repeat = entry.integer("repeat", 1, most=_MOST_BLOCKS)
    values = tuple(entry.integer(argument) for argument in kept.arguments)
    if values not in kept.built:
        kept.built[values] = _block(
            name, kept.operations, dict(zip(kept.arguments, values, strict=True)), kept.where, on_chip
        )
    return [kept.built[values]] * repeat


def _block(name: str, operations: list[Any], arguments: Arguments, where: str, on_chip: bool) -> Block:
    built = tuple(_operation(raw, f"{where}.operations[{i}]", arguments) for i, raw in enumerate(operations, 1))
    names = [p.name for p in built]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise SpecificationError(f"{where}: two operations are called {shown(twice)}")
    return Block(name=name, operations=built, on_chip=on_chip)


def _operation(raw: object, where: str, arguments: Arguments) -> Primitive:
    fields = OperationFields(raw, where, arguments)
    kind = fields.choice("kind", _READERS)
    keys, read = _READERS[kind]
    fields.only(("name", "kind", *keys), f"an operation of kind {kind}")
    name = fields.text("name", kind)
    if not name.isidentifier():
        raise SpecificationError(f"{where}.name: {shown(name)} is not a name of letters, digits and underscores")
    built = read(name, fields)
    if _weights_of(built) > _MOST_WEIGHTS:
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


def _weights_of(primitive: Primitive) -> int:
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


def _reads(primitive: Primitive, on_chip: bool) -> bool:
    """Return whether a step reads something of the primitive from memory that counts as peak, whatever the context."""
    return (
        isinstance(primitive, Recurrent)
        or (isinstance(primitive, Custom) and primitive.state > 0)
        or (not on_chip and _weights_of(primitive) > 0)
    )
