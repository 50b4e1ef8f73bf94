"""Measured steps explained by their uncertain parameters: Gaussian conditioning, for one step or many.

The logarithm of a step is taken as linear in the logarithms of its uncertain parameters, whose low and high are their
5th and 95th percentile, and again from where they came to. What they leave is a factor that all steps of one software
share, whose spread is that between sources, and a factor of each row.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.estimates.known import alike
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.stepping import step_at
from perfmodel.numbers.choices import added
from perfmodel.numbers.recorded import Line, Recorder, needed, operand, run
from perfmodel.numbers.slopes import slopes_of
from perfmodel.specifications.parameters import largest
from perfmodel.specifications.quantities import Quantity

# The time is not linear in what is moved, so that it is moved again from where it came to.
_ROUNDS = 12
# What is left to explain where a device has no software whose sources differ [-].
_MATCHED = 5e-3
# Parameters whose logarithms move by less are where they should be [-]; many rows tell them to a hundredth at most.
_STILL, _STILL_OF_MANY = 1e-9, 1e-6
# A square of numbers: lists of one line, an array of more.
Square = Any


class Spreads(NamedTuple):
    """Standard deviations of logarithms beyond parameters [-].

    source: of what all launches of one software share; both: with what one launch mode on its machine differs by
    besides; scatter: of one row from another there.
    """

    source: float
    both: float
    scatter: float = 0.0

    def shared(self, one: str, other: str) -> float:
        """Return the covariance of what steps of two launch modes differ by, scatter apart [-]."""
        if one == other:
            return self.both**2
        return self.source**2 if alike(one, other) else 0.0


def spreads_of(beyond: tuple[float, float]) -> Spreads:
    """Return by how much steps of a software differ beyond their parameters; beyond: half-widths of logarithms [-]."""
    source, row = (part / NORMAL_PERCENTILE for part in beyond)
    return Spreads(source, max(math.hypot(source, row), _MATCHED))


class MeasuredSide:
    """A side at a workload whose step was measured [s], with its uncertain parameters by path.

    times: how often it was measured, of which `measured` is the geometric mean [-].
    """

    def __init__(self, side: PreparedSide, batch: int, context: int, measured: float) -> None:
        self.side, self._batch, self._context = side, batch, context
        self.measured, self.goal, self.times = measured, math.log(measured), 1
        self.values: dict[str, Any] = side.parameters.values()
        self.quantities = {
            path: quantity for path, (_, quantity) in side.parameters.used.items() if 0 < quantity.low < quantity.high
        }

    def measured_as(self, measured: float, times: int = 1) -> "MeasuredSide":
        """Return the side as it was measured otherwise."""
        other = copy(self)
        other.measured, other.goal, other.times = measured, math.log(measured), times
        return other

    def time(self, numbers: Mapping[str, float]) -> float:
        """Return the time of the step [s] with some parameters at these numbers; those it does not use are ignored."""
        recorded = _recorded(self.side)
        return recorded.time(self._run(recorded, numbers))

    def slopes(self, numbers: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Return the logarithm of the time, and its slope by the logarithm of each uncertain parameter in `numbers`."""
        recorded = _recorded(self.side)
        known = self._run(recorded, numbers)
        time, slopes = recorded.time(known), slopes_of(recorded.lines, known, recorded.result)
        own = [path for path in self.quantities if path in numbers]
        return math.log(time), {path: slopes.get(path, 0.0) * numbers[path] / time for path in own}

    def _run(self, recorded: "_Recorded", numbers: Mapping[str, float]) -> dict[str, float]:
        known = {path: number for path, number in numbers.items() if path in self.values}
        return run(recorded.lines, {**self.values, **known, "batch": self._batch, "context": self._context})


class _Recorded(NamedTuple):
    """The lines of a step by batch, context and the paths of parameters, and its time [s] in them."""

    lines: list[Line]
    result: Any

    def time(self, known: Mapping[str, float]) -> float:
        """Return the time [s], of lines that were run."""
        return float(known[self.result] if isinstance(self.result, str) else self.result)


