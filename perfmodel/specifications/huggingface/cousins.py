"""Cousins of Llama that differ in norms, biases or names.

StableLM, StarCoder 2, Command R, Baichuan, ChatGLM, InternLM 2, OLMo.
"""

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    SLIDING,
    attention,
    check_activation,
    feed_forward,
    layer_count,
)
from perfmodel.specifications.huggingface.dense import Shape, stack, windowed
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention


def read_stablelm(fields: ConfigFields) -> Shape:
    """StableLM 3B and StableLM 2.

    LayerNorm with a bias, biases on query, key and value where told; the 12B in parallel behind one norm, with norms a
    head.
    """
    check_activation(fields, "hidden_act")
    fields.known("partial_rotary_factor")
    norm = "full" if fields.flag("qk_layernorm", default=False) else ""
    mixer = attention(fields, bias=fields.flag("use_qkv_bias", default=False), output_bias=False, query_key_norm=norm)
    parallel = "one-norm" if fields.flag("use_parallel_residual", default=False) else ""
    return {"layers": stack([mixer] * layer_count(fields), feed_forward(fields), parallel=parallel), "norm_elements": 2}


def read_starcoder2(fields: ConfigFields) -> Shape:
    """StarCoder 2: biases everywhere where told, a feed-forward block without a gate, a window in all layers."""
    check_activation(fields, "hidden_act", "activation_function")
    fields.known(
        "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "scale_attn_weights", "norm_type", "mlp_type"
    )
    bias = fields.flag("use_bias", default=True)
    window = fields.integer("sliding_window", required=False)
    types = [FULL if window is None else SLIDING] * layer_count(fields)
    return {
        "layers": stack(
            windowed(attention(fields, bias=bias), types, window), feed_forward(fields, gated=False, bias=bias)
        ),
        "norm_elements": 2,
        "tied_default": True,
    }


def read_cohere(fields: ConfigFields) -> Shape:
    """Command R and Aya 23: both blocks in parallel behind one norm; the head is the embedding."""
    check_activation(fields, "hidden_act")
    fields.known("logit_scale", "model_max_length")
    norm = "full" if fields.flag("use_qk_norm", default=False) else ""
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm=norm)
    return {
        "layers": stack([mixer] * layer_count(fields), feed_forward(fields), parallel="one-norm"),
        "tied_default": True,
    }


def read_baichuan(fields: ConfigFields) -> Shape:
    """Baichuan: Llama with merged projections.

    The 13B has linear biases in place of rotary embeddings, told by its lack of max_position_embeddings.
    """
    check_activation(fields, "hidden_act")
    fields.known("model_max_length", "z_loss_weight", "max_position_embeddings")
    mixer = attention(fields)
    if not fields.has("max_position_embeddings"):
        mixer = msgspec.structs.replace(mixer, rotary=False)
    return {"layers": stack([mixer] * layer_count(fields), feed_forward(fields))}


def read_chatglm(fields: ConfigFields) -> Shape:
    """ChatGLM 2 and 3: grouped-query attention with biases on query, key and value; heads of kv_channels."""
    for key in ("add_bias_linear", "apply_residual_connection_post_layernorm"):
        if fields.flag(key, default=False):
            raise SpecificationError(f"{fields.where}: {key}: is not understood for chatglm")
    fields.known(
        "apply_query_key_layer_scaling",
        "attention_softmax_in_fp32",
        "bias_dropout_fusion",
        "fp32_residual_connection",
        "layernorm_epsilon",
        "original_rope",
        "post_layer_norm",
        "rmsnorm",
        "pre_seq_len",
        "prefix_projection",
        "quantization_bit",
        "rope_ratio",
        "classifier_dropout",
    )
    heads = fields.integer("num_attention_heads", most=100_000)
    groups = (
        fields.integer("multi_query_group_num", default=1, most=100_000)
        if fields.flag("multi_query_attention", default=False)
        else heads
    )
    if heads % groups:
        raise SpecificationError(
            f"{fields.where}: multi_query_group_num: {groups} does not divide num_attention_heads {heads}"
        )
    bias = fields.flag("add_qkv_bias", default=False)
    mixer = Attention(
        heads=heads,
        kv_heads=groups,
        head_dim=fields.integer("kv_channels", default=128, most=100_000),
        query_key_value_bias=bias,
    )
    return {"layers": stack([mixer] * layer_count(fields), feed_forward(fields))}


def read_internlm2(fields: ConfigFields) -> Shape:
    """InternLM 2 and 2.5: Llama with merged projections, biases where told."""
    check_activation(fields, "hidden_act")
    fields.known("attn_implementation")
    return {
        "layers": stack(
            [attention(fields, bias=fields.flag("bias", default=False))] * layer_count(fields), feed_forward(fields)
        )
    }


def read_olmo(fields: ConfigFields) -> Shape:
    """OLMo: Llama whose norms have no weights."""
    check_activation(fields, "hidden_act")
    fields.known("clip_qkv")
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    return {"layers": stack([mixer] * layer_count(fields), feed_forward(fields)), "norm_elements": 0}
