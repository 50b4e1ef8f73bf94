"""Model: what a network is made of. Shapes and structure only; nothing here knows bytes, devices or time."""

from typing import Any

import msgspec


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """Multi-head, grouped-query or multi-query attention. window: tokens a layer can see, None for all."""

    heads: int
    kv_heads: int
    head_dim: int
    query_key_value_bias: bool = False
    output_bias: bool = False
    query_key_norm: bool = False
    window: int | None = None


class FeedForward(msgspec.Struct, frozen=True, kw_only=True):
    """A dense feed-forward block; gated ones have three matrices, plain ones two."""

    intermediate: int
    gated: bool = True
    bias: bool = False


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One decoder layer: a mixer over the tokens, then a feed-forward block, each behind a norm."""

    mixer: Attention
    feed_forward: FeedForward


class Model(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A decoder as its file describes it.

    layers: the decoder layers in order; equal layers are equal values.
    tied: the LM head is the input embedding table.
    weight_format, kv_format: the storage formats the model is published in; activations: their arithmetic width.
    published_parameters: the published exact total, for checks; None where no exact figure is known.
    """

    name: str
    title: str
    family: str
    source: str
    hidden: int
    vocabulary: int
    layers: tuple[Layer, ...]
    tied: bool
    weight_format: str = "bf16"
    kv_format: str = "bf16"
    activations: str = "bf16"
    longest_context: int | None = None
    published_parameters: int | None = None
    aliases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    path: str = ""

    def replace(self, **changes: Any) -> "Model":
        """Return this model with some fields replaced."""
        return msgspec.structs.replace(self, **changes)
