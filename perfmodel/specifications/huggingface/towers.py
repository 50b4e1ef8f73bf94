"""Parts that turn pictures and sound into tokens: their parameters from their shapes. No decode step runs them.

A part that is not known here is named and not counted.
"""

from collections.abc import Callable
from typing import Any

from perfmodel.errors import SpecificationError
from perfmodel.specifications.huggingface.defaults import Family, family_of
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.latertowers import LATER_TOWERS, encoder
from perfmodel.specifications.huggingface.projectors import PROJECTORS, linear, size_of
from perfmodel.specifications.model import Tower

_PARTS = {
    "vision_config": "vision tower",
    "audio_config": "audio tower",
    "encoder_config": "audio tower",
    "acoustic_tokenizer_encoder_config": "audio tower",
    "semantic_tokenizer_encoder_config": "audio tower",
}


def towers_of(config: dict[str, Any], decoder: dict[str, Any], family: str, where: str) -> tuple[Tower, ...]:
    """Return the towers of a config, each with its projector.

    decoder: the config of the decoder, whose width the projectors reach.
    """
    whole = family_of(family)
    found = []
    for key, name in _PARTS.items():
        part = config.get(key)
        if part is None and key not in whole.parts:
            continue
        inner = part if isinstance(part, dict) else {}
        kind = inner.get("model_type") or whole.parts.get(key, "")
        try:
            found.append(
                Tower(name=name, parameters=_parameters(config, decoder, family, inner, str(kind), where, key))
            )
        except SpecificationError:
            # A tower with other keys than its type has does not keep the decoder from being read.
            found.append(Tower(name=name, parameters=None))
    return tuple(found)


def _parameters(
    config: dict[str, Any], decoder: dict[str, Any], family: str, part: dict[str, Any], kind: str, where: str, key: str
) -> int | None:
    # Parts are sometimes called as the whole is.
    kind = _RENAMED.get(kind, kind)
    tower, projector = _TOWERS.get(kind), PROJECTORS.get(family)
    if tower is None or (projector is None and kind not in _WITH_PROJECTOR):
        return None
    fields = ConfigFields(part, f"{where}: {key}", family_of(kind, nested=True))
    text = str(decoder.get("model_type"))
    hidden = ConfigFields(decoder, where, Family(family_of(text, nested=True).defaults, {})).integer(
        "hidden_size", most=1_000_000
    )
    whole = ConfigFields(config, where, family_of(family))
    return tower(fields) + (projector(whole, fields, hidden) if projector else 0)


