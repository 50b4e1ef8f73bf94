"""Stacks with recurrent state: Mamba 2, Jamba, Qwen3-Next and Qwen3.5."""

from collections.abc import Callable

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    LINEAR,
    attention,
    check_activation,
    delta_attention,
    experts,
    feed_forward,
    layer_count,
    layer_types,
)
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.mixtures import qwen_blocks, sparse_stack
from perfmodel.specifications.mixers import Attention, StateSpace
from perfmodel.specifications.model import Experts, FeedForward, Layer, Mixer


def read_mamba2(fields: ConfigFields) -> Shape:
    """Mamba 2: state-space blocks only, each behind one norm."""
    check_activation(fields, "hidden_act")
    fields.known(
        "rms_norm",
        "residual_in_fp32",
        "rescale_prenorm_residual",
        "time_step_rank",
        "time_step_min",
        "time_step_max",
        "time_step_floor",
        "time_step_limit",
        "chunk_size",
        "norm_before_gate",
        "layer_norm_epsilon",
        "time_step_init_scheme",
        "time_step_scale",
        "fused_add_norm",
        "pad_vocab_size_multiple",
        "use_mambapy",
    )
    hidden = fields.integer("hidden_size", most=1_000_000)
    head_dim = fields.integer("head_dim", default=64, most=100_000)
    inner = fields.integer("expand", default=2, most=64) * hidden
    fields.known("intermediate_size")
    heads = fields.integer("num_heads", default=inner // head_dim, most=100_000)
    if heads * head_dim != inner:
        raise SpecificationError(
            f"{fields.where}: num_heads: {heads} x head_dim {head_dim} is not expand x hidden_size = {inner}"
        )
    block = StateSpace(
        version=2,
        inner=inner,
        state=fields.integer("state_size", default=128, most=100_000),
        convolution=fields.integer("conv_kernel", default=4, most=1000),
        convolution_bias=fields.flag("use_conv_bias", default=True),
        projection_bias=fields.flag("use_bias", default=False),
        heads=heads,
        groups=fields.integer("n_groups", default=8, most=100_000),
    )
    return {"layers": (Layer(mixer=block, feed_forward=None),) * layer_count(fields), "tied_default": True}


def read_jamba(fields: ConfigFields) -> Shape:
    """Jamba: one attention layer in eight, Mamba in the others; experts in every second layer; no rotary embedding."""
    check_activation(fields, "hidden_act")
    fields.known("use_mamba_kernels", "num_logits_to_keep")
    hidden, layers = fields.integer("hidden_size", most=1_000_000), layer_count(fields)
    plain = attention(fields)
    mixer = Attention(heads=plain.heads, kv_heads=plain.kv_heads, head_dim=plain.head_dim, rotary=False)
    inner = fields.integer("mamba_expand", default=2, most=64) * hidden
    rank = -(-hidden // 16)
    if fields.raw("mamba_dt_rank") != "auto":
        rank = fields.integer("mamba_dt_rank", default=rank, most=1_000_000)
    fields.known("mamba_dt_rank")
    block = StateSpace(
        version=1,
        inner=inner,
        state=fields.integer("mamba_d_state", default=16, most=100_000),
        convolution=fields.integer("mamba_d_conv", default=4, most=1000),
        convolution_bias=fields.flag("mamba_conv_bias", default=True),
        projection_bias=fields.flag("mamba_proj_bias", default=False),
        step_rank=rank,
        inner_norms=fields.flag("mamba_inner_layernorms", default=True),
    )
    period, offset = (
        fields.integer("attn_layer_period", default=8, most=10_000),
        fields.integer("attn_layer_offset", default=4, least=0, most=10_000),
    )
    expert_period, expert_offset = (
        fields.integer("expert_layer_period", default=2, most=10_000),
        fields.integer("expert_layer_offset", default=1, least=0, most=10_000),
    )
    dense, mixture = feed_forward(fields), experts(fields, "num_experts", "intermediate_size")
    mixers: list[Mixer] = [mixer if index % period == offset else block for index in range(layers)]
    blocks: list[FeedForward | Experts | None] = [
        mixture if mixture.count > 1 and index % expert_period == expert_offset else dense for index in range(layers)
    ]
    return {"layers": sparse_stack(mixers, blocks)}


def _read_delta(
    fields: ConfigFields, blocks: Callable[[ConfigFields, int], list[FeedForward | Experts | None]]
) -> Shape:
    """Three layers of gated delta rule to one of gated full attention, with the feed-forwards that `blocks` reads."""
    check_activation(fields, "hidden_act")
    fields.known(
        "partial_rotary_factor",
        "mamba_ssm_dtype",
        "mtp_num_hidden_layers",
        "mtp_use_dedicated_embeddings",
        "attn_output_gate",
        "mlp_only_layers",
        "output_gate_type",
    )
    layers = layer_count(fields)
    interval = fields.integer("full_attention_interval", default=4, most=10_000)
    types = layer_types(fields, layers, (FULL, LINEAR)) or [
        FULL if (index + 1) % interval == 0 else LINEAR for index in range(layers)
    ]
    full = attention(
        fields,
        bias=fields.flag("attention_bias", default=False),
        query_key_norm="head",
        output_gate=True,
        head_dim_default=256,
    )
    delta = delta_attention(fields)
    mixers: list[Mixer] = [full if kind == FULL else delta for kind in types]
    stack = sparse_stack(mixers, blocks(fields, layers))
    # The draft head's layer sees all, as the last one does.
    count = fields.integer("mtp_num_hidden_layers", default=0, least=0, most=100)
    return {"layers": stack, "draft_layers": (stack[-1],) * count}


def read_qwen3_next(fields: ConfigFields) -> Shape:
    """Qwen3-Next and the mixtures of Qwen3.5: experts with a shared one in every layer."""
    return _read_delta(fields, lambda read, layers: qwen_blocks(read, layers, shared=True))


def read_qwen3_5(fields: ConfigFields) -> Shape:
    """Qwen3.5 (dense)."""
    return _read_delta(fields, lambda read, layers: [feed_forward(read)] * layers)
