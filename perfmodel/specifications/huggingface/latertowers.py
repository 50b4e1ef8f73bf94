"""Towers of Gemma 4, GLM, MiniMax M3, Phi-4 and Step 3.7: their parameters from their shapes, as in `transformers`."""

from collections.abc import Callable

from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.projectors import linear, size_of

# Bins of the spectrum that Gemma 4's audio tower reads, of which two convolutions with a stride of two leave a quarter.
_BINS = 128


def encoder(
    width: int,
    inner: int,
    layers: int,
    *,
    biased_norms: bool = True,
    gated: bool = False,
    bias: bool = True,
    mlp_bias: bool | None = None,
) -> int:
    """Return the parameters [-] of `layers` layers of attention and a feed-forward block, each behind a norm.

    width, inner: of the stream and of the feed-forward block [elements].
    """
    block = (3 if gated else 2) * width * inner
    if bias if mlp_bias is None else mlp_bias:
        block += (2 if gated else 1) * inner + width
    return layers * (4 * linear(width, width, bias=bias) + block + 2 * width * (2 if biased_norms else 1))


def _glm4v(fields: ConfigFields) -> int:
    """GLM-4V: gated blocks as wide as the decoder, a convolution over four patches, a gated merger."""
    width, patch, out = (size_of(fields, key) for key in ("hidden_size", "patch_size", "out_hidden_size"))
    patches = linear(size_of(fields, "in_channels") * size_of(fields, "temporal_patch_size") * patch * patch, width)
    positions = (size_of(fields, "image_size") // patch) ** 2 * width
    depth = size_of(fields, "depth")
    layers = encoder(width, out, depth, biased_norms=False, gated=True, bias=False)
    layers += 3 * width * depth if fields.flag("attention_bias", default=False) else 0
    downsample = linear(width * size_of(fields, "spatial_merge_size") ** 2, out)
    merger = out * out + 2 * out + 3 * out * size_of(fields, "intermediate_size")
    return patches + positions + layers + 2 * width + downsample + merger


def _glm_ocr(fields: ConfigFields) -> int:
    """GLM-OCR: biases, norms of queries and keys, and a merger three times as wide."""
    width, patch, out = (size_of(fields, key) for key in ("hidden_size", "patch_size", "out_hidden_size"))
    patches = linear(size_of(fields, "in_channels") * size_of(fields, "temporal_patch_size") * patch * patch, width)
    depth = size_of(fields, "depth")
    bias = fields.flag("attention_bias", default=True)
    layers = encoder(width, size_of(fields, "intermediate_size"), depth, biased_norms=False, gated=True, bias=bias)
    layers += 2 * depth * (width // size_of(fields, "num_heads"))
    downsample = linear(width * size_of(fields, "spatial_merge_size") ** 2, out)
    inner = out * size_of(fields, "in_channels")
    return patches + layers + width + downsample + out * out + 2 * out + 3 * out * inner


def _phi4_audio(fields: ConfigFields) -> int:
    """Phi-4's Conformer: three convolutions, gated half blocks, a gated convolution, biases by distance."""
    width, inner = size_of(fields, "hidden_size"), size_of(fields, "intermediate_size")
    channels, wide = size_of(fields, "nemo_conv_channels"), size_of(fields, "ext_pw_out_channel")
    apart = width * size_of(fields, "depthwise_multiplier")
    separate = size_of(fields, "depthwise_separable_out_channel")
    halvings = size_of(fields, "time_reduction").bit_length() - 1
    convolutions = halvings * linear(9, channels) + (halvings - 1) * linear(channels, channels)
    convolutions += linear(channels * size_of(fields, "nemo_final_size"), width)
    distances = 2 * size_of(fields, "bias_max_distance") * size_of(fields, "num_attention_heads")
    halves = 2 * (2 * width + linear(width, 2 * inner) + linear(inner, width))
    light = 2 * width + 2 * wide + linear(width, 2 * wide) + linear(size_of(fields, "kernel_size"), apart)
    light += linear(apart, separate) + linear(separate, wide)
    return (
        convolutions
        + distances
        + size_of(fields, "num_blocks") * (halves + 4 * linear(width, width) + light + 4 * width)
    )


def _gemma4_vision(fields: ConfigFields) -> int:
    """Gemma 4: tables of rows and columns, norms around both halves of a layer, norms of queries and keys."""
    width, patch, dim = (size_of(fields, key) for key in ("hidden_size", "patch_size", "head_dim"))
    heads, key_heads = size_of(fields, "num_attention_heads"), size_of(fields, "num_key_value_heads")
    attention = 2 * width * heads * dim + 2 * width * key_heads * dim + 2 * dim
    block = attention + 3 * width * size_of(fields, "intermediate_size") + 4 * width
    positions = 2 * size_of(fields, "position_embedding_size") * width
    return positions + 3 * patch * patch * width + size_of(fields, "num_hidden_layers") * block


def _gemma4_audio(fields: ConfigFields) -> int:
    """Gemma 4: a Conformer of two half feed-forward blocks, attention with relative keys and a light convolution."""
    width, heads = size_of(fields, "hidden_size"), size_of(fields, "num_attention_heads")
    first, second = fields.integers("subsampling_conv_channels") or [128, 32]
    convolutions = 9 * first + first + 9 * first * second + second + second * (_BINS // 4) * width
    halves = 2 * (8 * width * width + 2 * width)
    attention = 5 * width * width + width // heads
    light = 3 * width * width + size_of(fields, "conv_kernel_size") * width + 2 * width
    layers = size_of(fields, "num_hidden_layers") * (halves + attention + light + 3 * width)
    return convolutions + layers + linear(width, size_of(fields, "output_proj_dims"))


def _step3p5(fields: ConfigFields) -> int:
    """Step 3.7: a scale for each half of a layer, and two convolutions that double the width and halve the sides."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    positions = (size_of(fields, "image_size") // patch) ** 2
    depth = size_of(fields, "num_hidden_layers")
    layers = encoder(width, size_of(fields, "intermediate_size"), depth) + 2 * width * depth
    halved = linear(9 * width, 2 * width) + linear(9 * 2 * width, 4 * width)
    return size_of(fields, "num_channels") * patch * patch * width + positions * width + 2 * width + layers + halved


def _minimax_m3(fields: ConfigFields) -> int:
    """MiniMax M3: CLIP's layers over patches of two frames, with rotary positions."""
    width, patch = size_of(fields, "hidden_size"), size_of(fields, "patch_size")
    patches = size_of(fields, "num_channels") * size_of(fields, "temporal_patch_size") * patch * patch * width
    layers = encoder(width, size_of(fields, "intermediate_size"), size_of(fields, "num_hidden_layers"))
    return patches + 2 * width + layers


LATER_TOWERS: dict[str, Callable[[ConfigFields], int]] = {
    "gemma4_audio": _gemma4_audio,
    "gemma4_vision": _gemma4_vision,
    "glm_ocr_vision": _glm_ocr,
    "glm4v_moe_vision": _glm4v,
    "glm4v_vision": _glm4v,
    "minimax_m3_vl_vision": _minimax_m3,
    "phi4_multimodal_audio": _phi4_audio,
    "step3p5_vision": _step3p5,
}
