"""One question at many points at once: the same equations, parameters and corners as `perfmodel.estimator`, on numpy arrays.

Points are arrays that broadcast against each other, one for each key that varies, so that a part of the
time that depends on one key only is worked out once for each of its values.
"""

import copy
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

import msgspec
import numpy

from perfmodel import equations
from perfmodel.additive import plain, wrapped
from perfmodel.capacity import MOST_DEVICES
from perfmodel.parameterbox import Ends, Position, SideParameters
from perfmodel.questions import PreparedSide, Question
from perfmodel.terms import TERM_NAMES, Busy, Fixed, Terms, busy_replay, flat_costs, step_terms, step_time

Array = Any  # a numpy array that broadcasts to the points, or a float
FIGURES = ("time_per_step", "tokens_per_second", "tokens_per_second_per_sequence", "fraction_of_peak")


class Points(NamedTuple):
    """The points asked: batch [-], context [-], parameters by path [base units]; arrays that broadcast together to `shape`."""

    batch: Array
    context: Array
    settings: Mapping[str, Array]
    shape: tuple[int, ...]

    @property
    def additive(self) -> bool:
        """Return whether there are several axes, so that numbers are worth keeping as sums of parts."""
        return sum(size > 1 for size in self.shape) > 1

    def where(self, mask: Array) -> "Points":
        """Return the points at which `mask` holds, in one dimension."""
        settings = {path: _taken(values, mask, self.shape) for path, values in self.settings.items()}
        batch = _taken(self.batch, mask, self.shape)
        return Points(batch, _taken(self.context, mask, self.shape), settings, batch.shape)


def _taken(values: Array, mask: Array, shape: tuple[int, ...]) -> Array:
    return numpy.broadcast_to(values, shape)[mask]


def _everywhere(mask: Array) -> bool | None:
    """Return True or False where `mask` is so at all points, else None."""
    if numpy.all(mask):
        return True
    return None if numpy.any(mask) else False


# Share of the points above which a search over all of them, kept as sums of parts, is quicker than over some.
_WORTH_WHOLE = 0.02


class ArraySide:
    """One side of a question, for all points of a case."""

    def __init__(self, side: PreparedSide) -> None:
        self.side, self.plan = side, side.plan
        self.replay = busy_replay(side.plan, side.parameters.rates(0.0, 0.0, 0.0, 0.0), arrays=True)


class SideAt:
    """The times of one side at many points; what `perfmodel.intervals.SideTimes` is for one."""

    def __init__(self, side: ArraySide, points: Points) -> None:
        self.plan, self.shared, self._own_in_calls = side.plan, side.side.shared, side.side.own_in_calls
        self._replay, self._points = side.replay, points
        self.parameters = _with_arrays(side.side.parameters, points.settings)
        self._kept: dict[tuple[Position, float], Array] = {}

    def at(self, points: Points) -> "SideAt":
        """Return the same side at other points."""
        other = copy.copy(self)
        other._points, other._kept = points, {}
        other.parameters = _with_arrays(self.parameters, points.settings)
        return other

    @property
    def additive(self) -> bool:
        """Return whether times are kept as sums of parts."""
        return self._points.additive

    def _busy(self, position: Position, own: float, *, additive: bool) -> tuple[Array, ...]:
        costs = flat_costs(self.parameters.rates(*position[:4], own, self.shared), self.parameters.chain(position.chain, own, self.shared))
        if not additive:
            return self._replay(self._points.batch, self._points.context, *costs)
        return self._replay(wrapped(self._points.batch), wrapped(self._points.context), *(wrapped(cost) for cost in costs))

    def terms(self) -> Terms:
        """Return the terms of a step [s] with every parameter at its value."""
        # Whether a term is nothing at all decides what is searched, so terms are had to the last bit, not as sums of parts.
        busy = self._busy(Position(), 0.0, additive=False)
        self._kept[Position(), 0.0] = busy[-1]
        return step_terms(self.plan, Busy(*busy[:-1]), self.fixed(Ends(), 0.0))

    def fixed(self, ends: Ends, own: float) -> Fixed:
        """Return the costs of calls and step [s] with shared parameters at `ends`, own ones at `own`."""
        return self.parameters.fixed(ends, own, self.shared)

    def calls(self, position: Position, own: float, *, keep: bool = True) -> Array:
        """Return the time of the calls [s] at a corner."""
        key = (position, own if self._own_in_calls else 0.0)
        found = self._kept.get(key)
        if found is None:
            found = self._busy(position, own, additive=self.additive)[-1]
            if keep:
                self._kept[key] = found
        return found

    def waits(self, position: Position, own: float) -> Array:
        """Return at which points any loop is bound by its serial chain at this corner."""
        waiting: Array = self._busy(position, own, additive=False)[-2] > 0
        return waiting

    def step(self, corner: tuple[Position, Ends], own: float) -> Array:
        """Return the time of a step [s] at a corner."""
        return plain(step_time(self.plan, self.calls(corner[0], own), self.fixed(corner[1], own)))


