"""Energy and money for a million tokens, where the device's file or the caller gives power and price."""

import msgspec

from perfmodel.estimates.answers import Estimate
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Quantity

MILLION = 1e6
SECONDS_PER_HOUR = 3600.0


class Cost(msgspec.Struct, frozen=True):
    """What a million tokens cost, before and after looping; None where power or price is unknown.

    energy: joules at the power limit of all devices, so an upper bound [J]; price: at the rental of all devices [USD].
    rental: of one device, with its range [USD/h].
    """

    energy_before: float | None
    energy_after: float | None
    price_before: float | None
    price_after: float | None
    rental: Quantity | None = None


def cost_per_million_tokens(answer: Estimate) -> Cost:
    """Return energy and price of a million tokens, from `power.tdp` and `price.rental` of one device."""
    power, rental = power_and_rental(answer.prepared.hardware)
    seconds = [MILLION / side.tokens_per_second for side in (answer.before, answer.after)]
    energy = [None if power is None else power.value * answer.devices * time for time in seconds]
    price = [None if rental is None else rental.value * answer.devices / SECONDS_PER_HOUR * time for time in seconds]
    return Cost(energy[0], energy[1], price[0], price[1], rental)


def power_and_rental(hardware: Hardware) -> tuple[Quantity | None, Quantity | None]:
    """Return the power limit [W] and the rental [USD/h] of one device, None where they are unknown."""
    return hardware.values.get("power.tdp"), hardware.values.get("price.rental")
