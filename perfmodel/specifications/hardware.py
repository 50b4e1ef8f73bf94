"""Hardware: what a machine's file says. Every value carries unit, source and kind; nothing here computes a time."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.fields import Fields
from perfmodel.specifications.files import read_toml
from perfmodel.specifications.parameters import ALGORITHMS, COLLECTIVES, KINDS, MODES, lookup, unknown_key
from perfmodel.specifications.quantities import Quantity, read_quantity

# How a launch mode cuts the operations into kernel calls; perfmodel.schedule.cutting knows what each name means.
KERNEL_STYLES = ("primitive", "separate", "engine", "tuned", "layer", "step")
DEFAULT_ARCHITECTURE = "generic"

_TEXT_KEYS = ("name", "title", "vendor", "status", "system_of", "default_mode", "software", "note")
_COUNTS = {"year": (1990, 2100), "devices": (1, 100_000)}
_LISTS = ("aliases", "inherits", "without")
_HEAD = (*_TEXT_KEYS, *_COUNTS, *_LISTS)
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
_DEEPEST_INHERITANCE = 8
_LONGEST_NAME = 200  # characters; no file has a longer one


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """One way to call kernels. base: the mode whose costs stand in for those not given here."""

    name: str
    kernels: str
    base: str | None = None
    loops: bool = False
    note: str = ""


class Offered(msgspec.Struct, frozen=True):
    """The algorithms of collectives that a device or stack has, with kind and source as a quantity has them."""

    names: tuple[str, ...] = ()
    kind: str = ""
    source: str = ""


class Hardware(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A device as its file describes it.

    values: every quantity by its dotted path (see `perfmodel.specifications.parameters`).
    modes: the launch modes the device has, with how they cut the operations into calls.
    devices: how many of the device a system has; values are those of one.
    replicates: operations that a software stack leaves whole on every device instead of splitting them.
    algorithms: of its collectives, the quickest of which is taken.
    architectures: the defaults it is described over, nearest first.
    software: the kind that its kernels are usually part of, and with its year the one whose values stand here.
    """

    name: str
    title: str
    vendor: str
    year: int | None
    status: str
    default_mode: str
    aliases: tuple[str, ...]
    values: dict[str, Quantity]
    modes: dict[str, Mode]
    path: str
    note: str = ""
    devices: int = 1
    replicates: tuple[str, ...] = ()
    algorithms: Offered = Offered()
    architectures: tuple[str, ...] = ()
    software: str = ""

    def mode(self, name: str, where: str) -> Mode:
        """Return the launch mode `name`, or raise SpecificationError that lists those the device has."""
        if name in self.modes:
            return self.modes[name]
        has = ", ".join(m for m in MODES if m in self.modes)
        reason = f"{self.name} has no mode {shown(name)}" if name in MODES else f"{shown(name)} is not a launch mode"
        raise SpecificationError(f"{where}: {reason}{nearest(name, self.modes)}; {self.name} has {has}")

    def mode_value(self, mode: str, key: str) -> tuple[str, Quantity] | None:
        """Return the path and quantity of `key` in `mode`, from the mode itself or the mode it is based on."""
        seen: str | None = mode
        while seen is not None:
            path = f"modes.{seen}.{key}"
            if path in self.values:
                return path, self.values[path]
            seen = self.modes[seen].base
        return None

    def replace_values(self, settings: dict[str, Quantity]) -> "Hardware":
        """Return this device with some quantities replaced or added."""
        return msgspec.structs.replace(self, values=self.values | settings) if settings else self