def _with_arrays(parameters: SideParameters, settings: Mapping[str, Array]) -> SideParameters:
    """Return `parameters` with the values of some paths replaced by arrays, without an interval."""
    used = dict(parameters.used)
    for path, values in settings.items():
        if path in used:
            group, quantity = used[path]
            used[path] = (group, msgspec.structs.replace(quantity, low=values, value=values, high=values))
    other = copy.copy(parameters)
    other.used = used
    return other


class Case:
    """A prepared question that is asked at many points."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.before, self.after = ArraySide(question.before), ArraySide(question.after)

    def answer(self, points: Points, wanted: frozenset[str]) -> dict[str, Array]:
        """Return the columns of `wanted` that vary, by their names in `Estimate.rows`, as arrays that broadcast to the points.

        `bound` is the position in TERM_NAMES; `devices_needed` is -1 where no number is enough.
        """
        question = self.question
        size = question.whole.bytes_read(points.batch, points.context)
        bandwidth = points.settings.get("memory.bandwidth", question.hardware.values["memory.bandwidth"].value)
        peak = equations.peak_time(size, question.devices, bandwidth)
        found: dict[str, Array] = {
            "bytes_per_step": numpy.rint(size), "peak.time_per_step": peak, "peak.tokens_per_second": points.batch / peak,
        }  # fmt: skip
        if "flops_per_step" in wanted:
            found["flops_per_step"] = numpy.rint(question.whole.flops_at(points.batch, points.context))
        before, after = SideAt(self.before, points), SideAt(self.after, points)
        terms = before.terms(), after.terms()
        totals = plain(terms[0].total()), plain(terms[1].total())
        for name, side, parts, total in zip(("before", "after"), (before, after), terms, totals, strict=True):
            _side(found, name, side, parts, total, question, peak, points, wanted)
        found["speedup.value"] = equations.speedup(*totals)
        if wanted & {"speedup.low", "speedup.high"}:
            found["speedup.low"], found["speedup.high"] = speedup_interval(question, points, before, after, terms, totals)
        if any(name.startswith("fits.") for name in wanted):
            self._fits(found, points, wanted)
        return {name: values for name, values in found.items() if name in wanted}

    def _fits(self, found: dict[str, Array], points: Points, wanted: frozenset[str]) -> None:
        question = self.question
        needed = question.resident.bytes_resident(points.batch, points.context)
        available = points.settings.get("memory.capacity", question.hardware.values["memory.capacity"].value)
        fits = needed <= available
        found |= {"fits.fits": fits, "fits.bytes_needed": numpy.rint(needed), "fits.bytes_available": numpy.rint(available)}
        if "fits.devices_needed" in wanted:
            fewest = _fewest_devices(question, points, available)
            found["fits.devices_needed"] = numpy.where(fits, 1, fewest) if question.devices == 1 else fewest


def _side(found: dict[str, Array], name: str, side: SideAt, terms: Terms, total: Array, question: Question, peak: Array, points: Points, wanted: frozenset[str]) -> None:
    """Add the columns of one side."""
    for end in ("", ".low", ".high"):
        asked = [figure for figure in FIGURES if f"{name}{end}.{figure}" in wanted]
        if not asked:
            continue
        time = total if not end else side.step(question.slow, -1.0) if end == ".low" else side.step(question.fast, 1.0)
        for figure in asked:
            found[f"{name}{end}.{figure}"] = _figure(figure, time, peak, points.batch)
    for term in TERM_NAMES:
        if f"{name}.terms.{term}" in wanted:
            found[f"{name}.terms.{term}"] = plain(getattr(terms, term))
    if f"{name}.bound" in wanted:
        found[f"{name}.bound"] = _largest(terms)


def _figure(figure: str, time: Array, peak: Array, batch: Array) -> Array:
    if figure == "fraction_of_peak":
        return equations.fraction_of_peak(peak, time)
    if figure == "time_per_step":
        return time
    return batch / time if figure == "tokens_per_second" else 1 / time


def _largest(terms: Iterable[Array]) -> Array:
    first, *others = (plain(term) for term in terms)
    largest: Array = first
    position: Array = numpy.int8(0)
    for i, term in enumerate(others, 1):
        more = term > largest
        if _everywhere(more) is False:
            continue
        position, largest = numpy.where(more, numpy.int8(i), position), numpy.where(more, term, largest)
    return position


def _fewest_devices(question: Question, points: Points, available: Array) -> Array:
    """Return `perfmodel.capacity.fewest_devices` at each point, -1 for None: the same doubling, then the same bisection."""
    shape = numpy.broadcast_shapes(*(numpy.shape(x) for x in (points.batch, points.context, available)))
    batch, context, room = (numpy.broadcast_to(x, shape).ravel() for x in (points.batch, points.context, available))

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


def speedup_interval(question: Question, points: Points, before: SideAt, after: SideAt, terms: tuple[Terms, Terms], totals: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the bounds of the speed-up [-] (P3) at each point, by the search of `perfmodel.intervals.speedup_interval`.

    Which corners are tried depends on the point; points that try the same ones are searched together.
    """
    value = equations.speedup(*totals)
    arithmetic = numpy.logical_or(plain(terms[0].compute) > 0, plain(terms[1].compute) > 0)
    exposed = plain(terms[1].latency + terms[1].collective)
    near = (exposed > 0) & (exposed < 0.02 * totals[1]) if question.after.plan.fused_calls else numpy.False_
    kinds = (arithmetic | near, arithmetic, _cache_apart(question, before, after))
    low: Array = None
    high: Array = None
    for mask, kind in _classes(kinds, points.shape):
        if mask is None:
            return _searched(question, before, after, value, kind)
        if low is None:
            low, high = numpy.empty(points.shape), numpy.empty(points.shape)
        if points.additive and mask.mean() > _WORTH_WHOLE:
            # Sums of parts for all points cost less than full arrays for some.
            least, most = _searched(question, before, after, value, kind)
            numpy.copyto(low, least, where=mask)
            numpy.copyto(high, most, where=mask)
            continue
        some = points.where(mask)
        low[mask], high[mask] = _searched(question, before.at(some), after.at(some), _taken(value, mask, points.shape), kind)
    return low, high


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


