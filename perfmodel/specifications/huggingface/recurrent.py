"""Stacks of attention and short convolutions or linear attention: LFM2, Kimi Linear, Ling, MiniMax-01, OLMo Hybrid."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    LINEAR,
    attention,
    check_activation,
    experts,
    feed_forward,
    latent_attention,
    layer_count,
    layer_types,
    sparse_layers,
)
from perfmodel.specifications.huggingface.decoders import Mixture, read_mixture
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.mixtures import sparse_stack
from perfmodel.specifications.mixers import DeltaAttention, KeyedDeltaAttention, LightningAttention, ShortConvolution
from perfmodel.specifications.model import DepthAttention, Experts, FeedForward, Layer, Mixer

Block = FeedForward | Experts | None
CONVOLUTION = "conv"
_LARGEST = 10_000_000


def _kinds(fields: ConfigFields, layers: int, allowed: tuple[str, ...], default: list[str]) -> list[str]:
    return layer_types(fields, layers, allowed) or default


_LFM2_KNOWN = """
conv_dim conv_dim_out conv_use_xavier_init block_dim block_mlp_init_scale block_norm_eps block_out_init_scale
block_use_swiglu block_use_xavier_init num_heads use_pos_enc theta block_ff_dim tie_embedding
""".split()


def read_lfm2(fields: ConfigFields) -> Shape:
    """LFM2: gated short convolutions, and attention with norms a head in a few layers."""
    layers = layer_count(fields)
    fields.known(*_LFM2_KNOWN)
    width = fields.integer("block_ff_dim" if fields.has("block_ff_dim") else "intermediate_size", most=_LARGEST)
    fields.known("intermediate_size")
    if fields.flag("block_auto_adjust_ff_dim", default=False):
        width = int(2 * width / 3)
        factor = fields.numbers("block_ffn_dim_multiplier", 1)
        multiple = fields.integer("block_multiple_of", default=256, most=1_000_000)
        width = multiple * -(-int((factor or [1.0])[0] * width) // multiple)
    fields.known("block_ffn_dim_multiplier", "block_multiple_of")
    full = fields.integers("full_attn_idxs")
    default = [FULL if full is None or index in full else CONVOLUTION for index in range(layers)]
    mixers = _lfm_mixers(fields, _kinds(fields, layers, (FULL, CONVOLUTION), default))
    shape: Shape = {"layers": sparse_stack(mixers, [FeedForward(intermediate=width)] * layers)}
    return shape | _tied(fields)


def _tied(fields: ConfigFields) -> Shape:
    # LFM2 has a name of its own for tying.
    return {"tied_default": fields.flag("tie_embedding", default=True)} if fields.has("tie_embedding") else {}


def _lfm_mixers(fields: ConfigFields, kinds: list[str]) -> list[Mixer]:
    hidden = fields.integer("hidden_size", most=1_000_000)
    full = attention(fields, query_key_norm="head")
    taps, bias = fields.integer("conv_L_cache", default=3, most=1_000), fields.flag("conv_bias", default=False)
    convolution = ShortConvolution(width=hidden, taps=taps, bias=bias)
    return [full if kind == FULL else convolution for kind in kinds]


def read_lfm2_moe(fields: ConfigFields) -> Shape:
    """LFM2 mixtures: LFM2 with experts in all layers but the first ones."""
    layers = layer_count(fields)
    fields.known("tie_embedding", "use_expert_bias", "norm_topk_prob", "theta")
    kinds = layer_types(fields, layers, (FULL, CONVOLUTION))
    if kinds is None:
        raise SpecificationError(f"{fields.where}: has no layer_types, which say where lfm2_moe has attention")
    corrected = fields.flag("use_expert_bias", default=True)
    mixture = experts(fields, "num_experts", "moe_intermediate_size", router_bias=corrected)
    sparse = sparse_layers(fields, layers, "dense")
    dense = feed_forward(fields)
    blocks: list[Block] = [mixture if has else dense for has in sparse]
    return {"layers": sparse_stack(_lfm_mixers(fields, kinds), blocks)} | _tied(fields)


_KEYED = Mixture(
    count="num_experts", chosen="num_experts_per_token", shared="num_shared_experts", router_bias=True, sparse="first"
)
_KIMI_KNOWN = """
moe_renormalize moe_router_activation_func num_expert_group use_grouped_topk moe_layer_freq mla_use_nope
model_max_length num_nextn_predict_layers head_dim linear_head_dim linear_num_heads linear_conv_kernel_dim
""".split()


def _keyed_stack(fields: ConfigFields, mixers: list[Mixer], layers: int, **layer: Any) -> Shape:
    sparse = sparse_layers(fields, layers, "first", first=1)
    mixture = read_mixture(fields, _KEYED)
    latent = fields.integer("routed_expert_hidden_size", default=0, least=0, most=1_000_000) or 0
    normed = latent > 0 and fields.flag("latent_moe_use_norm", default=False)
    mixture = msgspec.structs.replace(mixture, latent=latent, latent_norm=normed)
    dense = feed_forward(fields)
    blocks: list[Block] = [mixture if has else dense for has in sparse]
    return {"layers": sparse_stack(mixers, blocks, **layer)}


def read_kimi_linear(fields: ConfigFields) -> Shape:
    """Kimi Linear and K3: three layers of linear attention to one of latent attention without positions.

    Experts after the first layer; in K3 they work in a narrower width, and residuals go over the depth.
    """
    check_activation(fields, "hidden_act")
    fields.known(*_KIMI_KNOWN, "activation_situ_beta", "activation_situ_linear_beta", "mla_use_nope")
    layers = layer_count(fields)
    inner = ConfigFields(fields.table("linear_attn_config") or {}, f"{fields.where}: linear_attn_config")
    full, linear = inner.integers("full_attn_layers"), inner.integers("kda_layers")
    default = [FULL if index and index % 4 == 0 else LINEAR for index in range(layers)]
    if full is not None and linear is not None:
        if sorted([*full, *linear]) != list(range(1, layers + 1)):
            raise SpecificationError(f"{inner.where}: full_attn_layers and kda_layers are not the layers 1 to {layers}")
        default = [FULL if index + 1 in full else LINEAR for index in range(layers)]
    kinds = layer_types(fields, layers, (FULL, LINEAR)) or default
    keyed = _keyed_attention(fields, inner)
    gated = fields.flag("mla_use_output_gate", default=False)
    latent = msgspec.structs.replace(latent_attention(fields), output_gate=gated, rotary=False)
    every = fields.integer("attn_res_block_size", default=0, least=0, most=10_000) or 0
    # The blocks before a layer and the embedding; on average half of all.
    streams = DepthAttention(sources=2 + layers // every // 2) if every else None
    return _keyed_stack(fields, [latent if kind == FULL else keyed for kind in kinds], layers, streams=streams)


def _keyed_attention(fields: ConfigFields, inner: ConfigFields) -> KeyedDeltaAttention:
    """Return Kimi's linear attention; older files describe it in a table of its own, `inner`."""

    def number(key: str, own: str, default: int) -> int:
        return int(inner.integer(key, default=fields.integer(own, default=default, most=100_000), most=100_000))

    dim = number("head_dim", "linear_head_dim", 128)
    return KeyedDeltaAttention(
        heads=number("num_heads", "linear_num_heads", 32),
        head_dim=dim,
        convolution=number("short_conv_kernel_size", "linear_conv_kernel_dim", 4),
        decay_rank=dim,
        gate_rank=0 if inner.flag("use_full_rank_gate", default=False) else dim,
    )


