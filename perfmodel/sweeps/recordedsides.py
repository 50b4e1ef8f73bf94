"""One side of a question on recorded numbers, and the points at which it is asked."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy

from perfmodel.estimates.machine import Ends, Position
from perfmodel.estimates.prepared import PreparedSide
from perfmodel.estimates.terms import Busy, Fixed, Terms, busy_replay, flat_costs, step_terms

Array = Any  # a numpy array that broadcasts to the points, or a float
Number = Any  # a float or a recorded number
_VALUES, _VALUE_ENDS = Position(), Ends()


class Points(NamedTuple):
    """The points asked.

    values: batch [-], context [-] and parameters by path [base units], arrays that broadcast together to `shape`.
    axes: along which axis each varies, a bit each, 2 for the first; 0 where it does not.
    counts: how many values each axis has in the whole grid, of which this may be a block.
    """

    values: Mapping[str, Array]
    axes: Mapping[str, int]
    counts: tuple[int, ...]
    shape: tuple[int, ...]

    def where(self, mask: Array) -> "Points":
        """Return the points at which `mask` holds, all along one axis."""
        values = {key: taken(array, mask, self.shape) for key, array in self.values.items()}
        shape = (int(numpy.count_nonzero(mask)),)
        return Points(values, {key: 2 if axes else 0 for key, axes in self.axes.items()}, (_MANY,), shape)

    def at(self, fixed: Mapping[str, float]) -> "Points":
        """Return the points with the values `fixed` at all of them."""
        if not fixed:
            return self
        whole = self.shape or (1,)
        shape = (1,) * len(whole)
        return Points(
            dict(self.values) | {key: numpy.full(shape, float(value)) for key, value in fixed.items()},
            dict(self.axes) | dict.fromkeys(fixed, 0),
            self.counts or whole,
            whole,
        )

    def inputs(self) -> dict[str, Array]:
        """Return the values for a program, with an axis for the corners in front."""
        return {name: numpy.asarray(self.values[key], float)[None] for key, name in names_of(self.values).items()}


_MANY = 1 << 30


def names_of(keys: Mapping[str, Any]) -> dict[str, str]:
    """Names of the keys that Python takes."""
    return {key: key if key in ("batch", "context") else f"p{i}" for i, key in enumerate(keys)}


def taken(values: Array, mask: Array, shape: tuple[int, ...]) -> Array:
    """Return the values at the points where `mask` holds."""
    return numpy.broadcast_to(values, shape)[mask]


def everywhere(mask: Array) -> bool | None:
    """Return True or False where `mask` is so at all points, else None."""
    if numpy.all(mask):
        return True
    return None if numpy.any(mask) else False


class RecordedSide:
    """One side of a question on recorded numbers."""

    def __init__(self, side: PreparedSide) -> None:
        self.side, self.plan, self.shared = side, side.plan, side.shared
        self._rates = side.parameters.rates(side.parameters.values())

    @cached_property
    def _terms(self) -> Any:
        return busy_replay(self.plan, self._rates, generic=True)

    @cached_property
    def _calls(self) -> Any:
        return busy_replay(self.plan, self._rates, generic=True, terms=False)

    def numbers(
        self, given: Mapping[str, Number], position: Position = _VALUES, ends: Ends = _VALUE_ENDS, own: float = 0.0
    ) -> dict[str, Number]:
        """Return the parameters of this side at a corner, those in `given` replaced."""
        return self.side.parameters.numbers(position, ends, own, self.shared) | dict(given)

    def terms(self, given: Mapping[str, Number], batch: Number, context: Number) -> Terms:
        """Return the terms of a step [s] with every parameter at its value."""
        numbers, parameters = self.numbers(given), self.side.parameters
        busy = self._terms(batch, context, *flat_costs(parameters.rates(numbers), parameters.chain(numbers)))
        return step_terms(self.plan, Busy(*busy[:-1]), parameters.fixed(numbers))

    def calls(
        self, given: Mapping[str, Number], batch: Number, context: Number, position: Position, own: float
    ) -> tuple[Number, Number]:
        """Return waiting (see Busy) and the time of the calls [s] at a corner."""
        numbers, parameters = self.numbers(given, position, own=own), self.side.parameters
        times = self._calls(batch, context, *flat_costs(parameters.rates(numbers), parameters.chain(numbers)))
        return times[0], times[1]

    def fixed(self, given: Mapping[str, Number], ends: Ends, own: float) -> Fixed:
        """Return the costs of calls and step [s] at a corner."""
        return self.side.parameters.fixed(self.numbers(given, ends=ends, own=own))

    def prefetch(self, given: Mapping[str, Number]) -> Number:
        """Return the prefetch room [B] at the fast end of all parameters."""
        return self.side.parameters.chain(self.side.parameters.standing(1.0) | dict(given)).prefetch

    def corner(self, given: Mapping[str, Number], position: Position, own: float) -> dict[str, float]:
        """Return the numbers at a corner, by path, but for those in `given`."""
        stands = self.side.parameters.numbers(position, _VALUE_ENDS, own, self.shared)
        return {path: number for path, number in stands.items() if path not in given}
