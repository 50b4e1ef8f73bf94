"""Decoders of 2026 whose layers differ in heads, gates or sight: MiMo-V2, MiniMax-M3, Step 3, Laguna, LFM3, Lara."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    LINEAR,
    SLIDING,
    attention,
    check_activation,
    delta_attention,
    experts,
    feed_forward,
    layer_count,
    layer_types,
    sparse_layers,
    window_of,
)
from perfmodel.specifications.huggingface.decoders import Mixture, read_mixture
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.mixtures import qwen_blocks, sparse_stack
from perfmodel.specifications.mixers import ShortConvolution
from perfmodel.specifications.model import Experts, FeedForward, Mixer

Block = FeedForward | Experts | None
_LARGEST = 10_000_000
INDEXED = "minimax_m3_sparse"


def _switches(fields: ConfigFields, key: str, layers: int) -> list[bool] | None:
    """Return the list of 0 and 1 at `key`, one a layer, or None; some write them as one text."""
    if isinstance(fields.raw(key), str):
        listed: Any = [int(entry) for entry in fields.text(key, "").split(",") if entry.strip().isdecimal()]
        return [index in listed for index in range(layers)]
    listed = fields.integers(key)
    if listed is not None and (len(listed) < layers or not set(listed) <= {0, 1}):
        raise SpecificationError(f"{fields.where}: {key}: expected {layers} of 0 and 1, found {shown(listed)}")
    return None if listed is None else [entry == 1 for entry in listed[:layers]]


_MIMO_V2_KNOWN = """
attention_value_scale attention_chunk_size partial_rotary_factor hybrid_block_size layernorm_epsilon sliding_window
swa_rope_theta n_group num_nextn_predict_layers attention_projection_layout tie_embedding
""".split()


def read_mimo_v2(fields: ConfigFields) -> Shape:
    """MiMo-V2: five sliding layers with sinks and more key heads to one that sees all.

    Values are narrower than keys; experts follow the first layer.
    """
    check_activation(fields, "hidden_act")
    fields.known(*_MIMO_V2_KNOWN)
    layers = layer_count(fields)
    sliding = _switches(fields, "hybrid_layer_pattern", layers)
    default = [FULL if index == 0 or (index + 1) % 6 == 0 else SLIDING for index in range(layers)]
    if sliding is not None:
        default = [SLIDING if entry else FULL for entry in sliding]
    types = layer_types(fields, layers, (FULL, SLIDING)) or default
    full = attention(
        fields,
        bias=fields.flag("attention_bias", default=False),
        output_bias=False,
        sinks=fields.flag("add_full_attention_sink_bias", default=False),
    )
    full = msgspec.structs.replace(full, value_dim=fields.integer("v_head_dim", default=full.head_dim, most=100_000))
    window = fields.integer("sliding_window_size", required=False, most=100_000_000)
    local = msgspec.structs.replace(
        full,
        heads=fields.integer("swa_num_attention_heads", default=full.heads, most=100_000),
        kv_heads=fields.integer("swa_num_key_value_heads", default=2 * full.kv_heads, most=100_000),
        head_dim=fields.integer("swa_head_dim", default=full.head_dim, most=100_000),
        value_dim=fields.integer("swa_v_head_dim", default=full.value_dim, most=100_000),
        sinks=fields.flag("add_swa_attention_sink_bias", default=True),
        window=window_of(fields, types) if window is None else window + 1,
    )
    with_experts = (
        _switches(fields, "moe_layer_freq", layers) if isinstance(fields.raw("moe_layer_freq"), list) else None
    )
    sparse = with_experts or sparse_layers(fields, layers, "but-first")
    mixture = read_mixture(fields, Mixture(count="n_routed_experts", shared="n_shared_experts", router_bias=True))
    dense = feed_forward(fields)
    mixers: list[Mixer] = [full if kind == FULL else local for kind in types]
    blocks: list[Block] = [mixture if has else dense for has in sparse]
    return {"layers": sparse_stack(mixers, blocks)}


_MINIMAX_M3_KNOWN = """
use_gemma_norm first_k_dense_replace moe_intermediate_size num_nextn_predict_layers rotary_dim swiglu_alpha
swiglu_limit index_local_blocks qk_norm_type use_qk_norm use_routing_bias attn_type_list num_mtp_modules use_mtp
partial_rotary_factor mtp_transformer_layers n_shared_experts
""".split()


def read_minimax_m3(fields: ConfigFields) -> Shape:
    """MiniMax-M3 (text): norms a head; in sparse layers a small attention chooses blocks of tokens.

    First layers are dense, the others have routed and shared experts.
    """
    check_activation(fields, "hidden_act")
    fields.known(*_MINIMAX_M3_KNOWN)
    layers = layer_count(fields)
    inner = ConfigFields(fields.table("sparse_attention_config") or {}, f"{fields.where}: sparse_attention_config")

    def index(key: str, old: str) -> int:
        fields.known(key)
        return int(inner.integer(old, most=1_000_000) if inner.has(old) else fields.integer(key, most=1_000_000))

    sparse = _switches(inner, "sparse_attention_freq", layers)
    default = [INDEXED if sparse is not None and sparse[index] else FULL for index in range(layers)]
    types = layer_types(fields, layers, (FULL, INDEXED)) or default
    plain = attention(fields, query_key_norm="head")
    heads, dim = index("index_n_heads", "sparse_num_index_heads"), index("index_head_dim", "sparse_index_dim")
    chosen = index("index_topk_blocks", "sparse_topk_blocks") * index("index_block_size", "sparse_block_size")
    indexed = msgspec.structs.replace(plain, index_heads=heads, index_dim=dim, index_chosen=chosen)
    shared = fields.integer("shared_intermediate_size", default=0, least=0, most=_LARGEST) or 0
    mixture = experts(fields, "num_local_experts", "intermediate_size", shared=shared, router_bias=True)
    listed = _switches(fields, "moe_layer_freq", layers) if isinstance(fields.raw("moe_layer_freq"), list) else None
    with_experts = sparse_layers(fields, layers, "all") if fields.has("mlp_layer_types") or listed is None else listed
    dense = feed_forward(fields, key="dense_intermediate_size")
    mixers: list[Mixer] = [plain if kind == FULL else indexed for kind in types]
    blocks: list[Block] = [mixture if has else dense for has in with_experts]
    return {"layers": sparse_stack(mixers, blocks)}


_STEP3P5_KNOWN = """
query_pre_attn_scalar moe_router_scaling_factor num_nextn_predict_layers swiglu_limits swiglu_limits_shared
mtp_layer_types mtp_mlp_layer_types num_local_experts per_layer_config norm_expert_weight moe_router_activation
use_moe_router_bias need_fp32_gate use_head_wise_attn_gate use_qk_norm attention_other_setting partial_rotary_factors
layer_rope_theta yarn_only_types max_seq_len zero_centered sink share_expert_dims att_impl_type use_rope_layers
moe_every_n_layer bf16_layer
""".split()


def read_step3p5(fields: ConfigFields) -> Shape:
    """Step 3.5 and 3.7 (text): norms and a gate a head, other heads in sliding layers.

    Experts and a shared one follow the first three layers.
    """
    check_activation(fields, "hidden_act")
    fields.known(*_STEP3P5_KNOWN)
    if fields.flag("mlp_bias", default=False):
        raise SpecificationError(f"{fields.where}: mlp_bias: is not understood for step3p5")
    layers = layer_count(fields)
    types = (layer_types(fields, layers, (FULL, SLIDING), longer=True) or [FULL] * layers)[:layers]
    full = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head")
    full = msgspec.structs.replace(full, head_gate=True)
    other = fields.raw("attention_other_setting")
    heads = other.get("num_attention_heads") if isinstance(other, dict) else None
    local_heads = fields.integer("num_sliding_attention_heads", default=heads or full.heads, most=100_000)
    local = msgspec.structs.replace(full, heads=local_heads, window=window_of(fields, types))
    sparse = _switches(fields, "moe_layers_enum", layers)
    if fields.has("mlp_layer_types") or sparse is None:
        sparse = sparse_layers(fields, layers, "after-three")
    mixture = read_mixture(fields, Mixture(count="n_routed_experts", shared_width="share_expert_dim", router_bias=True))
    dense = feed_forward(fields)
    mixers: list[Mixer] = [full if kind == FULL else local for kind in types]
    blocks: list[Block] = [mixture if has else dense for has in sparse]
    return {"layers": sparse_stack(mixers, blocks)}


def read_laguna(fields: ConfigFields) -> Shape:
    """Laguna: norms and a gate a head, heads that may differ by layer; experts and a shared one after the first."""
    check_activation(fields, "hidden_act")
    fields.known(
        "moe_routed_scaling_factor",
        "moe_apply_router_weight_on_input",
        "moe_router_logit_softcapping",
        "partial_rotary_factor",
        "swa_attention_sink_enabled",
    )
    layers = layer_count(fields)
    types = layer_types(fields, layers, (FULL, SLIDING)) or [FULL] * layers
    heads = fields.whole_numbers(
        "num_attention_heads_per_layer",
        layers,
        default=fields.integer("num_attention_heads", most=100_000),
        most=100_000,
    )
    plain = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head")
    gating = fields.raw("gating")
    by_head = gating in (None, True, "per-head")
    fields.known("gating")
    plain = msgspec.structs.replace(plain, head_gate=by_head, output_gate=not by_head)
    if any(count % plain.kv_heads for count in heads):
        raise SpecificationError(
            f"{fields.where}: num_attention_heads_per_layer: num_key_value_heads {plain.kv_heads} does not divide all"
            f" of {shown(heads)}"
        )
    window = window_of(fields, types)
    mixers: list[Mixer] = [
        msgspec.structs.replace(plain, heads=count, window=window if kind == SLIDING else None)
        for count, kind in zip(heads, types, strict=True)
    ]
    sparse = sparse_layers(fields, layers, "but-first")
    mixture = read_mixture(fields, Mixture(shared_width="shared_expert_intermediate_size", router_bias=True))
    dense = feed_forward(fields)
    return {"layers": sparse_stack(mixers, [mixture if has else dense for has in sparse])}


def read_lfm3(fields: ConfigFields) -> Shape:
    """LFM3: gated short convolutions, attention with norms and a gate a head, some in a window; norms around blocks."""
    layers = layer_count(fields)
    conv = "conv"
    types = layer_types(fields, layers, (FULL, SLIDING, conv))
    if types is None:
        raise SpecificationError(f"{fields.where}: has no layer_types, which say where lfm3 has attention")
    hidden = fields.integer("hidden_size", most=1_000_000)
    full = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head")
    full = msgspec.structs.replace(full, head_gate=fields.flag("use_attention_gate", default=True))
    mixers: dict[str, Mixer] = {
        FULL: full,
        SLIDING: msgspec.structs.replace(full, window=window_of(fields, types)),
        conv: ShortConvolution(
            width=hidden,
            taps=fields.integer("conv_L_cache", default=7, most=1_000),
            bias=fields.flag("conv_bias", default=False),
        ),
    }
    norms = "both" if fields.flag("use_sandwich_norm", default=True) else "before"
    return {"layers": sparse_stack([mixers[kind] for kind in types], [feed_forward(fields)] * layers, norms=norms)}


def read_lara_mini(fields: ConfigFields) -> Shape:
    """Lara Mini: gated delta rule, sliding and full attention with norms a head; experts, one shared, in all layers."""
    check_activation(fields, "hidden_act")
    layers = layer_count(fields)
    types = layer_types(fields, layers, (FULL, SLIDING, LINEAR))
    if types is None:
        raise SpecificationError(f"{fields.where}: has no layer_types, which say what each layer of lara_mini is")
    full = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head")
    mixers: dict[str, Mixer] = {
        FULL: full,
        SLIDING: msgspec.structs.replace(full, window=window_of(fields, types)),
        LINEAR: delta_attention(fields),
    }
    fields.known("intermediate_size")
    return {
        "layers": sparse_stack(
            [mixers[kind] for kind in types], qwen_blocks(fields, layers, shared=True, shared_gate=False)
        )
    }
