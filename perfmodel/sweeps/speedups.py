"""The interval of the speed-up at many points at once.

The search of `perfmodel.estimates.intervals`, corner by corner over whole blocks.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy

from perfmodel import equations
from perfmodel.estimates.machine import Ends, Position
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.terms import step_time
from perfmodel.numbers.arrays import ROWS, GridRecorder, Program
from perfmodel.specifications.quantities import Quantity
from perfmodel.sweeps.recordedsides import Array, Number, Points, RecordedSide, everywhere, names_of

FLAGS = ("inside", "arithmetic", "cache")
# Share of the points above which a search over all of them, axis by axis, is quicker than over some, one by one.
_WORTH_WHOLE = 0.02


class SpeedupSearch:
    """The search for the bounds of the speed-up [-] (P3) at many points, that of `perfmodel.estimates.intervals.speedup_interval`.

    Which corners are tried depends on the point; points that try the same ones are searched together. Each corner is
    a row of parameters; calls are worked out once for a row, what is only added at all its ends that may be extreme.

    large: whether compiling pays; room: gives an array to reuse, by name and shape; search_at: gives the search for
    other points.
    """

    def __init__(
        self,
        question: Prepared,
        sides: tuple[RecordedSide, RecordedSide],
        points: Points,
        ranges: Mapping[str, tuple[float, float]],
        *,
        large: bool,
        room: Callable[[str, tuple[int, ...]], Array],
        search_at: "Callable[[Points], SpeedupSearch]",
    ) -> None:
        self._sides, self._question, self._large, self._room, self._search_at = sides, question, large, room, search_at
        self._settings = {key: 0.0 for key in points.values if key not in ("batch", "context")}
        self._rows: dict[Any, dict[str, Array]] = {}
        recorder = GridRecorder(exact=False)
        numbers = {
            key: recorder.input(name, points.axes[key], *ranges[key]) for key, name in names_of(points.values).items()
        }
        batch, context = numbers.pop("batch"), numbers.pop("context")
        used: dict[str, Quantity] = {path: q for side in sides for path, (_, q) in side.side.parameters.used.items()}
        self._paths = {
            path: f"q{i}"
            for i, (path, quantity) in enumerate(used.items())
            if path not in numbers and quantity.low < quantity.high
        }
        rows = numbers | {
            path: recorder.input(name, ROWS, used[path].low, used[path].high) for path, name in self._paths.items()
        }
        calls = [side.calls(rows, batch, context, Position(), 0.0)[1] for side in sides]

        def ratio(ends: Ends, own: float) -> Number:
            times = [
                step_time(side.plan, c, side.fixed(numbers, ends, o))
                for side, c, o in zip(sides, calls, self._own(own), strict=True)
            ]
            return equations.speedup(*times)

        self._ratio, self._recorder, self._counts = ratio, recorder, points.counts
        self._programs: dict[Any, list[tuple[float, Program]]] = {}
        # Where no parameter of one side alone enters the calls, the least and the largest ratio share them.
        self._apart = any(side.side.own_in_calls for side in sides)

    def _programs_at(self, raised: frozenset[str], lowered: frozenset[str]) -> list[tuple[float, Program]]:
        """Return the programs of the least (1) and the largest (-1) ratio where the groups `raised` raise it, and those `lowered` lower it."""
        found = self._programs.get((raised, lowered))
        if found is None:
            least, largest = (
                [self._ratio(ends, own) for ends in self._ends(own, raised, lowered)] for own in (1.0, -1.0)
            )
            wanted = (
                [(1.0, {"least": least}), (-1.0, {"largest": largest})]
                if self._apart
                else [(1.0, {"least": least, "largest": largest})]
            )
            found = self._programs[raised, lowered] = [
                (own, Program(self._recorder, self._counts, {}, **extremes, compiled=self._large))
                for own, extremes in wanted
            ]
        return found

    def _own(self, own: float) -> tuple[float, float]:
        """Where the parameters of one side alone stand, before and after."""
        return own, own if self._question.before.mode == self._question.after.mode else -own

    def _ends(self, own: float, raised: frozenset[str], lowered: frozenset[str]) -> list[Ends]:
        """The ends of what is only added at which the ratio may be least (own = 1) or largest (own = -1)."""
        choices = (
            (own,) if group in raised else (-own,) if group in lowered else (-1.0, 1.0)
            for group in self._question.added
        )
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

    def _over_classes(
        self, points: Points, flags: Mapping[str, Array], out: Mapping[str, Array], *groups: frozenset[str]
    ) -> tuple[Array, Array]:
        """Return least and largest speed-up, each point over the corners of its kind."""
        classes = _classes(tuple(flags[name] for name in FLAGS), points.shape)
        out = {
            which: out[name] for which, name in (("least", "speedup.low"), ("largest", "speedup.high")) if name in out
        }
        if len(classes) == 1:
            return self._at(points, self._positions(classes[0][1]), out, *groups)
        low, high = (out[name] if name in out else numpy.empty(points.shape) for name in ("least", "largest"))
        done: frozenset[Position] = frozenset()  # corners tried at all points
        for mask, kind in sorted(classes, key=lambda of: len(self._positions(of[1]))):
            positions = self._positions(kind)
            if (
                mask is not None
                and sum(size > 1 for size in points.shape) > 1
                and mask.mean() > _WORTH_WHOLE
                and done <= frozenset(positions)
            ):
                left = tuple(position for position in positions if position not in done)
                if not left:
                    continue
                into = (
                    {which: self._room(which, points.shape) for which in ("least", "largest")}
                    if done
                    else {"least": low, "largest": high}
                )
                extremes = self._at(points, left, into, *groups)
                for all_points, extreme, choose in zip(
                    (low, high), extremes, (numpy.minimum, numpy.maximum), strict=True
                ):
                    if done:
                        choose(all_points, extreme, out=all_points, where=mask)
                    elif extreme is not all_points:
                        all_points[...] = extreme
                done = done or frozenset(positions)
            else:
                some = points.where(mask)
                low[mask], high[mask] = self._search_at(some)._at(some, positions, {}, *groups)
        return low, high

    def _positions(self, kind: tuple[bool, ...]) -> tuple[Position, ...]:
        """The corners of one kind of points."""
        inside, arithmetic, cache = kind
        return tuple(self._question.corners(inside=inside, arithmetic=arithmetic, cache=cache))

    def _at(
        self, points: Points, positions: tuple[Position, ...], out: Mapping[str, Array], *groups: frozenset[str]
    ) -> tuple[Array, Array]:
        """Return least and largest speed-up over some corners."""
        found: dict[str, Array] = {}
        for own, program in self._programs_at(*groups):
            rows = {
                name: array.reshape(-1, *(1 for _ in points.shape))
                for name, array in self._corners(positions, own).items()
            }
            found |= program.run(points.inputs() | rows, points.shape, out)
        return found["least"], found["largest"]

    def _corners(self, positions: tuple[Position, ...], own: float) -> dict[str, Array]:
        """Return the parameters at some corners, by their names in the program."""
        key = positions, own
        if key not in self._rows:
            rows = [
                {
                    path: value
                    for side, o in zip(self._sides, self._own(own), strict=True)
                    for path, value in side.corner(self._settings, position, o).items()
                }
                for position in positions
            ]
            # What enters no call stands anywhere.
            self._rows[key] = {
                name: numpy.array([row.get(path, 0.0) for row in rows]) for path, name in self._paths.items()
            }
        return self._rows[key]


def _classes(flags: tuple[Array, ...], shape: tuple[int, ...]) -> list[tuple[Array | None, tuple[bool, ...]]]:
    """Return the points that share all `flags`: (mask, flags), with None for a mask that holds everywhere."""
    uniform = [everywhere(flag) for flag in flags]
    if None not in uniform:
        return [(None, tuple(flag is True for flag in uniform))]
    found: list[tuple[Array | None, tuple[bool, ...]]] = []
    for kind in product(*((False, True) if flag is None else (flag,) for flag in uniform)):
        mask = numpy.ones(shape, bool)
        for flag, wanted, same in zip(flags, kind, uniform, strict=True):
            if same is None:
                mask &= numpy.equal(flag, wanted)
        if mask.any():
            found.append((mask, kind))
    return found
