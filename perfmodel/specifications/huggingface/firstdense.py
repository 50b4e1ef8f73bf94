"""Mixtures whose first layers are dense, with shared experts in the others: DeepSeek, Kimi and GLM."""

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    attention,
    check_activation,
    experts,
    feed_forward,
    latent_attention,
    layer_count,
    layer_types,
    sparse_layers,
)
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.mixtures import sparse_stack
from perfmodel.specifications.model import Experts, FeedForward, Layer, Mixer

_DRAFT_KEYS = ("num_nextn_predict_layers", "num_mtp_layers")


def _with_first_dense(fields: ConfigFields, layers: int, mixture: Experts) -> list[FeedForward | Experts | None]:
    sparse = sparse_layers(fields, layers, "first")
    if all(sparse):
        fields.known("intermediate_size")
        return [mixture] * layers
    dense = feed_forward(fields)
    return [mixture if has else dense for has in sparse]


def _shared_width(fields: ConfigFields) -> int:
    shared = fields.integer("n_shared_experts", default=0, least=0, most=10_000)
    return int((shared or 0) * fields.integer("moe_intermediate_size", most=10_000_000))


def _draft_layers(fields: ConfigFields, layer: Layer, *keys: str) -> tuple[Layer, ...]:
    """Return the layers of the draft head trained with the model: as many as the first of `keys` says, like `layer`."""
    counts = [fields.integer(key, default=0, least=0, most=100) for key in keys]
    return (layer,) * next((count for count in counts if count), 0)


def read_deepseek(fields: ConfigFields) -> Shape:
    """DeepSeek-V2, V3, V3.2, Kimi K2 and GLM-5.

    Latent attention, sparse where an indexer is given, first layers dense, then routed and shared experts.
    """
    check_activation(fields, "hidden_act")
    fields.known(
        "ep_size",
        "rope_interleave",
        "indexer_rope_interleave",
        "index_share_for_mtp_iteration",
        "moe_router_dtype",
        "moe_layer_freq",
        "qk_head_dim",
    )
    layers = layer_count(fields)
    layer_types(fields, layers, ("indexed_attention",))
    # The correction of V3's router is a number an expert.
    corrected = fields.text("topk_method", "") == "noaux_tc"
    # GLM-5's files may call them num_experts.
    count = "num_experts" if fields.has("num_experts") else "n_routed_experts"
    mixture = experts(fields, count, "moe_intermediate_size", shared=_shared_width(fields), router_bias=corrected)
    fields.known("n_routed_experts")
    latent = latent_attention(fields)
    shared = msgspec.structs.replace(latent, index_heads=0)
    mixers: list[Mixer] = [latent if own else shared for own in _indexers(fields, layers)]
    stack = sparse_stack(mixers, _with_first_dense(fields, layers, mixture))
    return {"layers": stack, "draft_layers": _draft_layers(fields, stack[-1], *_DRAFT_KEYS)}


def _indexers(fields: ConfigFields, layers: int) -> list[bool]:
    """Return for each layer whether it has an indexer; the others read what the one before them chose (GLM-5)."""
    pattern, listed = fields.raw("index_topk_pattern"), fields.texts("indexer_types")
    if listed is None and isinstance(pattern, str):
        listed = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in pattern]
    elif listed is None:
        listed = fields.texts("index_topk_pattern")
    fields.known("index_topk_pattern")
    every = fields.integer("index_topk_freq", default=1, least=0, most=10_000) or 1
    skipped = fields.integer("index_skip_topk_offset", default=2, least=0, most=10_000)
    if listed is None:
        return [max(index - skipped + 1, 0) % every == 0 for index in range(layers)]
    if len(listed) != layers or not set(listed) <= {"full", "shared"}:
        raise SpecificationError(f"{fields.where}: indexer_types: expected {layers} of full, shared")
    return [kind == "full" for kind in listed]


def read_glm4_moe(fields: ConfigFields) -> Shape:
    """GLM-4.5: grouped-query attention, biases on the input side; first layers dense, then routed, shared experts."""
    check_activation(fields, "hidden_act")
    fields.known("partial_rotary_factor")
    layers = layer_count(fields)
    norm = "head" if fields.flag("use_qk_norm", default=False) else ""
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False), output_bias=False, query_key_norm=norm)
    mixture = experts(
        fields, "n_routed_experts", "moe_intermediate_size", shared=_shared_width(fields), router_bias=True
    )
    stack = sparse_stack([mixer] * layers, _with_first_dense(fields, layers, mixture))
    return {"layers": stack, "draft_layers": _draft_layers(fields, stack[-1], *_DRAFT_KEYS)}
