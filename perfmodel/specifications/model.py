"""Model: what a network is made of. Shapes and structure only; nothing here knows bytes, devices or time."""

from typing import Any

import msgspec

from perfmodel.specifications.primitives import Block
from perfmodel.specifications.recipes import Recipe
from perfmodel.specifications.storage import Storage


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """Multi-head, grouped-query or multi-query attention.

    window: tokens a layer can see at most (a sliding window, or the chunk of chunked attention), None for all.
    query_key_norm: '' for none, 'head' for one norm shared by all heads, 'full' for one over all heads.
    key_bias: where the three have biases, so have the keys.
    value_dim: width of a value head, None where it is head_dim. value_projection: values have a matrix of their own; else they are the keys.
    output_gate: the query projection also makes a gate for the output (without a bias where gate_bias is false); head_gate: a matrix makes a gate of one number a head.
    index_heads, index_dim, index_chosen: a small attention with one key a token chooses the tokens that are read; 0 for none.
    rotary: positions are rotated into queries and keys; sinks: one learned logit a head.
    shares_cache: keys and values are those of an earlier layer, so it makes and keeps none of its own.
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


class CrossAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Attention to what an encoder made: keys and values of `tokens` of its positions are kept, and none is added in a step.

    query_bias, output_bias: biases of the two projections that a step runs. norm: keys and queries are normed a head.
    gates: learned numbers that scale what is added; encoder_parameters: projections of keys and values, which run once a request.
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
    """Attention of DeepSeek-V4: one key, which is the value too, for all heads; the last `window` tokens as they are, and all others in groups.

    query_rank: of the queries' down-projection. groups, group_rank: the output goes through `groups` narrow projections of group_rank each.
    rate: tokens that one compressed entry stands for, 0 for a layer without; overlap: an entry also sees the group before its own.
    index_heads, index_dim, index_chosen: an indexer with compressed keys of its own chooses the entries that are read; 0 where all are.
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
    inner_norms: Jamba's norms of step size, B and C. output_bias: of the projection out, None where it is as the one in.
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


class FeedForward(msgspec.Struct, frozen=True, kw_only=True):
    """A dense feed-forward block; gated ones have three matrices, plain ones two.

    sparsified: activations below a quantile are cut off.
    """

    intermediate: int
    gated: bool = True
    bias: bool = False
    sparsified: bool = False
    activation_weights: int = 0


class Experts(msgspec.Struct, frozen=True, kw_only=True):
    """A mixture of experts. shared: width of the experts every token uses together, 0 for none.

    router_bias: one number an expert; shared_gate: a projection to one number that scales the shared expert.
    latent: width in which the routed experts work, between two projections of their own; 0 where it is the hidden
    width.
    router_scales: the router scales its input a channel and its result an expert.
    shared_bias: the matrices of shared experts, and those around a latent width, have biases.
    """

    count: int
    chosen: int
    intermediate: int
    gated: bool = True
    bias: bool = False
    router_bias: bool = False
    shared: int = 0
    shared_gate: bool = False
    latent: int = 0
    router_scales: bool = False
    shared_bias: bool = False
    latent_norm: bool = False


Mixer = (
    Attention
    | LatentAttention
    | CompressedAttention
    | StateSpace
    | DeltaAttention
    | KeyedDeltaAttention
    | LightningAttention
    | ShortConvolution
)


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """Several residual streams around each layer.

    count: of them; rank: of the residual beside the mixer; layer_input: width of a layer's own input.
    """

    count: int
    rank: int
    layer_input: int


class HyperConnections(msgspec.Struct, frozen=True, kw_only=True):
    """`count` residual streams that each block reads as one, writes back to all, and mixes, by weights worked out of all streams."""

    count: int


class DepthAttention(msgspec.Struct, frozen=True, kw_only=True):
    """Residuals over the depth (Kimi K3): each block reads a weighted mean of what blocks of layers before it made.

    sources: of these, on average over the layers.
    """

    sources: int


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One decoder layer: a mixer over the tokens and a feed-forward block, either of which may be absent.

    norms: where they stand: 'before' each block, 'after' it, or 'both'.
    parallel: both blocks read the same input and are added together; with one norm for both, or two.
    beside: a second mixer that reads what the first one reads, and is added to it.
    crossing: attention to an encoder between the mixer and the feed-forward block, with a norm of its own.
    mixture: experts beside the dense feed-forward block, with norms of their own (Gemma 4).
    layer_input: width of the layer's own input, which is added at its end (Gemma 4); 0 for none. scaled: one number scales what it hands on.
    """

    mixer: Mixer | None
    feed_forward: FeedForward | Experts | None
    norms: str = "before"
    parallel: str = ""  # '', 'one-norm', 'two-norms'
    streams: Streams | HyperConnections | DepthAttention | None = None
    beside: Mixer | None = None
    crossing: CrossAttention | None = None
    mixture: Experts | None = None
    layer_input: int = 0
    scaled: bool = False

    @property
    def mixtures(self) -> tuple[Experts, ...]:
        """The mixtures of experts of this layer."""
        return tuple(block for block in (self.feed_forward, self.mixture) if isinstance(block, Experts))


class Tower(msgspec.Struct, frozen=True, kw_only=True):
    """A part that turns pictures or sound into tokens, its projector included; no decode step runs it. parameters: None where they are not counted."""

    name: str
    parameters: int | None


class Model(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A decoder, or any network of blocks, as its file describes it.

    layers: the decoder layers in order, or the blocks; equal layers are equal values.
    step: what one step is where it is no decode step, such as 'denoising step'; such a network has no vocabulary.
    tied: the LM head is the input embedding table. norm_elements: weights a norm has per channel (2 with a bias, 0 for
    none).
    weight_format, kv_format: the storage formats of what is published unconverted and of the cache; activations: their
    arithmetic width.
    recipe: how a checkpoint says it is quantised; storage: what a file's own list of tensors says.
    stored: bytes by part of the tensors beside a config, for checks; 'total' where only that is known.
    other_parameters: weights that no step reads, such as a table of learned positions.
    towers: parts that no decode step runs; draft_layers: of a draft head that was trained with the model, which no plain step runs.
    published_parameters: the published exact total, for checks; None where no exact figure is known.
    origins: names under which it is published, as organisation/name.
    """

    name: str
    title: str
    family: str
    source: str
    hidden: int
    vocabulary: int
    layers: tuple[Layer | Block, ...]
    tied: bool
    step: str = ""
    norm_elements: int = 1
    final_norm: bool = True
    head_bias: bool = False
    other_parameters: int = 0
    towers: tuple[Tower, ...] = ()
    draft_layers: tuple[Layer, ...] = ()
    weight_format: str = "bf16"
    recipe: Recipe | None = None
    storage: Storage | None = None
    stored: tuple[tuple[str, int], ...] = ()
    kv_format: str = "bf16"
    activations: str = "bf16"
    longest_context: int | None = None
    published_parameters: int | None = None
    aliases: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    path: str = ""

    def replace(self, **changes: Any) -> "Model":
        """Return this model with some fields replaced."""
        return msgspec.structs.replace(self, **changes)
