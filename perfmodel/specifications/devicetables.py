"""The tables of a device's file: its head, quantities, modes and algorithms, each key checked."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.fields import Fields
from perfmodel.specifications.files import read_toml
from perfmodel.specifications.hardware import Mode, Offered
from perfmodel.specifications.parameters import ALGORITHMS, COLLECTIVES, KINDS, MODES, lookup, unknown_key
from perfmodel.specifications.quantities import Quantity, read_quantity

# How a launch mode cuts the operations into kernel calls; perfmodel.schedule.cutting knows what each name means.
KERNEL_STYLES = ("primitive", "separate", "engine", "joined", "tuned", "layer", "step")
# Those whose kernels hold whole layers.
FUSED_STYLES = ("layer", "step")


_TEXT_KEYS = ("name", "title", "vendor", "status", "system_of", "default_mode", "software", "note")


_COUNTS = {"year": (1990, 2100), "devices": (1, 100_000)}


_LISTS = ("aliases", "inherits", "without")


HEAD = (*_TEXT_KEYS, *_COUNTS, *_LISTS)


_TABLES = (
    "memory",
    "tiers",
    "arithmetic",
    "units",
    "on_chip",
    "link",
    "network",
    "collectives",
    "power",
    "price",
    "modes",
    "conditions",
    "drafts",
    "prompts",
    "reach",
    "kernels",
    "software",
)


_LONGEST_NAME = 200  # characters; no file has a longer one


Layers = tuple[dict[str, Any], dict[str, Quantity], dict[str, Mode]]


def read_layer(path: Path, also: Mapping[str, type] = MappingProxyType({})) -> Layers:
    """Return head, values and modes of one file, without what it inherits.

    also: further keys the file may have at its top, with their type; they come back in the head.
    Raises SpecificationError with file, key and what would be right.
    """
    return layer_of(read_toml(path), path, also)


def layer_of(raw: dict[str, Any], path: Path, also: Mapping[str, type] = MappingProxyType({})) -> Layers:
    """Return head, values and modes of the tables `raw` of the file `path`; as `read_layer`."""
    fields = Fields(raw, str(path))
    fields.only((*HEAD, *_TABLES, *also, "sources"), "a hardware file")
    sources = raw.pop("sources", {})
    if not isinstance(sources, dict) or not all(isinstance(v, str) for v in sources.values()):
        raise SpecificationError(f"{path}: sources: expected a table of texts")
    own = not os.path.realpath(path).startswith(_our_folders())
    file = _DeviceFile(path, sources, f"given in {path.name}" if own else None)
    head: dict[str, Any] = {}
    values: dict[str, Quantity] = {}
    modes: dict[str, Mode] = {}
    for key, entry in raw.items():
        if (key in HEAD or key in also) and not (key in _TABLES and isinstance(entry, dict)):
            head[key] = _head_value(fields, key, also.get(key))
        else:
            fields.table(key)
            if key == "collectives" and "algorithms" in entry:
                where = f"{path}: collectives.algorithms"
                head["algorithms"] = _read_algorithms(file.with_source(entry.pop("algorithms"), where), where)
            _read_table(entry, key, file, values, modes)
    return head, values, modes


@lru_cache(maxsize=1)
def _our_folders() -> tuple[str, ...]:
    """Return the folders whose files say of every value where it comes from."""
    return tuple(os.path.realpath(data_folder(kind)) + os.sep for kind in ("hardware", "profiles", "software"))


def _head_value(fields: Fields, key: str, also: type | None) -> object:
    """Return one value from the top of a file, checked for its type and range."""
    if key in _COUNTS:
        least, most = _COUNTS[key]
        return fields.integer(key, least=least, most=most)
    if key == "inherits" and isinstance(fields.raw(key), str):
        return [fields.raw(key)]
    if key == "name":
        return fields.text(key)
    return fields.texts(key) if key in _LISTS or also is list else fields.text(key, "")


def _read_table(
    table: dict[str, Any], prefix: str, file: "_DeviceFile", values: dict[str, Quantity], modes: dict[str, Mode]
) -> None:
    path = file.path
    if prefix.startswith("modes."):
        modes[prefix[6:]] = _read_mode(table, prefix, path)
        table = {k: v for k, v in table.items() if k not in ("kernels", "base", "note")}
    for key, entry in table.items():
        dotted = f"{prefix}.{key}"
        parameter = lookup(dotted)
        if parameter is not None:
            where = f"{path}: {dotted}"
            values[dotted] = read_quantity(file.with_source(entry, where), parameter, where, file.given)
        elif (
            isinstance(entry, dict)
            and dotted.count(".") == 1
            and not {"value", "low", "high"} & entry.keys()
            and _may_hold(dotted)
        ):
            _read_table(entry, dotted, file, values, modes)
        elif prefix == "modes":
            raise SpecificationError(
                f"{path}: {dotted}: {shown(key)} is not a launch mode{nearest(key, MODES)}; the modes are"
                f" {', '.join(MODES)}"
            )
        else:
            raise unknown_key(dotted, (), str(path))


def _may_hold(dotted: str) -> bool:
    table, _, name = dotted.partition(".")
    if table == "modes":
        return name in MODES
    if table == "collectives":
        return name in (*COLLECTIVES, *ALGORITHMS)
    return table == "tiers" or dotted in ("memory.sustained", "units.operations_per_clock")


def _read_mode(table: dict[str, Any], prefix: str, path: Path) -> Mode:
    name = prefix[6:]
    kernels, base, note = table.get("kernels", ""), table.get("base"), table.get("note", "")
    if kernels and kernels not in KERNEL_STYLES:
        raise SpecificationError(
            f"{path}: {prefix}.kernels: {shown(kernels)} is not one of"
            f" {', '.join(KERNEL_STYLES)}{nearest(str(kernels), KERNEL_STYLES)}"
        )
    if base is not None and (base not in MODES or base == name):
        raise SpecificationError(
            f"{path}: {prefix}.base: {shown(base)} is not another launch mode{nearest(str(base), MODES)}"
        )
    if not isinstance(note, str):
        raise SpecificationError(f"{path}: {prefix}.note: expected text, found {shown(note)}")
    return Mode(
        name=name, kernels=kernels, base=base, loops=name in ("looped", "megakernel-generated", "megakernel"), note=note
    )


def _read_algorithms(entry: object, where: str) -> Offered:
    if (
        not isinstance(entry, dict)
        or entry.keys() != {"value", "kind", "source"}
        or not isinstance(entry["value"], list)
    ):
        raise SpecificationError(
            f"{where}: expected {{ value = [...], kind = ..., source = ... }} with some of {', '.join(ALGORITHMS)},"
            f" found {shown(entry)}"
        )
    names, kind, source = entry["value"], entry["kind"], entry["source"]
    for name in names:
        if name not in ALGORITHMS:
            raise SpecificationError(
                f"{where}: {shown(name)} is not one of {', '.join(ALGORITHMS)}{nearest(str(name), ALGORITHMS)}"
            )
    if not names or kind not in KINDS or not isinstance(source, str) or not source.strip():
        raise SpecificationError(f"{where}: give at least one algorithm, a kind of {', '.join(KINDS)}, and a source")
    return Offered(tuple(names), kind, source)


class _DeviceFile(msgspec.Struct, frozen=True):
    """A file that is being read, with its table of sources. given: the source where a user's own file names none."""

    path: Path
    sources: dict[str, str]
    given: str | None

    def with_source(self, entry: object, where: str) -> object:
        """Return the text a short source key stands for; a source is that text, a key of [sources] or a sentence."""
        if not isinstance(entry, dict) or not isinstance(entry.get("source"), str):
            return entry
        source = entry["source"]
        if source in self.sources:
            return entry | {"source": self.sources[source]}
        if source and " " not in source and "/" not in source:
            raise SpecificationError(
                f"{where}.source: {shown(source)} is not in the table [sources]{nearest(source, self.sources)}"
            )
        return entry