def _cache_apart(question: Question, before: SideAt, after: SideAt) -> Array:
    """At which points reads of the cache can hide where reads of weights do not (see `perfmodel.intervals`)."""
    prefetches: Array = numpy.False_
    for side in (before, after):
        prefetches = prefetches | (numpy.asarray(side.parameters.chain(1.0, 1.0, side.shared).prefetch) > 0)
    if _everywhere(prefetches):
        return prefetches
    apart = question.fast[0]._replace(chain=question.slow[0].chain)
    return prefetches | after.waits(apart, -1.0) | before.waits(apart, -1.0)


def _searched(question: Question, before: SideAt, after: SideAt, value: Array, kind: tuple[bool, ...]) -> tuple[Array, Array]:
    """Return least and largest speed-up over the corners of one kind of points."""
    inside, arithmetic, cache = kind
    positions = question.corners(inside=inside, arithmetic=arithmetic, cache=cache)
    # What is only added to both times raises their ratio exactly if it is met more often before, per once after, than the ratio is.
    below = {group: numpy.logical_and.reduce([times > value for times in met]) for group, met in question.added.items()}
    slow = {group: numpy.where(mask, -1.0, 1.0) for group, mask in below.items()}
    low = _extreme(question, before, after, positions, 1.0, [{group: -ends for group, ends in slow.items()}])
    high = _extreme(question, before, after, positions, -1.0, [slow])
    again = numpy.asarray(before.fixed(Ends(), 0.0).issue) > 0
    again = again | (numpy.asarray(after.fixed(Ends(), 0.0).issue) > 0)
    for group, met in question.added.items():
        for times in met:
            for ratio in (low, high):
                again = again | (below[group] != (times > ratio))
    if question.added and numpy.any(again):
        every: list[dict[str, Array]] = [dict(zip(question.added, ends, strict=True)) for ends in product((-1.0, 1.0), repeat=len(question.added))]
        low = numpy.where(again, _extreme(question, before, after, positions, 1.0, every), low)
        high = numpy.where(again, _extreme(question, before, after, positions, -1.0, every), high)
    return numpy.minimum(low, value), numpy.maximum(high, value)


def _extreme(question: Question, before: SideAt, after: SideAt, positions: list[Position], own: float, ends: list[dict[str, Array]]) -> Array:
    """The least (own = 1: the side before is fast, the side after slow) or the largest (own = -1) speed-up over positions and ends."""
    own_after = own if question.before.mode == question.after.mode else -own
    fixed = [(_fixed(before, end, own), _fixed(after, end, own_after)) for end in ends]
    choose = numpy.minimum if own > 0 else numpy.maximum
    extreme: Array = None
    keep = len(positions) <= (64 if before.additive else 8)
    for position in positions:
        calls_before, calls_after = before.calls(position, own, keep=keep), after.calls(position, own_after, keep=keep)
        for one, two in fixed:
            ratio = equations.speedup(plain(step_time(before.plan, calls_before, one)), plain(step_time(after.plan, calls_after, two)))
            if extreme is None:
                extreme = ratio
            elif numpy.shape(extreme) == numpy.shape(ratio) != ():
                choose(extreme, ratio, out=extreme)
            else:
                extreme = choose(extreme, ratio)
    return extreme


def _fixed(side: SideAt, ends: Mapping[str, Array], own: float) -> Fixed:
    """Return the fixed costs with each shared group at its end, which may differ from point to point."""
    boundary, host = (_at_ends(side, group, ends.get(group, 0.0), own) for group in ("boundary", "host"))
    return Fixed(boundary.boundary, boundary.first_bytes, host.host, host.issue)


def _at_ends(side: SideAt, group: str, end: Array, own: float) -> Fixed:
    low, high = (float(extreme(end)) for extreme in (numpy.min, numpy.max))
    at_low = side.fixed(Ends(**{group: low}), own)
    if low == high:
        return at_low
    at_high = side.fixed(Ends(**{group: high}), own)
    return Fixed(*(one if one is two else numpy.where(end == low, one, two) for one, two in zip(at_low, at_high, strict=True)))