def load_hardware(path: Path) -> Hardware:
    """Read the device file at `path`, with what it inherits.

    Raises SpecificationError or a sibling with file, key and what would be right.
    """
    head, values, modes = _read_layers(path, 0)
    name: str = head.get("name", path.stem)
    for key in ("memory.bandwidth", "memory.capacity"):
        if key not in values:
            raise SpecificationError(f"{path}: has no {key}, without which nothing can be predicted")
    for mode in modes.values():
        if mode.base is not None and mode.base not in modes:
            raise SpecificationError(
                f"{path}: modes.{mode.name}.base: {shown(mode.base)} is not a mode of this"
                f" device{nearest(mode.base, modes)}"
            )
    default_mode = head.get("default_mode", "")
    if default_mode not in modes:
        raise SpecificationError(
            f"{path}: default_mode: {shown(default_mode)} is not a mode of this device; it has {', '.join(modes)}"
        )
    return Hardware(
        name=name,
        title=head.get("title") or name,
        vendor=head.get("vendor", ""),
        year=head.get("year"),
        status=head.get("status", ""),
        default_mode=default_mode,
        aliases=tuple(head.get("aliases", ())),
        values=values,
        modes=modes,
        path=str(path),
        note=head.get("note", ""),
        devices=head.get("devices", 1),
        algorithms=head.get("algorithms", Offered()),
        architectures=head.get("architectures", ()),
        software=head.get("software", ""),
    )


