"""One question at many points at once: the recorded lines of `perfmodel.estimates.columns` on numpy arrays.

The lines are noted once more on numbers that know along which axes they vary (see `perfmodel.numbers.ranges`); what is
left of them is worked out for block after block of the points. Points are arrays, one for each key that varies, along
an axis of its own or all along one.
"""

from collections.abc import Mapping
from threading import RLock
from typing import Any, NamedTuple

import numpy

from perfmodel.estimates.columns import SIDES, columns_of
from perfmodel.estimates.costs import COSTS, million_tokens
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.splits import fewest_at
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.numbers.arrays import Program
from perfmodel.numbers.choices import larger
from perfmodel.numbers.ranges import GridRecorder
from perfmodel.numbers.recorded import greater

Array = Any  # a numpy array that broadcasts to the points, or a float
Number = Any  # a float or a recorded number
# Threads share what is prepared and recorded, but one at a time prepares it.
PREPARING = RLock()


class Points(NamedTuple):
    """The points asked.

    values: batch [-], context [-] and parameters by path [base units], arrays that broadcast together to `shape`.
    axes: along which axis each varies, a bit each, 1 for the first; 0 where it does not.
    counts: how many values each axis has in the whole grid, of which this may be a block.
    """

    values: Mapping[str, Array]
    axes: Mapping[str, int]
    counts: tuple[int, ...]
    shape: tuple[int, ...]

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
        """Return the values by the names they have in a program."""
        return {name: numpy.asarray(self.values[key], float) for key, name in self.names().items()}

    def names(self) -> dict[str, str]:
        """Return the names that the keys have in a program."""
        return {key: f"x{i}" for i, key in enumerate(self.values)}


class Case:
    """A prepared question that is asked at many points.

    ranges: least and largest value of batch, context and each parameter that is an array [base units].
    large: whether there are so many points that compiling kernels pays.
    """

    def __init__(self, question: Prepared, ranges: Mapping[str, tuple[float, float]], *, large: bool = False) -> None:
        self.question, self.large, self._ranges = question, large, ranges
        self._programs: dict[Any, Program] = {}

    def answer(
        self, points: Points, wanted: frozenset[str], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Return the columns of `wanted` that vary, named as in `Estimate.rows`; arrays that broadcast to the points.

        `bound` is the position in TERM_NAMES; `devices_needed` is -1 where no number is enough.
        out: contiguous arrays of the points' shape, into which columns may be put.
        """
        key = (*points.axes.items(), points.counts, wanted)
        with PREPARING:
            if key not in self._programs:
                self._programs[key] = self._record(points, wanted)
        columns = self._programs[key].run(points.inputs(), points.shape, out)
        for name in ("bytes_per_step", "flops_per_step"):
            if name in columns:
                columns[name] = numpy.rint(columns[name])
        if any(name.startswith("fits.") for name in wanted):
            self._fits(columns, points, wanted)
        return {name: array for name, array in columns.items() if name in wanted}

    def _record(self, points: Points, wanted: frozenset[str]) -> Program:
        """Return the program of the columns."""
        recorder = GridRecorder()
        numbers = {
            key: recorder.input(name, points.axes[key], *self._ranges[key]) for key, name in points.names().items()
        }
        batch, context = numbers.pop("batch"), numbers.pop("context")
        # What only an interval rests on need not be had to the last bit.
        columns = columns_of(self.question, batch, context, numbers, wanted=())
        recorder.exact = False
        columns = columns_of(self.question, batch, context, numbers, wanted=wanted) | columns
        for side in SIDES:
            if f"{side}.bound" in wanted:
                columns[f"{side}.bound"] = _largest([columns[f"{side}.terms.{name}"] for name in TERM_NAMES])
        for name, (key, share) in COSTS.items():
            known = self.question.hardware.values.get(key)
            if known is not None:
                each = numbers.get(key, known.value) * share
                for side in SIDES:
                    rate = columns[f"{side}.tokens_per_second"]
                    columns[f"{name}.{side}"] = million_tokens(each, self.question.devices, rate)
        results = {name: number for name, number in columns.items() if name in wanted and not name.startswith("fits.")}
        return Program(recorder, points.counts, results, compiled=self.large)

    def _fits(self, found: dict[str, Array], points: Points, wanted: frozenset[str]) -> None:
        question = self.question
        batch, context = points.values["batch"], points.values["context"]
        needed = question.resident.bytes_resident(batch, context)
        available = points.values.get("memory.capacity", question.hardware.values["memory.capacity"].value)
        fits = needed <= available
        found |= {
            "fits.fits": fits,
            "fits.bytes_needed": numpy.rint(needed),
            "fits.bytes_available": numpy.rint(available),
        }
        if "fits.devices_needed" in wanted:
            found["fits.devices_needed"] = _fewest_devices(question, batch, context, available)


def _largest(terms: list[Number]) -> Number:
    """The position of the first of the largest terms."""
    position: Number = 0.0
    largest: Number = terms[0]
    for i, term in enumerate(terms[1:], 1):
        more = greater(term, largest)
        position = position + more * (i - position)
        largest = larger(largest, term)
    return position


def _fewest_devices(question: Prepared, batch: Array, context: Array, available: Array) -> Array:
    """Return the fewest devices that can be built and hold the model at each point, -1 for None."""
    shape = numpy.broadcast_shapes(*(numpy.shape(x) for x in (batch, context, available)))
    points = numpy.stack([numpy.broadcast_to(x, shape).ravel() for x in (batch, context, available)])
    different, where = numpy.unique(points, axis=1, return_inverse=True)
    fewest = fewest_at(question.model, question.resident_over, *different)
    return fewest[where.ravel()].reshape(shape)
