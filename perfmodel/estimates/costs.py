"""Energy and money for a million tokens, where the device's file or the caller gives power and price."""

from typing import Any

from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Quantity

MILLION = 1e6
SECONDS_PER_HOUR = 3600.0
# What a million tokens take of what a device has: the key of its power limit or rental, and its share of a second.
COSTS = {"energy": ("power.tdp", 1.0), "price": ("price.rental", 1 / SECONDS_PER_HOUR)}


def million_tokens(each: Any, devices: int, rate: Any) -> Any:
    """Return what a million tokens take: `each` of a device and second, of all devices, at a rate [tok/s]."""
    return each * devices * (MILLION / rate)


def costs_of(hardware: Hardware, name: str, devices: int, *rates: float) -> tuple[float | None, ...]:
    """Return energy [J] or price [USD] of a million tokens at each rate [tok/s], None where power or rental is unknown.

    name: energy, at the power limit of all devices, so an upper bound; or price, at their rental.
    """
    key, share = COSTS[name]
    known = hardware.values.get(key)
    return tuple(None if known is None else million_tokens(known.value * share, devices, rate) for rate in rates)


def power_and_rental(hardware: Hardware) -> tuple[Quantity | None, Quantity | None]:
    """Return the power limit [W] and the rental [USD/h] of one device, None where they are unknown."""
    return hardware.values.get("power.tdp"), hardware.values.get("price.rental")
