"""How weights and caches are stored: bits per element with their scales, and the width of arithmetic formats.

A storage format is never refused for lack of hardware support; it only says how many bytes move.
"""

import re

import msgspec

from perfmodel.errors import UnknownNameError, nearest, shown


class StorageFormat(msgspec.Struct, frozen=True):
    """One way to store numbers. bits: per element, scales and zero points included.

    head: the format in which files of this kind keep the LM head; '' for this one, 'activations' for the width of the
    activations, since most methods leave it and the embedding unconverted.
    block: elements that one block of the format holds, all of one row.
    """

    name: str
    bits: float
    layout: str
    head: str = ""
    block: int = 1


# The LM head and the embedding in 16 bits: what GPTQ, AWQ, bitsandbytes, fp8 and fp4 checkpoints list as not converted.
_WIDE = "activations"
_SMALL = "(below 0.1 % of the bytes)"
_MICROSCALING = "OCP Microscaling Formats specification 1.0: 32 elements share an 8-bit scale"
_GGML = "block layout of ggml, github.com/ggml-org/llama.cpp ggml/src/ggml-common.h"
# Block formats of ggml: bytes of a block, elements in it.
_GGML_BLOCKS = {
    "q8_0": (34, 32),
    "q6_k": (210, 256),
    "q5_k": (176, 256),
    "q5_1": (24, 32),
    "q5_0": (22, 32),
    "q4_k": (144, 256),
    "q4_1": (20, 32),
    "q4_0": (18, 32),
    "q3_k": (110, 256),
    "q2_k": (84, 256),
    "iq4_nl": (18, 32),
    "iq4_xs": (136, 256),
    "iq3_s": (110, 256),
    "iq3_xxs": (98, 256),
    "iq2_s": (82, 256),
    "iq2_xs": (74, 256),
    "iq2_xxs": (66, 256),
    "iq1_m": (56, 256),
    "iq1_s": (50, 256),
    "tq2_0": (66, 256),
    "tq1_0": (54, 256),
}


class _Formats(dict[str, StorageFormat]):
    """The storage formats by name; those whose names carry numbers are made when they are asked for."""

    def __missing__(self, name: str) -> StorageFormat:
        made = _numbered(name)
        if made is None:
            raise KeyError(name)
        self[name] = made
        return made


STORAGE_FORMATS: dict[str, StorageFormat] = _Formats(
    (f.name, f)
    for f in (
        StorageFormat("fp32", 32, "IEEE 754 binary32"),
        StorageFormat("bf16", 16, "bfloat16"),
        StorageFormat("fp16", 16, "IEEE 754 binary16"),
        StorageFormat("fp8", 8, f"e4m3 or e5m2, one scale per tensor or channel {_SMALL}", _WIDE),
        StorageFormat("int8", 8, f"one scale per tensor or channel {_SMALL}", _WIDE),
        StorageFormat(
            "llm-int8",
            8,
            f"bitsandbytes LLM.int8: one scale per row {_SMALL}, outlier columns multiplied in 16 bits",
            _WIDE,
        ),
        StorageFormat("fp8-block128", 8 + 32 / 128**2, "e4m3 with a 32-bit scale per 128 x 128 block", _WIDE),
        StorageFormat("fp6", 6, "e3m2 or e2m3, one scale per channel"),
        StorageFormat(
            "int4", 4 + (16 + 4) / 128, "GPTQ or AWQ: groups of 128 with a 16-bit scale and a 4-bit zero point", _WIDE
        ),
        StorageFormat("int3", 3 + (16 + 3) / 128, "groups of 128 with a 16-bit scale and a 3-bit zero point", _WIDE),
        StorageFormat("int2", 2 + (16 + 2) / 128, "groups of 128 with a 16-bit scale and a 2-bit zero point", _WIDE),
        StorageFormat("bitnet", 2, f"ternary, four in a byte, one scale per tensor {_SMALL}", _WIDE),
        StorageFormat("q4f16", 4 + 16 / 32, "MLC q4f16: groups of 32 with a 16-bit scale, no zero point"),
        StorageFormat(
            "nf4", 4 + 8 / 64 + 32 / (64 * 256), "bitsandbytes: blocks of 64, absmax in 8 bits, double-quantised", _WIDE
        ),
        StorageFormat("nf4-single", 4 + 32 / 64, "bitsandbytes: blocks of 64 with a 32-bit absmax", _WIDE),
        StorageFormat("mxfp8", 8 + 8 / 32, _MICROSCALING, _WIDE),
        StorageFormat("mxfp6", 6 + 8 / 32, _MICROSCALING, _WIDE),
        StorageFormat("mxfp4", 4 + 8 / 32, _MICROSCALING, _WIDE, block=32),
        StorageFormat("nvfp4", 4 + 8 / 16, "16 elements share an e4m3 scale", _WIDE),
        StorageFormat(
            "marlin-24",
            4 / 2 + 2 / 2 + 16 / 128,
            "two of four weights kept in 4 bits, with 2 bits each for their place; groups of 128 with a 16-bit scale",
            _WIDE,
        ),
        *(
            StorageFormat(f"{name}-24", bits / 2 + 1, f"two of four weights kept in {name}, with a bit for each", _WIDE)
            for name, bits in (("bf16", 16), ("fp8", 8), ("int8", 8))
        ),
        StorageFormat("gf4", 4, "calm: 8 elements in 32 bits, scale included"),
        *(
            StorageFormat(name, 8 * size / elements, _GGML, block=elements)
            for name, (size, elements) in _GGML_BLOCKS.items()
        ),
    )
)

