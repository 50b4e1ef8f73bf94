"""Decoders of 2018 to 2024 that few ask for: GPT, GPT-Neo, CodeGen, XGLM, BioGPT, DBRX."""

from collections.abc import Callable

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import attention, check_activation, feed_forward, layer_count
from perfmodel.specifications.huggingface.dense import Shape, stack
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.gpts import read_gptj
from perfmodel.specifications.huggingface.mixtures import sparse_stack
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import Experts


def _unrotated(fields: ConfigFields, *, bias: bool, output_bias: bool = True) -> Attention:
    return msgspec.structs.replace(attention(fields, bias=bias, output_bias=output_bias), rotary=False)


def read_openai_gpt(fields: ConfigFields) -> Shape:
    """GPT: biases everywhere, norms behind each block and none at the end, learned positions."""
    check_activation(fields, "afn")
    fields.known(
        "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels", "n_ctx", "n_special"
    )
    fields.known("summary_first_dropout", "predict_special_tokens")
    hidden = fields.integer("hidden_size", most=1_000_000)
    block = feed_forward(fields, gated=False, bias=True, default=4 * hidden)
    return {
        "layers": stack([_unrotated(fields, bias=True)] * layer_count(fields), block, norms="after"),
        "norm_elements": 2,
        "tied_default": True,
        "final_norm": False,
        "other_parameters": fields.integer("n_positions", default=512, most=100_000_000) * hidden,
    }


def read_gpt_neo(fields: ConfigFields) -> Shape:
    """GPT-Neo: a bias behind attention but not before it, learned positions.

    Its local layers mask far tokens that they keep and read like the others, so that they cost the same.
    """
    check_activation(fields, "activation_function")
    fields.known("classifier_dropout", "resid_dropout", "embed_dropout", "summary_first_dropout", "summary_type")
    fields.known("summary_use_proj", "summary_activation", "summary_proj_to_labels", "gradient_checkpointing")
    fields.known("attention_types", "attention_layers", "window_size")
    hidden = fields.integer("hidden_size", most=1_000_000)
    block = feed_forward(fields, gated=False, bias=True, default=4 * hidden)
    return {
        "layers": stack([_unrotated(fields, bias=False)] * layer_count(fields), block),
        "norm_elements": 2,
        "tied_default": True,
        "other_parameters": fields.integer("max_position_embeddings", default=2048) * hidden,
    }


def read_xglm(fields: ConfigFields) -> Shape:
    """XGLM: biases everywhere, positions that are computed."""
    check_activation(fields, "activation_function")
    fields.known("layerdrop", "scale_embedding", "activation_dropout")
    block = feed_forward(fields, gated=False, bias=True)
    layers = stack([_unrotated(fields, bias=True)] * layer_count(fields), block)
    return {"layers": layers, "norm_elements": 2, "tied_default": True}


def read_biogpt(fields: ConfigFields) -> Shape:
    """BioGPT: biases everywhere and a table of learned positions with two more rows than it has places."""
    check_activation(fields, "hidden_act")
    fields.known("layerdrop", "scale_embedding", "activation_dropout")
    hidden = fields.integer("hidden_size", most=1_000_000)
    block = feed_forward(fields, gated=False, bias=True)
    return {
        "layers": stack([_unrotated(fields, bias=True)] * layer_count(fields), block),
        "norm_elements": 2,
        "tied_default": True,
        "other_parameters": (fields.integer("max_position_embeddings", default=1024) + 2) * hidden,
    }


def read_dbrx(fields: ConfigFields) -> Shape:
    """DBRX: grouped attention, routed experts in every layer, norms without biases."""
    inner = ConfigFields(fields.table("attn_config") or {}, f"{fields.where}: attn_config")
    block = ConfigFields(fields.table("ffn_config") or {}, f"{fields.where}: ffn_config")
    fields.known("emb_pdrop", "resid_pdrop", "output_router_logits", "router_aux_loss_coef")
    mixer = attention(fields, kv_default=inner.integer("kv_n_heads", default=1, most=100_000))
    mixture = Experts(
        count=block.integer("moe_num_experts", default=4, most=100_000),
        chosen=block.integer("moe_top_k", default=1, most=100_000),
        intermediate=block.integer("ffn_hidden_size", default=3584, most=10_000_000),
    )
    if mixture.chosen > mixture.count:
        raise SpecificationError(f"{block.where}: moe_top_k: {mixture.chosen} is more than {mixture.count} experts")
    layers = layer_count(fields)
    return {"layers": sparse_stack([mixer] * layers, [mixture] * layers)}


READERS: dict[str, Callable[[ConfigFields], Shape]] = {
    "biogpt": read_biogpt,
    "codegen": read_gptj,
    "dbrx": read_dbrx,
    "gpt_neo": read_gpt_neo,
    "openai-gpt": read_openai_gpt,
    "xglm": read_xglm,
}
