"""Model to operations: every tensor operation of a decode step with its exact counts, split over the devices.

Counts only; nothing here knows a time. Conventions: a multiply-add is two FLOPs; the input embedding
table is not read (one row a token is); a tied table is read once, as the LM head; norms and biases
stay in the activations' format when matrices are quantised.
"""

from collections.abc import Iterator
from itertools import groupby

import msgspec

from perfmodel.formats import STORAGE_FORMATS
from perfmodel.generic import ceil_div
from perfmodel.model import Attention, FeedForward, Layer, Model
from perfmodel.work import Cache, Collective, Work


class Operation(msgspec.Struct, frozen=True):
    """One tensor operation on the fullest device.

    name: what it is in the layer; kind: what sort of kernel runs it.
    elements: weights it holds [-]; reads, writes: activation bytes per sequence [B].
    shares_input: it reads the same activations as the operation before it.
    """

    name: str
    kind: str
    work: Work = Work()
    elements: int = 0
    reads: float = 0.0
    writes: float = 0.0
    shares_input: bool = False
    collective: Collective | None = None


class Formats(msgspec.Struct, frozen=True):
    """Storage formats of a query: weight matrices, cache, and activations (norms and biases too)."""

    weights: str
    kv: str
    activations: str

    def bytes_per_activation(self) -> float:
        """Return the bytes of one activation [B]."""
        return STORAGE_FORMATS[self.activations].bits / 8


class Step(msgspec.Struct, frozen=True):
    """All operations of a decode step in order: what precedes the layers, the layers, what follows them."""

    before: tuple[Operation, ...]
    layers: tuple[tuple[Operation, ...], ...]
    after: tuple[Operation, ...]

    def all_operations(self) -> Iterator[Operation]:
        """Yield every operation of the step in order."""
        yield from self.before
        for layer in self.layers:
            yield from layer
        yield from self.after


def decode_step(model: Model, formats: Formats, devices: int) -> Step:
    """Return the operations of one decode step of `model`, tensor-parallel over `devices`."""
    layers = {layer: tuple(_layer(model, layer, formats, devices)) for layer in set(model.layers)}
    return Step(
        before=(_embedding(model, formats),),
        layers=tuple(layers[layer] for layer in model.layers),
        after=tuple(_head(model, formats, devices)),
    )


def total_work(step: Step) -> Work:
    """Return the sum of all work of a step, activations as each operation alone would move them."""
    total = Work()
    for operations, repeats in groupby([step.before, *step.layers, step.after]):
        one = sum((operation.work for operation in operations), Work())
        total = total + one.times(sum(1 for _ in repeats))
    return total


def parameter_count(model: Model) -> int:
    """Return the number of weights [-] of `model`, exact from its shapes: embedding, layers, norms, head."""
    step = decode_step(model, Formats(model.weight_format, model.kv_format, model.activations), devices=1)
    return embedding_elements(model) + sum(operation.elements for operation in step.all_operations()) - (embedding_elements(model) if model.tied else 0)


def embedding_elements(model: Model) -> int:
    """Return the number of weights [-] in the input embedding table."""
    return model.vocabulary * model.hidden


def _matrix(name: str, rows: int, columns: int, formats: Formats, *, bias: bool = False, shares_input: bool = False, kind: str = "linear") -> Operation:
    """A projection from `columns` inputs to `rows` outputs, at batch one per sequence."""
    elements = rows * columns
    weights = [(formats.weights, elements * STORAGE_FORMATS[formats.weights].bits / 8)]
    if bias:
        weights.append((formats.activations, rows * formats.bytes_per_activation()))
    size = formats.bytes_per_activation()
    merged = Work(weights=tuple(weights[:1])) + Work(weights=tuple(weights[1:]))
    return Operation(
        name, kind, msgspec.structs.replace(merged, flops=2.0 * elements + (rows if bias else 0)), elements=elements + (rows if bias else 0),
        reads=columns * size, writes=rows * size, shares_input=shares_input,
    )  # fmt: skip


def _elementwise(name: str, kind: str, width: int, formats: Formats, *, flops: float, inputs: int = 1, weights: int = 0) -> Operation:
    """An operation over `width` activations; `weights` are elements it holds, `flops` per activation."""
    size = formats.bytes_per_activation()
    work = Work(weights=((formats.activations, weights * size),) if weights else (), flops=flops * width)
    return Operation(name, kind, work, elements=weights, reads=inputs * width * size, writes=width * size)


