"""What mixes tokens in a decoder layer: attention of each kind, and states."""

import msgspec


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """Multi-head, grouped-query or multi-query attention.

    window: tokens a layer can see at most (a sliding window, or the chunk of chunked attention), None for all.
    query_key_norm: '' for none, 'head' for one norm shared by all heads, 'full' for one over all heads.
    key_bias: where the three have biases, so have the keys.
    value_dim: width of a value head, None where it is head_dim. value_projection: values have a matrix of their own;
    else they are the keys.
    output_gate: the query projection also makes a gate for the output (without a bias where gate_bias is false);
    head_gate: a matrix makes a gate of one number a head.
    index_heads, index_dim, index_chosen: a small attention with one key a token chooses the tokens that are read; 0 for
    none.
    rotary: positions are rotated into queries and keys; sinks: one learned logit a head.
    shares_cache: keys and values are those of an earlier layer, so it makes and keeps none of its own.
    inputs: hidden widths that the projections read side by side. inner_norm: a norm in front of the output projection.
    """

    heads: int
    kv_heads: int
    head_dim: int
    query_key_value_bias: bool = False
    key_bias: bool = True
    output_bias: bool = False
    query_key_norm: str = ""
    output_gate: bool = False
    rotary: bool = True
    sinks: bool = False
    window: int | None = None
    shares_cache: bool = False
    value_dim: int | None = None
    value_projection: bool = True
    head_gate: bool = False
    gate_bias: bool = True
    index_heads: int = 0
    index_dim: int = 0
    index_chosen: int = 0
    inputs: int = 1
    inner_norm: bool = False


class CrossAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Attention to what an encoder made: keys and values of `tokens` positions are kept, and a step adds none.

    query_bias, output_bias: biases of the two projections that a step runs. norm: keys and queries are normed a head.
    gates: learned numbers that scale what is added; encoder_parameters: projections of keys and values, which run once
    a request.
    """

    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    query_bias: bool = False
    output_bias: bool = False
    query_norm: bool = False
    gates: int = 0
    encoder_parameters: int = 0


class LatentAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Multi-head latent attention, decoded with its up-projections absorbed.

    The cache holds kv_rank + rotary_dim a token.

    query_rank: None where queries are projected in one step.
    index_heads, index_dim, index_chosen: a lightning indexer scores every token in a cache of its own, and attention
    reads the chosen ones; 0 for none.
    head_gate, output_gate: a matrix makes a gate of one number a head, or of one a channel.
    """

    heads: int
    query_rank: int | None
    kv_rank: int
    plain_dim: int
    rotary_dim: int
    value_dim: int
    bias: bool = False
    index_heads: int = 0
    index_dim: int = 0
    index_chosen: int = 0
    head_gate: bool = False
    output_gate: bool = False
    rotary: bool = True


class CompressedAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Attention of DeepSeek-V4: one key, which is the value too, for all heads.

    The last `window` tokens stand as they are, all others in groups.

    query_rank: of the queries' down-projection. groups, group_rank: the output goes through `groups` narrow projections
    of group_rank each.
    rate: tokens that one compressed entry stands for, 0 for a layer without; overlap: an entry also sees the group
    before its own.
    index_heads, index_dim, index_chosen: an indexer with compressed keys of its own chooses the entries that are read;
    0 where all are.
    """

    heads: int
    head_dim: int
    query_rank: int
    groups: int
    group_rank: int
    window: int
    rate: int = 0
    overlap: bool = False
    index_heads: int = 0
    index_dim: int = 0
    index_chosen: int = 0


class StateSpace(msgspec.Struct, frozen=True, kw_only=True):
    """A Mamba block. version 1 has a state a channel and a low-rank step size, version 2 heads and groups.

    inner: width of the block; state: state a channel; convolution: taps.
    inner_norms: Jamba's norms of step size, B and C. output_bias: of the projection out, None where it is as the one
    in.
    """

    version: int
    inner: int
    state: int
    convolution: int
    convolution_bias: bool = True
    projection_bias: bool = False
    output_bias: bool | None = None
    step_rank: int = 0
    inner_norms: bool = False
    heads: int = 0
    groups: int = 1
    gated_norm: bool = True


class DeltaAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Linear attention by the gated delta rule: a matrix of state a value head."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    convolution: int


class KeyedDeltaAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Kimi's linear attention: the delta rule with a decay for each channel of the keys, and a matrix of state a head.

    decay_rank, gate_rank: of the two-step projections of decay and output gate, 0 where one matrix makes them.
    """

    heads: int
    head_dim: int
    convolution: int
    decay_rank: int = 0
    gate_rank: int = 0


class LightningAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Linear attention with a fixed decay: a matrix of state a head, a norm over all heads and a gate."""

    heads: int
    head_dim: int


class ShortConvolution(msgspec.Struct, frozen=True, kw_only=True):
    """A gated convolution over the last `taps` tokens, between two projections."""

    width: int
    taps: int
    bias: bool = False


class TimeMixing(msgspec.Struct, frozen=True, kw_only=True):
    """RWKV's linear attention. version 4 keeps three numbers a channel, the later ones a matrix of state a head.

    mix_rank: of the token shift's own projections (version 6); decay_rank, rate_rank, value_rank, gate_rank: of the
    two-step projections of decay, learning rate, mixed value and gate; 0 for none.
    """

    version: int
    heads: int
    head_dim: int
    mix_rank: int = 0
    decay_rank: int = 0
    rate_rank: int = 0
    value_rank: int = 0
    gate_rank: int = 0
