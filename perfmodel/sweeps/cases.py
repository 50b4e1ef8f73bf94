"""One question at many points at once.

The same equations, parameters and corners as `perfmodel.estimates.answers`, on numpy arrays.

The equations run once on recorded numbers (see `perfmodel.numbers.arrays`); what they leave is worked out for block
after block of the points. Points are arrays, one for each key that varies, along an axis of its own or all along one.
"""

from collections.abc import Mapping
from typing import Any

import numpy

from perfmodel import equations
from perfmodel.estimates.figures import rates_of
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.results import Figures
from perfmodel.estimates.splits import fewest_at
from perfmodel.estimates.terms import TERM_NAMES, Terms, step_time
from perfmodel.numbers.arrays import GridRecorder, Program, greater
from perfmodel.numbers.choices import larger, smaller
from perfmodel.sweeps.recordedsides import Array, Number, Points, RecordedSide, names_of
from perfmodel.sweeps.speedups import FLAGS, SpeedupSearch

FIGURES = Figures.__struct_fields__
_BOUNDS = frozenset({"speedup.low", "speedup.high"})


class Case:
    """A prepared question that is asked at many points.

    ranges: least and largest value of batch, context and each parameter that is an array [base units].
    large: whether there are so many points that compiling kernels pays.
    """

    def __init__(self, question: Prepared, ranges: Mapping[str, tuple[float, float]], *, large: bool = False) -> None:
        self.question, self.large, self._ranges = question, large, ranges
        self._sides = RecordedSide(question.before), RecordedSide(question.after)
        self._programs: dict[Any, Program] = {}
        self._intervals: dict[Any, SpeedupSearch] = {}
        self._rooms: dict[str, Array] = {}

    def answer(
        self, points: Points, wanted: frozenset[str], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Return the columns of `wanted` that vary, by their names in `Estimate.rows`, as arrays that broadcast to the points.

        `bound` is the position in TERM_NAMES; `devices_needed` is -1 where no number is enough.
        out: contiguous arrays of the points' shape, into which columns may be put.
        """
        out = {name: self.room(name, points.shape) for name in (*FLAGS, "speedup.value") if name not in wanted} | dict(
            out or {}
        )
        key = (*points.axes.items(), points.counts, wanted)
        if key not in self._programs:
            self._programs[key] = self._record(points, wanted)
        found = self._programs[key].run(points.inputs(), points.shape, out)
        for name in ("bytes_per_step", "flops_per_step"):
            if name in found:
                found[name] = numpy.rint(found[name])
        if wanted & _BOUNDS:
            extremes = self.interval(points).search(points, found, out)
            value = found["speedup.value"]
            for name, extreme, choose in zip(
                ("speedup.low", "speedup.high"), extremes, (numpy.minimum, numpy.maximum), strict=True
            ):
                found[name] = (
                    choose(extreme, value, out=extreme)
                    if numpy.shape(extreme) == points.shape
                    else choose(extreme, value)
                )
        if any(name.startswith("fits.") for name in wanted):
            self._fits(found, points, wanted)
        return {name: array for name, array in found.items() if name in wanted}

    def room(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return an array that is used again and again, for what is only looked at on the way."""
        found = self._rooms.get(name)
        if found is None or found.shape != shape:
            found = self._rooms[name] = numpy.empty(shape)
        return found

    def interval(self, points: Points) -> "SpeedupSearch":
        """Return the search for the interval of the speed-up at such points."""
        key = (*points.axes.items(), points.counts)
        if key not in self._intervals:
            self._intervals[key] = SpeedupSearch(
                self.question,
                self._sides,
                points,
                self._ranges,
                large=self.large,
                room=self.room,
                search_at=self.interval,
            )
        return self._intervals[key]

    def _record(self, points: Points, wanted: frozenset[str]) -> Program:
        """Return the program of the columns, and of what decides which corners are tried."""
        # Whether a term is nothing at all decides what is searched, so these are had to the last bit.
        recorder = GridRecorder(exact=True)
        question = self.question
        numbers = {
            key: recorder.input(name, points.axes[key], *self._ranges[key])
            for key, name in names_of(points.values).items()
        }
        batch, context = numbers.pop("batch"), numbers.pop("context")
        size = question.whole.bytes_read(batch, context)
        peak = equations.peak_time(
            size, question.devices, numbers.get("memory.bandwidth", question.hardware.values["memory.bandwidth"].value)
        )
        results: dict[str, Number] = {
            "bytes_per_step": size,
            "flops_per_step": question.whole.flops_at(batch, context),
            "peak.time_per_step": peak,
            "peak.tokens_per_second": batch / peak,
        }
        terms = [side.terms(numbers, batch, context) for side in self._sides]
        for name, side, parts in zip(("before", "after"), self._sides, terms, strict=True):
            times = {"": parts.total()}
            for end, (position, ends), own in ((".low", question.slow, -1.0), (".high", question.fast, 1.0)):
                if any(column.startswith(f"{name}{end}.") for column in wanted):
                    times[end] = step_time(
                        side.plan, side.calls(numbers, batch, context, position, own)[1], side.fixed(numbers, ends, own)
                    )
            for end, time in times.items():
                figures = rates_of(time, peak, batch)
                results |= {f"{name}{end}.{figure}": getattr(figures, figure) for figure in FIGURES}
            results |= {f"{name}.terms.{term}": number for term, number in zip(TERM_NAMES, parts, strict=True)}
            if f"{name}.bound" in wanted:
                results[f"{name}.bound"] = _largest(parts)
        results["speedup.value"] = equations.speedup(terms[0].total(), terms[1].total())
        needed = wanted
        if wanted & _BOUNDS:
            results |= zip(FLAGS, self._flags(terms, numbers, batch, context), strict=True)
            needed = wanted | {*FLAGS, "speedup.value"}
        return Program(
            recorder,
            points.counts,
            {name: number for name, number in results.items() if name in needed},
            compiled=self.large,
        )

    def _flags(
        self, terms: list[Terms], numbers: Mapping[str, Number], batch: Number, context: Number
    ) -> tuple[Number, Number, Number]:
        """Return what decides which corners are tried (see `perfmodel.estimates.intervals.speedup_interval`), 1 where it holds and 0 where not."""
        question = self.question
        arithmetic = larger(greater(terms[0].compute, 0.0), greater(terms[1].compute, 0.0))
        exposed, near = terms[1].latency + terms[1].collective, 0.0
        if question.after.plan.fused_calls:
            near = smaller(greater(exposed, 0.0), greater(0.02 * terms[1].total(), exposed))
        cache: Number = 0.0
        for side in self._sides:
            cache = larger(cache, greater(side.prefetch(numbers), 0.0))
        if not isinstance(cache, float) or not cache:
            apart = question.fast[0]._replace(chain=question.slow[0].chain)
            for side in self._sides:
                cache = larger(cache, greater(side.calls(numbers, batch, context, apart, -1.0)[0], 0.0))
        return larger(arithmetic, near), arithmetic, cache

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


def _largest(terms: Terms) -> Number:
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
