"""Stacks of unlike layers: LongCat-Flash, Nemotron's pruned Llamas, the text of Llama 3.2 Vision and ERNIE 4.5 VL."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.huggingface.blocks import (
    attention,
    check_activation,
    experts,
    feed_forward,
    indices,
    latent_attention,
    layer_count,
)
from perfmodel.specifications.huggingface.decoders import read_decoder
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.families import DECODERS
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.mixers import Attention, CrossAttention
from perfmodel.specifications.model import FeedForward, Layer, Tower

# Llama 3.2 Vision cuts a picture into at most four tiles of 40 x 40 patches and a class token each, and pads each tile
# to 1,601.
_PICTURE = 4 * (40 * 40 + 1)
_CROSSING = (
    f"layers of cross-attention read keys and values of one picture of four tiles, {_PICTURE:,} tokens; with no picture"
    " they are passed over"
)


def read_longcat_flash(fields: ConfigFields) -> Shape:
    """LongCat-Flash (arXiv 2509.01322): in a layer two latent attentions and two dense blocks, and experts beside them.

    The experts read what the first dense block reads. Some experts hand on what they get and have no weights; a token's
    choices fall on them by their share.
    """
    check_activation(fields, "hidden_act")
    fields.known("mla_scale_q_lora", "mla_scale_kv_lora", "attention_method", "zero_expert_type", "router_bias")
    layers = layer_count(fields)
    latent = latent_attention(fields)
    idle = fields.integer("zero_expert_num", default=0, least=0, most=100_000)
    mixture = experts(fields, "n_routed_experts", "expert_ffn_hidden_size", chosen_key="moe_topk", router_bias=True)
    chosen = max(round(mixture.chosen * mixture.count / (mixture.count + idle)), 1)
    mixture = msgspec.structs.replace(mixture, idle=idle, chosen=chosen)
    whole = Layer(mixer=latent, feed_forward=feed_forward(fields, key="ffn_hidden_size"))
    return {"layers": (whole, Layer(mixer=None, feed_forward=mixture, norms="shared"), whole) * layers}


def read_nemotron_nas(fields: ConfigFields) -> Shape:
    """Nemotron's pruned Llamas (DeciLM, arXiv 2411.19146): block_configs say what each layer still has."""
    check_activation(fields, "hidden_act")
    layers, hidden = layer_count(fields), fields.integer("hidden_size", most=1_000_000)
    blocks = fields.raw("block_configs")
    fields.known("block_configs", "num_key_value_heads", "intermediate_size")
    if not isinstance(blocks, list) or len(blocks) != layers or not all(isinstance(one, dict) for one in blocks):
        raise SpecificationError(f"{fields.where}: block_configs: expected a list of {layers} objects, one a layer")
    built: dict[Any, Layer] = {}
    found = []
    for index, block in enumerate(blocks):
        where = f"{fields.where}: block_configs[{index}]"
        pair = (_kept_attention(fields, block, where), _kept_block(block, hidden, where))
        found.append(built.setdefault(pair, Layer(mixer=pair[0], feed_forward=pair[1])))
    return {"layers": tuple(found)}


def _part(block: dict[str, Any], key: str, where: str) -> ConfigFields | None:
    """Return what a block says of a part, None where the layer has it no more."""
    inner = block.get(key)
    if not isinstance(inner, dict):
        raise SpecificationError(f"{where}: has no {key}")
    part = ConfigFields(inner, f"{where}: {key}")
    if part.flag("replace_with_linear", default=False):
        raise SpecificationError(
            f"{where}: {key}: replace_with_linear: one matrix in place of a block is not understood"
        )
    return None if part.flag("no_op", default=False) else part


def _kept_attention(fields: ConfigFields, block: dict[str, Any], where: str) -> Attention | None:
    part = _part(block, "attention", where)
    if part is None:
        return None
    heads = fields.integer("num_attention_heads", most=100_000)
    group = part.integer("n_heads_in_group", most=100_000)
    if heads % group:
        raise SpecificationError(f"{where}: attention: n_heads_in_group: {group} does not divide {heads} heads")
    head_dim = fields.integer("head_dim", default=fields.integer("hidden_size", most=1_000_000) // heads, most=100_000)
    bias = fields.flag("attention_bias", default=False)
    window = part.integer("window_length", required=False, least=1)
    return Attention(
        heads=heads,
        kv_heads=heads // group,
        head_dim=head_dim,
        query_key_value_bias=bias,
        output_bias=bias,
        window=window,
    )


def _kept_block(block: dict[str, Any], hidden: int, where: str) -> FeedForward | None:
    part = _part(block, "ffn", where)
    if part is None:
        return None
    factor = part.numbers("ffn_mult", 1)
    if not factor or factor[0] <= 0:
        raise SpecificationError(f"{where}: ffn: ffn_mult: {shown(part.raw('ffn_mult'))} is no positive number")
    # Two thirds of the factor, as Llama's width, up to the next 256.
    return FeedForward(intermediate=-(-int(2 * factor[0] * hidden / 3) // 256) * 256)


def read_mllama(fields: ConfigFields) -> Shape:
    """The text of Llama 3.2 Vision: some layers attend to the picture in place of the text, with gates."""
    check_activation(fields, "hidden_act")
    layers, hidden = layer_count(fields), fields.integer("hidden_size", most=1_000_000)
    mixer, block = attention(fields), feed_forward(fields)
    kv_width = mixer.kv_heads * mixer.head_dim
    crossing = CrossAttention(
        heads=mixer.heads,
        kv_heads=mixer.kv_heads,
        head_dim=mixer.head_dim,
        tokens=_PICTURE,
        query_norm=True,
        gates=2,
        encoder_parameters=2 * kv_width * hidden + mixer.head_dim,
    )
    listed = set(indices(fields, "cross_attention_layers", layers))
    own = Layer(mixer=mixer, feed_forward=block)
    other = Layer(mixer=None, crossing=crossing, feed_forward=block)
    # Eight rows of the embedding stand for pictures, and have none in the head.
    return {
        "layers": tuple(other if index in listed else own for index in range(layers)),
        "other_parameters": len(listed) * crossing.encoder_parameters + 8 * hidden,
        "notes": (_CROSSING,),
    }


def read_ernie4_5_vl(fields: ConfigFields) -> Shape:
    """The text of ERNIE 4.5 VL: experts for text, and as many narrower ones for pictures, which text never runs."""
    widths = fields.integers("moe_intermediate_size")
    if widths is None or len(widths) != 2:
        raise SpecificationError(
            f"{fields.where}: moe_intermediate_size: expected two widths, of the experts for text and for pictures"
        )
    shape = read_decoder(fields.replaced(moe_intermediate_size=widths[0]), DECODERS["ernie4_5_moe"])
    mixtures = [block for layer in shape["layers"] for block in layer.mixtures]
    hidden = fields.integer("hidden_size", most=1_000_000)
    # Matrices, a router and its correction.
    idle = sum(block.count * (3 * hidden * widths[1] + hidden + 1) for block in mixtures)
    return shape | {"towers": (Tower(name="experts for pictures", parameters=idle),)}
