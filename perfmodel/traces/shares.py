"""How a recorded step divides into streaming and boundaries: positions of the memory's shares, the likeliest."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.estimates.answers import Estimate, estimate
from perfmodel.numbers.choices import added
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Interval, Quantity

PLAIN = ("eager", "stream", "graph", "pdl")  # modes that run the recorded kernels as they are
# Standard deviations by which a share may lie below its value before something else must explain the time.
FARTHEST = 2 * NORMAL_PERCENTILE
SHORTEST_BOUNDARY = 1e-9  # s


class Pricing(NamedTuple):
    """What is asked of `estimate`, besides the device and the modes."""

    model: Model
    arguments: dict[str, Any]

    def ask(self, device: Hardware, before: str, after: str, parameters: Mapping[str, Any] | None = None) -> Estimate:
        """Return the answer for a device in these modes."""
        return estimate(self.model, device, before=before, after=after, parameters=parameters, **self.arguments)


def with_style(device: Hardware, style: str) -> Hardware:
    """Return the device with its plain modes calling kernels of this style."""
    modes = {
        name: msgspec.structs.replace(mode, kernels=style) if name in PLAIN else mode
        for name, mode in device.modes.items()
    }
    return msgspec.structs.replace(device, modes=modes)


def moved(low: float, value: float, high: float, position: float, unit: str) -> Quantity:
    """Return a share at `position` standard deviations from its value, on a logarithmic scale, below 1."""
    end = low if position < 0 else high
    spread = max(abs(math.log(end / value)) / NORMAL_PERCENTILE, 0.02)
    moved = min(1.0, value * math.exp(max(-60.0, position * spread)))
    return Quantity(low=moved, value=moved, high=moved, unit=unit, kind="derived", source="recorded")


def position_leaving(overhead: Any, wanted: float) -> float | None:
    """Return the least position of the shares [standard deviations] with `wanted` [s] left for boundaries, or None."""
    low, high = -60.0, 60.0
    if overhead(high) < wanted:
        return None
    if overhead(low) >= wanted:
        return low
    for _ in range(40):
        middle = (low + high) / 2
        if overhead(middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def prior_boundary_of(device: Hardware, mode: str) -> Interval:
    """Return the boundary of a call [s] as the device's file has it, whole or the sum of its parts."""
    whole = device.mode_value(mode, "boundary")
    parts = (
        [whole[1]]
        if whole
        else [found[1] for key in ("bare", "ramp", "tail") if (found := device.mode_value(mode, key))]
    )
    if not parts or added(part.value for part in parts) <= 0:
        return Interval(1e-6, 4e-6, 16e-6)
    return Interval(
        *(max(SHORTEST_BOUNDARY, added(getattr(part, end) for part in parts)) for end in ("low", "value", "high"))
    )


def likeliest(overhead: Any, least: float, prior: Interval, kernels: int) -> float:
    """Return the position of the shares at which they and the boundary are nearest to what the catalogue expects."""

    def deviation(position: float) -> float:
        boundary = max(overhead(position) / kernels, SHORTEST_BOUNDARY)
        end = prior.low if boundary < prior.value else prior.high
        spread = max(abs(math.log(end / prior.value)) / NORMAL_PERCENTILE, 0.05)
        return position**2 + (math.log(boundary / prior.value) / spread) ** 2

    # From where the bytes just fit upwards: coarse steps, then finer ones around the best.
    best, step = min((least + 0.5 * i for i in range(1, 2 + int(2 * max(4.0, 4.0 - least)))), key=deviation), 0.5
    for _ in range(4):
        step /= 4
        best = min((max(least, best + step * i) for i in range(-4, 5)), key=deviation)
    return best


def collective_latency(
    question: Pricing, device: Hardware, mode: str, recorded: float, answer: Estimate
) -> dict[str, Quantity]:
    """Return the latency of a collective [s] with which the model's collectives take as long as the recorded ones."""
    path = next(
        (a.name for a in answer.assumptions if a.name.startswith("collectives.") and a.name.endswith(".latency")), None
    )
    if path is None or not recorded:
        return {}
    now = device.values[path]
    step = 1e-6
    slope = (
        question.ask(device, mode, mode, {path: now.value + step}).before.terms.collective
        - answer.before.terms.collective
    ) / step
    latency = max(0.0, now.value + (recorded - answer.before.terms.collective) / slope) if slope > 0 else now.value
    return {
        path: Quantity(
            low=min(now.low, latency),
            value=latency,
            high=latency,
            unit="s",
            kind="derived",
            source="recorded collectives, which hold waiting for other devices",
        )
    }


class Division(NamedTuple):
    """How the kernels' time divides: positions of the shares from quick to slow [standard deviations].

    fastest: where the bytes just fit. totals: of the boundaries [s]. shares: the memory's, by path [-].
    """

    positions: tuple[float, float, float]
    fastest: float
    totals: Interval
    shares: dict[str, Interval]
    prior: dict[str, Any]

    def streaming(self, question: Pricing, device: Hardware, mode: str) -> Interval:
        """Return the time [s] that the bytes take at the shares found, on the device as it was fitted."""
        return Interval(
            *(
                float(
                    question.ask(
                        device, mode, mode, {path: one.value for path, one in shares_at(self.prior, position).items()}
                    ).before.terms.stream
                )
                for position in self.positions
            )
        )


def shares_at(prior: Mapping[str, Any], position: float) -> dict[str, Quantity]:
    """Return the memory's shares at a position [standard deviations]; prior: assumptions by path."""
    return {path: moved(a.low, a.value, a.high, position, a.unit) for path, a in prior.items()}


def divided(
    question: Pricing,
    device: Hardware,
    mode: str,
    assumptions: Sequence[Any],
    split: Any,
    kernels: int,
    boundary: Interval,
) -> Division | None:
    """Return how the active time of a recorded step divides into streaming and boundaries, None where bytes do not fit.

    split: where the time of the step goes, as `recordedsteps` finds it. boundary: what is expected of a call [s].
    """
    prior = {a.name: a for a in assumptions if a.name.startswith("memory.sustained.")}

    def overhead(position: float) -> float:
        """Time [s] of the step that is left for boundaries when the memory's shares stand at `position`."""
        terms = question.ask(device, mode, mode, shares_at(prior, position)).before.terms
        return float(
            split.active - float(terms.stream) - float(terms.compute) - float(terms.collective or split.collectives)
        )

    fastest = position_leaving(overhead, 0.0)
    if fastest is None:
        return None
    middle = likeliest(overhead, max(fastest, -FARTHEST), boundary, kernels)
    slow_position = position_leaving(overhead, min(split.floors, overhead(middle)))
    slow = min(middle, fastest if slow_position is None else slow_position)
    quick = max(middle, NORMAL_PERCENTILE)
    low_spread, high_spread = split.spread
    value = max(SHORTEST_BOUNDARY, overhead(middle))
    totals = Interval(
        min(value, max(SHORTEST_BOUNDARY, overhead(slow) + low_spread)),
        value,
        max(value, SHORTEST_BOUNDARY, overhead(quick) + high_spread),
    )
    found = [shares_at(prior, position) for position in (slow, middle, quick)]
    shares = {path: Interval(*(one[path].value for one in found)) for path in prior}
    return Division((quick, middle, slow), fastest, totals, shares, prior)
