"""Read a network that is no transformer from a model file.

Segments with repeats, blocks, operations by kind and shape.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, nearest, shown
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
_LARGEST = 10**9
_MOST_BLOCKS, _MOST_OPERATIONS, _MOST_WEIGHTS = 1_000, 500, 10**13

Arguments = Mapping[str, int]


def model_from_network(raw: dict[str, Any], where: str, **described: Any) -> Model:
    """Return the Model that the [network], [blocks.*] and [[segments]] tables of a model file describe.

    described: the fields of Model that the head of the file gives. Raises SpecificationError with where, what, and what
    would be right.
    """
    network = _table(raw.get("network"), f"{where}: network", NETWORK_KEYS)
    step = network.get("step")
    if not isinstance(step, str) or not step.strip():
        raise SpecificationError(f"{where}: network: has no step, which says what one step is, such as 'time step'")
    activations = storage_format(network.get("activations", "bf16"), f"{where}: network.activations").name
    if activations not in _ACTIVATIONS:
        raise SpecificationError(
            f"{where}: network.activations: {shown(activations)} is not one of {', '.join(_ACTIVATIONS)}"
        )
    on_chip = _flag(network, "weights_stay_on_chip", f"{where}: network")
    known = _blocks(raw.get("blocks", {}), where)
    segments = raw.get("segments")
    if not isinstance(segments, list) or not segments:
        raise SpecificationError(f"{where}: has no [[segments]], the parts of the network in order")
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
        weight_format=storage_format(network.get("weights", activations), f"{where}: network.weights").name,
        kv_format=storage_format(network.get("cache", activations), f"{where}: network.cache").name,
        activations=activations,
        **described,
    )


class _Kept(msgspec.Struct, frozen=True):
    """A block of the file before its arguments have values. built: those it was built with already."""

    arguments: tuple[str, ...]
    operations: list[Any]
    where: str
    built: dict[tuple[int, ...], Block] = {}


def _blocks(raw: object, where: str) -> dict[str, _Kept]:
    found: dict[str, _Kept] = {}
    for name, block in _table(raw, f"{where}: blocks").items():
        place = f"{where}: blocks.{shown(name)[1:-1]}"
        table = _table(block, place, _BLOCK_KEYS)
        arguments = table.get("arguments", [])
        if (
            not isinstance(arguments, list)
            or not all(isinstance(a, str) and a.isidentifier() and a not in ("block", "repeat") for a in arguments)
            or len(set(arguments)) < len(arguments)
        ):
            raise SpecificationError(
                f"{place}.arguments: {shown(arguments)} is not a list of different names, other than block and repeat"
            )
        found[name] = _Kept(tuple(arguments), _operations_list(table, place), place)
    return found


def _operations_list(table: dict[str, Any], where: str) -> list[Any]:
    operations = table.get("operations")
    if not isinstance(operations, list) or not 0 < len(operations) <= _MOST_OPERATIONS:
        raise SpecificationError(f"{where}: has no operations, a list of 1 to {_MOST_OPERATIONS} tables")
    return operations


def _segment(raw: object, where: str, known: dict[str, _Kept], on_chip: bool, most: int) -> list[Block]:
    segment = _table(raw, where, _SEGMENT_KEYS)
    name = segment.get("name")
    if not isinstance(name, str) or not name.isprintable() or not name.strip():
        raise SpecificationError(f"{where}: has no name")
    where = f"{where} ({shown(name)[1:-1]})"
    repeat = _count(segment.get("repeat", 1), {}, f"{where}.repeat", most=_MOST_BLOCKS)
    if ("body" in segment) == ("operations" in segment):
        raise SpecificationError(f"{where}: needs either operations or a body of blocks")
    if "operations" in segment:
        body = [_block(name, _operations_list(segment, where), {}, where, on_chip)]
    else:
        listed = segment["body"]
        if not isinstance(listed, list) or not listed:
            raise SpecificationError(
                f"{where}.body: expected a list of tables like {{ block = ..., its arguments }}, found {shown(listed)}"
            )
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
    entry = _table(raw, where)
    name = entry.get("block")
    if not isinstance(name, str) or name not in known:
        raise SpecificationError(
            f"{where}: block: {shown(name)} is not one of the blocks of this file{nearest(str(name), known)}; it has"
            f" {', '.join(known) or 'none'}"
        )
    kept = known[name]
    for key in entry:
        if key not in ("block", "repeat", *kept.arguments):
            raise SpecificationError(
                f"{where}: {shown(key)} is not an argument of block {name}{nearest(key, kept.arguments)}"
            )
    missing = [a for a in kept.arguments if a not in entry]
    if missing:
        raise SpecificationError(f"{where}: has no {missing[0]}, an argument of block {name}")
    repeat = _count(entry.get("repeat", 1), {}, f"{where}.repeat", most=_MOST_BLOCKS)
    values = tuple(_count(entry[a], {}, f"{where}.{a}") for a in kept.arguments)
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
    table = _table(raw, where)
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in _READERS:
        raise SpecificationError(
            f"{where}: kind: {shown(kind)} is not one of {', '.join(_READERS)}{nearest(str(kind), _READERS)}"
        )
    keys, read = _READERS[kind]
    _table(table, where, ("name", "kind", *keys))
    name = table.get("name", kind)
    if not isinstance(name, str) or not name.isidentifier():
        raise SpecificationError(f"{where}.name: {shown(name)} is not a name of letters, digits and underscores")
    built = read(name, _Entry(table, where, arguments))
    if _weights_of(built) > _MOST_WEIGHTS:
        raise SpecificationError(f"{where}: has more than {_MOST_WEIGHTS:.0e} weights")
    return built


class _Entry:
    """The keys of one operation, with arguments replaced by their values."""

    def __init__(self, table: dict[str, Any], where: str, arguments: Arguments) -> None:
        self._table, self.where, self._arguments = table, where, arguments

    def count(self, key: str, default: int | None = None, least: int = 1) -> int:
        """Return the whole number at `key`."""
        if key not in self._table:
            if default is None:
                raise SpecificationError(f"{self.where}: has no {key}")
            return default
        return _count(self._table[key], self._arguments, f"{self.where}.{key}", least=least)

    def counts(self, key: str) -> list[int]:
        """Return the whole numbers at `key`, one a dimension."""
        listed = self._table.get(key)
        if not isinstance(listed, list) or not 1 <= len(listed) <= 4:
            raise SpecificationError(
                f"{self.where}.{key}: expected a list of 1 to 4 whole numbers, one a dimension, found {shown(listed)}"
            )
        return [_count(value, self._arguments, f"{self.where}.{key}") for value in listed]

    def flag(self, key: str) -> bool:
        """Return the true or false at `key`, false when absent."""
        return _flag(self._table, key, self.where)

    def given(self, key: str) -> Any:
        """Return what stands at `key`, or None."""
        return self._table.get(key)


def _linear(name: str, entry: _Entry) -> Primitive:
    return Linear(
        name=name,
        inputs=entry.count("inputs"),
        outputs=entry.count("outputs"),
        positions=entry.count("positions", 1),
        biases=int(entry.flag("bias")),
        shares_input=entry.flag("shares_input"),
    )


def _convolution(name: str, entry: _Entry) -> Primitive:
    size, stride = entry.counts("size"), entry.count("stride", 1)
    kernel = entry.counts("kernel") if isinstance(entry.given("kernel"), list) else [entry.count("kernel")] * len(size)
    if len(kernel) != len(size):
        raise SpecificationError(f"{entry.where}: kernel has {len(kernel)} dimensions, size {len(size)}")
    inputs, groups = entry.count("inputs"), entry.count("groups", 1)
    if inputs % groups:
        raise SpecificationError(f"{entry.where}.groups: {groups} does not divide inputs {inputs}")
    positions, read = prod(size), prod(size) * stride ** len(size)
    if max(positions, read, prod(kernel)) > _LARGEST:
        raise SpecificationError(f"{entry.where}: has more than {_LARGEST:,} positions or taps")
    return Convolution(
        name=name,
        inputs=inputs,
        outputs=entry.count("outputs"),
        taps=prod(kernel),
        positions=positions,
        read=read,
        groups=groups,
        biases=int(entry.flag("bias")),
        shares_input=entry.flag("shares_input"),
    )


def _recurrent(name: str, entry: _Entry) -> Primitive:
    cell = entry.given("cell")
    if not isinstance(cell, str) or cell not in _CELLS:
        raise SpecificationError(
            f"{entry.where}.cell: {shown(cell)} is not one of {', '.join(_CELLS)}{nearest(str(cell), _CELLS)}"
        )
    gates, states = _CELLS[cell]
    return Recurrent(
        name=name,
        gates=gates,
        states=states,
        inputs=entry.count("inputs"),
        hidden=entry.count("hidden"),
        biases=entry.count("biases", 2, least=0),
        projection=entry.count("projection", 0, least=0),
    )


def _normalisation(name: str, entry: _Entry) -> Primitive:
    return Normalisation(
        name=name,
        width=entry.count("width"),
        positions=entry.count("positions", 1),
        weights=entry.count("weights", 1, least=0),
        shares_input=entry.flag("shares_input"),
    )


def _elementwise(name: str, entry: _Entry) -> Primitive:
    return Elementwise(
        name=name,
        width=entry.count("width"),
        positions=entry.count("positions", 1),
        flops=entry.count("flops", 1, least=0),
        inputs=entry.count("inputs", 1),
        weights=entry.count("weights", 0, least=0),
        shares_input=entry.flag("shares_input"),
    )


def _attention(name: str, entry: _Entry) -> Primitive:
    heads = entry.count("heads")
    kv_heads = entry.count("kv_heads", heads)
    if heads % kv_heads:
        raise SpecificationError(f"{entry.where}.kv_heads: {kv_heads} does not divide heads {heads}")
    cached = entry.given("tokens") == "context"
    window = entry.count("window", 0, least=0) or None
    if window is not None and not cached:
        raise SpecificationError(f"{entry.where}.window: is for a cache, with tokens = 'context'")
    return DotProduct(
        name=name,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=entry.count("head_dim"),
        positions=entry.count("positions", 1),
        tokens=None if cached else entry.count("tokens"),
        window=window,
    )


def _lookup(name: str, entry: _Entry) -> Primitive:
    return Lookup(
        name=name,
        rows=entry.count("rows"),
        width=entry.count("width"),
        positions=entry.count("positions", 1),
        tied=entry.flag("tied"),
    )


def _custom(name: str, entry: _Entry) -> Primitive:
    return Custom(name=name, **{key: entry.count(key, 0, least=0) for key in _READERS["custom"][0]})


_READERS: dict[str, tuple[tuple[str, ...], Callable[[str, _Entry], Primitive]]] = {
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


def _table(raw: object, where: str, keys: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return `raw` as a table that holds no other keys."""
    if not isinstance(raw, dict):
        raise SpecificationError(f"{where}: expected a table, found {shown(raw)}")
    for key in raw:
        if keys is not None and key not in keys:
            raise SpecificationError(
                f"{where}: {shown(key)} is not a key here{nearest(key, keys)}; {', '.join(keys)} are"
            )
    return raw


def _flag(table: dict[str, Any], key: str, where: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise SpecificationError(f"{where}.{key}: {shown(value)} is not true or false")
    return value


def _count(value: object, arguments: Arguments, where: str, least: int = 1, most: int = _LARGEST) -> int:
    """Return a whole number, or a text of arguments and whole numbers with + and *, such as '4*width'."""
    found = value
    if isinstance(value, str) and len(value) <= 200:
        found = sum(
            prod(_factor(factor.strip(), arguments, where) for factor in term.split("*")) for term in value.split("+")
        )
    if isinstance(found, bool) or not isinstance(found, int):
        raise SpecificationError(f"{where}: {shown(value)} is not a whole number")
    if not least <= found <= most:
        raise SpecificationError(
            f"{where}: {shown(value)}{f' = {shown(found)}' if found != value else ''} is out of range; {least} to"
            f" {most:,} is accepted"
        )
    return found


def _factor(text: str, arguments: Arguments, where: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 12:
        return int(text)
    if text not in arguments:
        has = f"; the block has {', '.join(arguments)}" if arguments else ""
        raise SpecificationError(
            f"{where}: {shown(text)} is neither a whole number nor an argument{nearest(text, arguments)}{has}"
        )
    return arguments[text]
