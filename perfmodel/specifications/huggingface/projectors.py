"""Projectors: what takes the width of a tower to that of the decoder; their parameters from their shapes."""

from collections.abc import Callable

from perfmodel.specifications.huggingface.fields import ConfigFields


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    """Return the parameters [-] of a matrix and its bias."""
    return inputs * outputs + (outputs if bias else 0)


def size_of(fields: ConfigFields, key: str, *, least: int = 0) -> int:
    """Return the whole number at `key`; of a list of equal ones, one."""
    value = fields.raw(key)
    if isinstance(value, list) and value and all(entry == value[0] for entry in value):
        fields = ConfigFields({key: value[0]}, fields.where)
    return int(fields.integer(key, least=least))


def _two_layers(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    bias = whole.flag("multimodal_projector_bias", default=True)
    width = size_of(tower, "hidden_size")
    return linear(width, hidden, bias=bias) + linear(hidden, hidden, bias=bias)


def _llava_next(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    # And a token that ends each row of the picture.
    return _two_layers(whole, tower, hidden) + hidden


def _mistral3(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    bias, width = whole.flag("multimodal_projector_bias", default=False), size_of(tower, "hidden_size")
    merged = width * size_of(whole, "spatial_merge_size") ** 2
    return width + merged * width + linear(width, hidden, bias=bias) + linear(hidden, hidden, bias=bias)


def _gemma3(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    width = size_of(tower, "hidden_size")
    return width * hidden + width


def _kimi_projector(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    width = size_of(tower, "hidden_size")
    sizes = tower.integers("merge_kernel_size") or [2, 2]
    merged = width * sizes[0] * sizes[-1]
    del whole
    return 2 * width + linear(merged, merged) + linear(merged, hidden)


def _internvl_projector(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    share = (whole.numbers("downsample_ratio", 1) or [0.5])[0]
    merged = int(size_of(tower, "hidden_size") / share**2)
    return 2 * merged + linear(merged, hidden) + linear(hidden, hidden)


def _llama4_projector(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    return size_of(tower, "vision_output_dim") * hidden


def _idefics_projector(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    return int(size_of(tower, "hidden_size") * whole.integer("scale_factor", default=2) ** 2 * hidden)


def _lfm2_projector(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    merged = size_of(tower, "hidden_size") * whole.integer("downsample_factor", default=2) ** 2
    inner, bias = whole.integer("projector_hidden_size", default=2560), whole.flag("projector_bias", default=True)
    normed = 2 * merged if whole.flag("projector_use_layernorm", default=True) else 0
    return normed + linear(merged, inner, bias=bias) + linear(inner, hidden, bias=bias)


def _one_linear(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    return linear(size_of(tower, "hidden_size"), hidden)


def _from_merged(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    return linear(size_of(tower, "out_hidden_size"), hidden)


def _gemma4(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    return size_of(tower, "output_proj_dims" if tower.has("output_proj_dims") else "hidden_size") * hidden


def _phi4(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    width = size_of(tower, "hidden_size")
    projector = linear(width, hidden) + linear(hidden, hidden)
    del whole
    # One for sound alone and one for sound beside pictures; pictures have tokens that end a row and a part.
    return 2 * projector if tower.has("num_blocks") or tower.has("nemo_conv_channels") else projector + 2 * width


def _from_sound(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    return linear(size_of(tower, "d_model"), hidden)


def _step3p7(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    del whole
    return 4 * size_of(tower, "hidden_size") * hidden


def _minimax_m3(whole: ConfigFields, tower: ConfigFields, hidden: int) -> int:
    merged = size_of(tower, "spatial_merge_size") ** 2 * hidden
    del whole
    return linear(size_of(tower, "hidden_size"), hidden) + linear(merged, hidden) + 2 * linear(hidden, hidden)


PROJECTORS: dict[str, Callable[[ConfigFields, ConfigFields, int], int]] = {
    "deepseek_vl": _two_layers,
    "gemma3": _gemma3,
    "gemma4": _gemma4,
    "hyperclovax_vision_v2": _from_merged,
    "idefics3": _idefics_projector,
    "internvl": _internvl_projector,
    "kimi_k25": _kimi_projector,
    "lfm2_vl": _lfm2_projector,
    "lighton_ocr": _mistral3,
    "llama4": _llama4_projector,
    "llava": _two_layers,
    "llava_next": _llava_next,
    "llava_next_video": _llava_next,
    "llava_onevision": _llava_next,
    "minimax_m3_vl": _minimax_m3,
    "mistral3": _mistral3,
    "paligemma": _one_linear,
    "phi4_multimodal": _phi4,
    "qwen2_audio": _from_sound,
    "shieldgemma2": _gemma3,
    "smolvlm": _idefics_projector,
    "step3p7": _step3p7,
}
