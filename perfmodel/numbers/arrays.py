"""Formulas recorded for a grid: what depends on few axes is worked out at their size, the rest block by block.

A number of a grid varies along some of its axes only. The equations run once on recorded numbers that know
along which, and between which values; a larger() or smaller() whose sides do not overlap is decided then, and
drops out. What is left is a list of operations. Those that need few axes (most of them) are done on arrays of
that size; those that need all are done in pieces that stay in the cache, in buffers that are used again.
A further axis, the rows, holds the corners of the parameters; ratios are reduced over it as they are made.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy

from perfmodel.numbers.python import function_of
from perfmodel.numbers.recorded import Line, Recorded, Recorder, operand

Array = Any
Number = Any
# The axis of the corners; bit 1 and up are the axes of the grid, slowest first.
ROWS = 1
# Points of one piece: its buffers stay in the second-level cache, and a call of numpy costs little beside its work.
_PIECE = 1 << 13
# Values of the innermost axes that are worth a loop of their own.
_INNER = 256
# Corners that are worked out together.
_CORNERS = 16
_UFUNCS = {
    "+": numpy.add,
    "-": numpy.subtract,
    "*": numpy.multiply,
    "/": numpy.divide,
    "maximum": numpy.maximum,
    "minimum": numpy.minimum,
    "greater": numpy.greater,
}
_CHOICES = {name: _UFUNCS[name] for name in ("maximum", "minimum", "greater")}
_COMMUTE = frozenset({"+", "*", "maximum", "minimum"})
_ANYTHING = (-math.inf, math.inf)


class GridRecorder(Recorder):
    """Notes operations with the axes and the range of every number.

    exact: whether to keep to the last bit what the equations give; otherwise a division by what has fewer axes
    becomes a product with its inverse, and sums take numbers with few axes first.
    """

    def __init__(self, *, exact: bool) -> None:
        super().__init__()
        self.axes: dict[str, int] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self._made: dict[str, tuple[str, Any, Any]] = {}
        self._exact = exact

    def input(self, name: str, axes: int, low: float, high: float) -> Number:
        """Return the argument `name`, which varies along `axes` between `low` and `high`.

        A plain number where it does not vary.
        """
        if low == high:
            return float(low)
        self.axes[name], self._ranges[name] = axes, (float(low), float(high))
        return Recorded(self, name)

    def axes_of(self, value: Number) -> int:
        """Return the axes along which `value` varies."""
        return self.axes[value.name] if isinstance(value, Recorded) else 0

    def range_of(self, value: Number) -> tuple[float, float]:
        """Return bounds of `value`."""
        return self.bounds(operand(value))

    def bounds(self, name: Any) -> tuple[float, float]:
        """Return bounds of the number of that name, or of a plain number."""
        return self._ranges[name] if isinstance(name, str) else (float(name), float(name))

    def note(self, operation: str, left: Any, right: Any) -> Number:
        """Note `left operation right` and return its result, or what it is bound to be."""
        decided = self._decided(operation, left, right)
        if decided is not None:
            return decided
        mine, other = self.axes_of(left), self.axes_of(right)
        if not self._exact:
            if operation == "/" and other != mine and other | mine == mine:
                return left * (1.0 / right)
            if operation == "+":
                left, right = self._few_axes_first(left, right)
        if operation in _COMMUTE and _key(right) < _key(left):
            left, right = right, left
        known = len(self.lines)
        result = super().note(operation, left, right)
        if len(self.lines) > known:
            self.axes[result.name] = self.axes_of(left) | self.axes_of(right)
            low, high = _range(operation, self.range_of(left), self.range_of(right))
            if operation == "-" and low < 0 and self._at_least(left, right):
                low = 0.0
            self._ranges[result.name] = low, high
            self._made[result.name] = operation, left, right
        return result

    def _decided(self, operation: str, left: Number, right: Number) -> Number:
        """The result where it is one of both numbers, or nothing at all; otherwise None."""
        if operation not in ("maximum", "minimum", "greater", "-"):
            return None
        more, less = self._at_least(left, right), self._at_least(right, left)
        if operation == "-":
            return 0.0 if more and less else None
        if operation == "greater":
            return 0.0 if less else 1.0 if self.range_of(left)[0] > self.range_of(right)[1] else None
        if more or less:
            return left if more == (operation == "maximum") else right
        return None

    def _at_least(self, one: Number, other: Number, depth: int = 4) -> bool:
        """Whether `one` is known never to be less than `other`: by their ranges, or by how they are made.

        Rounding is monotone, so it holds for what is computed.
        """
        if self.range_of(one)[0] >= self.range_of(other)[1] or (one.__class__ is Recorded and one is other):
            return True
        if not depth:
            return False
        operation, left, right = self._made.get(getattr(one, "name", ""), ("", 0.0, 0.0))
        if operation == "maximum" and (
            self._at_least(left, other, depth - 1) or self._at_least(right, other, depth - 1)
        ):
            return True
        if operation == "+":
            for term, rest in ((left, right), (right, left)):
                if self.range_of(rest)[0] >= 0 and self._at_least(term, other, depth - 1):
                    return True
        operation, left, right = self._made.get(getattr(other, "name", ""), ("", 0.0, 0.0))
        if operation == "minimum" and (self._at_least(one, left, depth - 1) or self._at_least(one, right, depth - 1)):
            return True
        return operation == "-" and self.range_of(right)[0] >= 0 and self._at_least(one, left, depth - 1)

    def _few_axes_first(self, left: Number, right: Number) -> tuple[Number, Number]:
        """Return two numbers with the same sum: (few + all) + few is all + (few + few)."""
        for whole, part in ((left, right), (right, left)):
            axes = self.axes_of(whole)
            if (
                whole.__class__ is Recorded
                and self._made.get(whole.name, "")[:1] == ("+",)
                and self.axes_of(part) != axes
                and self.axes_of(part) | axes == axes
            ):
                _, one, two = self._made[whole.name]
                for few, rest in ((one, two), (two, one)):
                    if self.axes_of(few) != axes and self.axes_of(few) | self.axes_of(part) != axes:
                        return rest, few + part
        return left, right


def greater(left: Number, right: Number) -> Number:
    """Return 1 where `left` is more than `right`, else 0."""
    for number in (left, right):
        if isinstance(number, Recorded):
            return number.noted_choice("greater", left, right)
    return 1.0 if left > right else 0.0


def _key(value: Any) -> tuple[int, str]:
    name = value.name if isinstance(value, Recorded) else ""
    return len(name), name


def _range(operation: str, one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    """Bounds of a result; rounding is monotone, so that they hold for what is computed too."""
    (a, b), (c, d) = one, two
    if operation == "+":
        ends = [a + c, b + d]
    elif operation == "-":
        ends = [a - d, b - c]
    elif operation == "*":
        ends = [a * c, a * d, b * c, b * d]
    elif operation == "/" and (c > 0 or d < 0):
        ends = [a / c, a / d, b / c, b / d]
    elif operation == "//" and (c > 0 or d < 0):
        ends = [a // c, a // d, b // c, b // d]
    elif operation == "maximum":
        ends = [max(a, c), max(b, d)]
    elif operation == "minimum":
        ends = [min(a, c), min(b, d)]
    elif operation == "greater":
        ends = [0.0, 1.0]
    elif operation == "**" and a > 0 and max(abs(math.log(a)), abs(math.log(b))) * max(abs(c), abs(d)) < 600:
        powers = [a**c, a**d, b**c, b**d]
        ends = [min(powers) * (1 - 1e-12), max(powers) * (1 + 1e-12)]  # powers need not round monotonically
    else:
        return _ANYTHING
    return _ANYTHING if any(map(math.isnan, ends)) else (min(ends), max(ends))


class Kernel(NamedTuple):
    """The operations on whole pieces.

    inputs: what they take from smaller arrays; once: for all corners; each: for every corner.

    results: which of them are wanted; least, largest: what is reduced over the corners; ratios: of these, quotients of
    positive numbers that nothing else needs.
    """

    inputs: tuple[str, ...]
    once: tuple[Line, ...]
    each: tuple[Line, ...]
    results: tuple[str, ...]
    least: tuple[str, ...]
    largest: tuple[str, ...]
    ratios: frozenset[str]


class Program:
    """What is wanted of a recorded formula, ready to be worked out on blocks of a grid.

    counts: how many values each axis of the grid has.
    results: numbers by name. least, largest: of these the extremes over the corners are had, under those names.
    compiled: whether the grid is large enough to compile the kernel, where that can be done.
    """

    def __init__(
        self,
        recorder: GridRecorder,
        counts: Sequence[int],
        results: Mapping[str, Number],
        *,
        least: Sequence[Number] = (),
        largest: Sequence[Number] = (),
        compiled: bool = False,
    ) -> None:
        self._results, self._extremes = dict(results), {"least": tuple(least), "largest": tuple(largest)}
        self._axes = recorder.axes
        self._grid = len(counts)
        self._inner = self._inner_axes(counts)
        wanted = [*results.values(), *least, *largest]
        lines = recorder.needed(wanted)
        small = self._small(lines)
        whole = {line.target for line in lines} - small
        taken = [
            name
            for line in lines
            if line.target in whole
            for name in (line.left, line.right)
            if isinstance(name, str) and name not in whole
        ]
        given = [value.name for value in wanted if isinstance(value, Recorded) and value.name not in whole]
        self._first = list(dict.fromkeys((*taken, *given)))
        names = [*taken, *given, *(name for line in lines for name in (line.left, line.right) if isinstance(name, str))]
        targets = {line.target for line in lines}
        self._arguments = list(dict.fromkeys(name for name in names if name not in targets))
        self._small_lines = function_of(
            [line for line in lines if line.target in small], self._arguments, self._first, _CHOICES
        )
        full = [line for line in lines if line.target in whole]
        extremes = [
            tuple(dict.fromkeys(value.name for value in values if isinstance(value, Recorded) and value.name in whole))
            for values in self._extremes.values()
        ]
        operands = {name for line in full for name in (line.left, line.right)}
        ratios = frozenset(
            line.target
            for line in full
            if line.operation == "/"
            and line.target not in operands
            and all(recorder.bounds(name)[0] > 0 for name in (line.left, line.right))
        )
        self.kernel = Kernel(
            tuple(dict.fromkeys(taken)),
            tuple(line for line in full if not self._axes[line.target] & ROWS),
            tuple(line for line in full if self._axes[line.target] & ROWS),
            tuple(
                dict.fromkeys(
                    value.name for value in results.values() if isinstance(value, Recorded) and value.name in whole
                )
            ),
            extremes[0],
            extremes[1],
            ratios,
        )
        self._pieces: Any = _Pieces(self.kernel)
        if compiled and (self.kernel.once or self.kernel.each):
            from perfmodel.numbers import machinecode

            if machinecode.available():
                outer = (2 << self._grid) - 2 & ~self._inner
                self._pieces = machinecode.Compiled(
                    self.kernel,
                    {
                        name: (bool(axes & ROWS), bool(axes & outer), bool(axes & self._inner))
                        for name in self.kernel.inputs
                        if (axes := self._axes[name]) or True
                    },
                )

    def _inner_axes(self, counts: Sequence[int]) -> int:
        """The innermost axes with enough values for a loop; all where there are not so many."""
        size, inner = 1, 0
        for axis in reversed(range(len(counts))):
            if size >= _INNER and counts[axis] > 1:
                return inner
            size, inner = size * counts[axis], inner | 2 << axis
        return inner

    def _small(self, lines: list[Line]) -> set[str]:
        """The numbers that are worked out as arrays of their own axes."""
        grid = (2 << self._grid) - 2
        outer = grid & ~self._inner
        varied = 0
        for line in lines:
            varied |= self._axes[line.target]
        small: set[str] = set()
        for line in reversed(lines):
            axes = self._axes[line.target]
            everywhere = axes & outer and axes & self._inner if outer & varied else not (varied & grid) & ~axes
            # What has no function of this kind is small, and so is all that it rests on.
            if not everywhere or line.operation not in _UFUNCS or line.target in small:
                small.add(line.target)
            if line.target in small:
                small.update(name for name in (line.left, line.right) if isinstance(name, str))
        return small & {line.target for line in lines}

    def run(
        self, values: Mapping[str, Array], shape: tuple[int, ...], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """Return the results at a block of the grid, as arrays that broadcast to `shape`.

        values: the inputs; each has an axis for the corners in front and then one for each axis of the grid, of length
        1 where it does not vary.
        out: contiguous arrays of `shape` to put results in that vary along all axes.
        """
        rows = max((values[name].shape[0] for name in self._arguments), default=1)
        found: dict[str, Array] = {}
        for start in range(0, rows, _CORNERS):
            part = {
                name: values[name][start : start + _CORNERS] if len(values[name]) > 1 else values[name]
                for name in self._arguments
            }
            self._run_corners(part, min(rows - start, _CORNERS), shape, found, out or {})
        return found

    def _run_corners(
        self,
        values: Mapping[str, Array],
        rows: int,
        shape: tuple[int, ...],
        found: dict[str, Array],
        out: Mapping[str, Array],
    ) -> None:
        """Work out some corners into `found`."""
        first = dict(zip(self._first, self._small_lines(*(values[name] for name in self._arguments)), strict=True))
        if self.kernel.once or self.kernel.each:
            outer, inner = self._folded(shape)
            size = math.prod(shape[axis] for axis in outer), math.prod(shape[axis] for axis in inner)
            inputs = [self._piece(first[name], self._axes[name], outer, inner, shape) for name in self.kernel.inputs]
            outs: dict[str, Array] = {}
            for name, value in self._results.items():
                if isinstance(value, Recorded) and value.name in self.kernel.results:
                    found[name] = outs.setdefault(value.name, out[name] if name in out else numpy.empty(shape))
            for which, names in (("least", self.kernel.least), ("largest", self.kernel.largest)):
                if names:
                    if which not in found:
                        found[which] = out[which] if which in out else numpy.empty(shape)
                        found[which][...] = math.inf if which == "least" else -math.inf
                    outs[which] = found[which]
            self._pieces.run(inputs, {name: array.reshape(size) for name, array in outs.items()}, rows, size)
        for name, value in self._results.items():
            if not isinstance(value, Recorded):
                found[name] = numpy.float64(value)
            elif value.name in first:
                found[name] = first[value.name][0]
        self._reduce(first, found)

    def _reduce(self, first: Mapping[str, Array], found: dict[str, Array]) -> None:
        """Add the extremes of numbers that lie in small arrays."""
        for which, choose in (("least", numpy.minimum), ("largest", numpy.maximum)):
            for value in self._extremes[which]:
                if isinstance(value, Recorded) and value.name not in first:
                    continue
                extreme = (
                    choose.reduce(first[value.name], axis=0) if isinstance(value, Recorded) else numpy.float64(value)
                )
                found[which] = choose(found[which], extreme) if which in found else extreme

    def _folded(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        outer = [axis for axis in range(len(shape)) if not self._inner & 2 << axis]
        return outer, [axis for axis in range(len(shape)) if self._inner & 2 << axis]

    def _piece(self, array: Array, axes: int, outer: list[int], inner: list[int], shape: tuple[int, ...]) -> Array:
        """An array with the axes of the grid folded into an outer and an inner one, of length 1 where it varies along none of them."""
        wanted = [array.shape[0]]
        folded = [array.shape[0]]
        for group in (outer, inner):
            varies = any(axes & 2 << axis for axis in group)
            wanted += [shape[axis] if varies else 1 for axis in group]
            folded.append(math.prod(shape[axis] for axis in group) if varies else 1)
        return numpy.ascontiguousarray(numpy.broadcast_to(array, wanted)).reshape(folded)


class _Pieces:
    """A kernel worked out by numpy, piece by piece."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._places: dict[Any, int] = {}
        self._fixed: list[Any] = []  # inputs, constants, results, extremes
        for name in (
            *kernel.inputs,
            *(x for line in (*kernel.once, *kernel.each) for x in (line.left, line.right) if not isinstance(x, str)),
            *kernel.results,
            "least",
            "largest",
        ):
            if name not in self._places:
                self._places[name] = len(self._fixed)
                self._fixed.append(None if isinstance(name, str) else numpy.float64(name))
        self._buffers = 0
        self._free: list[int] = []
        each = [(numpy.minimum, name, "least") for name in kernel.least] + [
            (numpy.maximum, name, "largest") for name in kernel.largest
        ]
        kept = {name for line in kernel.each for name in (line.left, line.right)} | {name for _, name, _ in each}
        self._once = self._code(kernel.once, kept)
        self._each = self._code(kernel.each, {name for _, name, _ in each})
        self._each += [
            (choose, self._places[name], self._places[which], self._places[which]) for choose, name, which in each
        ]

    def _code(self, lines: Sequence[Line], kept: set[Any]) -> list[tuple[Any, int, int, int]]:
        """Operations on places, each result in a buffer that no later operation needs."""
        last = {name: i for i, line in enumerate(lines) for name in (line.left, line.right)}
        mine: set[Any] = set()
        code = []
        for i, line in enumerate(lines):
            left, right = self._places[line.left], self._places[line.right]
            for name in dict.fromkeys((line.left, line.right)):
                if name in mine and last[name] == i and name not in kept:
                    self._free.append(self._places[name])
            if line.target not in self._places:
                if not self._free:
                    self._free.append(len(self._fixed) + self._buffers)
                    self._buffers += 1
                self._places[line.target] = self._free.pop()
                mine.add(line.target)
            code.append((_UFUNCS[line.operation], left, right, self._places[line.target]))
        self._free += [self._places[name] for name in mine if name not in kept and name not in last]
        return code

    def run(self, inputs: Sequence[Array], outs: Mapping[str, Array], rows: int, size: tuple[int, int]) -> None:
        """Work the kernel out on arrays of corners x outer x inner, into `outs` of outer x inner."""
        wide = min(size[1], _PIECE)
        high = max(1, min(size[0], _PIECE // wide))
        buffers = [numpy.empty((high, wide)) for _ in range(self._buffers)]
        by_corner = [i for i, array in enumerate(inputs) if len(array) > 1]
        for top in range(0, size[0], high):
            for left in range(0, size[1], wide):
                tall, broad = slice(top, min(top + high, size[0])), slice(left, min(left + wide, size[1]))
                views = [
                    array[:, tall if array.shape[1] > 1 else slice(None), broad if array.shape[2] > 1 else slice(None)]
                    for array in inputs
                ]
                places = [
                    *self._fixed,
                    *(buffer[: tall.stop - tall.start, : broad.stop - broad.start] for buffer in buffers),
                ]
                for i, view in enumerate(views):
                    places[i] = view[0]
                for name, array in outs.items():
                    places[self._places[name]] = array[tall, broad]
                for function, one, two, target in self._once:
                    function(places[one], places[two], out=places[target])
                for row in range(rows):
                    for i in by_corner:
                        places[i] = views[i][row]
                    for function, one, two, target in self._each:
                        function(places[one], places[two], out=places[target])
