"""Device files: layers of inheritance read into a Hardware."""

from functools import lru_cache
from pathlib import Path

import msgspec

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.devicetables import _LONGEST_NAME, KERNEL_STYLES, Layers, read_layer
from perfmodel.specifications.hardware import Hardware, Mode, Offered

DEFAULT_ARCHITECTURE = "generic"


_DEEPEST_INHERITANCE = 8


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
