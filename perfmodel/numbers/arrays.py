"""A recording worked out on a grid: what depends on few axes at their size, the rest block by block.

A number of a grid varies along some of its axes only (see `perfmodel.numbers.ranges`). Operations that need few axes
(most of them) are done on arrays of that size; those that need all are done in pieces that stay in the cache, in
buffers that are used again.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy

from perfmodel.numbers.python import function_of
from perfmodel.numbers.ranges import GridRecorder
from perfmodel.numbers.recorded import Line, Recorded

Array = Any
Number = Any
# Points of one piece: its buffers stay in the second-level cache, and a call of numpy costs little beside its work.
_PIECE = 1 << 13
# Values of the innermost axes that are worth a loop of their own.
_INNER = 256


def _unary(function: Any) -> Callable[..., Array]:
    return lambda value, _, out: function(value, out=out)


_UFUNCS: dict[str, Callable[..., Array]] = {
    "+": numpy.add,
    "-": numpy.subtract,
    "*": numpy.multiply,
    "/": numpy.divide,
    "maximum": numpy.maximum,
    "minimum": numpy.minimum,
    "greater": numpy.greater,
    "log": _unary(numpy.log),
    "exp": _unary(numpy.exp),
    "**": numpy.power,
}
# What a recording calls beside operators, for arrays.
CHOICES: dict[str, Callable[..., Any]] = {
    name: getattr(numpy, name) for name in ("maximum", "minimum", "greater", "log", "exp")
} | {
    # Of a single number it is had as of an array of one, which may differ from a plain power in the last bit.
    "power": lambda value, exponent: numpy.atleast_1d(value) ** exponent
}


class RecordedLoop(NamedTuple):
    """The operations on whole pieces.

    inputs: what they take from smaller arrays; lines: the operations; results: which of them are wanted.
    loose: numbers that need not be had to the last bit.
    """

    inputs: tuple[str, ...]
    lines: tuple[Line, ...]
    results: tuple[str, ...]
    loose: frozenset[str] = frozenset()


class Program:
    """What is wanted of a recorded formula, ready to be worked out on blocks of a grid.

    counts: how many values each axis of the grid has.
    results: numbers by name.
    compiled: whether the grid is large enough to compile the kernel, where that can be done.
    """

    def __init__(
        self, recorder: GridRecorder, counts: Sequence[int], results: Mapping[str, Number], *, compiled: bool = False
    ) -> None:
        self._results, self._axes, self._grid = dict(results), recorder.axes, len(counts)
        self._inner = self._inner_axes(counts)
        recorded = [value.name for value in results.values() if isinstance(value, Recorded)]
        lines = recorder.needed(results.values())
        small = self._small(lines)
        targets = {line.target for line in lines}
        whole = targets - small
        taken = [
            name
            for line in lines
            if line.target in whole
            for name in (line.left, line.right)
            if isinstance(name, str) and name not in whole
        ]
        given = [name for name in recorded if name not in whole]
        self._first = list(dict.fromkeys((*taken, *given)))
        names = [*taken, *given, *(name for line in lines for name in (line.left, line.right) if isinstance(name, str))]
        self._arguments = list(dict.fromkeys(name for name in names if name not in targets))
        self._small_lines = function_of(
            [line for line in lines if line.target in small], self._arguments, self._first, CHOICES
        )
        self.kernel = RecordedLoop(
            tuple(dict.fromkeys(taken)),
            tuple(line for line in lines if line.target in whole),
            tuple(dict.fromkeys(name for name in recorded if name in whole)),
            frozenset(whole & recorder.loose),
        )
        self._pieces: Any = _Pieces(self.kernel)
        if compiled and self.kernel.lines:
            from perfmodel.numbers import machinecode

            if machinecode.available():
                outer = (1 << self._grid) - 1 & ~self._inner
                self._pieces = machinecode.InnerLoop(
                    self.kernel,
                    [
                        (bool(self._axes[name] & outer), bool(self._axes[name] & self._inner))
                        for name in self.kernel.inputs
                    ],
                )

    def _inner_axes(self, counts: Sequence[int]) -> int:
        """The innermost axes with enough values for a loop; all where there are not so many."""
        size, inner = 1, 0
        for axis in reversed(range(len(counts))):
            if size >= _INNER and counts[axis] > 1:
                return inner
            size, inner = size * counts[axis], inner | 1 << axis
        return inner

    def _small(self, lines: list[Line]) -> set[str]:
        """The numbers that are worked out as arrays of their own axes."""
        outer = (1 << self._grid) - 1 & ~self._inner
        varied = 0
        for line in lines:
            varied |= self._axes[line.target]
        small: set[str] = set()
        for line in reversed(lines):
            axes = self._axes[line.target]
            everywhere = axes & outer and axes & self._inner if outer & varied else not varied & ~axes
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

        values: the inputs; each has an axis for each axis of the grid, of length 1 where it does not vary.
        out: contiguous arrays of `shape` to put results in that vary along all axes.
        """
        out = out or {}
        # Arithmetic on a number takes a fifth of that on an array of one.
        given = (values[name] for name in self._arguments)
        given = (value.reshape(())[()] if value.size == 1 else value for value in given)
        first = dict(zip(self._first, self._small_lines(*given), strict=True))
        worked: dict[str, Array] = {}
        if self.kernel.lines:
            outer = [axis for axis in range(len(shape)) if not self._inner & 1 << axis]
            inner = [axis for axis in range(len(shape)) if self._inner & 1 << axis]
            size = math.prod(shape[axis] for axis in outer), math.prod(shape[axis] for axis in inner)
            inputs = [_piece(first[name], self._axes[name], (outer, inner), shape) for name in self.kernel.inputs]
            outs: dict[str, Array] = {}
            for name, value in self._results.items():
                if isinstance(value, Recorded) and value.name in self.kernel.results:
                    worked[name] = outs.setdefault(value.name, out[name] if name in out else numpy.empty(shape))
            self._pieces.run(inputs, {name: array.reshape(size) for name, array in outs.items()}, size)
        for name, value in self._results.items():
            if not isinstance(value, Recorded):
                worked[name] = numpy.float64(value)
            elif value.name in first:
                worked[name] = first[value.name]
        return worked


