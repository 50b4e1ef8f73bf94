"""Sums of parts: a number of a grid kept as a sum of small arrays, each of which varies along its own axes only.

A step over batch x context x stage cost is mostly one array over batch and context plus one over stage
cost. The equations run on `Sum` as on any number; it adds part by part, decides a larger() or smaller()
from the ranges of its sides where these do not overlap, and makes a full array only where it must.
"""

from collections.abc import Callable
from operator import add, sub
from typing import Any

import numpy

Array = Any


class Sum:
    """A sum of arrays by the axes they vary along, a bit each; 0 stands for a plain number."""

    __slots__ = ("_range", "parts")

    def __init__(self, parts: dict[int, Array]) -> None:
        self.parts = parts
        self._range: tuple[float, float] | None = None

    def array(self) -> Array:
        """Return the sum as one array or number, smaller parts first."""
        if len(self.parts) == 1:
            return next(iter(self.parts.values()))
        parts = sorted(self.parts.values(), key=numpy.size)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def range(self) -> tuple[float, float]:
        """Return a lower and an upper bound, met when no two parts share an axis."""
        if self._range is None:
            least, most = 0.0, 0.0
            for part in self.parts.values():
                if isinstance(part, numpy.ndarray):
                    least, most = least + float(part.min()), most + float(part.max())
                else:
                    least, most = least + float(part), most + float(part)
            self._range = least, most
        return self._range

    def noted_choice(self, operation: str, left: Any, right: Any) -> "Sum":
        """Return the larger ('maximum') or smaller ('minimum') of two numbers (see `perfmodel.generic`)."""
        return _choice(operation, _sum(left), _sum(right))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any) -> Any:
        """Let numpy's functions of arrays take part."""
        name = ufunc.__name__
        if method != "__call__" or len(inputs) != 2:
            return NotImplemented
        left, right = (_sum(x) for x in inputs)
        if name in _OPERATIONS:
            return _OPERATIONS[name](left, right)
        return _choice(name, left, right) if name in ("maximum", "minimum") else ufunc(left.array(), right.array())

    def __add__(self, other: Any) -> "Sum":
        return _merged(add, self, _sum(other))

    def __radd__(self, other: Any) -> "Sum":
        return _merged(add, _sum(other), self)

    def __sub__(self, other: Any) -> "Sum":
        return _merged(sub, self, _sum(other))

    def __rsub__(self, other: Any) -> "Sum":
        return _merged(sub, _sum(other), self)

    def __mul__(self, other: Any) -> "Sum":
        return _product(self, _sum(other))

    def __rmul__(self, other: Any) -> "Sum":
        return _product(_sum(other), self)

    def __truediv__(self, other: Any) -> "Sum":
        return _quotient(self, _sum(other))

    def __rtruediv__(self, other: Any) -> "Sum":
        return _quotient(_sum(other), self)

    def __floordiv__(self, other: Any) -> "Sum":
        return _sum(self.array() // _sum(other).array())

    def __neg__(self) -> "Sum":
        return 0 - self

    def __pow__(self, other: Any) -> "Sum":
        return _sum(self.array() ** _sum(other).array())

    def __rpow__(self, other: Any) -> "Sum":
        return _sum(_sum(other).array() ** self.array())

    def __gt__(self, other: Any) -> Any:
        least, most = (self - other).range()
        if least > 0 or most <= 0:
            return numpy.bool_(least > 0)
        return self.array() > plain(other)


def _sum(value: Any) -> Sum:
    if value.__class__ is Sum:
        return value
    if not isinstance(value, numpy.ndarray):
        return Sum({0: value})
    return Sum({sum(1 << axis for axis, size in enumerate(value.shape) if size > 1): value})


def plain(value: Any) -> Any:
    """Return a Sum as an array, anything else as it is."""
    return value.array() if value.__class__ is Sum else value


def wrapped(value: Any) -> Any:
    """Return an array as a Sum, anything else as it is."""
    return _sum(value) if isinstance(value, numpy.ndarray) else value


def _merged(operation: Callable[[Any, Any], Any], left: Sum, right: Sum) -> Sum:
    parts = dict(left.parts)
    for axes, part in right.parts.items():
        mine = parts.get(axes)
        parts[axes] = operation(0.0 if mine is None else mine, part) if mine is not None or operation is sub else part
    return Sum(parts)


def _product(left: Sum, right: Sum) -> Sum:
    parts: dict[int, Array] = {}
    for one, a in left.parts.items():
        for two, b in right.parts.items():
            axes = one | two
            parts[axes] = parts[axes] + a * b if axes in parts else a * b
    return Sum(parts)


def _quotient(left: Sum, right: Sum) -> Sum:
    if len(right.parts) > 1:
        right = _sum(right.array())
    ((two, b),) = right.parts.items()
    parts: dict[int, Array] = {}
    for one, a in left.parts.items():
        axes = one | two
        parts[axes] = parts[axes] + a / b if axes in parts else a / b
    return Sum(parts)


def _choice(operation: str, left: Sum, right: Sum) -> Sum:
    (least, most), (other_least, other_most) = left.range(), right.range()
    if least >= other_most:
        return left if operation == "maximum" else right
    if most <= other_least:
        return right if operation == "maximum" else left
    return _sum(getattr(numpy, operation)(left.array(), right.array()))


_OPERATIONS = {
    "add": lambda a, b: _merged(add, a, b), "subtract": lambda a, b: _merged(sub, a, b), "multiply": _product, "divide": _quotient,
}  # fmt: skip
