"""Model: what a network is made of. Shapes and structure only; nothing here knows bytes, devices or time."""

from typing import TYPE_CHECKING, Any

import msgspec

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
from perfmodel.specifications.recipes import Recipe
from perfmodel.specifications.storage import Storage

if TYPE_CHECKING:
    from perfmodel.specifications.primitives import Block


class FeedForward(msgspec.Struct, frozen=True, kw_only=True):
    """A dense feed-forward block; gated ones have three matrices, plain ones two.

    sparsified: activations below a quantile are cut off. inner_norm: a norm in front of the last matrix.
    shifts: inputs that mix a token with the one before it (RWKV); receptance: a matrix gates the output.
    """

    intermediate: int
    gated: bool = True
    bias: bool = False
    sparsified: bool = False
    activation_weights: int = 0
    inner_norm: bool = False
    shifts: int = 0
    receptance: bool = False


class Experts(msgspec.Struct, frozen=True, kw_only=True):
    """A mixture of experts. shared: width of the experts every token uses together, 0 for none.

    router_bias: one number an expert; shared_gate: a projection to one number that scales the shared expert.
    latent: width in which the routed experts work, between two projections of their own; 0 where it is the hidden
    width.
    router_scales: the router scales its input a channel and its result an expert.
    shared_bias: the matrices of shared experts, and those around a latent width, have biases.
    idle: experts that the router knows and that hand on what they get, without weights.
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
    idle: int = 0


Mixer = (
    Attention
    | LatentAttention
    | CompressedAttention
    | StateSpace
    | DeltaAttention
    | KeyedDeltaAttention
    | LightningAttention
    | ShortConvolution
    | TimeMixing
)


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """Several residual streams around each layer.

    count: of them; rank: of the residual beside the mixer; layer_input: width of a layer's own input.
    """

    count: int
    rank: int
    layer_input: int


class HyperConnections(msgspec.Struct, frozen=True, kw_only=True):
    """`count` residual streams that each block reads as one, writes back to all, and mixes by weights made of all."""

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
    layer_input: width of the layer's own input, which is added at its end (Gemma 4); 0 for none. scaled: one number
    scales what it hands on.
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
    """A part that turns pictures or sound into tokens, its projector included; no decode step runs it.

    parameters: None where they are not counted.
    """

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
    towers: parts that no decode step runs; draft_layers: of a draft head that was trained with the model, which no
    plain step runs.
    head: which kind of draft head it is, '' for a model; joined: what the projection in front of the head's layers
    reads [-].
    published_parameters: the published exact total, for checks; None where no exact figure is known.
    origins: names under which it is published, as organisation/name.
    """

    name: str
    title: str
    family: str
    source: str
    hidden: int
    vocabulary: int
    layers: "tuple[Layer | Block, ...]"
    tied: bool
    step: str = ""
    norm_elements: int = 1
    final_norm: bool = True
    head_bias: bool = False
    other_parameters: int = 0
    towers: tuple[Tower, ...] = ()
    draft_layers: tuple[Layer, ...] = ()
    head: str = ""
    joined: int = 0
    joined_bias: bool = False
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

    def __getattr__(self, name: str) -> Any:
        """Raise AttributeError, with what stands for a field of an earlier version."""
        from perfmodel.specifications.renamed import gone

        raise AttributeError(gone(f"Model.{name}"))

    def replace(self, **changes: Any) -> "Model":
        """Return this model with some fields replaced."""
        return msgspec.structs.replace(self, **changes)
