"""How much on-chip memory a device has."""

from collections.abc import Container, Mapping

from perfmodel import equations
from perfmodel.numbers.choices import Number
from perfmodel.specifications.hardware import Hardware

_ROOM = ("on_chip.capacity", "on_chip.shared_per_unit", "units.count")


def room_paths(known: Container[str]) -> list[str]:
    """Return the keys that say how much on-chip memory a device has, of those in `known`.

    None where it does not say.
    """
    scratchpads = all(path in known for path in _ROOM[1:])
    return [path for path in _ROOM if path in known and (scratchpads or path == _ROOM[0])]


def room_with(paths: Container[str], numbers: Mapping[str, Number]) -> Number:
    """Return the on-chip memory [B] that `paths` say, each at its number [base units]."""
    return equations.on_chip_room(*(numbers[path] if path in paths else 0.0 for path in _ROOM))


def on_chip_room(hardware: Hardware) -> float | None:
    """Return the on-chip memory of a device [B], None where its file does not say."""
    paths = room_paths(hardware.values)
    return room_with(paths, {path: hardware.values[path].value for path in paths}) if paths else None
