"""Which storage format the numbers of a quantisation mean: bits, groups, zero points, floats and their scales."""

import re
from typing import Any

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.huggingface.fields import ConfigFields


class Settings(ConfigFields):
    """The settings of a quantisation: fields whose keys can be listed, and read whatever they hold."""

    def __init__(self, config: dict[str, Any], where: str) -> None:
        super().__init__(config, where)
        self._settings = config

    def names(self) -> tuple[str, ...]:
        """Return all keys."""
        return tuple(self._settings)

    def anything(self, key: str) -> Any:
        """Return what is at `key`, unchecked, or None."""
        return self._settings.get(key)


_LONGEST_PATTERN = 2_000
# A repeated group that is repeated inside: such a pattern can take for ever to fail.
_SLOW = r"\([^()]*[+*}][^()]*\)[+*{]"


def integers(inner: Settings, bits: int, group: int | None, *, symmetric: bool, zero_bits: int | None = None) -> str:
    """Return the format of integers with a 16-bit scale a group.

    group: elements of a row that share a scale, None or -1 for all of it. A symmetric group has no zero point, another
    one of `zero_bits` (the width of the elements where None).
    """
    if not 2 <= bits <= 8:
        raise SpecificationError(f"{inner.where}: integers of {bits} bits are not known; 2 to 8 are")
    if group is None or group <= 0:
        return "int8" if bits == 8 else f"int{bits}-channel"
    kind = "-sym" if symmetric else "-zp16" if zero_bits == 16 else ""
    return storage_format(f"int{bits}-g{group}{kind}" if group != 128 or bits > 4 else f"int{bits}{kind}", "").name


def floats(inner: Settings, bits: int, group: int | None, block: list[int] | None = None) -> str:
    """Return the format of floats of `bits`, with scales a tensor, channel, group or block."""
    if bits == 16:
        return "bf16"
    if bits == 8 and block is not None:
        return fp8_block(inner, block)
    if bits == 8 and group == 32:
        return "mxfp8"
    if bits == 8:
        return "fp8"
    found = {(4, 16): "nvfp4", (4, 32): "mxfp4", (6, 32): "mxfp6"}.get((bits, group or 0))
    if found is None:
        raise SpecificationError(
            f"{inner.where}: floats of {bits} bits in groups of {group} are not known; 4 bits in 16 or 32, 6 in 32 and"
            " 8 are"
        )
    return found


def fp8_block(inner: Settings, block: list[int]) -> str:
    """Return the format of fp8 with a 32-bit scale a block of rows and columns."""
    if block != [128, 128]:
        raise SpecificationError(f"{inner.where}: blocks of {shown(block)} are not known; [128, 128] is")
    return "fp8-block128"


def compressed_weights(weights: Settings, layout: str) -> str:
    """Return the format of the `weights` of a group of compressed-tensors, stored as `layout` says."""
    bits = weights.integer("num_bits", most=16)
    group = weights.integer("group_size", required=False, least=-1)
    strategy = weights.text("strategy", "")
    if layout == "marlin-24":
        if (bits, group) != (4, 128):
            raise SpecificationError(f"{weights.where}: marlin-24 is known for 4 bits in groups of 128")
        return "marlin-24"
    if weights.text("type", "int") == "float":
        # The layout says which 4-bit floats they are where the group does not.
        usual = {"nvfp4": 16, "mxfp4": 32}.get(layout.partition("-")[0])
        if bits == 4 and usual is not None:
            group = group or usual
        return floats(weights, bits, group, weights.integers("block_structure") if strategy == "block" else None)
    if layout in ("int-quantized", "naive-quantized"):
        # Not packed: a byte each, however few bits are used.
        return "int8"
    symmetric = weights.flag("symmetric", default=True)
    return integers(weights, bits, group if strategy in ("group", "tensor_group", "") else None, symmetric=symmetric)


def targets(inner: Settings, listed: list[str]) -> tuple[str, ...]:
    """Return `listed` names and patterns; raise SpecificationError for a pattern that cannot be used."""
    for name in listed:
        if not name.startswith("re:"):
            continue
        try:
            re.compile(name[3:])
        except (re.error, RecursionError, OverflowError):
            raise SpecificationError(f"{inner.where}: {shown(name)} is not a regular expression") from None
        if len(name) > _LONGEST_PATTERN or re.search(_SLOW, name):
            raise SpecificationError(
                f"{inner.where}: {shown(name)} is a pattern that could take for ever; name modules"
            )
    return tuple(listed)


def texts_of(inner: Settings, *keys: str) -> list[str]:
    """Return the texts of all lists at `keys`, lists of lists too."""
    found: list[str] = []
    for key in keys:
        given = inner.anything(key) or ()
        for one in given if isinstance(given, list | tuple) else (given,):
            found += one if isinstance(one, list) else [one]
    if not all(isinstance(one, str) for one in found):
        raise SpecificationError(f"{inner.where}: {keys[0]}: {shown(found)} is not a list of names")
    return found


def cache_format(inner: Settings, scheme: Any) -> str | None:
    """Return the format of the cache that a `kv_cache_scheme` or the name of an algorithm gives, None for none."""
    if scheme is None:
        return None
    if isinstance(scheme, str):
        known = {"fp8": "fp8", "nvfp4": "nvfp4", "int8": "int8", "auto": None, "none": None}
        if scheme.lower() in known:
            return known[scheme.lower()]
    elif isinstance(scheme, dict):
        table = Settings(scheme, f"{inner.where}: kv_cache_scheme")
        bits, group = table.integer("num_bits", most=16), table.integer("group_size", required=False, least=-1)
        if table.text("type", "float") == "float":
            return floats(table, bits, group)
        return integers(table, bits, group, symmetric=table.flag("symmetric", default=True))
    raise SpecificationError(f"{inner.where}: kv_cache_scheme: {shown(scheme)} is not known; fp8, nvfp4 and int8 are")
