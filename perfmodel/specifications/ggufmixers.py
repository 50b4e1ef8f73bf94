"""The mixers of a GGUF file, by its tensors: attention of all kinds, state spaces, linear attention, convolutions."""

from typing import Any

import msgspec

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.ggufs import Tensor
from perfmodel.specifications.mixers import Attention, DeltaAttention, LatentAttention, ShortConvolution, StateSpace
from perfmodel.specifications.model import Mixer

# Of how many layers in turn the last one sees everything, the others a window; 1 where all have the window.
_WINDOWED = {"cohere2": 4, "exaone4": 4, "gemma2": 2, "gemma3": 6, "gpt-oss": 2, "olmo2": 4, "phi3": 1}


class ByLayer(msgspec.Struct, frozen=True):
    """A header by layer. keys: those of its architecture; layers: tensors by name within each."""

    where: str
    architecture: str
    keys: dict[str, Any]
    outside: dict[str, Tensor]
    layers: tuple[dict[str, Tensor], ...]

    def number(self, key: str, default: int | None = None, layer: int | None = None) -> int:
        """Return the whole number at `key`, that of `layer` where there is one for each."""
        value = self.keys.get(f"{self.architecture}.{key}", default)
        if isinstance(value, list) and layer is not None and layer < len(value):
            value = value[layer]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            found = "has no" if value is None else f"{shown(value)} is not a whole number at"
            raise SpecificationError(f"{self.where}: {found} {self.architecture}.{key}")
        return value


def mixer_of(file: ByLayer, index: int, hidden: int) -> tuple[Mixer | None, Mixer | None]:
    """Return the mixer of a layer and the one beside it, None where it has none.

    Raises SpecificationError for heads that do not go together.
    """
    tensors = file.layers[index]
    if "shortconv.in_proj.weight" in tensors:
        taps = tensors.get("shortconv.conv.weight")
        width = tensors["shortconv.in_proj.weight"].shape[-1] // 3
        return ShortConvolution(width=width, taps=taps.shape[0] if taps else 3), None
    if "ssm_out.weight" not in tensors:
        if odd := next((name for name in tensors if name.startswith("ssm_")), ""):
            raise SpecificationError(
                f"{file.where}: layer {index} has blk.{index}.{odd} and no blk.{index}.ssm_out.weight"
            )
        return _attention(file, index, hidden), None
    state = _state(file, index)
    full = None if isinstance(state, DeltaAttention) else _attention(file, index, hidden)
    # Falcon-H1 runs both side by side.
    return (full, state) if full is not None else (state, None)


def _state(file: ByLayer, index: int) -> Mixer:
    """Return the recurrent mixer of a layer: Mamba of either version, or the gated delta rule of Qwen3-Next."""
    tensors, convolution = file.layers[index], file.number("ssm.conv_kernel")
    inner, state, heads = (file.number(f"ssm.{key}") for key in ("inner_size", "state_size", "time_step_rank"))
    if "ssm_ba.weight" in tensors or "ssm_beta.weight" in tensors:
        if not heads or inner % heads:
            raise SpecificationError(f"{file.where}: layer {index}: {inner} channels do not share {heads} heads")
        return DeltaAttention(
            key_heads=file.number("ssm.group_count"),
            value_heads=heads,
            key_dim=state,
            value_dim=inner // heads,
            convolution=convolution,
        )
    biased = "ssm_conv1d.bias" in tensors
    if "ssm_x.weight" in tensors:
        return StateSpace(
            version=1,
            inner=inner,
            state=state,
            convolution=convolution,
            convolution_bias=biased,
            step_rank=heads,
            inner_norms="ssm_dt_norm.weight" in tensors,
        )
    return StateSpace(
        version=2,
        inner=inner,
        state=state,
        convolution=convolution,
        convolution_bias=biased,
        heads=heads,
        groups=file.number("ssm.group_count", 1),
        gated_norm="ssm_norm.weight" in tensors,
    )


def _attention(file: ByLayer, index: int, hidden: int) -> Mixer | None:
    tensors = file.layers[index]
    if "attn_kv_a_mqa.weight" in tensors:
        return _latent(file, index)
    query = tensors.get("attn_q.weight") or tensors.get("attn_qkv.weight")
    if query is None:
        return None
    heads = file.number("attention.head_count", layer=index)
    kv_heads = file.number("attention.head_count_kv", heads, layer=index)
    head_dim = file.number("attention.key_length", hidden // max(heads, 1))
    if not heads or not kv_heads or heads % kv_heads or not head_dim:
        raise SpecificationError(
            f"{file.where}: layer {index}: {heads} heads do not share {kv_heads} key and value heads"
        )
    norm = tensors.get("attn_q_norm.weight")
    return Attention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        query_key_value_bias="attn_q.bias" in tensors or "attn_qkv.bias" in tensors,
        output_bias="attn_output.bias" in tensors,
        query_key_norm="" if norm is None else "head" if norm.elements == head_dim else "full",
        output_gate="attn_q.weight" in tensors and query.shape[-1] == 2 * heads * head_dim,
        sinks="attn_sinks.weight" in tensors,
        window=_window(file, index),
    )


def _window(file: ByLayer, index: int) -> int | None:
    """Return the tokens that a layer sees, None for all."""
    if f"{file.architecture}.attention.sliding_window" not in file.keys:
        return None
    window, pattern = (
        file.number("attention.sliding_window"),
        file.keys.get(f"{file.architecture}.attention.sliding_window_pattern", _WINDOWED.get(file.architecture)),
    )
    if isinstance(pattern, list) and index < len(pattern):
        return window or None if pattern[index] else None
    if not isinstance(pattern, int) or pattern < 1:
        return None
    return window or None if pattern == 1 or index % pattern < pattern - 1 else None


def _latent(file: ByLayer, index: int) -> LatentAttention:
    tensors, heads = file.layers[index], file.number("attention.head_count", layer=index)
    rotary, down = file.number("rope.dimension_count"), tensors.get("attn_q_a.weight")
    key = file.number("attention.key_length_mla", file.number("attention.key_length"))
    return LatentAttention(
        heads=heads,
        query_rank=None if down is None else down.shape[-1],
        kv_rank=file.number("attention.kv_lora_rank"),
        plain_dim=key - rotary,
        rotary_dim=rotary,
        value_dim=file.number("attention.value_length_mla", file.number("attention.value_length")),
    )