def _piece(array: Array, axes: int, groups: tuple[list[int], list[int]], shape: tuple[int, ...]) -> Array:
    """An array with the axes of the grid folded into an outer and an inner one, each 1 long where it does not vary."""
    wanted = [1] * len(shape)
    folded: list[int] = []
    for group in groups:
        size = 1
        if axes & sum(1 << axis for axis in group):
            for axis in group:
                wanted[axis] = shape[axis]
                size *= shape[axis]
        folded.append(size)
    whole = array if array.size == math.prod(wanted) else numpy.broadcast_to(array, wanted)
    return numpy.ascontiguousarray(whole).reshape(folded)


class _Pieces:
    """A kernel worked out by numpy, piece by piece."""

    def __init__(self, kernel: RecordedLoop) -> None:
        self._places: dict[Any, int] = {}
        self._fixed: list[Any] = []  # inputs, constants, results
        constants = [x for line in kernel.lines for x in (line.left, line.right) if not isinstance(x, str)]
        for name in (*kernel.inputs, *constants, *kernel.results):
            if name not in self._places:
                self._places[name] = len(self._fixed)
                self._fixed.append(None if isinstance(name, str) else numpy.float64(name))
        self._buffers = 0
        self._code = self._coded(kernel.lines)

    def _coded(self, lines: Sequence[Line]) -> list[tuple[Any, int, int, int]]:
        """Operations on places, each result in a buffer that no later operation needs."""
        last = {name: i for i, line in enumerate(lines) for name in (line.left, line.right)}
        mine: set[Any] = set()
        free: list[int] = []
        code = []
        for i, line in enumerate(lines):
            left, right = self._places[line.left], self._places[line.right]
            over = [name for name in dict.fromkeys((line.left, line.right)) if name in mine and last[name] == i]
            free += [self._places[name] for name in over]
            if line.target not in self._places:
                if not free:
                    free.append(len(self._fixed) + self._buffers)
                    self._buffers += 1
                self._places[line.target] = free.pop()
                mine.add(line.target)
            code.append((_UFUNCS[line.operation], left, right, self._places[line.target]))
        return code

    def run(self, inputs: Sequence[Array], outs: Mapping[str, Array], size: tuple[int, int]) -> None:
        """Work the kernel out on arrays of outer x inner, into `outs`."""
        wide = min(size[1], _PIECE)
        high = max(1, min(size[0], _PIECE // wide))
        buffers = [numpy.empty((high, wide)) for _ in range(self._buffers)]
        for top in range(0, size[0], high):
            for left in range(0, size[1], wide):
                tall, broad = slice(top, min(top + high, size[0])), slice(left, min(left + wide, size[1]))
                places = [
                    *self._fixed,
                    *(buffer[: tall.stop - tall.start, : broad.stop - broad.start] for buffer in buffers),
                ]
                for i, array in enumerate(inputs):
                    rows = tall if array.shape[0] > 1 else slice(None)
                    places[i] = array[rows, broad if array.shape[1] > 1 else slice(None)]
                for name, array in outs.items():
                    places[self._places[name]] = array[tall, broad]
                for function, one, two, target in self._code:
                    function(places[one], places[two], out=places[target])
