"""Mixtures of experts: Mixtral, Qwen, gpt-oss, Llama 4, Granite, OLMoE, MiniMax and Hunyuan."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    CHUNKED,
    FULL,
    SLIDING,
    attention,
    check_activation,
    experts,
    feed_forward,
    indices,
    layer_count,
    layer_types,
    rotary_layers,
    sparse_layers,
    window_of,
)
from perfmodel.specifications.huggingface.dense import Shape, qwen_mixers, windowed
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.model import Experts, FeedForward, Layer, Mixer


def sparse_stack(mixers: list[Mixer], blocks: list[FeedForward | Experts | None], **layer: Any) -> tuple[Layer, ...]:
    """Return one layer for each pair of mixer and feed-forward block; equal layers are one object."""
    built: dict[tuple[Mixer, FeedForward | Experts | None], Layer] = {}
    pairs = list(zip(mixers, blocks, strict=True))
    for pair in pairs:
        built.setdefault(pair, Layer(mixer=pair[0], feed_forward=pair[1], **layer))
    return tuple(built[pair] for pair in pairs)


def read_mixtral(fields: ConfigFields) -> Shape:
    """Mixtral: Mistral with experts in every layer."""
    check_activation(fields, "hidden_act")
    layers, window = layer_count(fields), fields.integer("sliding_window", required=False)
    mixers = windowed(attention(fields), [FULL if window is None else SLIDING] * layers, window)
    return {"layers": sparse_stack([*mixers], [experts(fields, "num_local_experts", "intermediate_size")] * layers)}


def read_granitemoe(fields: ConfigFields) -> Shape:
    """Granite MoE: Granite with experts in every layer."""
    check_activation(fields, "hidden_act")
    fields.known("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    return {
        "layers": sparse_stack([mixer] * layers, [experts(fields, "num_local_experts", "intermediate_size")] * layers),
        "tied_default": False,
    }


def read_olmoe(fields: ConfigFields) -> Shape:
    """OLMoE: norms over the whole width of queries and keys, experts in every layer."""
    check_activation(fields, "hidden_act")
    fields.known("clip_qkv")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="full")
    return {"layers": sparse_stack([mixer] * layers, [experts(fields, "num_experts", "intermediate_size")] * layers)}


def read_minimax_m2(fields: ConfigFields) -> Shape:
    """MiniMax-M2: norms over the whole width of queries and keys, experts with a corrected router in every layer."""
    check_activation(fields, "hidden_act")
    fields.known(
        "rotary_dim",
        "use_mtp",
        "mtp_transformer_layers",
        "num_mtp_modules",
        "attn_type_list",
        "shared_intermediate_size",
        "qk_norm_type",
        "partial_rotary_factor",
    )
    layers = layer_count(fields)
    mixer = attention(
        fields,
        bias=fields.flag("attention_bias", default=False),
        query_key_norm="full" if fields.flag("use_qk_norm", default=True) else "",
    )
    mixture = experts(
        fields, "num_local_experts", "intermediate_size", router_bias=fields.flag("use_routing_bias", default=True)
    )
    return {"layers": sparse_stack([mixer] * layers, [mixture] * layers)}


def qwen_blocks(
    fields: ConfigFields, layers: int, *, shared: bool, shared_gate: bool = True
) -> list[FeedForward | Experts | None]:
    """Return the feed-forward block of each layer of a Qwen mixture."""
    width = fields.integer("shared_expert_intermediate_size", most=10_000_000) if shared else 0
    mixture = experts(fields, "num_experts", "moe_intermediate_size", shared=width, shared_gate=shared and shared_gate)
    sparse = sparse_layers(fields, layers, "step")
    if all(sparse):
        fields.known("intermediate_size")
        return [mixture] * layers
    dense = feed_forward(fields)
    return [mixture if s else dense for s in sparse]


def read_qwen2_moe(fields: ConfigFields) -> Shape:
    """Qwen1.5 and Qwen2 mixtures: Qwen2 attention, and a shared expert behind a gate."""
    check_activation(fields, "hidden_act")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("qkv_bias", default=True), output_bias=False)
    # Every second layer slides, below max_window_layers.
    last = fields.integer("max_window_layers", default=layers, least=0)
    slides = [(index + 1) % 2 != 0 and index < last for index in range(layers)]
    return {"layers": sparse_stack([*qwen_mixers(fields, mixer, slides)], qwen_blocks(fields, layers, shared=True))}


def read_qwen3_moe(fields: ConfigFields) -> Shape:
    """Qwen3 mixtures: Qwen3 attention, no shared expert."""
    check_activation(fields, "hidden_act")
    fields.known("use_qk_norm")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head")
    return {
        "layers": sparse_stack(
            [*qwen_mixers(fields, mixer, [True] * layers)], qwen_blocks(fields, layers, shared=False)
        )
    }


def read_gpt_oss(fields: ConfigFields) -> Shape:
    """gpt-oss: biases and attention sinks; windows of 128 and full attention in turn; biased experts in every layer."""
    check_activation(fields, "hidden_act")
    fields.known("experts_per_token", "swiglu_limit", "initial_context_length", "rope_ntk_alpha", "rope_ntk_beta")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=True), sinks=True)
    types = layer_types(fields, layers, (FULL, SLIDING)) or [
        FULL if (index + 1) % 2 == 0 else SLIDING for index in range(layers)
    ]
    mixture = experts(fields, "num_local_experts", "intermediate_size", bias=True, router_bias=True)
    return {"layers": sparse_stack([*windowed(mixer, types, window_of(fields, types))], [mixture] * layers)}


def read_llama4(fields: ConfigFields) -> Shape:
    """Llama 4 (text): chunked attention with rotary layers, every fourth layer full and without positions.

    One routed and one shared expert.
    """
    check_activation(fields, "hidden_act")
    fields.known("attn_scale", "attn_temperature_tuning", "floor_scale", "for_llm_compressor", "use_qk_norm")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    chunk = fields.integer("attention_chunk_size", required=False)
    rotary = rotary_layers(fields, layers)
    types = layer_types(fields, layers, (FULL, CHUNKED)) or [CHUNKED if rotated else FULL for rotated in rotary]
    mixers: list[Mixer] = [
        msgspec.structs.replace(mixer, window=chunk if kind == CHUNKED else None, rotary=rotated)
        for kind, rotated in zip(types, rotary, strict=True)
    ]
    step = fields.integer("interleave_moe_layer_step", default=1, most=10_000)
    listed = indices(fields, "moe_layers", layers)
    # An empty list is a stack without experts.
    given = fields.raw("moe_layers") is not None
    sparse = set(listed) if given else {index for index in range(layers) if (index + 1) % step == 0}
    mixture = experts(
        fields, "num_local_experts", "intermediate_size", shared=fields.integer("intermediate_size", most=10_000_000)
    )
    dense = feed_forward(fields, key="intermediate_size_mlp") if len(sparse) < layers else None
    fields.known("intermediate_size_mlp")
    return {"layers": sparse_stack(mixers, [mixture if index in sparse else dense for index in range(layers)])}


def read_hunyuan(fields: ConfigFields, *, modern: bool = False) -> Shape:
    """Hunyuan: routed and shared experts in every layer.

    With cross-layer attention one layer in `cla_share_factor` makes a cache, the others read it.
    """
    check_activation(fields, "hidden_act")
    fields.known(
        "use_mixed_mlp_moe",
        "capacity_factor",
        "moe_drop_tokens",
        "moe_random_routing_dropped_token",
        "moe_layer_num_skipped",
        "norm_type",
        "group_limited_greedy",
        "attention_head_dim",
        "anyres_pooling_size",
        "org_vocab_size",
        "pool_type",
        "class_num",
        "dense_list",
        "add_classification_head",
        "position_embedding_xdrope",
    )
    if fields.flag("mlp_bias", default=False):
        raise SpecificationError(f"{fields.where}: mlp_bias: is not understood for hunyuan")
    layers = layer_count(fields)
    norm = "head" if fields.flag("use_qk_norm", default=modern) else ""
    mixer = attention(
        fields,
        bias=fields.flag("attention_bias", default=False),
        query_key_norm=norm,
        head_dim_default=fields.integer("attention_head_dim", required=False),
    )
    shared_by = (
        fields.integer("cla_share_factor", default=1, most=10_000) if fields.flag("use_cla", default=False) else 1
    )
    fields.known("cla_share_factor")
    reader = msgspec.structs.replace(mixer, shares_cache=True)
    count = fields.integer("num_experts", most=100_000)
    chosen = fields.whole_numbers("moe_topk", layers, default=1, most=count)
    own = fields.has("moe_intermediate_size")
    widths = fields.whole_numbers("moe_intermediate_size" if own else "intermediate_size", layers, most=10_000_000)
    fields.known("intermediate_size")
    shared = fields.whole_numbers("num_shared_expert", layers, default=int(modern), least=0, most=1_000)
    blocks: list[FeedForward | Experts | None] = [
        Experts(count=count, chosen=k, intermediate=width, shared=number * width)
        for k, width, number in zip(chosen, widths, shared, strict=True)
    ]
    return {
        "layers": sparse_stack([mixer if index % shared_by == 0 else reader for index in range(layers)], blocks),
        "tied_default": True,
    }
