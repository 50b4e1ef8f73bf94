"""How weights and caches are stored: bits per element with their scales, and the width of arithmetic formats.

A storage format is never refused for lack of hardware support; it only says how many bytes move.
"""

import msgspec

from perfmodel.errors import UnknownNameError, nearest, shown


class StorageFormat(msgspec.Struct, frozen=True):
    """One way to store numbers. bits: per element, scales and zero points included.

    head: the format in which files of this kind keep the LM head and the embedding; '' for this one, 'activations' for
    the width of the activations, since most methods leave both unconverted.
    """

    name: str
    bits: float
    layout: str
    head: str = ""


_GGML = (
    "block layout of ggml, github.com/ggml-org/llama.cpp ggml/src/ggml-common.h; below q6_k the head is stored in q6_k"
    " (src/llama-quant.cpp)"
)
_EXL2 = (
    "ExLlamaV2: each matrix a mixture of 2 to 8 bits; the name gives the mean over the layers, scales included; the"
    " head has 6 by default"
)
# The LM head and the embedding in 16 bits: what GPTQ, AWQ, bitsandbytes, fp8 and fp4 checkpoints list as not converted.
_WIDE = "activations"
_MICROSCALING = "OCP Microscaling Formats specification 1.0: 32 elements share an 8-bit scale"

STORAGE_FORMATS: dict[str, StorageFormat] = {
    f.name: f
    for f in (
        StorageFormat("fp32", 32, "IEEE 754 binary32"),
        StorageFormat("bf16", 16, "bfloat16"),
        StorageFormat("fp16", 16, "IEEE 754 binary16"),
        StorageFormat("fp8", 8, "e4m3 or e5m2, one scale per tensor or channel (below 0.1 % of the bytes)", _WIDE),
        StorageFormat("int8", 8, "one scale per tensor or channel (below 0.1 % of the bytes)", _WIDE),
        StorageFormat(
            "llm-int8",
            8,
            "bitsandbytes LLM.int8: one scale per row (below 0.1 % of the bytes), outlier columns multiplied in 16"
            " bits",
            _WIDE,
        ),
        StorageFormat("fp8-block128", 8 + 32 / 128**2, "e4m3 with a 32-bit scale per 128 x 128 block", _WIDE),
        StorageFormat("fp6", 6, "e3m2 or e2m3, one scale per channel"),
        StorageFormat(
            "int4", 4 + (16 + 4) / 128, "GPTQ or AWQ: groups of 128 with a 16-bit scale and a 4-bit zero point", _WIDE
        ),
        StorageFormat("int4-g64", 4 + (16 + 4) / 64, "groups of 64 with a 16-bit scale and a 4-bit zero point", _WIDE),
        StorageFormat("int4-g32", 4 + (16 + 4) / 32, "groups of 32 with a 16-bit scale and a 4-bit zero point", _WIDE),
        StorageFormat("int3", 3 + (16 + 3) / 128, "groups of 128 with a 16-bit scale and a 3-bit zero point", _WIDE),
        StorageFormat("int2", 2 + (16 + 2) / 128, "groups of 128 with a 16-bit scale and a 2-bit zero point", _WIDE),
        StorageFormat("mlx-q4", 4 + 32 / 64, "MLX affine: groups of 64 with a 16-bit scale and a 16-bit bias"),
        StorageFormat("mlx-q8", 8 + 32 / 64, "MLX affine: groups of 64 with a 16-bit scale and a 16-bit bias"),
        StorageFormat("mlx-q5", 5 + 32 / 64, "MLX affine: groups of 64 with a 16-bit scale and a 16-bit bias"),
        StorageFormat("mlx-q6", 6 + 32 / 64, "MLX affine: groups of 64 with a 16-bit scale and a 16-bit bias"),
        StorageFormat("mlx-q4-g32", 4 + 32 / 32, "MLX affine: groups of 32 with a 16-bit scale and a 16-bit bias"),
        StorageFormat("mlx-q5-g32", 5 + 32 / 32, "MLX affine: groups of 32 with a 16-bit scale and a 16-bit bias"),
        StorageFormat("q4f16", 4 + 16 / 32, "MLC q4f16: groups of 32 with a 16-bit scale, no zero point"),
        StorageFormat("exl2-2.5", 2.5, _EXL2, "exl2-6.0"),
        StorageFormat("exl2-3.0", 3.0, _EXL2, "exl2-6.0"),
        StorageFormat("exl2-4.0", 4.0, _EXL2, "exl2-6.0"),
        StorageFormat("exl2-5.0", 5.0, _EXL2, "exl2-6.0"),
        StorageFormat("exl2-6.0", 6.0, _EXL2),
        StorageFormat(
            "nf4", 4 + 8 / 64 + 32 / (64 * 256), "bitsandbytes: blocks of 64, absmax in 8 bits, double-quantised", _WIDE
        ),
        StorageFormat("mxfp8", 8 + 8 / 32, _MICROSCALING, _WIDE),
        StorageFormat("mxfp6", 6 + 8 / 32, _MICROSCALING, _WIDE),
        StorageFormat("mxfp4", 4 + 8 / 32, _MICROSCALING, _WIDE),
        StorageFormat("nvfp4", 4 + 8 / 16, "16 elements share an e4m3 scale", _WIDE),
        StorageFormat("gf4", 4, "calm: 8 elements in 32 bits, scale included"),
        StorageFormat("q8_0", 8.5, _GGML),
        StorageFormat("q6_k", 6.5625, _GGML),
        StorageFormat("q5_k", 5.5, _GGML, "q6_k"),
        StorageFormat("q5_1", 6.0, _GGML, "q6_k"),
        StorageFormat("q5_0", 5.5, _GGML, "q6_k"),
        StorageFormat("q4_1", 5.0, _GGML, "q6_k"),
        StorageFormat("q4_0", 4.5, _GGML, "q6_k"),
        StorageFormat("q4_k", 4.5, _GGML, "q6_k"),
        StorageFormat(
            "q4_k_m",
            4.81,
            "ggml mixture: q4_k with q6_k for half of the value and down projections: 4.80 to 4.82 bits over the layers"
            " of Llama 7B, 8B and 70B; 4.85 to 4.90 over whole files",
            "q6_k",
        ),
        StorageFormat(
            "q4_k_xl",
            4.64,
            "ggml mixture with wider attention and shared tensors; about 4.64 bits over whole files",
            "q6_k",
        ),
        StorageFormat("iq4_xs", 4.25, _GGML, "q6_k"),
        StorageFormat("q3_k", 3.4375, _GGML, "q6_k"),
        StorageFormat("q2_k", 2.625, _GGML, "q6_k"),
    )
}

