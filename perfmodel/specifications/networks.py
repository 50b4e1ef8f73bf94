"""Read a network that is no transformer from a model file.

Segments with repeats, blocks, operations by kind and shape.
"""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.fields import Fields
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.model import Model
from perfmodel.specifications.networkoperations import Arguments, read_operation, weights_of
from perfmodel.specifications.primitives import Block, Custom, Lookup, Primitive, Recurrent

NETWORK_KEYS = ("step", "weights", "cache", "activations", "weights_stay_on_chip")
_SEGMENT_KEYS = ("name", "repeat", "body", "operations")
_BLOCK_KEYS = ("arguments", "operations")
_ACTIVATIONS = ("bf16", "fp16", "fp32")
_MOST_BLOCKS, _MOST_OPERATIONS = 1_000, 500


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
    built = tuple(read_operation(raw, f"{where}.operations[{i}]", arguments) for i, raw in enumerate(operations, 1))
    names = [p.name for p in built]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise SpecificationError(f"{where}: two operations are called {shown(twice)}")
    return Block(name=name, operations=built, on_chip=on_chip)


def _reads(primitive: Primitive, on_chip: bool) -> bool:
    """Return whether a step reads something of the primitive from memory that counts as peak, whatever the context."""
    return (
        isinstance(primitive, Recurrent)
        or (isinstance(primitive, Custom) and primitive.state > 0)
        or (not on_chip and weights_of(primitive) > 0)
    )
