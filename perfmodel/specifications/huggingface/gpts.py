"""GPT-2 and its kin under the key names of their time: GPT-2, GPT-BigCode, GPT-J, BLOOM, MPT, Phi."""

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import attention, check_activation, feed_forward, layer_count
from perfmodel.specifications.huggingface.dense import Shape, stack
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention


def _plain(fields: ConfigFields, *, bias: bool, kv_heads: int | None = None) -> Attention:
    """Return attention without rotary embedding, with a bias everywhere or nowhere."""
    mixer = attention(fields, bias=bias, kv_default=kv_heads)
    return msgspec.structs.replace(mixer, rotary=False)


def read_gpt2(fields: ConfigFields) -> Shape:
    """GPT-2 and GPT-BigCode.

    Biases everywhere, learned positions, of which a step reads one row; one key and value head where multi_query says
    so.
    """
    check_activation(fields, "activation_function")
    fields.known(
        "n_ctx",
        "summary_activation",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "summary_first_dropout",
        "scale_attn_weights",
        "reorder_and_upcast_attn",
        "scale_attn_by_inverse_layer_idx",
        "attention_softmax_in_fp32",
        "scale_attention_softmax_in_fp32",
        "inference_runner",
        "validate_runner_input",
        "runner_max_sequence_length",
        "pre_allocate_kv_cache",
        "max_sequence_length",
        "max_batch_size",
    )
    hidden = fields.integer("hidden_size", most=1_000_000)
    mixer = _plain(fields, bias=True, kv_heads=1 if fields.flag("multi_query", default=False) else None)
    block = feed_forward(fields, gated=False, bias=True, default=4 * hidden)
    positions = fields.integer("n_positions", default=1024, most=100_000_000)
    return {
        "layers": stack([mixer] * layer_count(fields), block),
        "norm_elements": 2,
        "tied_default": True,
        "other_parameters": positions * hidden,
    }


def read_gptj(fields: ConfigFields) -> Shape:
    """GPT-J: attention without biases in parallel with a biased feed-forward block behind one norm.

    A biased head of its own.
    """
    check_activation(fields, "activation_function")
    fields.known(
        "n_positions",
        "n_ctx",
        "rotary",
        "rotary_dim",
        "scale_attn_weights",
        "summary_activation",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "summary_first_dropout",
    )
    block = feed_forward(fields, gated=False, bias=True, default=4 * fields.integer("hidden_size", most=1_000_000))
    return {
        "layers": stack([attention(fields)] * layer_count(fields), block, parallel="one-norm"),
        "norm_elements": 2,
        "head_bias": True,
    }


def read_bloom(fields: ConfigFields) -> Shape:
    """BLOOM: biases everywhere, linear biases in place of positions, and a norm behind the embedding."""
    fields.known(
        "apply_residual_connection_post_layernorm",
        "attention_softmax_in_fp32",
        "bias_dropout_fusion",
        "masked_softmax_fusion",
        "offset_alibi",
        "seq_length",
        "skip_bias_add",
        "skip_bias_add_qkv",
        "slow_but_exact",
        "unk_token_id",
    )
    hidden = fields.integer("hidden_size", most=1_000_000)
    block = feed_forward(fields, gated=False, bias=True, default=4 * hidden)
    return {
        "layers": stack([_plain(fields, bias=True)] * layer_count(fields), block),
        "norm_elements": 2,
        "tied_default": True,
        "other_parameters": 2 * hidden,
    }


def read_mpt(fields: ConfigFields) -> Shape:
    """MPT: no biases at all, linear biases in place of positions."""
    if not fields.flag("no_bias", default=True):
        raise SpecificationError(f"{fields.where}: no_bias: an MPT with biases is not understood")
    inner = ConfigFields(fields.table("attn_config") or {}, f"{fields.where}: attn_config")
    if not inner.flag("alibi", default=True) or inner.flag("qk_ln", default=False):
        raise SpecificationError(
            f"{fields.where}: attn_config: only alibi without norms on queries and keys is understood"
        )
    fields.known(
        "emb_pdrop",
        "init_config",
        "init_device",
        "learned_pos_emb",
        "logit_scale",
        "norm_type",
        "resid_pdrop",
        "verbose",
        "embedding_fraction",
        "low_precision_layernorm",
    )
    mixer = _plain(fields, bias=False, kv_heads=inner.integer("kv_n_heads", required=False))
    block = feed_forward(
        fields,
        gated=False,
        default=fields.integer("expansion_ratio", default=4, most=64) * fields.integer("hidden_size", most=1_000_000),
    )
    return {"layers": stack([mixer] * layer_count(fields), block), "tied_default": True}


def read_phi(fields: ConfigFields) -> Shape:
    """Phi-1, 1.5 and 2: biases everywhere, both blocks in parallel behind one norm, a biased head of its own."""
    check_activation(fields, "hidden_act")
    fields.known("partial_rotary_factor")
    if fields.flag("qk_layernorm", default=False):
        raise SpecificationError(f"{fields.where}: qk_layernorm: is not understood for phi")
    return {
        "layers": stack(
            [attention(fields, bias=True)] * layer_count(fields),
            feed_forward(fields, gated=False, bias=True),
            parallel="one-norm",
        ),
        "norm_elements": 2,
        "head_bias": True,
    }
