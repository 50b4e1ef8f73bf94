"""What a measured step tells: parameters that it moved, and how it binds what is left uncertain of them."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from perfmodel.equations.uncertainty import Effect
from perfmodel.estimates.positions import kernels_key
from perfmodel.numbers.choices import larger, log, smaller
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.quantities import Quantity

Number = Any


class Seen(msgspec.Struct, frozen=True):
    """A measured step as intervals see it.

    noise: half-width by which the logarithm of a step differs from the next [-]; effects: what each group of uncertain
    parameters does to the logarithm of the measured step [-].
    """

    noise: float
    effects: Mapping[str, Effect]


class Known(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A measured step: its time [s], the device, software and launch mode it is of, and what it tells.

    of: what else its question is, batch and context apart. row, source: factors on the time of a step by which this
    one, and all of its device and software, differ from others of their kind beyond their parameters [-].
    beyond: half-widths of logarithms by which sources and rows of its software differ beyond their parameters [-].
    moved: by path a quantity as it was and as it is now; left: by path the share of its spread that is left [-];
    distance: of the step from what is usual, in standard deviations; deviations: by path how many of its own interval
    it moved [-]; undetermined: uncertain parameters that it says little of; seen: how it binds the rest;
    origin: the step as it was measured, where this is what another model or format has of it.
    """

    time: float
    device: str
    stack: str
    mode: str
    of: tuple[str, ...]
    batch: int
    context: int
    row: float
    source: float
    beyond: tuple[float, float]
    moved: dict[str, tuple[Quantity, Quantity]]
    distance: float
    deviations: dict[str, float]
    left: dict[str, float]
    undetermined: tuple[str, ...]
    seen: Seen
    origin: "Known | None" = None

    def away(self, of: tuple[str, ...], batch: Number, context: Number) -> Number:
        """Return how far another row is from the measured one, 0 for itself to 1 for one that differs in all it can.

        Twice or half its batch or context are 1; so is whatever else differs.
        """
        if of != self.of:
            return 1.0
        steps = (log(batch / self.batch), log((context + 1) / (self.context + 1)))
        return smaller(sum(larger(step, -step) for step in steps) / math.log(2), 1.0)

    def narrowed(self, path: str, quantity: Quantity) -> Quantity:
        """Return a quantity as it is left after the measurement, by itself."""
        share = self.left.get(path)
        if share is None or not 0 < quantity.low < quantity.high:
            return quantity
        low, high = (quantity.value * (end / quantity.value) ** share for end in (quantity.low, quantity.high))
        return msgspec.structs.replace(quantity, low=low, high=high)


@lru_cache(maxsize=64)
def elsewhere(known: Known) -> Known:
    """Return a measured step as another model or format of weights has it: what is its row's own is not theirs."""
    return msgspec.structs.replace(known, row=known.source, origin=known)


def factor_path(mode: str) -> str:
    """Return the path of the factor by which measured steps of a launch mode differ as a whole."""
    return f"modes.{mode}.factor"


# What sources of a kind of software differ by beyond their parameters, and one row from another.
BEYOND = ("software.spread", "software.noise")


def beyond_parts(hardware: Hardware, mode: str) -> tuple[()] | tuple[float, float]:
    """Return the half-widths of logarithms [-] that software adds, () for none: spread of sources, noise of a row.

    Kernels of a mode's own differ by another spread. Where the factor of a launch mode is known, from measurements, its
    own low and high stand for the spread.
    """
    if BEYOND[0] not in hardware.values:
        return ()
    spread, noise = (hardware.values[path].value for path in BEYOND)
    own = hardware.mode_value(mode, "spread")
    if own is not None:
        spread = own[1].value
    return (0.0 if factor_path(mode) in hardware.values else spread), noise


def shared_effects(hardware: Hardware, mode: str, known: Known) -> dict[str, Effect]:
    """Return what a side shares with the measured step beyond its parameters: the source's part, and the row's."""
    if factor_of(hardware, mode, known) is None:
        return {}
    spread, noise = known.beyond
    source = {"software.spread": Effect(spread, -spread)}
    own = mode == known.mode and known.origin is None
    return source | ({"software.noise": Effect(noise, -noise)} if own else {})


# Launch modes between which nothing but the launch differs; what runs eagerly is another software's kernels.
LAUNCHES = ("stream", "graph", "pdl")


def alike(one: str, other: str) -> bool:
    """Return whether two modes launch the same kernels, so that what these differ by is in both."""
    return one == other or (one in LAUNCHES and other in LAUNCHES)


def factor_of(hardware: Hardware, mode: str, known: Known) -> float | None:
    """Return the factor on a step of `mode` that a measured step tells, None for none."""
    if (hardware.name, hardware.stack) != (known.device, known.stack):
        return None
    if mode == known.mode:
        return known.row
    return known.source if alike(mode, known.mode) else None


_ONE = Quantity(low=1.0, value=1.0, high=1.0, unit="1", kind="derived", source="what was measured")


@lru_cache(maxsize=512)
def as_known(hardware: Hardware, known: Known, mode: str) -> Hardware:
    """Return a device with each quantity moved that a measured step moved, for a side in a launch mode.

    A device with other software shares those of the machine; another launch mode of the same software its kernels. The
    same arguments give the same object.
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
    factor = factor_of(hardware, mode, known)
    if factor is not None:
        path = factor_path(mode)
        # On top of what a profile had measured before.
        before = changed.get(path) or hardware.values.get(path) or _ONE
        ends = {end: factor * getattr(before, end) for end in ("low", "value", "high")}
        changed[path] = msgspec.structs.replace(before, **ends)
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
