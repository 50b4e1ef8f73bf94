"""The blocks that mix tokens: attention with a cache, latent attention; those with a state are in `linear`."""

from collections.abc import Callable, Iterator

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation, elementwise, matrix, norm
from perfmodel.operations.compressed import compressed_attention_operations
from perfmodel.operations.formats import Formats
from perfmodel.operations.work import Cache, Work
from perfmodel.specifications.mixers import Attention, CompressedAttention, CrossAttention, LatentAttention
from perfmodel.specifications.model import Mixer

# Keys of a lightning indexer are kept in fp8 with one scale of 32 bits.
INDEX_KEY_SIZE, INDEX_SCALE_SIZE = 1.0, 4.0


def mixer_operations(mixer: Mixer, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the operations of a mixer on the fullest of `devices`."""
    formats = formats.within("attention")
    operations = _OPERATIONS.get(type(mixer))
    if operations is None:
        from perfmodel.operations import linear

        operations = linear.OPERATIONS[type(mixer)]
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


_OPERATIONS: dict[type, Callable[..., Iterator[Operation]]] = {
    Attention: _attention,
    LatentAttention: _latent_attention,
    CompressedAttention: compressed_attention_operations,
}
