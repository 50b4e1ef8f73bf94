"""Dense decoders: Llama and its kin, Gemma, Cohere, Phi, OLMo, Granite, SmolLM."""

from collections.abc import Callable
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    SLIDING,
    attention,
    check_activation,
    feed_forward,
    layer_count,
    layer_types,
    pattern_types,
    rotary_layers,
    window_of,
)
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import FeedForward, Layer, Streams

Shape = dict[str, Any]


def stack(mixers: list[Attention], block: FeedForward, **layer: Any) -> tuple[Layer, ...]:
    """Return one layer for each mixer; equal layers are one object."""
    built = {mixer: Layer(mixer=mixer, feed_forward=block, **layer) for mixer in set(mixers)}
    return tuple(built[mixer] for mixer in mixers)


def windowed(mixer: Attention, types: list[str], window: int | None) -> list[Attention]:
    """Return the mixer of each layer, with the window where the layer slides."""
    sliding = msgspec.structs.replace(mixer, window=window)
    return [sliding if kind == SLIDING else mixer for kind in types]


def read_llama(fields: ConfigFields) -> Shape:
    """Llama: grouped-query attention, gated feed-forward, one norm before each.

    Biases where the config asks for them.
    """
    check_activation(fields, "hidden_act")
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    block = feed_forward(fields, bias=fields.flag("mlp_bias", default=False))
    return {"layers": stack([mixer] * layer_count(fields), block)}


def read_mistral(fields: ConfigFields) -> Shape:
    """Mistral: Llama without biases, with a sliding window in all layers where one is given."""
    check_activation(fields, "hidden_act")
    window = fields.integer("sliding_window", required=False)
    types = [FULL if window is None else SLIDING] * layer_count(fields)
    return {"layers": stack(windowed(attention(fields), types, window), feed_forward(fields))}


def read_qwen2(fields: ConfigFields) -> Shape:
    """Qwen2 and Qwen2.5: biases on query, key and value, none on the output."""
    check_activation(fields, "hidden_act")
    return {"layers": stack(qwen_mixers(fields, attention(fields, bias=True, output_bias=False)), feed_forward(fields))}


def read_mimo(fields: ConfigFields) -> Shape:
    """MiMo: Qwen2 with a draft head of its own."""
    fields.known("use_mrope")
    fields.flag("attention_bias", default=True)
    shape = read_qwen2(fields)
    count = fields.integer("num_nextn_predict_layers", default=0, least=0, most=100)
    return shape | {"draft_layers": (shape["layers"][-1],) * count}


def read_qwen3(fields: ConfigFields) -> Shape:
    """Qwen3: norms on queries and keys, heads wider than hidden / heads."""
    check_activation(fields, "hidden_act")
    mixer = attention(
        fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head", head_dim_needed=True
    )
    return {"layers": stack(qwen_mixers(fields, mixer), feed_forward(fields))}


def qwen_mixers(fields: ConfigFields, mixer: Attention, usual: list[bool] | None = None) -> list[Attention]:
    """Return the mixer of each layer: Qwen slides only when told to, and then from layer max_window_layers on.

    usual: which layers slide where no list says, if other ones.
    """
    layers = layer_count(fields)
    uses_window = fields.flag("use_sliding_window", default=False)
    first = fields.integer("max_window_layers", default=layers, least=0)
    slides = usual or [index >= first for index in range(layers)]
    types = layer_types(fields, layers, (FULL, SLIDING)) or [SLIDING if one else FULL for one in slides]
    window = fields.integer("sliding_window", required=False, least=0) or None
    # Where windows are switched off, a layer that is listed as sliding sees all the same.
    return windowed(mixer, types, window if uses_window else None)


def read_smollm3(fields: ConfigFields) -> Shape:
    """SmolLM3: Llama in which every fourth layer has no rotary embedding."""
    check_activation(fields, "hidden_act")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    rotary = rotary_layers(fields, layers)
    mixers = qwen_mixers(fields, mixer, [not rotated for rotated in rotary])
    plain = [
        m if rotated else msgspec.structs.replace(m, rotary=False) for m, rotated in zip(mixers, rotary, strict=True)
    ]
    return {
        "layers": stack(plain, feed_forward(fields, bias=fields.flag("mlp_bias", default=False))),
        "tied_default": True,
    }


def read_granite(fields: ConfigFields) -> Shape:
    """Granite: Llama with constant multipliers on embedding, residual, attention and logits."""
    fields.known("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
    return read_llama(fields)


def read_olmo2(fields: ConfigFields) -> Shape:
    """OLMo 2: norms after each block, and over the whole width of queries and keys."""
    check_activation(fields, "hidden_act")
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False), query_key_norm="full")
    return {"layers": stack([mixer] * layer_count(fields), feed_forward(fields), norms="after")}


def read_phi3(fields: ConfigFields) -> Shape:
    """Phi-3 and Phi-4: merged projections without biases; a sliding window in all layers where one is given."""
    fields.known("partial_rotary_factor", "full_attn_mod", "interpolate_factor")
    if fields.flag("attention_bias", default=False):
        raise SpecificationError(f"{fields.where}: attention_bias: Phi-3 has none")
    return read_mistral(fields)


def read_gemma(fields: ConfigFields) -> Shape:
    """Gemma: Llama with heads of their own width; the head is the embedding."""
    fields.known("num_image_tokens", "projection_dim", "use_bidirectional_attention")
    check_activation(fields, "hidden_act", "hidden_activation")
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False), head_dim_default=256)
    return {"layers": stack([mixer] * layer_count(fields), feed_forward(fields)), "tied_default": True}


def read_gemma2(fields: ConfigFields) -> Shape:
    """Gemma 2: norms before and after each block; every second layer sees all, the first one slides."""
    return _read_gemma_sliding(fields, period=2, query_key_norm="")