def _norm(name: str, width: int, formats: Formats, copies: int = 1) -> Operation:
    # Square, sum, scale, weight: four operations an element.
    return _elementwise(name, "norm", width * copies, formats, flops=4.0, weights=width)


def _all_reduce(name: str, width: int, formats: Formats) -> Operation:
    return Operation(name, "all_reduce", collective=Collective("all_reduce", width * formats.bytes_per_activation(), 2))


def _layer(model: Model, layer: Layer, formats: Formats, devices: int) -> Iterator[Operation]:
    yield _norm("input_norm", model.hidden, formats)
    yield from _attention(model, layer.mixer, formats, devices)
    if devices > 1:
        yield _all_reduce("attention_all_reduce", model.hidden, formats)
    yield _elementwise("attention_residual", "residual", model.hidden, formats, flops=1.0, inputs=2)
    yield _norm("feed_forward_norm", model.hidden, formats)
    yield from _feed_forward(model, layer.feed_forward, formats, devices)
    if devices > 1:
        yield _all_reduce("feed_forward_all_reduce", model.hidden, formats)
    yield _elementwise("feed_forward_residual", "residual", model.hidden, formats, flops=1.0, inputs=2)


def _attention(model: Model, attention: Attention, formats: Formats, devices: int) -> Iterator[Operation]:
    heads = ceil_div(attention.heads, devices)
    # Key and value heads beyond their number are replicated, never split.
    kv_heads = ceil_div(attention.kv_heads, devices)
    query_width, kv_width = heads * attention.head_dim, kv_heads * attention.head_dim
    bias = attention.query_key_value_bias
    yield _matrix("query", query_width, model.hidden, formats, bias=bias)
    yield _matrix("key", kv_width, model.hidden, formats, bias=bias, shares_input=True)
    yield _matrix("value", kv_width, model.hidden, formats, bias=bias, shares_input=True)
    if attention.query_key_norm:
        yield _norm("query_norm", attention.head_dim, formats, copies=heads)
        yield _norm("key_norm", attention.head_dim, formats, copies=kv_heads)
    yield _elementwise("rotary", "rotary", query_width + kv_width, formats, flops=3.0)
    entry = 2 * kv_width * STORAGE_FORMATS[formats.kv].bits / 8
    yield Operation("cache_write", "cache_write", Work(activations=entry), reads=2 * kv_width * formats.bytes_per_activation())
    # Scores and weighted sum: two FLOPs each per element of every query head and token.
    cache = Cache(attention.window, entry, 4.0 * query_width)
    size = formats.bytes_per_activation()
    yield Operation("attention", "attention", Work(caches=(cache,)), reads=query_width * size, writes=query_width * size)
    yield _matrix("output", model.hidden, query_width, formats, bias=attention.output_bias)


def _feed_forward(model: Model, block: FeedForward, formats: Formats, devices: int) -> Iterator[Operation]:
    width = ceil_div(block.intermediate, devices)
    if block.gated:
        yield _matrix("gate", width, model.hidden, formats, bias=block.bias)
    yield _matrix("up", width, model.hidden, formats, bias=block.bias, shares_input=block.gated)
    yield _elementwise("activation", "activation", width, formats, flops=5.0 if block.gated else 4.0, inputs=2 if block.gated else 1)
    yield _matrix("down", model.hidden, width, formats, bias=block.bias)


def _embedding(model: Model, formats: Formats) -> Operation:
    size = formats.bytes_per_activation()
    return Operation("embedding", "embedding", reads=model.hidden * size, writes=model.hidden * size)


def _head(model: Model, formats: Formats, devices: int) -> Iterator[Operation]:
    size = formats.bytes_per_activation()
    yield _norm("final_norm", model.hidden, formats)
    yield _matrix("head", ceil_div(model.vocabulary, devices), model.hidden, formats, kind="head")
    if devices > 1:
        yield Operation("gather_logits", "all_gather", collective=Collective("all_gather", model.vocabulary * size, 1))
    yield Operation("sampling", "sampling", Work(flops=float(model.vocabulary)), reads=model.vocabulary * size, writes=4.0)