@lru_cache(maxsize=1024)
def _recorded(side: PreparedSide) -> _Recorded:
    """Return the lines of one side, which are the same at all workloads."""
    recorder = Recorder()
    paths = tuple(side.parameters.values())
    batch, context, *numbers = recorder.inputs(("batch", "context", *paths))
    costs = side.parameters.costs(dict(zip(paths, numbers, strict=True)))
    result = operand(step_at(side.plan, costs, batch, context).time())
    return _Recorded(needed(recorder.lines, [result]), result)


class Explained(NamedTuple):
    """How parameters explain measured steps.

    moved: logarithms of factors on parameters; told: share of their variance [-]; felt, weights: the covariance is that
    of the priors less felt' weights felt, by rows [-]; distance: from what is usual, as a sum of squares of standard
    deviations.
    """

    moved: dict[str, float]
    told: dict[str, float]
    felt: list[dict[str, float]]
    weights: Square
    distance: float


class Regression:
    """Measured sides, the quantities of their parameters by path, and what is left beyond these."""

    def __init__(self, sides: Sequence[MeasuredSide], quantities: Mapping[str, Quantity], beyond: Spreads) -> None:
        self.sides, self.quantities, self.beyond = sides, dict(quantities), beyond
        self.modes = [side.side.mode.name for side in sides]
        self._beside = [
            [
                beyond.shared(one, other) + (beyond.scatter**2 / sides[i].times if i == j else 0.0)
                for j, other in enumerate(self.modes)
            ]
            for i, one in enumerate(self.modes)
        ]
        self._apart = _inverse(self._beside)
        self.spreads = {
            path: (math.log(q.high) - math.log(q.low)) / (2 * NORMAL_PERCENTILE) for path, q in quantities.items()
        }

    def numbers(self, moved: Mapping[str, float]) -> dict[str, float]:
        """Return the numbers of the parameters moved by the logarithms of factors."""
        return {path: self.quantities[path].value * math.exp(by) for path, by in moved.items()}

    def explained(self, start: dict[str, float] | None = None) -> Explained:
        """Return how the parameters most likely moved: of the places to begin at, from the one that ends nearest.

        start: where nearly the same rows have been explained, as logarithms of factors, which is then the only one.
        """
        starts = self._starts() if start is None else [start]
        return min((self._explained(start) for start in starts), key=lambda one: one.distance)

    def _starts(self) -> list[dict[str, float]]:
        """Return where to begin, as logarithms of factors: where the rows stand, and with a host that is late."""
        found = [dict.fromkeys(self.spreads, 0.0)]
        late = next((path for path in self.spreads if path.endswith(".issue")), None)
        if late is not None:
            per_call = sorted(s.measured / s.side.kernel_calls for s in self.sides if late in s.quantities)
            found.append(found[0] | {late: math.log(per_call[len(per_call) // 2] / self.quantities[late].value)})
        return found

    def _explained(self, start: dict[str, float]) -> Explained:
        moved, still = start, _STILL if len(self.sides) == 1 else _STILL_OF_MANY
        felt: list[dict[str, float]] = []
        weights: Square = []
        for _ in range(_ROUNDS):
            found = [side.slopes(self.numbers(moved)) for side in self.sides]
            felt = [{path: slope * self.spreads[path] ** 2 for path, slope in slopes.items()} for _, slopes in found]
            # What is left to explain, seen from the values before anything was moved.
            rests = [
                side.goal - logarithm + added(slope * moved[path] for path, slope in slopes.items())
                for side, (logarithm, slopes) in zip(self.sides, found, strict=True)
            ]
            slopes = [each for _, each in found]
            held: dict[str, float] = {}
            for _ in self.spreads:  # a share that would be more than all stays there, and the others explain the rest
                weights = _inverse(self._variances(slopes, felt, held))
                left = [
                    rest - added(each[path] * by for path, by in held.items() if path in each)
                    for rest, each in zip(rests, slopes, strict=True)
                ]
                pulls = _applied(weights, left)
                wanted = {
                    path: added(each.get(path, 0.0) * pull for each, pull in zip(felt, pulls, strict=True))
                    for path in self.spreads
                    if path not in held
                }
                beyond = {path: self._most(path) for path in wanted if wanted[path] > self._most(path)}
                if not beyond:
                    break
                held |= beyond
            # Far from where the slopes were taken a step of a factor of e at a time.
            near = {path: _near(moved[path], (wanted | held)[path]) for path in self.spreads}
            moved, last = near, moved
            if max((abs(moved[path] - last[path]) for path in moved), default=0.0) < still:
                break
        return self._result(moved, felt, weights)

    def _variances(
        self, slopes: Sequence[Mapping[str, float]], felt: Sequence[Mapping[str, float]], held: Mapping[str, float]
    ) -> Square:
        """Return the covariance of the logarithms of the rows' times, by what may move and beyond it."""
        if len(slopes) == 1:
            (one,), (other,) = felt, slopes
            return [[added(one[path] * other[path] for path in one if path not in held) + self._beside[0][0]]]
        import numpy

        free = [path for path in self.spreads if path not in held]
        ones, others = (numpy.array([[row.get(path, 0.0) for path in free] for row in rows]) for rows in (slopes, felt))
        return ones @ others.T + numpy.array(self._beside)

    def _result(self, moved: dict[str, float], felt: list[dict[str, float]], weights: Square) -> Explained:
        told = {
            path: _product(weights, [one.get(path, 0.0) for one in felt]) / spread**2
            for path, spread in self.spreads.items()
        }
        distance = _product(self._apart, self.offs(self.numbers(moved)))
        distance += added((moved[path] / spread) ** 2 for path, spread in self.spreads.items())
        return Explained(moved, told, felt, weights, distance)

    def offs(self, numbers: Mapping[str, float]) -> list[float]:
        """Return the logarithm of measured over predicted time of each row, with parameters at these numbers [-]."""
        return [side.goal - math.log(side.time(numbers)) for side in self.sides]

    def factor(self, mode: str, offs: Sequence[float]) -> float:
        """Return the logarithm of the most likely factor on steps of a launch mode; offs: of each row [-]."""
        shared = [self.beyond.shared(mode, other) for other in self.modes]
        return added(each * pull for each, pull in zip(shared, _applied(self._apart, offs), strict=True))

    def left(self, numbers: Mapping[str, float]) -> list[float]:
        """Return what each row is off by once parameters stand there and the factors of launch modes are known [-]."""
        offs = self.offs(numbers)
        factors = {mode: self.factor(mode, offs) for mode in set(self.modes)}
        return [off - factors[mode] for off, mode in zip(offs, self.modes, strict=True)]

    def factor_told(self, mode: str, found: Explained) -> float:
        """Return the share of the variance of that factor which the rows take away [-]."""
        shared = [self.beyond.shared(mode, other) for other in self.modes]
        return _product(found.weights, shared) / self.beyond.both**2

    def _most(self, path: str) -> float:
        """Return how far the logarithm of a parameter may rise: no share beyond one."""
        return math.log(largest(path) / self.quantities[path].value)


def _applied(square: Square, line: Sequence[float]) -> list[float]:
    """Return square line."""
    if len(line) == 1:
        return [square[0][0] * line[0]]
    found: list[float] = (square @ line).tolist()
    return found


def _product(square: Square, line: Sequence[float]) -> float:
    """Return line' square line."""
    return added(one * other for one, other in zip(line, _applied(square, line), strict=True))


def _inverse(square: Square) -> Square:
    if len(square) == 1:
        return [[1 / square[0][0]]]
    import numpy

    return numpy.linalg.inv(numpy.array(square))


def _near(now: float, wanted: float) -> float:
    return min(max(wanted, now - 1.0), now + 1.0)