def without_reach(values: dict[str, Quantity], settings: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return `values` less the software's reach of each kind of bytes whose share a profile gives, which is the whole."""
    given = {path.rpartition(".")[2] for path in settings if path.startswith("memory.sustained.")}
    given |= {"kv" for path in settings if path.startswith("modes.") and path.endswith(".kv")}
    if "quantised" in given:
        given |= {path[6:] for path in values if path.startswith("reach.") and path[6:] not in ("weights", "kv")}
    dropped = {f"reach.{kind}" for kind in given} - settings.keys()
    return {path: quantity for path, quantity in values.items() if path not in dropped} if dropped else values


def architecture_file(name: str, where: str) -> Path:
    """Return the file of the architecture defaults `name`."""
    folder = data_folder("hardware") / "architectures"
    path = folder / f"{name}.toml"
    if not isinstance(name, str) or "/" in name or len(name) > _LONGEST_NAME or not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.toml"))
        raise SpecificationError(
            f"{where}: inherits: {shown(name)} is not one of the defaults {', '.join(known)}{nearest(str(name), known)}"
        )
    return path


def device_file(name: str, where: str) -> Path:
    """Return the file of the device that a system is made of."""
    folder = data_folder("hardware")
    path = folder / f"{name}.toml"
    if "/" in name or len(name) > _LONGEST_NAME or not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.toml"))
        raise SpecificationError(
            f"{where}: system_of: {shown(name)} is not a device in the catalogue{nearest(name, known)}"
        )
    return path


Layers = tuple[dict[str, Any], dict[str, Quantity], dict[str, Mode]]


def _read_layers(path: Path, depth: int) -> Layers:
    """Read `path` over the defaults it inherits: a key of the file replaces the same key of the defaults."""
    if depth > _DEEPEST_INHERITANCE:
        raise SpecificationError(f"{path}: inherits: the defaults inherit each other in a circle")
    head, values, modes = read_layer(path)
    parents = head.get("inherits", [DEFAULT_ARCHITECTURE] if depth == 0 and "system_of" not in head else [])
    layers = (
        [_read_layers(device_file(head["system_of"], str(path)), depth + 1)]
        if "system_of" in head
        else [_read_defaults(parent, str(path), depth + 1) for parent in parents]
    )
    inherited: Layers = {}, {}, {}
    for layer in layers:
        inherited = _laid_over(inherited, layer)
    inherited = _without(inherited, head.get("without", []), path)
    head, values, modes = _laid_over(inherited, (head, values, modes))
    over = zip([] if "system_of" in head else parents, layers, strict=False)
    named = [(parent, *layer[0].get("architectures", ())) for parent, layer in over]
    head["architectures"] = head.get("architectures", ()) if "system_of" in head else sum(reversed(named), ())
    for mode in modes.values():
        if not mode.kernels:
            raise SpecificationError(f"{path}: modes.{mode.name}: has no kernels; one of {', '.join(KERNEL_STYLES)}")
    return head, values, modes


def _laid_over(below: Layers, above: Layers) -> Layers:
    """Return `below` with what `above` says in its place.

    Of the head only what devices have from their architecture is handed on.
    """
    handed_on = ("default_mode", "algorithms", "software", "architectures")
    head = {k: v for k, v in below[0].items() if k in handed_on} | above[0]
    return (
        head,
        below[1] | above[1],
        below[2] | {name: merge_mode(below[2].get(name), mode) for name, mode in above[2].items()},
    )


def _without(layers: Layers, keys: list[str], path: Path) -> Layers:
    """Return what is inherited less `keys`: modes, tables or single values."""
    head, values, modes = layers
    for key in keys:
        left = {name: value for name, value in values.items() if name != key and not name.startswith(f"{key}.")}
        others = {name: mode for name, mode in modes.items() if f"modes.{name}" != key}
        if len(left) == len(values) and len(others) == len(modes):
            raise SpecificationError(
                f"{path}: without: {shown(key)} is not"
                f" inherited{nearest(key, [*values, *(f'modes.{name}' for name in modes)])}"
            )
        values, modes = left, others
    return head, values, modes


@lru_cache(maxsize=256)
def _read_defaults(name: str, where: str, depth: int) -> Layers:
    return _read_layers(architecture_file(name, where), depth)


def merge_mode(inherited: Mode | None, own: Mode) -> Mode:
    """Return a mode with what it does not say taken from the one it overrides."""
    if inherited is None:
        return own
    return msgspec.structs.replace(
        inherited,
        kernels=own.kernels or inherited.kernels,
        base=own.base or inherited.base,
        note=own.note or inherited.note,
    )


def read_layer(path: Path, also: Mapping[str, type] = MappingProxyType({})) -> Layers:
    """Return head, values and modes of one file, without what it inherits.

    also: further keys the file may have at its top, with their type; they come back in the head.
    Raises SpecificationError with file, key and what would be right.
    """
    return layer_of(read_toml(path), path, also)


def layer_of(raw: dict[str, Any], path: Path, also: Mapping[str, type] = MappingProxyType({})) -> Layers:
    """Return head, values and modes of the tables `raw` of the file `path`; as `read_layer`."""
    fields = Fields(raw, str(path))
    fields.only((*_HEAD, *_TABLES, *also, "sources"), "a hardware file")
    sources = raw.pop("sources", {})
    if not isinstance(sources, dict) or not all(isinstance(v, str) for v in sources.values()):
        raise SpecificationError(f"{path}: sources: expected a table of texts")
    kinds = ("hardware", "profiles", "software")
    own = not any(path.resolve().is_relative_to(data_folder(kind).resolve()) for kind in kinds)
    file = _DeviceFile(path, sources, f"given in {path.name}" if own else None)
    head: dict[str, Any] = {}
    values: dict[str, Quantity] = {}
    modes: dict[str, Mode] = {}
    for key, entry in raw.items():
        if (key in _HEAD or key in also) and not (key in _TABLES and isinstance(entry, dict)):
            head[key] = _head_value(fields, key, also.get(key))
        else:
            fields.table(key)
            if key == "collectives" and "algorithms" in entry:
                where = f"{path}: collectives.algorithms"
                head["algorithms"] = _read_algorithms(file.with_source(entry.pop("algorithms"), where), where)
            _read_table(entry, key, file, values, modes)
    return head, values, modes


def _head_value(fields: Fields, key: str, also: type | None) -> object:
    """Return one value from the top of a file, checked for its type and range."""
    if key in _COUNTS:
        least, most = _COUNTS[key]
        return fields.integer(key, least=least, most=most)
    if key == "inherits" and isinstance(fields.raw(key), str):
        return [fields.raw(key)]
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


class _DeviceFile(NamedTuple):
    """A file that is being read, with its table of sources. given: the source of what a user's own file leaves without."""

    path: Path
    sources: dict[str, str]
    given: str | None

    def with_source(self, entry: object, where: str) -> object:
        """Replace a short source key by the text it stands for; a source is that text, a key of [sources] or a sentence."""
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
