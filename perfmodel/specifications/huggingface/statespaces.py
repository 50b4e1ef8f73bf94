"""Stacks of attention and state spaces: Granite 4, Bamba, Falcon-H1, Mamba."""

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    LINEAR,
    attention,
    check_activation,
    experts,
    feed_forward,
    layer_count,
)
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.mixtures import sparse_stack
from perfmodel.specifications.mixers import StateSpace
from perfmodel.specifications.model import Experts, FeedForward, Layer, Mixer

Block = FeedForward | Experts | None
_LARGEST = 10_000_000


def _mamba2(fields: ConfigFields, *, inner: int, heads: int, gated_norm: bool = True) -> StateSpace:
    """Return the Mamba 2 block that Bamba's keys describe."""
    return StateSpace(
        version=2,
        inner=inner,
        heads=heads,
        state=fields.integer("mamba_d_state", most=100_000),
        groups=fields.integer("mamba_n_groups", most=100_000),
        convolution=fields.integer("mamba_d_conv", most=1_000),
        convolution_bias=fields.flag("mamba_conv_bias", default=True),
        projection_bias=fields.flag("mamba_proj_bias", default=False),
        gated_norm=gated_norm,
    )


def _mamba_widths(fields: ConfigFields, *, width_key: str = "") -> tuple[int, int]:
    """Return inner width and heads of a Mamba 2 block of Bamba's kind, which must agree."""
    hidden = fields.integer("hidden_size", most=1_000_000)
    inner = fields.integer("mamba_expand", default=2, most=64) * hidden
    if width_key:
        inner = fields.integer(width_key, default=inner, most=1_000_000)
    heads = fields.integer("mamba_n_heads", most=100_000)
    if fields.raw("mamba_d_head") == "auto":
        fields.known("mamba_d_head")
    elif heads * fields.integer("mamba_d_head", default=inner // heads, most=100_000) != inner:
        raise SpecificationError(
            f"{fields.where}: mamba_n_heads: {heads} x mamba_d_head is not the inner width {inner}"
        )
    return inner, heads


_MAMBA_KNOWN = """
mamba_chunk_size time_step_limit time_step_min time_step_max num_logits_to_keep use_mamba_kernels z_loss_coefficient
mamba_rms_norm mamba_norm_before_gate init_method position_embedding_type
""".split()


def _attention_layers(fields: ConfigFields, layers: int) -> list[str]:
    """Return the kind of each layer, as listed: 'mamba' is linear attention, 'attention' full; else all are linear."""
    old = {"mamba": LINEAR, "attention": FULL, LINEAR: LINEAR, FULL: FULL}
    listed = fields.texts("layer_types")
    if listed is None and fields.has("attn_layer_indices"):
        full = set(fields.integers("attn_layer_indices") or [])
        return [FULL if index in full else LINEAR for index in range(layers)]
    fields.known("attn_layer_indices")
    if listed is None:
        return [LINEAR] * layers
    if len(listed) != layers or not set(listed) <= set(old):
        raise SpecificationError(f"{fields.where}: layer_types: expected {layers} of {', '.join(old)}")
    return [old[kind] for kind in listed]


def read_granitemoehybrid(fields: ConfigFields) -> Shape:
    """Granite 4: Mamba 2 in most layers, attention in a few; experts and a shared one, or a dense block alone."""
    check_activation(fields, "hidden_act")
    fields.known(
        *_MAMBA_KNOWN,
        "embedding_multiplier",
        "residual_multiplier",
        "attention_multiplier",
        "logits_scaling",
        "normalization_function",
        "rms_norm",
    )
    layers = layer_count(fields)
    kinds = _attention_layers(fields, layers)
    inner, heads = _mamba_widths(fields)
    rotary = fields.text("position_embedding_type", "rope") == "rope"
    full = msgspec.structs.replace(attention(fields, bias=fields.flag("attention_bias", default=False)), rotary=rotary)
    block = _mamba2(fields, inner=inner, heads=heads)
    mixers: list[Mixer] = [full if kind == FULL else block for kind in kinds]
    shared = fields.integer("shared_intermediate_size", default=0, least=0, most=_LARGEST) or 0
    feed: Block
    if fields.integer("num_local_experts", default=0, least=0, most=100_000):
        feed = experts(fields, "num_local_experts", "intermediate_size", shared=shared)
    else:
        feed = FeedForward(intermediate=shared) if shared else None
        fields.known("num_experts_per_tok", "intermediate_size", "router_aux_loss_coef", "output_router_logits")
    return {"layers": sparse_stack(mixers, [feed] * layers)}


def read_bamba(fields: ConfigFields) -> Shape:
    """Bamba: Mamba 2 in most layers, attention in those that are listed, a dense block in all."""
    check_activation(fields, "hidden_act")
    fields.known(*_MAMBA_KNOWN)
    layers = layer_count(fields)
    inner, heads = _mamba_widths(fields)
    full = attention(fields, bias=fields.flag("attention_bias", default=False))
    block = _mamba2(fields, inner=inner, heads=heads)
    mixers: list[Mixer] = [full if kind == FULL else block for kind in _attention_layers(fields, layers)]
    return {
        "layers": sparse_stack(mixers, [feed_forward(fields, bias=fields.flag("mlp_bias", default=False))] * layers)
    }


_FALCON_H1_KNOWN = """
mlp_multipliers ssm_multipliers mlp_expansion_factor mamba_use_mlp attn_layer_indices
""".split()


def read_falcon_h1(fields: ConfigFields) -> Shape:
    """Falcon-H1: Mamba 2 and attention side by side in every layer."""
    check_activation(fields, "hidden_act")
    multipliers = "lm_head embedding mlp key attention_out attention_in ssm ssm_in ssm_out".split()
    fields.known(*_FALCON_H1_KNOWN, *_MAMBA_KNOWN, *(f"{name}_multiplier" for name in multipliers))
    layers = layer_count(fields)
    inner, heads = _mamba_widths(fields, width_key="mamba_d_ssm")
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    block = _mamba2(fields, inner=inner, heads=heads, gated_norm=fields.flag("mamba_rms_norm", default=False))
    block = msgspec.structs.replace(block, output_bias=fields.flag("projectors_bias", default=False))
    dense = feed_forward(fields, bias=fields.flag("mlp_bias", default=False))
    return {"layers": (Layer(mixer=mixer, beside=block, feed_forward=dense),) * layers}


_MAMBA_1_KNOWN = """
residual_in_fp32 rescale_prenorm_residual time_step_min time_step_max time_step_floor time_step_scale
time_step_init_scheme use_mambapy use_associative_scan use_falcon_mambapy mixer_rms_eps fused_add_norm rms_norm
ssm_cfg d_inner d_model n_layer pad_vocab_size_multiple layer_norm_epsilon use_cache
""".split()


def read_mamba(fields: ConfigFields) -> Shape:
    """Mamba and Falcon Mamba: state-space blocks of the first version only."""
    check_activation(fields, "hidden_act")
    fields.known(*_MAMBA_1_KNOWN)
    hidden = fields.integer("hidden_size", most=1_000_000)
    inner = fields.integer("expand", default=2, most=64) * hidden
    inner = fields.integer("intermediate_size", default=inner, most=_LARGEST)
    rank = -(-hidden // 16)
    if fields.raw("time_step_rank") != "auto":
        rank = fields.integer("time_step_rank", default=rank, most=1_000_000)
    fields.known("time_step_rank")
    block = StateSpace(
        version=1,
        inner=inner,
        state=fields.integer("state_size", default=16, most=100_000),
        convolution=fields.integer("conv_kernel", default=4, most=1_000),
        convolution_bias=fields.flag("use_conv_bias", default=True),
        projection_bias=fields.flag("use_bias", default=False),
        step_rank=rank,
    )
    return {"layers": (Layer(mixer=block, feed_forward=None),) * layer_count(fields)}
