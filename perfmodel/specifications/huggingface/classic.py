"""Decoders of the first years: Falcon, GPT-NeoX, OPT. Biases, LayerNorm, feed-forward blocks without a gate."""

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import attention, check_activation, feed_forward, layer_count
from perfmodel.specifications.huggingface.dense import Shape, stack
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import FeedForward


def read_falcon(fields: ConfigFields) -> Shape:
    """Falcon: multi-query (7B) or grouped (40B, 180B) attention in parallel with the feed-forward block."""
    hidden = fields.integer("hidden_size", most=1_000_000)
    heads = fields.integer("num_attention_heads", most=100_000)
    grouped = fields.flag("new_decoder_architecture", default=False)
    one_kv_head = fields.flag("multi_query", default=True)
    kv_heads = fields.integer("num_kv_heads", default=heads, most=100_000) if grouped or not one_kv_head else 1
    fields.known(
        "num_kv_heads", "n_head_kv", "hidden_dropout", "apply_residual_connection_post_layernorm", "activation"
    )
    if hidden % heads or heads % kv_heads:
        raise SpecificationError(
            f"{fields.where}: num_attention_heads: {heads} does not divide hidden_size {hidden}, or num_kv_heads"
            f" {kv_heads} not it"
        )
    if fields.flag("alibi", default=False):
        raise SpecificationError(f"{fields.where}: alibi: is not understood for falcon")
    bias = fields.flag("bias", default=False)
    mixer = Attention(
        heads=heads, kv_heads=kv_heads, head_dim=hidden // heads, query_key_value_bias=bias, output_bias=bias
    )
    block = FeedForward(
        intermediate=fields.integer("ffn_hidden_size", default=4 * hidden, most=10_000_000), gated=False, bias=bias
    )
    norms_in_parallel = fields.integer("num_ln_in_parallel_attn", default=2 if grouped else 1, most=2)
    parallel = (
        {1: "one-norm", 2: "two-norms"}[norms_in_parallel]
        if fields.flag("parallel_attn", default=True) or grouped
        else ""
    )
    return {
        "layers": stack([mixer] * layer_count(fields), block, parallel=parallel),
        "norm_elements": 2,
        "tied_default": True,
    }


def read_gpt_neox(fields: ConfigFields) -> Shape:
    """GPT-NeoX and Pythia: biases everywhere, both blocks in parallel behind a norm each."""
    check_activation(fields, "hidden_act")
    fields.known("rotary_pct", "rotary_emb_base", "partial_rotary_factor")
    mixer = attention(fields, bias=fields.flag("attention_bias", default=True))
    parallel = "two-norms" if fields.flag("use_parallel_residual", default=True) else ""
    return {
        "layers": stack([mixer] * layer_count(fields), feed_forward(fields, gated=False, bias=True), parallel=parallel),
        "norm_elements": 2,
    }


def read_opt(fields: ConfigFields) -> Shape:
    """OPT: biases everywhere and a table of learned positions, of which a step reads one row."""
    hidden = fields.integer("hidden_size", most=1_000_000)
    check_activation(fields, "activation_function")
    if fields.integer("word_embed_proj_dim", default=hidden, most=1_000_000) != hidden:
        raise SpecificationError(
            f"{fields.where}: word_embed_proj_dim: an embedding narrower than hidden_size is not understood"
        )
    positions = fields.integer("max_position_embeddings", default=2048) + 2
    bias = fields.flag("enable_bias", default=True)
    if not fields.flag("layer_norm_elementwise_affine", default=True):
        raise SpecificationError(
            f"{fields.where}: layer_norm_elementwise_affine: norms without weights are not understood"
        )
    before = fields.flag("do_layer_norm_before", default=True)
    fields.known("layerdrop")
    mixer = attention(fields, bias=bias)
    mixer = Attention(
        heads=mixer.heads,
        kv_heads=mixer.kv_heads,
        head_dim=mixer.head_dim,
        query_key_value_bias=bias,
        output_bias=bias,
        rotary=False,
    )
    block = feed_forward(fields, gated=False, bias=bias, key="ffn_dim")
    return {
        "layers": stack([mixer] * layer_count(fields), block, norms="before" if before else "after"),
        "norm_elements": 2,
        "tied_default": True,
        "other_parameters": positions * hidden,
        "final_norm": before,
    }
