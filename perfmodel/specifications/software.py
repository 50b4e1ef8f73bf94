"""Kinds of software: what engines, frameworks, servers and the like bring to a device, by year and by architecture.

A file in software/ says it of one kind and year: costs by launch mode, what its kernels reach of the memory's rate, and
under [on.ARCHITECTURE] what differs there. The values are fitted over sources by validation/fit.py, which writes them.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError, UnknownNameError, nearest, shown
from perfmodel.specifications.devicefiles import merge_mode
from perfmodel.specifications.devicetables import layer_of
from perfmodel.specifications.files import read_text, toml_tables
from perfmodel.specifications.hardware import Hardware, Mode
from perfmodel.specifications.quantities import Quantity

KINDS = ("engine", "framework", "server", "ggml", "python", "compiled")
DEFAULT_KIND = "engine"
# What a device's file names when its values are those of its one software.
NO_SOFTWARE = "none"

_Layer = tuple[dict[str, Quantity], dict[str, Mode]]


class _Layers(Mapping[str, _Layer]):
    """What differs on each architecture, read when it is asked for: an answer asks for two or three of twenty."""

    def __init__(self, path: Path, sources: dict[str, str], texts: dict[str, str]) -> None:
        self._path, self._sources, self._texts = path, sources, texts
        self._read: dict[str, _Layer] = {}

    def __getitem__(self, name: str) -> _Layer:
        if name not in self._read:
            tables = toml_tables(self._texts[name], self._path)["on"][name]
            self._read[name] = layer_of({**tables, "sources": self._sources}, self._path)[1:]
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class Software(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A kind of software of a year.

    mode: the launch mode it uses where the device has it, '' for the device's own.
    values, modes: overrides as in a hardware file; on: further ones, by the architecture of the device.
    fitted_on, tested_on: which measurements it rests on, and its errors on sources that were left out.
    """

    name: str
    title: str
    kind: str
    year: int
    mode: str
    values: dict[str, Quantity]
    modes: dict[str, Mode]
    on: Mapping[str, _Layer]
    fitted_on: str
    tested_on: str
    path: str


# Whose units, multiprocessors, are what a kernel's blocks stream from memory with; units of others are matrix engines.
GPU_VENDORS = ("NVIDIA", "AMD")


def software_names() -> list[str]:
    """Return the sorted names, kind-year, of the software that comes with the package."""
    return sorted(path.stem for path in data_folder("software").iterdir() if path.suffix == ".toml")


@lru_cache(maxsize=64)
def find_software(name: str, option: str = "--software") -> Software:
    """Return the software called `name`: a kind, whose newest year is taken, or kind-year; option: who asks.

    Raises UnknownNameError with the nearest name.

    >>> find_software("server").name
    'server-2026'
    """
    known = software_names()
    years = [one for one in known if one.rpartition("-")[0] == name]
    if name not in known and not years:
        from perfmodel.specifications.othernames import software_meant

        kind = software_meant(name)
        kinds = sorted({one.rpartition("-")[0] for one in known}, key=KINDS.index)
        meant = f" (it is of the kind {kind})" if kind else nearest(name, [*kinds, *known])
        raise UnknownNameError(
            f"{option}: {shown(name)} is not a kind of software{meant}; it is one of"
            f" {', '.join(kinds)}, or of these with a year: {', '.join(known)}"
        )
    return load_software(data_folder("software") / f"{years[-1] if years else name}.toml")


def load_software(path: Path) -> Software:
    """Read the file of a kind of software; what differs on an architecture is read when it is asked for.

    Raises SpecificationError with file, key and what would be right.
    """
    own, on = _cut(read_text(path), path)
    raw = toml_tables(own, path)
    sources = raw.get("sources", {})
    head, values, modes = layer_of(raw, path, {"kind": str, "mode": str, "fitted_on": str, "tested_on": str})
    if head.get("kind") not in KINDS:
        raise SpecificationError(f"{path}: kind: {shown(head.get('kind'))} is not one of {', '.join(KINDS)}")
    if "year" not in head:
        raise SpecificationError(f"{path}: has no year")
    return Software(
        name=path.stem,
        title=head.get("title") or path.stem,
        kind=head["kind"],
        year=head["year"],
        mode=head.get("mode", ""),
        values=values,
        modes=modes,
        on=_Layers(path, sources, on),
        fitted_on=head.get("fitted_on", ""),
        tested_on=head.get("tested_on", ""),
        path=str(path),
    )


def _cut(text: str, path: Path) -> tuple[str, dict[str, str]]:
    """Return what the file says of all devices, and the tables on.ARCHITECTURE, as text by architecture."""
    own: list[str] = []
    on: dict[str, str] = {}
    for table in f"\n{text}".split("\n["):
        prefix, _, rest = table.partition(".")
        if prefix != "on":
            own.append(table)
            continue
        name = rest.partition("]")[0].partition(".")[0]
        if not name.replace("-", "").isalnum():
            raise SpecificationError(f"{path}: on: {shown(name)} is not a file of hardware/architectures")
        on[name] = f"{on.get(name, '')}\n[{table}"
    return "\n[".join(own), on


@lru_cache(maxsize=512)
def with_software(hardware: Hardware, software: Software) -> Hardware:
    """Return `hardware` as software of a kind and year uses it; the same pair gives the same object."""
    layers = [software.on[name] for name in reversed(hardware.architectures) if name in software.on]
    values, modes = dict(hardware.values), dict(hardware.modes)
    for more, changed in [(software.values, software.modes), *layers]:
        values |= more
        modes |= {name: merge_mode(modes[name], mode) for name, mode in changed.items() if name in modes}
    if hardware.vendor not in GPU_VENDORS and "units.stream" not in hardware.values:
        values.pop("units.stream", None)
    default_mode = software.mode if software.mode in modes else hardware.default_mode
    return msgspec.structs.replace(
        hardware, values=values, modes=modes, software=software.name, stack=software.name, default_mode=default_mode
    )


@lru_cache(maxsize=512)
def on_own_mode(used: Hardware, device: Hardware) -> Hardware:
    """Return `used`, which is `device` with software that nobody asked for, starting in the device's own mode."""
    return msgspec.structs.replace(used, default_mode=device.default_mode)


def software_in_use(hardware: Hardware) -> str | None:
    """Return the software whose values stand in `hardware`, as kind-year; None where its own file says all."""
    return hardware.software if "-" in hardware.software else None


def software_of(hardware: Hardware, asked: str | None = None, option: str = "--software") -> Software | None:
    """Return the software asked for, else the newest of the kind that the device's file names, else of engines.

    None for a device whose own file says what its one software does.
    """
    name = asked or hardware.software or DEFAULT_KIND
    return None if name == NO_SOFTWARE else find_software(name, option)