def _siglip(fields: ConfigFields) -> int:
    """SigLIP: a table of positions, a norm behind the layers, and a head with one probe where it has one."""
    width, inner = size_of(fields, "hidden_size"), size_of(fields, "intermediate_size")
    patch, channels = size_of(fields, "patch_size"), size_of(fields, "num_channels")
    positions = (
        size_of(fields, "num_patches") if fields.has("num_patches") else (size_of(fields, "image_size") // patch) ** 2
    )
    count = (
        linear(channels * patch * patch, width)
        + positions * width
        + encoder(width, inner, size_of(fields, "num_hidden_layers"))
        + 2 * width
    )
    if fields.flag("vision_use_head", default=True):
        count += width + 4 * linear(width, width) + 2 * width + linear(width, inner) + linear(inner, width)
    return count


def _idefics3(fields: ConfigFields) -> int:
    """Idefics 3: SigLIP without a head."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    positions = (size_of(fields, "image_size") // patch) ** 2
    layers = encoder(width, size_of(fields, "intermediate_size"), size_of(fields, "num_hidden_layers"))
    return linear(size_of(fields, "num_channels") * patch * patch, width) + positions * width + layers + 2 * width


def _clip(fields: ConfigFields) -> int:
    """CLIP: a class token, positions, norms before and behind the layers, patches without a bias."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    positions = (size_of(fields, "image_size") // patch) ** 2 + 1
    layers = encoder(width, size_of(fields, "intermediate_size"), size_of(fields, "num_hidden_layers"))
    return width + size_of(fields, "num_channels") * patch * patch * width + positions * width + 4 * width + layers


def _pixtral(fields: ConfigFields) -> int:
    """Pixtral: a small Llama without biases over patches."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    layers = encoder(
        width,
        size_of(fields, "intermediate_size"),
        size_of(fields, "num_hidden_layers"),
        biased_norms=False,
        gated=True,
        bias=False,
    )
    return size_of(fields, "num_channels") * patch * patch * width + width + layers


def _qwen2_vl(fields: ConfigFields) -> int:
    """Qwen2-VL: patches of two frames, a merger of four patches into the decoder's width."""
    width, patch = size_of(fields, "embed_dim"), size_of(fields, "patch_size")
    patches = size_of(fields, "in_channels") * size_of(fields, "temporal_patch_size") * patch * patch * width
    merged = width * size_of(fields, "spatial_merge_size") ** 2
    ratio = size_of(fields, "mlp_ratio")
    return (
        patches
        + encoder(width, ratio * width, size_of(fields, "depth"))
        + 2 * width
        + linear(merged, merged)
        + linear(merged, size_of(fields, "hidden_size"))
    )


def _qwen2_5_vl(fields: ConfigFields) -> int:
    """Qwen2.5-VL: Qwen2-VL with gated blocks and norms without biases."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    patches = size_of(fields, "in_channels") * size_of(fields, "temporal_patch_size") * patch * patch * width
    merged = width * size_of(fields, "spatial_merge_size") ** 2
    layers = encoder(
        width, size_of(fields, "intermediate_size"), size_of(fields, "depth"), biased_norms=False, gated=True
    )
    return patches + layers + width + linear(merged, merged) + linear(merged, size_of(fields, "out_hidden_size"))


def _qwen3_vl(fields: ConfigFields) -> int:
    """Qwen3-VL: a table of positions, a merger, and one more for each layer whose output goes into the decoder too."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    patches = linear(size_of(fields, "in_channels") * size_of(fields, "temporal_patch_size") * patch * patch, width)
    merged = width * size_of(fields, "spatial_merge_size") ** 2
    merger = linear(merged, merged) + linear(merged, size_of(fields, "out_hidden_size"))
    deep = fields.integers("deepstack_visual_indexes")
    deeper = len(deep) if deep is not None else int(fields.integer("deepstack", default=0, least=0))
    layers = encoder(width, size_of(fields, "intermediate_size"), size_of(fields, "depth"))
    return (
        patches
        + size_of(fields, "num_position_embeddings") * width
        + layers
        + 2 * width
        + merger
        + deeper * (2 * merged + merger)
    )


def _qwen3_vl_deep(fields: ConfigFields) -> int:
    """Qwen3-VL where three layers go into the decoder unless it says otherwise."""
    more = 0 if fields.has("deepstack_visual_indexes") else 3
    width = size_of(fields, "hidden_size")
    merged = width * size_of(fields, "spatial_merge_size") ** 2
    merger = 2 * merged + linear(merged, merged) + linear(merged, size_of(fields, "out_hidden_size"))
    return _qwen3_vl(fields) + more * merger


def _llama4(fields: ConfigFields) -> int:
    """Llama 4: a class token, positions, norms around the layers, and an adapter that takes pixels into channels."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    positions = (size_of(fields, "image_size") // patch) ** 2 + 1
    layers = encoder(width, size_of(fields, "intermediate_size"), size_of(fields, "num_hidden_layers"))
    adapter = size_of(fields, "intermediate_size") * size_of(fields, "projector_input_dim") + size_of(
        fields, "projector_output_dim"
    ) * size_of(fields, "projector_output_dim")
    return (
        width
        + positions * width
        + size_of(fields, "num_channels") * patch * patch * width
        + 4 * width
        + layers
        + adapter
    )


def _kimi(fields: ConfigFields) -> int:
    """Kimi K2.5: a two-dimensional table of positions and a norm behind the layers."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    positions = size_of(fields, "pos_emb_height") * size_of(fields, "pos_emb_width")
    return (
        linear(3 * patch * patch, width)
        + positions * width
        + encoder(width, size_of(fields, "intermediate_size"), size_of(fields, "num_hidden_layers"))
        + 2 * width
    )


def _internvl(fields: ConfigFields) -> int:
    """InternVL: a class token, positions, a scale for each block."""
    width, patch, layers = (
        size_of(fields, "hidden_size"),
        size_of(fields, "patch_size"),
        size_of(fields, "num_hidden_layers"),
    )
    positions = (size_of(fields, "image_size") // patch) ** 2 + 1
    bias = fields.flag("attention_bias", default=False)
    norms = 2 if fields.text("norm_type", "layer_norm") == "layer_norm" else 1
    inner = size_of(fields, "intermediate_size")
    block = (
        3 * linear(width, width, bias=bias)
        + linear(width, width)
        + linear(width, inner)
        + linear(inner, width)
        + 2 * width
        + 2 * norms * width
    )
    block += 2 * width if fields.flag("use_qk_norm", default=False) else 0
    count = width + positions * width + linear(3 * patch * patch, width) + layers * block
    return count + (0 if fields.flag("use_mean_pooling", default=True) else norms * width)


def _qwen3_audio(fields: ConfigFields) -> int:
    """The audio encoder of Qwen3-Omni: three convolutions, layers as Whisper's with all biases, two projections."""
    width, narrow, bins = (
        size_of(fields, "d_model"),
        size_of(fields, "downsample_hidden_size"),
        size_of(fields, "num_mel_bins"),
    )
    # Three convolutions with a stride of two leave an eighth of the bins.
    left = (((bins + 1) // 2 + 1) // 2 + 1) // 2
    convolutions = linear(9, narrow) + 2 * linear(9 * narrow, narrow) + narrow * left * width
    layers = encoder(width, size_of(fields, "encoder_ffn_dim"), size_of(fields, "encoder_layers"))
    return convolutions + layers + 2 * width + linear(width, width) + linear(width, size_of(fields, "output_dim"))


def whisper_encoder(fields: ConfigFields) -> int:
    """Return the parameters of Whisper's encoder: two convolutions, positions, layers, keys without bias, a norm."""
    width, layers = (
        size_of(fields, "hidden_size" if fields.has("hidden_size") else "d_model"),
        size_of(fields, "encoder_layers"),
    )
    convolutions = linear(3 * size_of(fields, "num_mel_bins"), width) + linear(3 * width, width)
    return (
        convolutions
        + size_of(fields, "max_source_positions") * width
        + encoder(width, size_of(fields, "encoder_ffn_dim"), layers)
        - layers * width
        + 2 * width
    )


_RENAMED = {
    "qwen2_vl": "qwen2_vl_vision",
    "qwen2_5_vl": "qwen2_5_vl_vision",
    "qwen3_vl": "qwen3_vl_vision",
    "qwen3_vl_moe": "qwen3_vl_moe_vision",
    "qwen3_5": "qwen3_5_vision",
    "qwen3_5_moe": "qwen3_5_moe_vision",
    "idefics3": "idefics3_vision",
    "moonvit": "kimi_k25_vision",
    "glm4v": "glm4v_vision",
    "glm4v_moe": "glm4v_moe_vision",
}
_TOWERS: dict[str, Callable[[ConfigFields], int]] = LATER_TOWERS | {
    "clip_vision_model": _clip,
    "idefics3_vision": _idefics3,
    "smolvlm_vision": _idefics3,
    "internvl_vision": _internvl,
    "kimi_k25_vision": _kimi,
    "llama4_vision_model": _llama4,
    "phi4_multimodal_vision": _siglip,
    "pixtral": _pixtral,
    "qwen2_audio_encoder": whisper_encoder,
    "qwen2_vl_vision": _qwen2_vl,
    "qwen2_5_vl_vision": _qwen2_5_vl,
    "qwen2_5_omni_vision_encoder": _qwen2_5_vl,
    "qwen3_5_vision": _qwen3_vl,
    "qwen3_5_moe_vision": _qwen3_vl,
    "qwen3_omni_moe_audio_encoder": _qwen3_audio,
    "qwen3_omni_moe_vision_encoder": _qwen3_vl_deep,
    "qwen3_vl_moe_vision": _qwen3_vl_deep,
    "qwen3_vl_vision": _qwen3_vl_deep,
    "siglip2_vision_model": _siglip,
    "siglip_vision_model": _siglip,
}
_WITH_PROJECTOR = frozenset(
    kind for kind in _TOWERS if kind.startswith(("qwen", "glm")) and kind != "qwen2_audio_encoder"
)
