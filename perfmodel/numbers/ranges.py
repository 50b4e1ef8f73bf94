"""Numbers that know along which axes of a grid they vary and between which values, and note their operations.

A larger() or smaller() whose sides do not overlap is decided while the equations run, and drops out.
"""

import math
from typing import Any

from perfmodel.numbers.choices import log
from perfmodel.numbers.recorded import Recorded, Recorder

Number = Any
_COMMUTE = frozenset({"+", "*", "maximum", "minimum"})
_DECIDED = frozenset({"maximum", "minimum", "greater", "-"})
_ANYTHING = (-math.inf, math.inf)


class GridRecorder(Recorder):
    """Notes operations with the axes and the range of every number.

    exact: whether to keep to the last bit what the equations give; while it is not set, a division by what has fewer
    axes becomes a product with its inverse, sums take numbers with few axes first, and a difference of logarithms
    becomes the logarithm of a quotient, which is near one. loose: what was noted then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exact = True
        self.loose: set[str] = set()
        self.axes: dict[str, int] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self._made: dict[str, tuple[str, Any, Any]] = {}
        self._quotients: set[Recorded] = set()

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
        if value.__class__ is Recorded:
            return self._ranges[value.name]
        number = float(value)
        return number, number

    def note(self, operation: str, left: Any, right: Any) -> Number:
        """Note `left operation right` and return its result, or what it is bound to be."""
        if operation in _DECIDED:
            decided = self._decided(operation, left, right)
            if decided is not None:
                return decided
        if not self.exact:
            mine, other = self.axes_of(left), self.axes_of(right)
            if operation == "/" and other != mine and other | mine == mine:
                return left * (1.0 / right)
            if operation == "+":
                left, right = self._few_axes_first(left, right)
            if operation == "-" and self._made_by("log", left) and self._made_by("log", right):
                quotient = self._quotient(self._made[left.name][1], self._made[right.name][1])
                if quotient is not None:
                    return log(quotient)
        if operation in _COMMUTE and _key(right) < _key(left):
            left, right = right, left
        known = len(self.lines)
        result = super().note(operation, left, right)
        if len(self.lines) > known:
            self.axes[result.name] = self.axes_of(left) | self.axes_of(right)
            low, high = _range(operation, self.range_of(left), self.range_of(right))
            if low < 0 and operation == "-" and self._at_least(left, right):
                low = 0.0
            self._ranges[result.name] = low, high
            if not self.exact:
                self.loose.add(result.name)
            self._made[result.name] = operation, left, right
        return result

    def _decided(self, operation: str, left: Number, right: Number) -> Number:
        """The result where it is one of both numbers, or nothing at all; otherwise None."""
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

    def _made_by(self, operation: str, value: Number) -> bool:
        """Whether `value` is what `operation` made."""
        return value.__class__ is Recorded and self._made.get(value.name, "")[:1] == (operation,)

    def _quotient(self, left: Number, right: Number) -> Number | None:
        """Return `left` over `right`, as one plus a share where both are a number plus what has few axes.

        None where one of them is a quotient already, whose logarithm is wanted anyway.
        """
        if left in self._quotients or right in self._quotients:
            return None
        inverse, share = 1.0 / right, None
        if self._made_by("+", left) and self._made_by("+", right):
            for whole, mine in (pair := self._made[left.name][1:], pair[::-1]):
                for other, its in (pair := self._made[right.name][1:], pair[::-1]):
                    if whole is other and self.axes_of(mine) | self.axes_of(its) != self.axes_of(left):
                        share = mine - its
        quotient = left * inverse if share is None else 1.0 + share * inverse
        if quotient.__class__ is Recorded:
            self._quotients.add(quotient)
        return quotient

    def _few_axes_first(self, left: Number, right: Number) -> tuple[Number, Number]:
        """Return two numbers with the same sum: (few + all) + few is all + (few + few)."""
        for whole, part in ((left, right), (right, left)):
            axes = self.axes_of(whole)
            if self._made_by("+", whole) and self.axes_of(part) != axes and self.axes_of(part) | axes == axes:
                _, one, two = self._made[whole.name]
                for few, rest in ((one, two), (two, one)):
                    if self.axes_of(few) != axes and self.axes_of(few) | self.axes_of(part) != axes:
                        return rest, few + part
        return left, right


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
        ends = [a * c, b * d] if a >= 0 and c >= 0 else [a * c, a * d, b * c, b * d]
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
    elif operation == "log" and a > 0:
        return _about(math.log(a), math.log(b))
    elif operation == "exp" and b < 600:
        return _about(math.exp(a), math.exp(b))
    elif operation == "**" and a > 0 and max(abs(math.log(a)), abs(math.log(b))) * max(abs(c), abs(d)) < 600:
        powers = [a**c, a**d, b**c, b**d]
        return _about(min(powers), max(powers))
    else:
        return _ANYTHING
    return _ANYTHING if any(map(math.isnan, ends)) else (min(ends), max(ends))


def _about(low: float, high: float) -> tuple[float, float]:
    """Bounds with some room: powers and logarithms need not round monotonically."""
    return low - 1e-12 * abs(low), high + 1e-12 * abs(high)