def read_bailing_hybrid(fields: ConfigFields) -> Shape:
    """Ling 2.5: five layers of linear to one of latent attention with a gate a head; experts after the first layers."""
    check_activation(fields, "hidden_act")
    fields.known(*_KIMI_KNOWN, "kda_safe_gate", "kda_lower_bound", "mtp_loss_scaling_factor")
    layers = layer_count(fields)
    group = fields.integer("layer_group_size", default=6, most=10_000)
    default = [FULL if (index + 1) % group == 0 else LINEAR for index in range(layers)]
    kinds = layer_types(fields, layers, (FULL, LINEAR)) or default
    keyed = KeyedDeltaAttention(
        heads=fields.integer(
            "linear_num_heads", default=fields.integer("num_attention_heads", most=100_000), most=100_000
        ),
        head_dim=fields.integer("head_dim", default=128, most=100_000),
        convolution=fields.integer("short_conv_kernel_size", default=4, most=1_000),
    )
    latent = msgspec.structs.replace(latent_attention(fields), head_gate=True)
    return _keyed_stack(fields, [latent if kind == FULL else keyed for kind in kinds], layers)


_MINIMAX_KNOWN = """
block_size sliding_window rotary_dim postnorm shared_intermediate_size shared_moe_mode layernorm_full_attention_alpha
layernorm_full_attention_beta layernorm_linear_attention_alpha layernorm_linear_attention_beta
""".split()


