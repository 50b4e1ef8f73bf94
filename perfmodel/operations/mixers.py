"""The blocks that mix tokens: attention with a cache, latent attention, state spaces, linear attention."""

from collections.abc import Callable, Iterator

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation, elementwise, matrix, norm
from perfmodel.operations.compressed import compressed_attention_operations
from perfmodel.operations.formats import Formats
from perfmodel.operations.linear import (
    STATE_SIZE,
    delta_operations,
    keyed_delta_operations,
    lightning_operations,
    short_convolution_operations,
    time_mixing_operations,
)
from perfmodel.operations.work import Cache, Work
from perfmodel.specifications.mixers import (
    Attention,
    CompressedAttention,
    CrossAttention,
    DeltaAttention,
    KeyedDeltaAttention,
    LatentAttention,
    LightningAttention,
    ShortConvolution,
    StateSpace,
    TimeMixing,
)
from perfmodel.specifications.model import Mixer

# Keys of a lightning indexer are kept in fp8 with one scale of 32 bits.
INDEX_KEY_SIZE, INDEX_SCALE_SIZE = 1.0, 4.0


def mixer_operations(mixer: Mixer, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the operations of a mixer on the fullest of `devices`."""
    formats = formats.within("attention")
    operations: Callable[..., Iterator[Operation]] = _OPERATIONS[type(mixer)]
    yield from operations(mixer, hidden, formats, devices)


def _attention(attention: Attention, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    heads = ceil_div(attention.heads, devices)
    # Key and value heads beyond their number are replicated, never split.
    kv_heads = ceil_div(attention.kv_heads, devices)
    query_width, kv_width = heads * attention.head_dim, kv_heads * attention.head_dim
    value_dim = attention.value_dim or attention.head_dim
    size, own = formats.activation_size(), not attention.shares_cache
    yield from _projections(attention, hidden, formats, heads, kv_heads)
    stored, result_width = kv_width + kv_heads * value_dim, heads * value_dim
    entry = stored * formats.cache_size()
    # A framework's cache grows by concatenation, which reads and writes all of it, and is widened to the query heads:
    # read once, written `repeats` times, which is what its attention then reads.
    repeats = ceil_div(heads, kv_heads)
    copied = Cache(attention.window, entry * (2 + (1 + repeats if repeats > 1 else 0)), 0.0)
    if own:
        yield Operation(
            "cache_write",
            "cache_write",
            Work(activations=entry),
            reads=stored * size,
            unfused=Work(activations=entry, caches=(copied,)),
        )
    # Scores and weighted sum: two FLOPs each per element of every query head and token.
    sinks = heads if attention.sinks else 0
    weights = ((formats.vectors, sinks * formats.vector_size()),) if sinks else ()
    flops = 2.0 * (query_width + result_width)
    window, chosen = attention.window, bool(attention.index_chosen)
    if chosen:
        yield from _key_index(attention, hidden, formats)
        window = attention.index_chosen
    work = Work(weights=weights, caches=(Cache(window, entry, flops, not own, chosen),))
    unfused = Work(weights=weights, caches=(Cache(window, entry * repeats, flops, not own, chosen),))
    yield Operation(
        "attention",
        "attention",
        work,
        elements=sinks,
        active=sinks,
        reads=query_width * size,
        writes=result_width * size,
        unfused=unfused,
    )
    if attention.output_gate or attention.head_gate:
        yield elementwise("output_gate", "activation", result_width, formats, flops=5.0, inputs=2)
    if attention.inner_norm:
        yield norm("inner_norm", result_width, formats)
    yield matrix("output", hidden, result_width, formats, bias=attention.output_bias)


def _projections(attention: Attention, hidden: int, formats: Formats, heads: int, kv_heads: int) -> Iterator[Operation]:
    """Yield what comes before the cache: queries, keys, values and gates, with their norms and positions."""
    query_width, kv_width = heads * attention.head_dim, kv_heads * attention.head_dim
    bias, own = attention.query_key_value_bias, not attention.shares_cache
    gated, read = attention.output_gate and attention.gate_bias, attention.inputs * hidden
    yield matrix("query", query_width * (2 if gated else 1), read, formats, bias=bias)
    if attention.output_gate and not gated:
        yield matrix("output_gate_projection", query_width, read, formats, shares_input=True)
    if own:
        yield matrix("key", kv_width, read, formats, bias=bias and attention.key_bias, shares_input=True)
    if own and attention.value_projection:
        value_width = kv_heads * (attention.value_dim or attention.head_dim)
        yield matrix("value", value_width, read, formats, bias=bias, shares_input=True)
    if attention.head_gate:
        yield matrix("head_gate", heads, read, formats, shares_input=True)
    if attention.query_key_norm:
        normed = [("query_norm", heads, query_width), *([("key_norm", kv_heads, kv_width)] if own else [])]
        for name, count, width in normed:
            by_head = attention.query_key_norm == "head"
            yield norm(name, attention.head_dim, formats, copies=count) if by_head else norm(name, width, formats)
    if attention.rotary:
        yield elementwise("rotary", "rotary", query_width + (kv_width if own else 0), formats, flops=3.0)


def _key_index(attention: Attention, hidden: int, formats: Formats) -> Iterator[Operation]:
    """The small attention of MiniMax-M3, whole on every device: one key a token, by whose scores blocks are chosen."""
    width, size = attention.index_heads * attention.index_dim, formats.activation_size()
    yield matrix("index_query", width, hidden, formats)
    yield matrix("index_key", attention.index_dim, hidden, formats, shares_input=True)
    yield norm("index_query_norm", attention.index_dim, formats, copies=attention.index_heads)
    yield norm("index_key_norm", attention.index_dim, formats)
    cache = Cache(None, attention.index_dim * formats.cache_size(), 2.0 * width)
    yield Operation(
        "index_scores", "attention", Work(caches=(cache,)), reads=width * size, writes=4.0 * attention.index_heads
    )


def cross_attention_operations(
    cross: CrossAttention, hidden: int, formats: Formats, devices: int
) -> Iterator[Operation]:
    """Yield the operations of attention to an encoder, whose keys and values are there already."""
    formats = formats.within("attention")
    heads, kv_heads = ceil_div(cross.heads, devices), ceil_div(cross.kv_heads, devices)
    width, size = heads * cross.head_dim, formats.activation_size()
    yield matrix("cross_query", width, hidden, formats, bias=cross.query_bias)
    if cross.query_norm:
        yield norm("cross_query_norm", cross.head_dim, formats, copies=heads)
    kept = 2 * cross.tokens * kv_heads * cross.head_dim * formats.cache_size()
    work = Work(state=kept, flops=4.0 * cross.tokens * width)
    yield Operation("cross_attention", "attention", work, reads=width * size, writes=width * size)
    yield matrix("cross_output", hidden, width, formats, bias=cross.output_bias)


def _latent_attention(latent: LatentAttention, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    heads, size = ceil_div(latent.heads, devices), formats.activation_size()
    query_width = heads * (latent.plain_dim + latent.rotary_dim)
    entry = latent.kv_rank + latent.rotary_dim
    # The down-projections and the compressed cache are whole on every device; only heads are split.
    if latent.query_rank is None:
        yield matrix("query", query_width, hidden, formats)
        yield matrix("kv_down", entry, hidden, formats, bias=latent.bias, shares_input=True)
        yield norm("kv_down_norm", latent.kv_rank, formats)
    else:
        yield matrix("query_down", latent.query_rank, hidden, formats, bias=latent.bias)
        yield matrix("kv_down", entry, hidden, formats, bias=latent.bias, shares_input=True)
        yield norm("query_down_norm", latent.query_rank, formats)
        yield norm("kv_down_norm", latent.kv_rank, formats)
        yield matrix("query_up", query_width, latent.query_rank, formats)
    # Absorbed: each head's query is taken into the space of the cache, the result of attention out of it.
    yield matrix("query_absorb", latent.kv_rank, latent.plain_dim, formats, count=heads)
    if latent.rotary:
        yield elementwise("rotary", "rotary", (heads + 1) * latent.rotary_dim, formats, flops=3.0)
    yield Operation("cache_write", "cache_write", Work(activations=entry * formats.cache_size()), reads=entry * size)
    flops = heads * (2.0 * entry + 2.0 * latent.kv_rank)
    if latent.index_heads:
        yield from _index(latent, hidden, formats)
    if latent.head_gate or latent.output_gate:
        width = heads if latent.head_gate else heads * latent.value_dim
        yield matrix("head_gate", width, hidden, formats)
    chosen = latent.index_chosen or None
    cache = Cache(chosen, entry * formats.cache_size(), flops, whole=chosen is not None)
    yield Operation(
        "attention",
        "attention",
        Work(caches=(cache,)),
        reads=heads * entry * size,
        writes=heads * latent.kv_rank * size,
    )
    yield matrix("value_up", latent.value_dim, latent.kv_rank, formats, count=heads)
    yield matrix("output", hidden, heads * latent.value_dim, formats, bias=latent.bias)


def _index(latent: LatentAttention, hidden: int, formats: Formats) -> Iterator[Operation]:
    """The lightning indexer of sparse attention, whole on every device.

    Scores of all tokens, from which the few that attention reads are chosen.
    """
    width, size = latent.index_heads * latent.index_dim, formats.activation_size()
    yield matrix("index_query", width, latent.query_rank or hidden, formats)
    yield matrix("index_key", latent.index_dim, hidden, formats)
    yield matrix("index_weight", latent.index_heads, hidden, formats, shares_input=True)
    yield norm("index_key_norm", latent.index_dim, formats, elements=2)
    cache = Cache(None, latent.index_dim * INDEX_KEY_SIZE + INDEX_SCALE_SIZE, 2.0 * width)
    yield Operation(
        "index_scores", "attention", Work(caches=(cache,)), reads=width * size, writes=latent.index_chosen * 4.0
    )


def _output_bias(block: StateSpace) -> bool:
    return block.projection_bias if block.output_bias is None else block.output_bias


def _state_space_1(block: StateSpace, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    inner = ceil_div(block.inner, devices)
    yield matrix("in_projection", 2 * inner, hidden, formats, bias=block.projection_bias)
    yield _convolution(inner, block, formats)
    yield matrix("state_projection", block.step_rank + 2 * block.state, inner, formats)
    if block.inner_norms:
        yield norm("state_norm", block.step_rank + 2 * block.state, formats)
    yield matrix("step_projection", inner, block.step_rank, formats, bias=True)
    # Decay, input, sum and read-out of each state: six operations; A and D are weights.
    yield elementwise(
        "state_update",
        "state_update",
        inner,
        formats,
        flops=6.0 * block.state + 7.0,
        inputs=3,
        weights=inner * (block.state + 1),
        state=inner * block.state * STATE_SIZE,
    )
    yield matrix("out_projection", hidden, inner, formats, bias=_output_bias(block))


def _state_space_2(block: StateSpace, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    inner, heads, groups = (ceil_div(width, devices) for width in (block.inner, block.heads, block.groups))
    mixed = inner + 2 * groups * block.state
    yield matrix("in_projection", inner + mixed + heads, hidden, formats, bias=block.projection_bias)
    yield _convolution(mixed, block, formats)
    # Step bias, decay and skip are one number a head each.
    yield elementwise(
        "state_update",
        "state_update",
        inner,
        formats,
        flops=6.0 * block.state + 7.0,
        inputs=3,
        weights=3 * heads,
        state=inner * block.state * STATE_SIZE,
    )
    if block.gated_norm:
        yield norm("state_output_norm", inner, formats)
    yield matrix("out_projection", hidden, inner, formats, bias=_output_bias(block))


def _convolution(channels: int, block: StateSpace, formats: Formats) -> Operation:
    """A causal convolution over the last tokens, whose inputs are kept as state."""
    weights = channels * (block.convolution + (1 if block.convolution_bias else 0))
    state = channels * block.convolution * formats.activation_size()
    return elementwise(
        "convolution", "convolution", channels, formats, flops=2.0 * block.convolution, weights=weights, state=state
    )


def _state_space(block: StateSpace, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    yield from (_state_space_1 if block.version == 1 else _state_space_2)(block, hidden, formats, devices)


_OPERATIONS: dict[type, Callable[..., Iterator[Operation]]] = {
    Attention: _attention,
    LatentAttention: _latent_attention,
    CompressedAttention: compressed_attention_operations,
    StateSpace: _state_space,
    DeltaAttention: delta_operations,
    KeyedDeltaAttention: keyed_delta_operations,
    LightningAttention: lightning_operations,
    ShortConvolution: short_convolution_operations,
    TimeMixing: time_mixing_operations,
}