_SPELLINGS = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
    "f32": "fp32",
    "f16": "fp16",
    "e4m3": "fp8",
    "e5m2": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "float8_e4m3fn": "fp8",
    "gptq": "int4",
    "awq": "int4",
    "w4a16": "int4",
    "w8a8": "int8",
    "w8a16": "int8",
}

# Bits of the arithmetic formats a device file may give a rate for.
ARITHMETIC_BITS = {
    "fp64": 64,
    "fp32": 32,
    "tf32": 19,
    "bf16": 16,
    "fp16": 16,
    "fp8": 8,
    "int8": 8,
    "fp6": 6,
    "fp4": 4,
    "int4": 4,
}

# A rate of a device that sums in 16 bits instead of 32: twice the plain one on GeForce cards, the same elsewhere.
NARROW_SUM = "-accumulate-fp16"


def storage_format(name: object, where: str) -> StorageFormat:
    """Return the storage format `name`; raise UnknownNameError with the known ones otherwise."""
    key = str(name).strip().lower() if isinstance(name, str) else ""
    key = _SPELLINGS.get(key, key)
    if key not in STORAGE_FORMATS:
        raise UnknownNameError(
            f"{where}: {shown(name)} is not a storage format I"
            f" know{nearest(str(name), [*STORAGE_FORMATS, *_SPELLINGS])}; known are {', '.join(STORAGE_FORMATS)}"
        )
    return STORAGE_FORMATS[key]


def head_format(name: str, activations: str) -> str:
    """Return the storage format of the LM head where the matrices are stored as `name`; activations.

    The arithmetic width of the model.
    """
    head = STORAGE_FORMATS[name].head
    return activations if head == _WIDE else head or name


def arithmetic_format(activations: str, offered: list[str]) -> str | None:
    """Return the narrowest of the `offered` arithmetic formats that is no narrower than the activations.

    Among formats of one width the activations' own wins. None when none is wide enough.
    """
    need = ARITHMETIC_BITS[activations]
    wide_enough = [f for f in offered if ARITHMETIC_BITS.get(f, 0) >= need]
    return min(wide_enough, key=lambda f: (ARITHMETIC_BITS[f], f != activations), default=None)
