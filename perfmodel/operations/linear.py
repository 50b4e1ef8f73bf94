"""Mixers whose state does not grow with the context: state spaces, linear attention, short convolutions."""

from collections.abc import Callable, Iterator

from perfmodel.numbers.choices import ceil_div
from perfmodel.operations.builders import Operation, elementwise, matrix, norm
from perfmodel.operations.formats import Formats
from perfmodel.specifications.mixers import (
    DeltaAttention,
    KeyedDeltaAttention,
    LightningAttention,
    ShortConvolution,
    StateSpace,
    TimeMixing,
)

# Recurrent states are kept in 32 bits: rounding adds up over the tokens.
STATE_SIZE = 4.0


def delta_operations(block: DeltaAttention, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the operations of linear attention by the gated delta rule."""
    key_heads, value_heads = ceil_div(block.key_heads, devices), ceil_div(block.value_heads, devices)
    keys, values = key_heads * block.key_dim, value_heads * block.value_dim
    yield matrix("in_projection", 2 * keys + 2 * values, hidden, formats)
    yield matrix("step_projection", 2 * value_heads, hidden, formats, shares_input=True)
    mixed = 2 * keys + values
    yield elementwise(
        "convolution",
        "convolution",
        mixed,
        formats,
        flops=2.0 * block.convolution,
        weights=mixed * block.convolution,
        state=mixed * block.convolution * formats.activation_size(),
    )
    # Decay, read, correct, write and read out a key_dim x value_dim matrix a head: eight operations an element.
    yield elementwise(
        "state_update",
        "state_update",
        values,
        formats,
        flops=8.0 * block.key_dim,
        inputs=3,
        weights=2 * value_heads,
        state=value_heads * block.key_dim * block.value_dim * STATE_SIZE,
    )
    yield norm("state_output_norm", block.value_dim, formats, copies=value_heads)
    yield matrix("out_projection", hidden, values, formats)


def keyed_delta_operations(
    block: KeyedDeltaAttention, hidden: int, formats: Formats, devices: int
) -> Iterator[Operation]:
    """Yield the operations of Kimi's linear attention (arXiv 2510.26692)."""
    heads = ceil_div(block.heads, devices)
    width = heads * block.head_dim
    yield matrix("in_projection", 3 * width, hidden, formats)
    yield from _projected("decay", block.decay_rank, width, hidden, formats)
    yield matrix("step_projection", heads, hidden, formats, shares_input=True)
    yield elementwise(
        "convolution",
        "convolution",
        3 * width,
        formats,
        flops=2.0 * block.convolution,
        weights=3 * width * block.convolution,
        state=3 * width * block.convolution * formats.activation_size(),
    )
    # Decay, read, correct, write and read out a matrix a head: eight operations an element. A number a head and one a
    # channel are weights.
    yield elementwise(
        "state_update",
        "state_update",
        width,
        formats,
        flops=8.0 * block.head_dim,
        inputs=3,
        weights=heads + width,
        state=width * block.head_dim * STATE_SIZE,
    )
    yield from _projected("output_gate", block.gate_rank, width, hidden, formats)
    yield norm("state_output_norm", block.head_dim, formats, copies=heads)
    yield matrix("out_projection", hidden, width, formats)


def _projected(name: str, rank: int, width: int, hidden: int, formats: Formats) -> Iterator[Operation]:
    """Yield a projection of the hidden width, in two steps where it has a rank."""
    if rank:
        yield matrix(f"{name}_down", rank, hidden, formats, shares_input=True)
        yield matrix(f"{name}_up", width, rank, formats)
    else:
        yield matrix(f"{name}_projection", width, hidden, formats, shares_input=True)


def lightning_operations(block: LightningAttention, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the operations of lightning attention (arXiv 2501.08313)."""
    width = ceil_div(block.heads, devices) * block.head_dim
    yield matrix("in_projection", 3 * width, hidden, formats)
    # Decay, outer product, sum and read-out of a matrix a head: five operations an element.
    yield elementwise(
        "state_update",
        "state_update",
        width,
        formats,
        flops=5.0 * block.head_dim,
        inputs=3,
        state=width * block.head_dim * STATE_SIZE,
    )
    yield norm("state_output_norm", width, formats)
    yield matrix("output_gate_projection", width, hidden, formats, shares_input=True)
    yield elementwise("output_gate", "activation", width, formats, flops=5.0, inputs=2)
    yield matrix("out_projection", hidden, width, formats)


def short_convolution_operations(
    block: ShortConvolution, hidden: int, formats: Formats, devices: int
) -> Iterator[Operation]:
    """Yield the operations of a gated short convolution (LFM2)."""
    width = ceil_div(block.width, devices)
    yield matrix("in_projection", 3 * width, hidden, formats, bias=block.bias)
    weights = width * (block.taps + (1 if block.bias else 0))
    # Two gates besides the taps.
    yield elementwise(
        "convolution",
        "convolution",
        width,
        formats,
        flops=2.0 * block.taps + 2.0,
        inputs=3,
        weights=weights,
        state=width * block.taps * formats.activation_size(),
    )
    yield matrix("out_projection", hidden, width, formats, bias=block.bias)


def token_shift(name: str, mixed: int, hidden: int, formats: Formats) -> Operation:
    """Return how `mixed` inputs are made of a token and the one before it, which is kept."""
    kept = hidden * formats.activation_size()
    return elementwise(name, "convolution", hidden, formats, flops=3.0 * mixed, weights=mixed * hidden, state=kept)


def time_mixing_operations(block: TimeMixing, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    """Yield the operations of RWKV's time mixing."""
    heads, version = ceil_div(block.heads, devices), block.version
    width = heads * block.head_dim
    yield token_shift("token_shift", {4: 3, 5: 4, 6: 6, 7: 6}[version], hidden, formats)
    if block.mix_rank:
        yield matrix("shift_down", 5 * block.mix_rank, hidden, formats)
        yield matrix("shift_up", hidden, block.mix_rank, formats, count=5)
    yield matrix("receptance", width, hidden, formats)
    yield matrix("key", width, hidden, formats)
    yield matrix("value", width, hidden, formats)
    if version in (5, 6):
        yield matrix("output_gate_projection", width, hidden, formats)
    ranks = {"decay": block.decay_rank, "rate": block.rate_rank, "mixed_value": block.value_rank}
    for name, rank in (ranks | {"output_gate": block.gate_rank}).items():
        if rank:
            yield matrix(f"{name}_down", rank, hidden, formats)
            yield matrix(f"{name}_up", width, rank, formats)
    # Numbers a channel: decay and bonus; in version 7 of decay, rate and mixed value, two for the key, and the bonus.
    numbers = 2 if version < 7 else 6 if block.value_rank else 5
    states = 3 * width if version == 4 else width * block.head_dim
    per_channel = 10.0 if version == 4 else (6.0 if version < 7 else 8.0) * block.head_dim
    yield elementwise(
        "state_update", "state_update", width, formats, flops=per_channel, inputs=3, weights=numbers * width,
        state=states * STATE_SIZE,
    )  # fmt: skip
    if version > 4:
        yield norm("state_output_norm", width, formats, elements=2)
    yield matrix("output", hidden, width, formats)


def _output_bias(block: StateSpace) -> bool:
    return block.projection_bias if block.output_bias is None else block.output_bias


def _state_update(inner: int, block: StateSpace, formats: Formats, *, weights: int) -> Operation:
    """Return the update of `inner` channels: decay, input, sum and read-out of each state are six operations."""
    return elementwise(
        "state_update",
        "state_update",
        inner,
        formats,
        flops=6.0 * block.state + 7.0,
        inputs=3,
        weights=weights,
        state=inner * block.state * STATE_SIZE,
    )


def _state_space_1(block: StateSpace, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    inner = ceil_div(block.inner, devices)
    yield matrix("in_projection", 2 * inner, hidden, formats, bias=block.projection_bias)
    yield _convolution(inner, block, formats)
    yield matrix("state_projection", block.step_rank + 2 * block.state, inner, formats)
    if block.inner_norms:
        yield norm("state_norm", block.step_rank + 2 * block.state, formats)
    yield matrix("step_projection", inner, block.step_rank, formats, bias=True)
    # A and D are weights.
    yield _state_update(inner, block, formats, weights=inner * (block.state + 1))
    yield matrix("out_projection", hidden, inner, formats, bias=_output_bias(block))


def _state_space_2(block: StateSpace, hidden: int, formats: Formats, devices: int) -> Iterator[Operation]:
    inner, heads, groups = (ceil_div(width, devices) for width in (block.inner, block.heads, block.groups))
    mixed = inner + 2 * groups * block.state
    yield matrix("in_projection", inner + mixed + heads, hidden, formats, bias=block.projection_bias)
    yield _convolution(mixed, block, formats)
    # Step bias, decay and skip are one number a head each.
    yield _state_update(inner, block, formats, weights=3 * heads)
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


OPERATIONS: dict[type, Callable[..., Iterator[Operation]]] = {
    StateSpace: _state_space,
    DeltaAttention: delta_operations,
    KeyedDeltaAttention: keyed_delta_operations,
    LightningAttention: lightning_operations,
    ShortConvolution: short_convolution_operations,
    TimeMixing: time_mixing_operations,
}
