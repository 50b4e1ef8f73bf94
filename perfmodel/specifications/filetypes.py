"""File types of ggml: which block format each tensor of a GGUF file has, by what it is for and where it stands.

After the choices of llama-quantize, github.com/ggml-org/llama.cpp src/llama-quant.cpp. `_l` and the q3_k_xl of
bartowski's files keep embedding and head in q8_0; the UD types are Unsloth's, whose choices differ from model to model:
what is here is what their mixtures of experts of 2025 have in common, and for others the type that is nearest.
`publishedfiles` brings both to the size of the published file, or to the usual one.
"""

from functools import lru_cache

import msgspec

from perfmodel.specifications.formats import STORAGE_FORMATS

# A GGUF file holds its vocabulary too: text, type and merge rules of a token take 28 bytes (Gemma 2) to 61 (Llama 3),
# by the difference between published files and their tensors.
BYTES_PER_TOKEN_OF_VOCABULARY = 40

# File type: the block format that its tensors have unless a rule below says otherwise.
FILE_TYPES: dict[str, str] = {
    "q2_k": "q2_k",
    "q2_k_s": "q2_k",
    "q2_k_l": "q2_k",
    "q3_k": "q3_k",
    "q3_k_s": "q3_k",
    "q3_k_m": "q3_k",
    "q3_k_l": "q3_k",
    "q3_k_xl": "q3_k",
    "q4_0": "q4_0",
    "q4_1": "q4_1",
    "q4_k": "q4_k",
    "q4_k_s": "q4_k",
    "q4_k_m": "q4_k",
    "q4_k_l": "q4_k",
    "q5_0": "q5_0",
    "q5_1": "q5_1",
    "q5_k": "q5_k",
    "q5_k_s": "q5_k",
    "q5_k_m": "q5_k",
    "q5_k_l": "q5_k",
    "q6_k": "q6_k",
    "q6_k_l": "q6_k",
    "q8_0": "q8_0",
    "iq1_s": "iq1_s",
    "iq1_m": "iq1_m",
    "iq2_xxs": "iq2_xxs",
    "iq2_xs": "iq2_xs",
    "iq2_s": "iq2_xs",
    "iq2_m": "iq2_s",
    "iq3_xxs": "iq3_xxs",
    "iq3_xs": "iq3_s",
    "iq3_s": "iq3_s",
    "iq3_m": "iq3_s",
    "iq4_nl": "iq4_nl",
    "iq4_xs": "iq4_xs",
    "tq1_0": "tq1_0",
    "tq2_0": "tq2_0",
    "mxfp4_moe": "mxfp4",
    "ud-q2_k_xl": "q2_k",
    "ud-q3_k_xl": "q3_k",
    "ud-q4_k_xl": "q4_k",
    "ud-q5_k_xl": "q5_k",
    "ud-q6_k_xl": "q6_k",
    "ud-q8_k_xl": "q8_0",
}
# Other file types whose choices a type shares, but for embedding and head.
_WIDE_ENDS = {"q2_k_l": "q2_k", "q3_k_xl": "q3_k_l", "q4_k_l": "q4_k_m", "q5_k_l": "q5_k_m", "q6_k_l": "q6_k"}
# Those that Unsloth's types are nearest to in models without experts.
_DENSE = {
    "ud-q2_k_xl": "q2_k",
    "ud-q3_k_xl": "q3_k_m",
    "ud-q4_k_xl": "q4_k_m",
    "ud-q5_k_xl": "q5_k_m",
    "ud-q6_k_xl": "q6_k",
    "ud-q8_k_xl": "q8_0",
}
_LIKE = _WIDE_ENDS | _DENSE
_LOW = ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m")
# Where a row does not fill the blocks of a format, the one that is taken, in blocks of 32.
_FALLBACKS = {
    **dict.fromkeys(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_xs"), "iq4_nl"),
    **dict.fromkeys(("q2_k", "q3_k", "tq1_0", "tq2_0"), "q4_0"),
    "q4_k": "q5_0",
    "q5_k": "q5_1",
    "q6_k": "q8_0",
}


@lru_cache(maxsize=1)
def file_type_names() -> dict[str, str]:
    """Return the file type that each spelling in lower case means."""
    found = {name: name for name in FILE_TYPES}
    for name in FILE_TYPES:
        if name.startswith("ud-"):
            found[name.replace("ud-", "ud_")] = found[name.removeprefix("ud-")] = name
    found["q3_k_xl"] = "q3_k_xl"
    return found | {f"gguf-{name}": kind for name, kind in found.items()}


class Quantised(msgspec.Struct, frozen=True):
    """What of a model the choices depend on. layers: of the decoder; experts: routed ones a layer, 1 without.

    shared_heads: query heads to a key head; tied: no tensor of its own for the head. large: Llama and Qwen2 of 80
    layers, whose value projections llama-quantize widens. falcon: its feed-forward blocks are treated apart.
    """

    layers: int
    experts: int
    shared_heads: int
    tied: bool
    large: bool = False
    falcon: bool = False


def block_format(file_type: str, role: str, layer: int, columns: int, model: Quantised) -> str:
    """Return the block format of one tensor.

    role: `embedding head query key value qkv output gate up down router` or any other word; expert and shared matrices
    have the role of the dense one. layer: its index; columns: elements of a row, which must fill whole blocks.
    """
    if role == "router":
        return "fp32"
    if file_type == "mxfp4_moe":
        # The caller knows which are experts; everything else is q8_0.
        return _filled("mxfp4" if role.startswith("expert_") else "q8_0", columns)
    if file_type.startswith("ud-") and model.experts > 1:
        return _filled(_dynamic(file_type, role), columns)
    role = role.removeprefix("expert_")
    if role in ("embedding", "head") and file_type in _WIDE_ENDS:
        return _filled("q8_0", columns)
    like = _LIKE.get(file_type, file_type)
    if role == "head" or (role == "embedding" and model.tied):
        return _filled(_head(like, columns, falcon=model.falcon), columns)
    choose = {
        "embedding": _embedding,
        "value": _value,
        "qkv": _value,
        "key": _key,
        "query": _query,
        "output": _output,
        "gate": _wide,
        "up": _wide,
        "down": _down,
    }.get(role)
    return _filled(choose(like, layer, model) if choose else FILE_TYPES[like], columns)


def _filled(block: str, columns: int) -> str:
    """Return `block`, or what replaces it where a row of `columns` elements does not fill its blocks."""
    if columns % STORAGE_FORMATS[block].block:
        block = _FALLBACKS.get(block, "fp16")
        if columns % STORAGE_FORMATS[block].block:
            return "fp16"
    return block


def _dynamic(file_type: str, role: str) -> str:
    """Unsloth's types: routed experts have the format of the name, head and embedding a wider one, all else q8_0."""
    base = FILE_TYPES[file_type]
    if role == "head":
        return "q8_0" if base == "q8_0" else "q6_k"
    if role == "embedding":
        return "q4_k" if base in ("q2_k", "q3_k") else base
    return base if role.startswith("expert_") else "q8_0"


def _head(kind: str, columns: int, *, falcon: bool) -> str:
    base = FILE_TYPES[kind]
    if falcon or columns % STORAGE_FORMATS[base].block:
        return "q8_0"
    if kind in (*_LOW, "iq3_xxs"):
        return "q5_k"
    return "q8_0" if base == "q8_0" else "q6_k"


def _embedding(kind: str, _layer: int, _model: Quantised) -> str:
    if kind in ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs"):
        return "q2_k"
    if kind in ("iq2_s", "iq2_m", "iq3_xxs"):
        return "iq3_s"
    return "q4_k" if kind in ("tq1_0", "tq2_0") else FILE_TYPES[kind]


def _more_bits(layer: int, layers: int) -> bool:
    """Return whether a layer is among the first or last eighth, or the third of three in between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _value(kind: str, layer: int, model: Quantised) -> str:
    base, shared = FILE_TYPES[kind], model.shared_heads >= 4
    if kind in _LOW:
        return "q4_k" if shared or model.experts >= 4 else "iq3_s" if kind in ("iq2_s", "iq2_m") else "q2_k"
    chosen = base
    if kind == "q2_k":
        chosen = "q4_k" if shared else "q3_k"
    elif (kind in ("q2_k_s", "iq3_xxs", "iq3_xs", "iq3_s") and shared) or kind == "iq3_m":
        chosen = "q4_k"
    elif kind == "q3_k_m":
        chosen = "q5_k" if layer < 2 else "q4_k"
    elif kind == "q3_k_l" or (kind in ("iq4_nl", "iq4_xs") and shared) or (kind == "q4_k_s" and layer < 4):
        chosen = "q5_k"
    elif kind in ("q4_k_m", "q5_k_m") and _more_bits(layer, model.layers):
        chosen = "q6_k"
    if model.large and chosen in ("q3_k", "q4_k"):
        chosen = "q5_k"
    return "q8_0" if model.experts == 8 else chosen


def _key(kind: str, layer: int, model: Quantised) -> str:
    if model.experts == 8:
        return "q4_k" if kind in _LOW else "q8_0"
    return _query(kind, layer, model)


def _query(kind: str, _layer: int, _model: Quantised) -> str:
    return {"iq3_xs": "iq3_xxs", "iq3_xxs": "iq2_s"}.get(kind, FILE_TYPES[kind])


def _wide(kind: str, layer: int, model: Quantised) -> str:
    middle = model.layers // 8 <= layer < 7 * model.layers // 8
    return "iq3_xxs" if kind == "iq3_xs" and middle else FILE_TYPES[kind]


def _down(kind: str, layer: int, model: Quantised) -> str:
    base, layers = FILE_TYPES[kind], model.layers
    first, more = layer < layers // 8, _more_bits(layer, layers)
    if kind in _LOW:
        return ("iq3_s" if kind in ("iq2_s", "iq2_m") else "q2_k") if first else base
    if model.falcon and kind in ("q3_k_m", "q4_k_m"):
        wide, usual = ("q5_k", "q4_k") if kind == "q3_k_m" else ("q6_k", "q5_k")
        return wide if layer < layers // 16 else usual if more else base
    if kind == "q3_k_m":
        return "q5_k" if layer < layers // 16 else "q4_k"
    if kind == "q3_k_l":
        return "q4_k" if model.falcon else "q5_k"
    if kind == "iq3_m":
        return "q4_k" if first or (model.experts == 8 and more) else base
    chosen = {
        "q2_k": "q3_k",
        "q2_k_s": "q4_k" if first else base,
        "q4_k_m": "q6_k" if more else base,
        "q5_k_m": "q6_k" if more else base,
        "q4_k_s": "q5_k" if first and not model.falcon else base,
    }
    return chosen.get(kind, base)


def _output(kind: str, _layer: int, model: Quantised) -> str:
    base = FILE_TYPES[kind]
    if model.experts == 8:
        wider = ("q2_k", "q3_k_s", "q3_k_m", "q4_k_s", "q4_k_m", *_LOW)
        return "q5_k" if kind in wider or kind.startswith(("iq3", "iq4")) else base
    if model.falcon:
        return "q4_k" if kind == "q3_k_l" else base
    return {
        "iq1_s": "iq2_xxs",
        "iq1_m": "iq2_xxs",
        "iq2_s": "iq3_s",
        "iq2_m": "iq3_s",
        "q2_k": "q3_k",
        "iq3_xxs": "iq3_s",
        "q3_k_m": "q4_k",
        "q3_k_l": "q5_k",
        "iq3_m": "q4_k",
    }.get(kind, base)
