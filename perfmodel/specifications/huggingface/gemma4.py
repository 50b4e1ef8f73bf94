"""Gemma 4 (text): wide heads in the layers that see all, experts beside the dense block, inputs of each layer's own."""

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.blocks import (
    FULL,
    SLIDING,
    attention,
    check_activation,
    experts,
    layer_count,
    layer_types,
    window_of,
)
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import FeedForward, Layer


def read_gemma4(fields: ConfigFields) -> Shape:
    """Gemma 4 (text): five sliding layers to one that sees all, whose heads are wider and fewer.

    Keys of the latter may be the values.

    The last layers may share the caches of earlier ones of their kind, and be twice as wide for it.
    """
    check_activation(fields, "hidden_activation", "hidden_act")
    fields.known("final_logit_softcapping", "attn_logit_softcapping", "per_layer_config")
    if fields.has("use_bidirectional_attention") and fields.text("use_bidirectional_attention", "") == "all":
        raise SpecificationError(
            f"{fields.where}: use_bidirectional_attention: all is an encoder, which has no decode step"
        )
    fields.known("use_bidirectional_attention")
    layers = layer_count(fields)
    mixers = _mixers(fields, layers)
    shared = [mixer.shares_cache for mixer in mixers]
    width = fields.integer("intermediate_size", most=10_000_000)
    doubled = fields.flag("use_double_wide_mlp", default=False)
    mixture = None
    if fields.flag("enable_moe_block", default=False):
        mixture = experts(fields, "num_experts", "moe_intermediate_size", chosen_key="top_k_experts")
        mixture = msgspec.structs.replace(mixture, router_scales=True)
    fields.known("num_experts", "moe_intermediate_size", "top_k_experts")
    own = fields.integer("hidden_size_per_layer_input", default=0, least=0, most=1_000_000) or 0
    rows = fields.integer("vocab_size_per_layer_input", default=262_144, most=100_000_000)
    built = {
        pair: Layer(
            mixer=pair[0],
            feed_forward=FeedForward(intermediate=2 * width if doubled and pair[1] else width),
            norms="both",
            mixture=mixture,
            layer_input=own,
            scaled=True,
        )
        for pair in set(zip(mixers, shared, strict=True))
    }
    return {
        "layers": tuple(built[pair] for pair in zip(mixers, shared, strict=True)),
        "other_parameters": rows * layers * own,
    }


def _mixers(fields: ConfigFields, layers: int) -> list[Attention]:
    types = layer_types(fields, layers, (FULL, SLIDING)) or [
        FULL if (index + 1) % 6 == 0 else SLIDING for index in range(layers)
    ]
    # The last layer sees all, whatever the list says.
    types = [*types[:-1], FULL]
    bias = fields.flag("attention_bias", default=False)
    local = attention(fields, bias=bias, query_key_norm="head")
    window = window_of(fields, types)
    keys_are_values = fields.flag("attention_k_eq_v", default=False)
    wide = fields.integer("global_head_dim", default=512, most=100_000)
    heads = fields.integer("num_global_key_value_heads", required=False, most=100_000)
    kinds = {
        SLIDING: msgspec.structs.replace(local, window=window),
        FULL: msgspec.structs.replace(
            local,
            head_dim=wide,
            kv_heads=heads if heads is not None and keys_are_values else local.kv_heads,
            value_projection=not keys_are_values,
        ),
    }
    sharing = fields.integer("num_kv_shared_layers", default=0, least=0, most=layers) or 0
    first = layers - sharing
    missing = set(types) - set(types[:first])
    if missing:
        raise SpecificationError(
            f"{fields.where}: num_kv_shared_layers: {sharing} leaves no {min(missing)} layer that makes a cache"
        )
    return [
        msgspec.structs.replace(kinds[kind], shares_cache=True) if index >= first else kinds[kind]
        for index, kind in enumerate(types)
    ]
