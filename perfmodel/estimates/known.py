"""What a measured step tells: parameters that it moved, and how it binds what is left uncertain of them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from perfmodel.equations.uncertainty import Effect
from perfmodel.estimates.positions import kernels_key
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Quantity

Number = Any


class Seen(NamedTuple):
    """A measured step as intervals see it.

    noise: half-width by which the logarithm of a step differs from the next [-]; effects: what each group of uncertain
    parameters does to the logarithm of the measured step [-].
    """

    noise: float
    effects: Mapping[str, Effect]


class Known(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A measured step: its time [s], and what it tells.

    moved: by path a quantity as it was and as it is now; left: by path the share of its spread that is left [-];
    deviations: by path how many standard deviations of its interval it moved [-]; undetermined: uncertain parameters
    that it says little of; seen: how it binds the rest.
    """

    time: float
    moved: dict[str, tuple[Quantity, Quantity]]
    deviations: dict[str, float]
    left: dict[str, float]
    undetermined: tuple[str, ...]
    seen: Seen

    def narrowed(self, path: str, quantity: Quantity) -> Quantity:
        """Return a quantity as it is left after the measurement, by itself."""
        share = self.left.get(path)
        if share is None or not 0 < quantity.low < quantity.high:
            return quantity
        low, high = (quantity.value * (end / quantity.value) ** share for end in (quantity.low, quantity.high))
        return msgspec.structs.replace(quantity, low=low, high=high)


@lru_cache(maxsize=512)
def as_known(hardware: Hardware, known: Known) -> Hardware:
    """Return a device with each quantity moved that a measured step moved; the same pair gives the same object.

    A device with other software shares those of the machine; another launch mode of the same software its kernels.
    """
    alike = {
        (kernels_key(path), was.low, was.value, was.high): now
        for path, (was, now) in known.moved.items()
        if kernels_key(path) is not None
    }
    changed = {}
    for path, quantity in hardware.values.items():
        was, now = known.moved.get(path, (None, None))
        if was != quantity:
            now = alike.get((kernels_key(path), quantity.low, quantity.value, quantity.high))
        if now is not None:
            changed[path] = now
    return hardware.replace_values(changed)


def bound(effects: Mapping[str, Effect], seen: Seen, given: Mapping[str, Number]) -> tuple[dict[str, Effect], Number]:
    """Return what groups do to the logarithm of a time once a step is known, and by how much it follows that step [-].

    Linear conditioning: each effect less its part in the measured step, f_i - k b_i with k = sum f b / (sum b^2 + n^2),
    by the widths of the effects. given: groups whose parameters are known exactly, which do nothing.
    """
    products: Number = 0.0
    squares: Number = 4 * seen.noise * seen.noise
    for name, one in seen.effects.items():
        width = one.fast - one.slow
        squares = squares + width * width
        if name in effects:
            products = products + width * (effects[name].fast - effects[name].slow)
    follows = products / squares
    nothing = Effect(0.0, 0.0)
    found = dict(effects)
    for name, one in seen.effects.items():
        if name in given:
            continue
        own = effects.get(name, nothing)
        found[name] = Effect(own.slow - follows * one.slow, own.fast - follows * one.fast)
    return found, follows
