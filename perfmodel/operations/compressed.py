"""The attention of DeepSeek-V4, a short window as it is and the rest in compressed entries; its residual streams."""

from collections.abc import Iterator

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation, elementwise, matrix, norm
from perfmodel.operations.formats import Formats
from perfmodel.operations.work import Cache, Work
from perfmodel.specifications.mixers import CompressedAttention
from perfmodel.specifications.model import DepthAttention, HyperConnections


def compressed_attention_operations(
    block: CompressedAttention, hidden: int, formats: Formats, devices: int
) -> Iterator[Operation]:
    """Yield the operations of a layer's attention.

    The entries are one key for all heads, so they are whole on every device; heads and groups of the output are split.
    """
    heads, groups, size = ceil_div(block.heads, devices), ceil_div(block.groups, devices), formats.activation_size()
    width = heads * block.head_dim
    yield matrix("query_down", block.query_rank, hidden, formats)
    yield matrix("key_value", block.head_dim, hidden, formats, shares_input=True)
    yield norm("query_down_norm", block.query_rank, formats)
    yield norm("key_value_norm", block.head_dim, formats)
    yield matrix("query_up", width, block.query_rank, formats)
    yield elementwise("rotary", "rotary", width + block.head_dim, formats, flops=3.0)
    entry = block.head_dim * formats.cache_size()
    yield Operation("cache_write", "cache_write", Work(activations=entry), reads=block.head_dim * size)
    caches = [Cache(block.window, entry, 4.0 * width)]
    if block.rate:
        yield from _compressor("compressor", block, block.head_dim, hidden, formats)
        chosen = block.index_chosen * block.rate or None
        caches.append(Cache(chosen, entry / block.rate, 4.0 * width / block.rate, whole=chosen is not None))
    if block.index_heads:
        yield from _index(block, hidden, formats)
    sinks = Work(weights=((formats.vectors, heads * formats.vector_size()),), caches=tuple(caches))
    yield Operation(
        "attention", "attention", sinks, elements=heads, active=heads, reads=width * size, writes=width * size
    )
    yield matrix("output_down", block.group_rank, width // groups, formats, count=groups)
    yield matrix("output_up", hidden, groups * block.group_rank, formats)


def _compressor(
    name: str, block: CompressedAttention, width: int, hidden: int, formats: Formats
) -> Iterator[Operation]:
    """A weighted mean of the entries of a group, whose weights are made like the entries.

    An entry is finished every `rate` tokens from what was kept of each of them, so a step reads and writes that of one
    on average.
    """
    series = (2 if block.overlap else 1) * width
    yield matrix(f"{name}_entries", series, hidden, formats, shares_input=True)
    yield matrix(f"{name}_gates", series, hidden, formats, shares_input=True)
    yield elementwise(
        f"{name}_mean",
        "state_update",
        width,
        formats,
        flops=8.0,
        inputs=2,
        weights=block.rate * series,
        state=2 * series * formats.activation_size(),
    )
    yield norm(f"{name}_norm", width, formats)


def _index(block: CompressedAttention, hidden: int, formats: Formats) -> Iterator[Operation]:
    """The indexer, whole on every device: scores of all compressed entries, by which those to be read are chosen."""
    width, size = block.index_heads * block.index_dim, formats.activation_size()
    yield from _compressor("index_compressor", block, block.index_dim, hidden, formats)
    yield matrix("index_query", width, block.query_rank, formats)
    yield matrix("index_weight", block.index_heads, hidden, formats)
    cache = Cache(None, block.index_dim * formats.cache_size() / block.rate, 2.0 * width / block.rate)
    yield Operation(
        "index_scores", "attention", Work(caches=(cache,)), reads=width * size, writes=block.index_chosen * 4.0
    )


def hyper_reading(name: str, streams: HyperConnections, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield how a block's input is made of the streams (arXiv 2512.24880).

    Weights come from all of them, normed; the mixing matrix is made doubly stochastic.
    """
    count = streams.count
    rows = (2 + count) * count
    yield norm(f"{name}_streams_norm", count * hidden, formats, elements=0)
    yield matrix(f"{name}_streams_weights", rows, count * hidden, formats)
    yield elementwise(f"{name}_streams_balance", "activation", rows, formats, flops=40.0, weights=rows + 3)
    yield elementwise(f"{name}_streams_sum", "residual", hidden, formats, flops=2.0 * count, inputs=count)


def depth_reading(name: str, streams: DepthAttention, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield how a block's input is made of what earlier blocks of layers made (arXiv 2607.24653, 2.2)."""
    yield norm(f"{name}_depth_norm", hidden, formats, copies=streams.sources)
    yield elementwise(
        f"{name}_depth_mean",
        "residual",
        hidden,
        formats,
        flops=4.0 * streams.sources,
        inputs=streams.sources,
        weights=hidden,
    )


def hyper_writing(name: str, streams: HyperConnections, hidden: int, formats: Formats) -> Operation:
    """Return the operation that adds a block's output to the streams and mixes them."""
    return elementwise(
        f"{name}_streams_mix", "residual", streams.count * hidden, formats, flops=2.0 * streams.count + 2.0, inputs=2
    )


def hyper_head(streams: HyperConnections, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield what makes one stream of all of them in front of the head."""
    count = streams.count
    yield matrix("streams_weights", count, count * hidden, formats)
    yield elementwise("streams_balance", "activation", count, formats, flops=5.0, weights=count + 1)
    yield elementwise("streams_sum", "residual", hidden, formats, flops=2.0 * count, inputs=count)