def read_gemma3(fields: ConfigFields) -> Shape:
    """Gemma 3 (text): Gemma 2 with norms on queries and keys; five sliding layers to one that sees all."""
    return _read_gemma_sliding(fields, period=6, query_key_norm="head", heads_default=8, kv_default=4)


def _check_is_decoder(fields: ConfigFields) -> None:
    """Refuse a Gemma that looks both ways, which encodes and does not decode."""
    if fields.raw("use_bidirectional_attention") is True:
        raise SpecificationError(
            f"{fields.where}: use_bidirectional_attention: true is an encoder, which has no decode step"
        )


def _read_gemma_sliding(
    fields: ConfigFields,
    *,
    period: int,
    query_key_norm: str,
    heads_default: int | None = None,
    kv_default: int | None = None,
) -> Shape:
    _check_is_decoder(fields)
    check_activation(fields, "hidden_act", "hidden_activation")
    fields.known(
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "query_pre_attn_scalar",
        "cache_implementation",
        "use_bidirectional_attention",
        "sliding_window_pattern",
    )
    layers = layer_count(fields)
    bias = fields.flag("attention_bias", default=False)
    mixer = attention(
        fields,
        bias=bias,
        query_key_norm=query_key_norm,
        head_dim_default=256,
        heads_default=heads_default,
        kv_default=kv_default,
    )
    types = pattern_types(fields, layers, period)
    mixers = windowed(mixer, types, window_of(fields, types, default=4096))
    return {
        "layers": stack(mixers, feed_forward(fields), norms="both"),
        "tied_default": True,
        "vocabulary_default": 262_208 if period == 6 else None,
    }


def read_cohere2(fields: ConfigFields) -> Shape:
    """Command R7B and A: both blocks in parallel behind one norm.

    Three sliding layers to one that sees all and has no positions.
    """
    check_activation(fields, "hidden_act")
    fields.known(
        "logit_scale",
        "rotary_pct",
        "position_embedding_type",
        "order_of_interleaved_layers",
        "cache_implementation",
        "use_gated_activation",
        "use_embedding_sharing",
        "use_parallel_embedding",
        "use_parallel_block",
        "layer_switch",
    )
    if fields.flag("use_qk_norm", default=False):
        raise SpecificationError(f"{fields.where}: use_qk_norm: is not understood for cohere2")
    layers = layer_count(fields)
    mixer = attention(fields, bias=fields.flag("attention_bias", default=False))
    types = pattern_types(fields, layers, 4)
    mixers = windowed(mixer, types, window_of(fields, types, default=4096))
    mixers = [m if m.window is not None else msgspec.structs.replace(m, rotary=False) for m in mixers]
    return {"layers": stack(mixers, feed_forward(fields), parallel="one-norm"), "tied_default": True}


def read_gemma3n(fields: ConfigFields) -> Shape:
    """Gemma 3n (text): four sliding layers to one that sees all.

    The last layers share the caches of earlier ones of their kind; several streams.
    """
    check_activation(fields, "hidden_activation", "hidden_act")
    fields.known(
        "final_logit_softcapping",
        "altup_active_idx",
        "altup_coef_clip",
        "altup_lr_multiplier",
        "altup_correct_scale",
        "attn_logit_softcapping",
        "query_pre_attn_scalar",
    )
    layers, hidden = layer_count(fields), fields.integer("hidden_size", most=1_000_000)
    mixer = attention(
        fields, bias=fields.flag("attention_bias", default=False), query_key_norm="head", head_dim_default=256
    )
    types = pattern_types(fields, layers, 5)
    mixers = windowed(mixer, types, window_of(fields, types, default=512))
    first = layers - fields.integer("num_kv_shared_layers", default=15, least=0, most=layers)
    makers = set(types[:first])
    mixers = [
        msgspec.structs.replace(m, shares_cache=True) if index >= first and types[index] in makers else m
        for index, m in enumerate(mixers)
    ]
    widths = fields.whole_numbers("intermediate_size", layers, most=10_000_000)
    cut = fields.numbers("activation_sparsity_pattern", layers) or [
        0.95 if index < 10 < layers else 0.0 for index in range(layers)
    ]
    streams = Streams(
        count=fields.integer("altup_num_inputs", default=4, least=2, most=64),
        rank=fields.integer("laurel_rank", default=64, most=100_000),
        layer_input=fields.integer("hidden_size_per_layer_input", default=256, most=100_000),
    )
    built = tuple(
        Layer(
            mixer=m, feed_forward=FeedForward(intermediate=width, sparsified=share > 0), norms="both", streams=streams
        )
        for m, width, share in zip(mixers, widths, cut, strict=True)
    )
    # Layers that share a cache have projections of keys and values all the same, with their norm, that no step reads.
    idle = sum(2 * hidden * m.kv_heads * m.head_dim + m.head_dim for m in mixers if m.shares_cache)
    table = (
        fields.integer("vocab_size_per_layer_input", default=262_144, most=100_000_000) * layers * streams.layer_input
    )
    return {"layers": built, "other_parameters": table + idle, "tied_default": True, "vocabulary_default": 262_400}


# Types that most models are of, so that only these readers load with them.
READERS: dict[str, Callable[[ConfigFields], Shape]] = {
    "cohere2": read_cohere2,
    "gemma": read_gemma,
    "gemma2": read_gemma2,
    "gemma3_text": read_gemma3,
    "gemma3n_text": read_gemma3n,
    "granite": read_granite,
    "llama": read_llama,
    "mimo": read_mimo,
    "mistral": read_mistral,
    "olmo2": read_olmo2,
    "phi3": read_phi3,
    "qwen2": read_qwen2,
    "qwen3": read_qwen3,
    "smollm3": read_smollm3,
}
