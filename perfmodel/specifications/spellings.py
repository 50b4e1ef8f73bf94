"""How people, drivers and profilers spell the names of the catalogue, and which entry they mean."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from perfmodel.errors import UnknownNameError, shown

# Words that products carry and catalogue names do not: who made it, and what kind of thing it is.
_MAKERS = frozenset(
    (
        "nvidia",
        "geforce",
        "tesla",
        "amd",
        "instinct",
        "intel",
        "apple",
        "google",
        "aws",
        "huawei",
        "sambanova",
        "cerebras",
    )
)
_KINDS = frozenset(("data", "center", "gpu", "graphics", "generation", "cpu", "processor", "gen"))
_FAMILIES = frozenset(("radeon", "quadro"))
_COUNTED = re.compile(r"\d+(st|nd|rd|th)|\d+-core")
_ASIDE = re.compile(r"\([^)]*\)")
_SIZE = re.compile(r"\b(\d+)-gb\b")
_CHIP = re.compile(r"m\d")
_MEMORY = re.compile(r"\d+gb")
_MARKS = re.compile(r"\((r|tm|c)\)|[®™©]")
# Ends of names of checkpoints that say how a model was trained or packed, not what its shapes are.
TUNED = re.compile(r"(?i)[-_. ](instruct|chat|it|base|hf|gguf|mlx|text|thinking|\d{4})$")
# Ends that say how the weights are stored.
STORED = (
    (re.compile(r"(?i)[-_.]?(fp8|fp8[-_]dynamic|w8a8[-_]fp8)$"), "fp8"),
    (re.compile(r"(?i)[-_.]?mxfp4$"), "mxfp4"),
    (re.compile(r"(?i)[-_.]?(nvfp4|fp4)$"), "nvfp4"),
    (re.compile(r"(?i)[-_.]?(awq([-_]int4)?|gptq([-_]int4|[-_]4bit)?|(quantized[-_.])?w4a16|int4)$"), "int4"),
    (re.compile(r"(?i)[-_.]?(gptq[-_](int8|8bit)|(quantized[-_.])?w8a(8|16)|int8)$"), "int8"),
    (re.compile(r"(?i)[-_.]?(bf16|bfloat16)$"), "bf16"),
    (re.compile(r"(?i)[-_.]?(fp16|f16)$"), "fp16"),
)
_PACKED = re.compile(r"(?i)[-_. ](gguf|mlx|[348]-?bit|dynamic|bnb)$")
_MOST_SHOWN = 8
_SHORTEST = 3  # of letters that may stand for a longer name
# Words that many devices have in their names: they mean none of them.
_KINDS_OF_DEVICES = ("cpu", "gpu", "npu", "server", "laptop", "desktop", "workstation", "edge", "cloud")


def spelled(name: str) -> str:
    """Return `name` as catalogue names are written: small letters, `-` for spaces and `_`, no trade marks, 80gb.

    >>> spelled("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    joined = re.sub(r"[\s_-]+", "-", _MARKS.sub(" ", name.lower()).strip()).strip("-")
    return _SIZE.sub(r"\1gb", joined)


def _spellings(name: str) -> Iterator[str]:
    """Yield what a product's full name may be called for short, the longest first."""
    for said in (name, _ASIDE.sub(" ", name)):
        short = spelled(said)
        yield short
        words = _COUNTED.sub("", short).split("-")
        for left_out in (_MAKERS | _KINDS, _MAKERS | _KINDS | _FAMILIES):
            kept = [word for word in words if word and word not in left_out]
            yield "-".join(kept)
            # `Apple M4 Max 64GB`: one chip is sold with several sizes of memory.
            if len(kept) > 1 and _CHIP.fullmatch(kept[0]) and _MEMORY.fullmatch(kept[-1]):
                yield "-".join(kept[:-1])


def device_meant(name: str, known: Mapping[str, str]) -> str | None:
    """Return the device that `name` means, or None.

    known: every name and alias as `spelled` writes it, with the device it stands for. Looked for as a whole name, then
    as the last words of one (`4090`, `b60`), then as any of its words; without makers' words, and with or without `-`.
    Raises UnknownNameError with the devices it may mean, if they are several.

    >>> device_meant("NVIDIA GeForce RTX 4090 Laptop GPU", {"rtx-4090-laptop": "rtx-4090-laptop"})
    'rtx-4090-laptop'
    """
    if spelled(name) in _KINDS_OF_DEVICES:
        return None
    candidates = [spelling.replace("-", "") for spelling in dict.fromkeys(_spellings(name)) if spelling]
    parts = [(_Parts.of(other), device) for other, device in known.items()]
    for spelling in candidates:
        if len(found := {device for part, device in parts if spelling == part.whole}) == 1:
            return found.pop()
    for spelling in [each for each in candidates if len(each) >= _SHORTEST]:
        last = {device for part, device in parts if spelling in part.last}
        # `rtx-6000` ends one name and begins others: it may be any of them.
        found = last | {device for part, device in parts if spelling in part.first}
        found = found if last else {device for part, device in parts if spelling in part.inner}
        if len(found) == 1:
            return found.pop()
        if found:
            raise UnknownNameError(f"{shown(name)} may be one of several devices; ask for {_listed(sorted(found))}")
    return None


def model_meant(name: str, known: Mapping[str, str]) -> str | None:
    """Return the model that `name` means, or None: one that differs in `-` only.

    known: as for `device_meant`.
    Raises UnknownNameError with the models whose names begin so, if they are several: `llama4` is a family, no model.

    >>> model_meant("Llama3.1-8B", {"llama-3.1-8b": "llama-3.1-8b"})
    'llama-3.1-8b'
    """
    spelling = spelled(name).replace("-", "")
    parts = [(_Parts.of(other), model) for other, model in known.items()]
    if len(found := {model for part, model in parts if spelling and spelling == part.whole}) == 1:
        return found.pop()
    if len(spelling) < _SHORTEST:
        return None
    members = {model for part, model in parts if spelling in part.first}
    # `llama` is the beginning of a word, as of `llama3.1`.
    members = members or {model for part, model in parts if part.whole.startswith(spelling) and spelling.isalpha()}
    if len(members) > 1:
        raise UnknownNameError(f"{shown(name)} may be one of several models; ask for {_listed(sorted(members))}")
    return None


class _Parts(NamedTuple):
    """A name without `-`: as a whole, its last words, its first words, and words between."""

    whole: str
    last: frozenset[str]
    first: frozenset[str]
    inner: frozenset[str]

    @classmethod
    def of(cls, name: str) -> "_Parts":
        words = name.split("-")
        ends = range(1, len(words))
        return cls(
            "".join(words),
            frozenset("".join(words[start:]) for start in ends),
            frozenset("".join(words[:end]) for end in ends),
            frozenset("".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words))),
        )


def _listed(members: list[str]) -> str:
    more = f" and {len(members) - _MOST_SHOWN} more" if len(members) > _MOST_SHOWN else ""
    return ", ".join(members[:_MOST_SHOWN]) + more


def stored_as(theirs: str) -> str:
    """Return the storage format that the end of a checkpoint's name tells, '' where it tells none."""
    return next((name for pattern, name in STORED if pattern.search(theirs.strip())), "")


def plain_forms(name: str) -> Iterator[str]:
    """Yield what a published name may be without its owner, the way it is stored and the way it was trained.

    >>> list(plain_forms("nvidia/Llama-3.3-70B-Instruct-FP4"))
    ['llama-3.3-70b-instruct', 'llama-3.3-70b']
    """
    text = spelled(name.rpartition("/")[2].replace(":", "-"))
    while True:
        cut = _PACKED.sub("", text)
        for pattern, _ in STORED:
            cut = pattern.sub("", cut)
        if cut == text:
            break
        text = cut
    while text:
        yield text
        if (cut := TUNED.sub("", text)) == text:
            return
        text = cut
