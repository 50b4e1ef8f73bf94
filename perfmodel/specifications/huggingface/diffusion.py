"""Diffusion language models: LLaDA, its mixtures and Dream.

They look both ways and fill in a block of tokens over several steps.

A denoising step is what verifying drafts is: all tokens of a block go through the model at once and attend to what is
cached of earlier blocks and to each other. So a block of N tokens, of which M become certain in a step, is asked as
N - 1 drafts that cost nothing, of which M - 1 are accepted.
"""

from typing import Any

from perfmodel.specifications.huggingface.blocks import attention, check_activation, feed_forward, layer_count
from perfmodel.specifications.huggingface.decoders import read_decoder
from perfmodel.specifications.huggingface.dense import Shape, read_qwen2, stack
from perfmodel.specifications.huggingface.families import DECODERS
from perfmodel.specifications.huggingface.fields import ConfigFields

NOTE = (
    "a diffusion model: a step with N tokens of a block, M of which become certain, is --draft N-1 --drafter ngram"
    " --accepted M-1; without a cache of earlier blocks a step is a --prompt of the whole sequence"
)
_LLADA = """alibi alibi_bias_max attention_layer_norm_with_affine block_group_size block_type flash_attention
init_cutoff_factor init_device init_fn init_std input_emb_norm layer_norm_type layer_norm_with_affine mlp_ratio
precision rope rope_full_precision scale_logits multi_query_attention embedding_size""".split()


def _said(shape: Shape) -> Shape:
    return shape | {"notes": (NOTE,)}


def read_llada(fields: ConfigFields) -> Shape:
    """LLaDA (arXiv 2502.09992): Llama under OLMo's key names, which attends both ways."""
    check_activation(fields, "activation_type", "hidden_act")
    fields.known(*_LLADA)
    bias = fields.flag("include_bias", default=False)
    mixer = attention(
        fields, bias=fields.flag("include_qkv_bias", default=bias), output_bias=bias,
        query_key_norm="full" if fields.flag("attention_layer_norm", default=False) else "",
    )  # fmt: skip
    fields.flag("bias_for_layer_norm", default=False)
    return _said({"layers": stack([mixer] * layer_count(fields), feed_forward(fields, bias=bias))})


def read_llada_moe(fields: ConfigFields) -> Shape:
    """LLaDA-MoE: norms a head on queries and keys, experts in every layer."""
    fields.known(
        "moe_layer_freq", "dense_intermediate_size", "shared_expert_intermediate_size", "partial_rotary_factor"
    )
    return _said(read_decoder(fields, DECODERS["llada_moe"]))


def read_llada2_moe(fields: ConfigFields) -> Shape:
    """LLaDA 2: the mixtures of Ling."""
    fields.known("block_size")
    return _said(read_decoder(fields, DECODERS["bailing_moe_v2"]))


def read_dream(fields: ConfigFields) -> Shape:
    """Dream (arXiv 2508.15487): Qwen2.5, which attends both ways."""
    fields.known("use_mrope", "attention_bias", "block_size")
    return _said(read_qwen2(fields))


READERS: dict[str, Any] = {
    "Dream": read_dream,
    "dream": read_dream,
    "llada": read_llada,
    "llada2_moe": read_llada2_moe,
    "llada_moe": read_llada_moe,
    "lladamoe": read_llada_moe,
}