def read_minimax(fields: ConfigFields) -> Shape:
    """MiniMax-01: lightning attention and full attention in turn as listed, experts in every layer."""
    check_activation(fields, "hidden_act")
    factors = [
        f"{kind}_{letter}_factor" for kind in ("full_attn", "linear_attn", "mlp") for letter in ("alpha", "beta")
    ]
    fields.known(*_MINIMAX_KNOWN, *factors, *(f"layernorm_{f.removesuffix('_factor')}" for f in factors))
    layers = layer_count(fields)
    old = fields.integers("attn_type_list")
    default = [FULL if (index + 1) % 2 else LINEAR for index in range(layers)]
    if old is not None:
        if len(old) != layers or not set(old) <= {0, 1}:
            raise SpecificationError(
                f"{fields.where}: attn_type_list: expected {layers} of 0 and 1, found {shown(old)}"
            )
        default = [FULL if entry else LINEAR for entry in old]
    kinds = layer_types(fields, layers, (FULL, LINEAR)) or default
    full = attention(fields)
    lightning = LightningAttention(heads=full.heads, head_dim=full.head_dim)
    mixture = experts(fields, "num_local_experts", "intermediate_size")
    return {"layers": sparse_stack([full if kind == FULL else lightning for kind in kinds], [mixture] * layers)}


def read_olmo_hybrid(fields: ConfigFields) -> Shape:
    """OLMo Hybrid: three layers of gated delta rule to one of attention, a dense block in all."""
    check_activation(fields, "hidden_act")
    fields.known(
        "linear_a_log_min",
        "linear_a_log_max",
        "linear_dt_min",
        "linear_dt_max",
        "linear_dt_init_floor",
        "linear_allow_neg_eigval",
        "linear_use_gate",
    )
    layers = layer_count(fields)
    kinds = layer_types(fields, layers, (FULL, LINEAR)) or [
        FULL if (index + 1) % 4 == 0 else LINEAR for index in range(layers)
    ]
    full = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="full")
    delta = DeltaAttention(
        key_heads=fields.integer("linear_num_key_heads", default=full.heads, most=100_000),
        value_heads=fields.integer("linear_num_value_heads", default=full.heads, most=100_000),
        key_dim=fields.integer("linear_key_head_dim", most=100_000),
        value_dim=fields.integer("linear_value_head_dim", most=100_000),
        convolution=fields.integer("linear_conv_kernel_dim", default=4, most=1_000),
    )
    dense = feed_forward(fields)
    built = {FULL: Layer(mixer=full, feed_forward=dense, norms="after"), LINEAR: Layer(mixer=delta, feed_forward=dense)}
    return {"layers": tuple(built[kind] for kind in kinds)}