_LISTED = tuple(STORAGE_FORMATS)
_INTEGERS = r"int([2-8])(?:-(?:g(\d{1,5})|(channel)))?(?:-(sym|zp16))?"
_MLX = r"mlx-q([2-8])(?:-g(\d{1,5}))?"
_EXL = r"(exl[23])-(\d(?:\.\d{1,2})?)"


def _numbered(name: str) -> StorageFormat | None:
    """Return the format whose numbers stand in its name, such as int4-g32-sym, mlx-q4, exl2-4.65, else None."""
    if found := re.fullmatch(_INTEGERS, name):
        bits, group, zero = int(found[1]), int(found[2] or 128), found[4]
        if found[3]:
            return StorageFormat(name, bits, f"a 16-bit scale per channel {_SMALL}", _WIDE)
        point = {"sym": 0, "zp16": 16}.get(zero, bits)
        said = f"and a {point}-bit zero point" if point else "and no zero point"
        layout = f"groups of {group} with a 16-bit scale {said}"
        return StorageFormat(name, bits + (16 + point) / group, layout, _WIDE) if group else None
    if found := re.fullmatch(_MLX, name):
        group = int(found[2] or 64)
        layout = f"MLX affine: groups of {group} with a 16-bit scale and a 16-bit bias"
        return StorageFormat(name, int(found[1]) + 32 / group, layout) if group else None
    if (found := re.fullmatch(_EXL, name)) and 1 <= float(found[2]) <= 8:
        layout = (
            f"ExLlamaV{found[1][-1]}: each matrix a mixture of widths; the name gives the mean over the layers, scales"
            " included; the head has 6 by default"
        )
        return StorageFormat(name, float(found[2]), layout, name if float(found[2]) >= 6 else f"{found[1]}-6.0")
    return None


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
    "int4-g128": "int4",
    "int3-g128": "int3",
    "int2-g128": "int2",
    "int4-g128-sym": "int4-sym",
    "w4a16": "int4",
    "w8a8": "int8",
    "w8a16": "int8",
    "int8-channel": "int8",
    "mlx-q4-g64": "mlx-q4",
    "mlx-q8-g64": "mlx-q8",
}
_MADE = ("int4-g32", "int4-g64", "int4-sym", "int4-channel", "mlx-q4", "mlx-q8", "mlx-q4-g32", "exl2-4.0", "exl3-4.0")

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


def known_format(name: object) -> StorageFormat | None:
    """Return the storage format `name` in any of its spellings, or None."""
    key = name.strip().lower() if isinstance(name, str) else ""
    key = _SPELLINGS.get(key, key)
    try:
        return STORAGE_FORMATS[key]
    except KeyError:
        return None


def format_names() -> list[str]:
    """Return the names of storage formats, one of each kind of those that carry numbers."""
    return [*_LISTED, *_MADE]


def storage_format(name: object, where: str) -> StorageFormat:
    """Return the storage format `name`; raise UnknownNameError with the known ones otherwise."""
    found = known_format(name)
    if found is None:
        raise UnknownNameError(
            f"{where}: {shown(name)} is not a storage format I"
            f" know{nearest(str(name), [*format_names(), *_SPELLINGS])}; known are {', '.join(format_names())}"
        )
    return found


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
