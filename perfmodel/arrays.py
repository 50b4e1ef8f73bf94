"""One question at many points at once: the same equations, parameters and corners as `perfmodel.estimator`, on numpy arrays.

The equations run once on recorded numbers (see `perfmodel.programs`); what they leave is worked out for block
after block of the points. Points are arrays, one for each key that varies, along an axis of its own or all along one.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy

from perfmodel import equations
from perfmodel.capacity import MOST_DEVICES
from perfmodel.generic import larger, smaller
from perfmodel.parameterbox import Ends, Position, SideParameters
from perfmodel.parameters import Quantity
from perfmodel.programs import ROWS, GridRecorder, Program, greater
from perfmodel.questions import PreparedSide, Question
from perfmodel.terms import TERM_NAMES, Busy, Fixed, Terms, busy_replay, flat_costs, step_terms, step_time

Array = Any  # a numpy array that broadcasts to the points, or a float
Number = Any  # a float or a recorded number
FIGURES = ("time_per_step", "tokens_per_second", "tokens_per_second_per_sequence", "fraction_of_peak")
_FLAGS = ("inside", "arithmetic", "cache")
_BOUNDS = frozenset({"speedup.low", "speedup.high"})
# Share of the points above which a search over all of them, axis by axis, is quicker than over some, one by one.
_WORTH_WHOLE = 0.02


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
        values = {key: _taken(array, mask, self.shape) for key, array in self.values.items()}
        shape = (int(numpy.count_nonzero(mask)),)
        return Points(values, {key: 2 if axes else 0 for key, axes in self.axes.items()}, (_MANY,), shape)

    def inputs(self) -> dict[str, Array]:
        """Return the values for a program, with an axis for the corners in front."""
        return {name: numpy.asarray(self.values[key], float)[None] for key, name in _names(self.values).items()}


_MANY = 1 << 30


def _names(keys: Mapping[str, Any]) -> dict[str, str]:
    """Names of the keys that Python takes."""
    return {key: key if key in ("batch", "context") else f"p{i}" for i, key in enumerate(keys)}


def _taken(values: Array, mask: Array, shape: tuple[int, ...]) -> Array:
    return numpy.broadcast_to(values, shape)[mask]


def _everywhere(mask: Array) -> bool | None:
    """Return True or False where `mask` is so at all points, else None."""
    if numpy.all(mask):
        return True
    return None if numpy.any(mask) else False


class _Given(SideParameters):
    """The parameters of a side with numbers of any kind in place of quantities. number: (path, quantity at its position) to number."""

    def __init__(self, parameters: SideParameters, number: Callable[[str, float], Number]) -> None:
        self.__dict__.update(parameters.__dict__)
        self._given = number

    def _number(self, path: str | None, position: float, absent: float = 0.0) -> Number:
        return absent if path is None else self._given(path, super()._number(path, position))


class _RecordedSide:
    """One side of a question on recorded numbers."""

    def __init__(self, side: PreparedSide) -> None:
        self.side, self.plan, self.shared = side, side.plan, side.shared
        self._rates = side.parameters.rates(0.0, 0.0, 0.0, 0.0)

    @cached_property
    def _terms(self) -> Any:
        return busy_replay(self.plan, self._rates, generic=True)

    @cached_property
    def _calls(self) -> Any:
        return busy_replay(self.plan, self._rates, generic=True, terms=False)

    def parameters(self, numbers: Mapping[str, Number]) -> SideParameters:
        """Return the parameters of this side, those in `numbers` replaced."""
        return _Given(self.side.parameters, numbers.get)

    def terms(self, numbers: Mapping[str, Number], batch: Number, context: Number) -> Terms:
        """Return the terms of a step [s] with every parameter at its value."""
        parameters = self.parameters(numbers)
        busy = self._terms(batch, context, *flat_costs(parameters.rates(0.0, 0.0, 0.0, 0.0, 0.0, self.shared), parameters.chain(0.0, 0.0, self.shared)))
        return step_terms(self.plan, Busy(*busy[:-1]), parameters.fixed(Ends(), 0.0, self.shared))

    def calls(self, numbers: Mapping[str, Number], batch: Number, context: Number, position: Position, own: float) -> tuple[Number, Number]:
        """Return waiting (see Busy) and the time of the calls [s] at a corner."""
        parameters = self.parameters(numbers)
        found = self._calls(batch, context, *flat_costs(parameters.rates(*position[:4], own, self.shared), parameters.chain(position.chain, own, self.shared)))
        return found[0], found[1]

    def fixed(self, numbers: Mapping[str, Number], ends: Ends, own: float) -> Fixed:
        """Return the costs of calls and step [s] at a corner."""
        return self.parameters(numbers).fixed(ends, own, self.shared)

    def corner(self, numbers: Mapping[str, Number], position: Position, own: float) -> dict[str, float]:
        """Return the numbers that enter the calls at a corner, by path, but for those in `numbers`."""
        taken: dict[str, float] = {}

        def note(path: str, value: float) -> float:
            if path not in numbers:
                taken[path] = value
            return value

        parameters = _Given(self.side.parameters, note)
        parameters.rates(*position[:4], own, self.shared)
        parameters.chain(position.chain, own, self.shared)
        return taken


class Case:
    """A prepared question that is asked at many points.

    ranges: least and largest value of batch, context and each parameter that is an array [base units].
    large: whether there are so many points that compiling kernels pays.
    """

    def __init__(self, question: Question, ranges: Mapping[str, tuple[float, float]], *, large: bool = False) -> None:
        self.question, self.large, self._ranges = question, large, ranges
        self._sides = _RecordedSide(question.before), _RecordedSide(question.after)
        self._programs: dict[Any, Program] = {}
        self._intervals: dict[Any, _Interval] = {}
        self._rooms: dict[str, Array] = {}

    def answer(self, points: Points, wanted: frozenset[str], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return the columns of `wanted` that vary, by their names in `Estimate.rows`, as arrays that broadcast to the points.

        `bound` is the position in TERM_NAMES; `devices_needed` is -1 where no number is enough.
        out: contiguous arrays of the points' shape, into which columns may be put.
        """
        out = {name: self.room(name, points.shape) for name in (*_FLAGS, "speedup.value") if name not in wanted} | dict(out or {})
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
            for name, extreme, choose in zip(("speedup.low", "speedup.high"), extremes, (numpy.minimum, numpy.maximum), strict=True):
                found[name] = choose(extreme, value, out=extreme) if numpy.shape(extreme) == points.shape else choose(extreme, value)
        if any(name.startswith("fits.") for name in wanted):
            self._fits(found, points, wanted)
        return {name: array for name, array in found.items() if name in wanted}

    def room(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return an array that is used again and again, for what is only looked at on the way."""
        found = self._rooms.get(name)
        if found is None or found.shape != shape:
            found = self._rooms[name] = numpy.empty(shape)
        return found

    def interval(self, points: Points) -> "_Interval":
        """Return the search for the interval of the speed-up at such points."""
        key = (*points.axes.items(), points.counts)
        if key not in self._intervals:
            self._intervals[key] = _Interval(self, self._sides, points, self._ranges)
        return self._intervals[key]

    def _record(self, points: Points, wanted: frozenset[str]) -> Program:
        """Return the program of the columns, and of what decides which corners are tried."""
        # Whether a term is nothing at all decides what is searched, so these are had to the last bit.
        recorder = GridRecorder(exact=True)
        question = self.question
        numbers = {key: recorder.input(name, points.axes[key], *self._ranges[key]) for key, name in _names(points.values).items()}
        batch, context = numbers.pop("batch"), numbers.pop("context")
        size = question.whole.bytes_read(batch, context)
        peak = equations.peak_time(size, question.devices, numbers.get("memory.bandwidth", question.hardware.values["memory.bandwidth"].value))
        results: dict[str, Number] = {
            "bytes_per_step": size, "flops_per_step": question.whole.flops_at(batch, context), "peak.time_per_step": peak, "peak.tokens_per_second": batch / peak,
        }  # fmt: skip
        terms = [side.terms(numbers, batch, context) for side in self._sides]
        for name, side, parts in zip(("before", "after"), self._sides, terms, strict=True):
            times = {"": parts.total()}
            for end, (position, ends), own in ((".low", question.slow, -1.0), (".high", question.fast, 1.0)):
                if any(column.startswith(f"{name}{end}.") for column in wanted):
                    times[end] = step_time(side.plan, side.calls(numbers, batch, context, position, own)[1], side.fixed(numbers, ends, own))
            for end, time in times.items():
                figures = (time, batch / time, 1 / time, equations.fraction_of_peak(peak, time))
                results |= {f"{name}{end}.{figure}": number for figure, number in zip(FIGURES, figures, strict=True)}
            results |= {f"{name}.terms.{term}": number for term, number in zip(TERM_NAMES, parts, strict=True)}
            if f"{name}.bound" in wanted:
                results[f"{name}.bound"] = _largest(parts)
        results["speedup.value"] = equations.speedup(terms[0].total(), terms[1].total())
        needed = wanted
        if wanted & _BOUNDS:
            results |= zip(_FLAGS, self._flags(terms, numbers, batch, context), strict=True)
            needed = wanted | {*_FLAGS, "speedup.value"}
        return Program(recorder, points.counts, {name: number for name, number in results.items() if name in needed}, compiled=self.large)

    def _flags(self, terms: list[Terms], numbers: Mapping[str, Number], batch: Number, context: Number) -> tuple[Number, Number, Number]:
        """Return what decides which corners are tried (see `perfmodel.intervals.speedup_interval`), 1 where it holds and 0 where not."""
        question = self.question
        arithmetic = larger(greater(terms[0].compute, 0.0), greater(terms[1].compute, 0.0))
        exposed, near = terms[1].latency + terms[1].collective, 0.0
        if question.after.plan.fused_calls:
            near = smaller(greater(exposed, 0.0), greater(0.02 * terms[1].total(), exposed))
        cache: Number = 0.0
        for side in self._sides:
            cache = larger(cache, greater(side.parameters(numbers).chain(1.0, 1.0, side.shared).prefetch, 0.0))
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
        found |= {"fits.fits": fits, "fits.bytes_needed": numpy.rint(needed), "fits.bytes_available": numpy.rint(available)}
        if "fits.devices_needed" in wanted:
            fewest = _fewest_devices(question, batch, context, available)
            found["fits.devices_needed"] = numpy.where(fits, 1, fewest) if question.devices == 1 else fewest


def _largest(terms: Terms) -> Number:
    """The position of the first of the largest terms."""
    position: Number = 0.0
    largest: Number = terms[0]
    for i, term in enumerate(terms[1:], 1):
        more = greater(term, largest)
        position = position + more * (i - position)
        largest = larger(largest, term)
    return position


class _Interval:
    """The search for the bounds of the speed-up [-] (P3) at many points, that of `perfmodel.intervals.speedup_interval`.

    Which corners are tried depends on the point; points that try the same ones are searched together. Each corner is
    a row of parameters; calls are worked out once for a row, what is only added at all its ends that may be extreme.
    """

    def __init__(self, case: Case, sides: tuple[_RecordedSide, _RecordedSide], points: Points, ranges: Mapping[str, tuple[float, float]]) -> None:
        self._case, self._sides, self._question = case, sides, case.question
        self._settings = {key: 0.0 for key in points.values if key not in ("batch", "context")}
        self._rows: dict[Any, dict[str, Array]] = {}
        recorder = GridRecorder(exact=False)
        numbers = {key: recorder.input(name, points.axes[key], *ranges[key]) for key, name in _names(points.values).items()}
        batch, context = numbers.pop("batch"), numbers.pop("context")
        used: dict[str, Quantity] = {path: q for side in sides for path, (_, q) in side.side.parameters.used.items()}
        self._paths = {path: f"q{i}" for i, (path, quantity) in enumerate(used.items()) if path not in numbers and quantity.low < quantity.high}
        rows = numbers | {path: recorder.input(name, ROWS, used[path].low, used[path].high) for path, name in self._paths.items()}
        calls = [side.calls(rows, batch, context, Position(), 0.0)[1] for side in sides]

        def ratio(ends: Ends, own: float) -> Number:
            times = [step_time(side.plan, c, side.fixed(numbers, ends, o)) for side, c, o in zip(sides, calls, self._own(own), strict=True)]
            return equations.speedup(*times)

        self._ratio, self._recorder, self._counts = ratio, recorder, points.counts
        self._programs: dict[Any, list[tuple[float, Program]]] = {}
        # Where no parameter of one side alone enters the calls, the least and the largest ratio share them.
        self._apart = any(side.side.own_in_calls for side in sides)

    def _programs_at(self, raised: frozenset[str], lowered: frozenset[str]) -> list[tuple[float, Program]]:
        """Return the programs of the least (1) and the largest (-1) ratio where the groups `raised` raise it, and those `lowered` lower it."""
        found = self._programs.get((raised, lowered))
        if found is None:
            least, largest = ([self._ratio(ends, own) for ends in self._ends(own, raised, lowered)] for own in (1.0, -1.0))
            wanted = [(1.0, {"least": least}), (-1.0, {"largest": largest})] if self._apart else [(1.0, {"least": least, "largest": largest})]
            found = self._programs[raised, lowered] = [(own, Program(self._recorder, self._counts, {}, **extremes, compiled=self._case.large)) for own, extremes in wanted]
        return found

    def _own(self, own: float) -> tuple[float, float]:
        """Where the parameters of one side alone stand, before and after."""
        return own, own if self._question.before.mode == self._question.after.mode else -own

    def _ends(self, own: float, raised: frozenset[str], lowered: frozenset[str]) -> list[Ends]:
        """The ends of what is only added at which the ratio may be least (own = 1) or largest (own = -1)."""
        choices = ((own,) if group in raised else (-own,) if group in lowered else (-1.0, 1.0) for group in self._question.added)
        return [Ends(**dict(zip(self._question.added, ends, strict=True))) for ends in product(*choices)]

    def search(self, points: Points, flags: Mapping[str, Array], out: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return least and largest speed-up at each point."""
        value = flags["speedup.value"]
        least, most = float(numpy.min(value)), float(numpy.max(value))
        # What is only added raises the ratio exactly if it is met more often before, per once after, than the ratio is.
        met = {} if self._question.issues else self._question.added
        raised = frozenset(group for group, times in met.items() if min(times) > most)
        lowered = frozenset(group for group, times in met.items() if max(times) <= least)
        low, high = self._over_classes(points, flags, out, raised, lowered)
        least, most = float(numpy.min(low)), float(numpy.max(high))
        if any(min(met[group]) <= most for group in raised) or any(max(met[group]) > least for group in lowered):
            return self._over_classes(points, flags, out, frozenset(), frozenset())
        return low, high

    def _over_classes(self, points: Points, flags: Mapping[str, Array], out: Mapping[str, Array], *groups: frozenset[str]) -> tuple[Array, Array]:
        """Return least and largest speed-up, each point over the corners of its kind."""
        classes = _classes(tuple(flags[name] for name in _FLAGS), points.shape)
        out = {which: out[name] for which, name in (("least", "speedup.low"), ("largest", "speedup.high")) if name in out}
        if len(classes) == 1:
            return self._at(points, self._positions(classes[0][1]), out, *groups)
        low, high = (out[name] if name in out else numpy.empty(points.shape) for name in ("least", "largest"))
        done: frozenset[Position] = frozenset()  # corners tried at all points
        for mask, kind in sorted(classes, key=lambda of: len(self._positions(of[1]))):
            positions = self._positions(kind)
            if mask is not None and sum(size > 1 for size in points.shape) > 1 and mask.mean() > _WORTH_WHOLE and done <= frozenset(positions):
                left = tuple(position for position in positions if position not in done)
                if not left:
                    continue
                into = {which: self._case.room(which, points.shape) for which in ("least", "largest")} if done else {"least": low, "largest": high}
                extremes = self._at(points, left, into, *groups)
                for all_points, extreme, choose in zip((low, high), extremes, (numpy.minimum, numpy.maximum), strict=True):
                    if done:
                        choose(all_points, extreme, out=all_points, where=mask)
                    elif extreme is not all_points:
                        all_points[...] = extreme
                done = done or frozenset(positions)
            else:
                some = points.where(mask)
                low[mask], high[mask] = self._case.interval(some)._at(some, positions, {}, *groups)
        return low, high

    def _positions(self, kind: tuple[bool, ...]) -> tuple[Position, ...]:
        """The corners of one kind of points."""
        inside, arithmetic, cache = kind
        return tuple(self._question.corners(inside=inside, arithmetic=arithmetic, cache=cache))

    def _at(self, points: Points, positions: tuple[Position, ...], out: Mapping[str, Array], *groups: frozenset[str]) -> tuple[Array, Array]:
        """Return least and largest speed-up over some corners."""
        found: dict[str, Array] = {}
        for own, program in self._programs_at(*groups):
            rows = {name: array.reshape(-1, *(1 for _ in points.shape)) for name, array in self._corners(positions, own).items()}
            found |= program.run(points.inputs() | rows, points.shape, out)
        return found["least"], found["largest"]

    def _corners(self, positions: tuple[Position, ...], own: float) -> dict[str, Array]:
        """Return the parameters at some corners, by their names in the program."""
        key = positions, own
        if key not in self._rows:
            rows = [
                {path: value for side, o in zip(self._sides, self._own(own), strict=True) for path, value in side.corner(self._settings, position, o).items()}
                for position in positions
            ]
            # What enters no call stands anywhere.
            self._rows[key] = {name: numpy.array([row.get(path, 0.0) for row in rows]) for path, name in self._paths.items()}
        return self._rows[key]


def _classes(flags: tuple[Array, ...], shape: tuple[int, ...]) -> list[tuple[Array | None, tuple[bool, ...]]]:
    """Return the points that share all `flags`: (mask, flags), with None for a mask that holds everywhere."""
    everywhere = [_everywhere(flag) for flag in flags]
    if None not in everywhere:
        return [(None, tuple(flag is True for flag in everywhere))]
    found: list[tuple[Array | None, tuple[bool, ...]]] = []
    for kind in product(*((False, True) if flag is None else (flag,) for flag in everywhere)):
        mask = numpy.ones(shape, bool)
        for flag, wanted, same in zip(flags, kind, everywhere, strict=True):
            if same is None:
                mask &= numpy.equal(flag, wanted)
        if mask.any():
            found.append((mask, kind))
    return found


def _fewest_devices(question: Question, batch: Array, context: Array, available: Array) -> Array:
    """Return `perfmodel.capacity.fewest_devices` at each point, -1 for None: the same doubling, then the same bisection."""
    shape = numpy.broadcast_shapes(*(numpy.shape(x) for x in (batch, context, available)))
    batch, context, room = (numpy.broadcast_to(x, shape).ravel() for x in (batch, context, available))

    def enough(devices: Array, at: Array) -> Array:
        fits = numpy.empty(len(at), bool)
        for n in numpy.unique(devices).tolist():
            here = devices == n
            who = at[here]
            fits[here] = question.resident_over(n).bytes_resident(batch[who], context[who]) <= room[who]
        return fits

    high = numpy.ones(len(batch), numpy.int64)
    trying = numpy.arange(len(batch))
    while len(trying):
        trying = trying[~enough(high[trying], trying)]
        high[trying] *= 2
        trying = trying[high[trying] <= MOST_DEVICES]
    never = high > MOST_DEVICES
    low = numpy.where(high > 1, high // 2 + 1, 1)
    low[never] = high[never]
    while len(open_ := numpy.flatnonzero(low < high)):
        middle = (low[open_] + high[open_]) // 2
        fits = enough(middle, open_)
        high[open_[fits]] = middle[fits]
        low[open_[~fits]] = middle[~fits] + 1
    fewest = numpy.where(never, -1, high * question.parallel.pipeline * question.parallel.data)
    return fewest.reshape(shape)
