"""A question whose before side was measured: its parameters, conditioned on the one time that is known.

The logarithm of the step is taken as linear in the logarithms of its uncertain parameters, whose low and high are their
5th and 95th percentile; the measured time moves each by what it has in the variance, and narrows it. What one number
cannot tell apart stays wide. Gaussian conditioning, as in calibration with one row.
"""

import math
from typing import Any, NamedTuple

import msgspec

from perfmodel.errors import UsageError, shown
from perfmodel.estimates.plan import counts_at
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import Question
from perfmodel.estimates.terms import busy_time, call_times, step_time
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity
from perfmodel.units import parse_quantity

# Standard deviations from the median to the 95th percentile of a normal distribution.
_TO_PERCENTILE = 1.6448536269514722
# A measured step differs from the next of the same machine by this half-width of its logarithm.
_NOISE = 0.02
# The time is not linear in what is moved, so that it is moved again from where it came to.
_ROUNDS = 6
# A parameter is undetermined where the measurement leaves this share of its spread.
_LEFT = 0.9


class Conditioned(NamedTuple):
    """A conditioned question. time: as measured [s]; undetermined: uncertain parameters that it says little of."""

    question: Question
    time: float
    undetermined: tuple[str, ...]


def measured_time(text: object, batch: int) -> float:
    """Return the time of a step [s] that a time, or a rate summed over the batch, stands for.

    Raises SpecificationError for a text that is neither.
    """
    if isinstance(text, str) and text.strip().endswith("tok/s"):
        rate = parse_quantity(text, "tok/s", "--measured")
        time = batch / rate if rate > 0 else math.inf
    else:
        time = parse_quantity(text, "s", "--measured")
    if not 0 < time < math.inf:
        raise UsageError(f"--measured: {shown(text)} is not a time or a rate above zero; write 6.4ms or 150tok/s")
    return time


def conditioned(question: Question) -> Conditioned | None:
    """Return the question as what was measured of its before side leaves it; None where nothing was measured."""
    text = question.arguments.get("measured")
    if text is None:
        return None
    prepared = prepare_question(question)
    time = measured_time(text, question.batch)
    step = _Step(prepared, question.batch, question.context)
    values, spreads = step.values, step.spreads
    goal, noise = math.log(time), _NOISE / _TO_PERCENTILE
    moved = dict.fromkeys(spreads, 0.0)
    told = dict.fromkeys(spreads, 0.0)
    for _ in range(_ROUNDS):
        now = {path: values[path] * math.exp(moved[path]) for path in spreads}
        logarithm, slopes = step.slopes(now)
        felt = {path: slopes[path] * spreads[path] ** 2 for path in spreads}
        variance = sum(slopes[path] * felt[path] for path in spreads) + noise**2
        # What is left to explain, seen from the values before anything was moved.
        rest = goal - logarithm + sum(slopes[path] * moved[path] for path in spreads)
        moved = {path: step.within(path, felt[path] / variance * rest) for path in spreads}
        told = {path: felt[path] ** 2 / variance / spreads[path] ** 2 if spreads[path] else 0.0 for path in spreads}
    changed = {
        path: _quantity(path, step.quantities[path], moved[path], math.sqrt(max(1 - told[path], 0.0)), str(text))
        for path in spreads
    }
    # How this machine and software differ from others of their kind is known now; the next step may still differ.
    for path, left in (("software.spread", 0.0), ("software.noise", _NOISE)):
        if path in question.hardware.values:
            known = question.hardware.values[path]
            changed[path] = msgspec.structs.replace(known, low=left, value=left, high=left, source=f"measured: {text}")
    hardware = question.hardware.replace_values(changed)
    undetermined = tuple(path for path in spreads if math.sqrt(max(1 - told[path], 0.0)) > _LEFT)
    return Conditioned(msgspec.structs.replace(question, hardware=hardware), time, undetermined)


class _Step:
    """The before side at its workload, with the parameters that are uncertain."""

    def __init__(self, prepared: Prepared, batch: int, context: int) -> None:
        self._side = prepared.before
        self._counts = counts_at(self._side.plan, batch, context)
        used = self._side.parameters.used
        self.values: dict[str, Any] = self._side.parameters.values()
        self.quantities: dict[str, Quantity] = {
            path: quantity for path, (_, quantity) in used.items() if 0 < quantity.low < quantity.high
        }
        self.spreads = {
            path: (math.log(q.high) - math.log(q.low)) / (2 * _TO_PERCENTILE) for path, q in self.quantities.items()
        }

    def time(self, numbers: dict[str, float]) -> float:
        """Return the time of the step [s] with some parameters at these numbers."""
        parameters, every = self._side.parameters, self.values | numbers
        busy = busy_time(self._counts, parameters.rates(every), parameters.chain(every))
        return float(step_time(self._side.plan, call_times(busy), parameters.fixed(every)))

    def slopes(self, numbers: dict[str, float]) -> tuple[float, dict[str, float]]:
        """Return the logarithm of the time, and its slope by the logarithm of each uncertain parameter."""
        here, small = math.log(self.time(numbers)), 1e-4
        return here, {
            path: (math.log(self.time(numbers | {path: numbers[path] * math.exp(small)})) - here) / small
            for path in self.spreads
        }

    def within(self, path: str, moved: float) -> float:
        """Return how far the logarithm of a parameter may move: no share beyond one."""
        parameter = lookup(path)
        most = parameter.most if parameter is not None else math.inf
        return min(moved, math.log(most / self.values[path])) if self.values[path] > 0 else 0.0


def _quantity(path: str, quantity: Quantity, moved: float, left: float, text: str) -> Quantity:
    """Return a quantity that was moved and narrowed, around its new value."""
    value = quantity.value * math.exp(moved)
    low = value * (quantity.low / quantity.value) ** left
    high = value * (quantity.high / quantity.value) ** left
    parameter = lookup(path)
    most = parameter.most if parameter is not None else math.inf
    return msgspec.structs.replace(
        quantity,
        low=low,
        value=min(value, most),
        high=min(high, most),
        kind="derived",
        source=f"{quantity.source}; measured: {text}",
    )
