"""Sizes of published GGUF files whose choices no rule gives: models/published_files.csv, and matrices scaled to them.

Unsloth's UD types choose the block format of every tensor anew for each model. Which tensor has which is in the file
alone; what is known of many is their size.
"""

import csv
from functools import lru_cache

import msgspec

from perfmodel._layout import data_folder
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.storage import Mix, Module

# Block formats from narrow to wide: a tensor that a file stores wider or narrower than the rule says has a neighbour.
_LADDER = "iq1_s iq2_xxs iq2_xs q2_k iq3_xxs q3_k iq4_xs q4_k q5_k q6_k q8_0 fp16".split()

# Of a UD type of a model without experts: its matrices beside those of the type that llama-quantize makes [-], as the
# median over the models in the table. They range over 0.99 to 1.08 (Q4) and 1.24 to 1.31 (Q8).
USUAL_SIZES = {
    "ud-q2_k_xl": 1.11,
    "ud-q3_k_xl": 1.09,
    "ud-q4_k_xl": 1.02,
    "ud-q5_k_xl": 1.05,
    "ud-q6_k_xl": 1.16,
    "ud-q8_k_xl": 1.24,
}


class PublishedFile(msgspec.Struct, frozen=True):
    """A file as published. bytes: of all its parts [B]; draft: whether the draft head is in it; file: where it is."""

    bytes: int
    draft: bool
    file: str


@lru_cache(maxsize=1)
def published_files() -> dict[tuple[str, str], PublishedFile]:
    """Return the published files by model and file type."""
    path = data_folder("models") / "published_files.csv"
    with path.open(encoding="utf-8", newline="") as rows:
        return {
            (row["model"], row["file_type"]): PublishedFile(int(row["bytes"]), row["draft"] == "yes", row["file"])
            for row in csv.DictReader(rows)
        }


def scaled(found: list[tuple[Module, Mix]], total: float) -> list[tuple[Module, Mix]]:
    """Return the matrices with formats so much wider or narrower that all together take `total` bytes.

    found: each matrix as the rule says. Of the routed experts, or where there are none of the matrices in layers, one
    share, the same for all, goes to the next format of the ladder, and where that does not do, the next after it. What
    is in 16 bits stays.
    """
    experts = any(module.experts for module, _ in found)
    missing = total - sum(stored_size(module, mix) for module, mix in found)
    wider = missing > 0
    for _ in _LADDER:
        stepped = [
            (module, tuple((_next(name, module.columns, wider=wider), share) for name, share in mix))
            if (module.experts if experts else module.layer is not None)
            else (module, mix)
            for module, mix in found
        ]
        gain = sum(stored_size(*new) - stored_size(*old) for new, old in zip(stepped, found, strict=True))
        if not gain:
            return found
        share = missing / gain
        if share <= 1:
            return [(module, _joined(mix, new, share)) for (module, mix), (_, new) in zip(found, stepped, strict=True)]
        found, missing = stepped, missing - gain
    return found


def stored_size(module: Module, mix: Mix) -> float:
    """Return the bytes of a matrix stored as `mix` [B]."""
    return sum(module.elements * share * STORAGE_FORMATS[name].bits / 8 for name, share in mix)


def _next(name: str, columns: int, *, wider: bool) -> str:
    """Return the neighbour of a format whose blocks a row of `columns` elements fills, itself where there is none."""
    bits = STORAGE_FORMATS[name].bits
    if bits >= 16:
        return name
    fitting = [one for one in _LADDER if columns % STORAGE_FORMATS[one].block == 0]
    beyond = [
        one for one in fitting if (STORAGE_FORMATS[one].bits > bits) == wider and STORAGE_FORMATS[one].bits != bits
    ]
    return (beyond[0] if wider else beyond[-1]) if beyond else name


def _joined(one: Mix, other: Mix, share: float) -> Mix:
    """Return the mix of which `share` is `other`."""
    found: dict[str, float] = {}
    for mix, weight in ((one, 1 - share), (other, share)):
        for name, part in mix:
            found[name] = found.get(name, 0.0) + part * weight
    return tuple((name, part) for name, part in found.items() if part)
