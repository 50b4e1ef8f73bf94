"""Grids: what `1,2,4`, `1:64:x2`, `0us:8us:+2us` and `1:100:12` mean, as axes that cost nothing until read."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Never

import msgspec

from perfmodel.errors import UnreadableValueError, ValueRangeError, shown

# Rows of one block: enough to spread the cost of a call, few enough to stay near the cache.
BLOCK = 1 << 17
# A grid of more points is asked for by mistake more often than not.
MOST_POINTS = 1_000_000_000
_LONGEST_LIST = 1_000_000

Reader = Callable[[str], float]


class Axis(msgspec.Struct, frozen=True):
    """The values of one key of a grid, in order.

    values: the values, where they are listed; empty where they are spaced.
    start, step, count: spaced values start + i step, or start step^i where `factor` is set.
    last: the last value of an evenly spaced axis, met exactly.
    """

    name: str
    count: int
    values: tuple[Any, ...] = ()
    start: float = 0
    step: float = 0
    factor: bool = False
    last: float | None = None

    def __getitem__(self, i: int) -> Any:
        """Return value `i`."""
        if self.values:
            return self.values[i]
        if self.last is not None and not isinstance(self.step, int):
            return self.start + (self.last - self.start) * i / (self.count - 1) if i < self.count - 1 else self.last
        return self.start * self.step**i if self.factor else self.start + i * self.step

    def ends(self) -> tuple[Any, Any]:
        """Return the least and the largest value of an axis of numbers."""
        values = self.values or (self[0], self[self.count - 1])
        return min(values), max(values)

    def renamed(self, name: str) -> "Axis":
        """Return the same values under another name."""
        return msgspec.structs.replace(self, name=name)

    def part(self, start: int, stop: int) -> list[Any]:
        """Return the values from `start` up to `stop`."""
        return [self[i] for i in range(start, stop)]


def listed(name: str, values: Sequence[Any]) -> Axis:
    """Return an axis of these values; raise ValueRangeError for none."""
    if not values:
        raise ValueRangeError(f"{name}: the grid is empty; give at least one value")
    return Axis(name, len(values), tuple(values))


def parse_names(text: str, name: str) -> Axis:
    """Return the axis of a comma list of names.

    >>> parse_names("graph, eager", "--before").values
    ('graph', 'eager')
    """
    return listed(name, [_item(item, text, name) for item in text.split(",")])


def parse_grid(text: str, name: str, read: Reader, *, whole: bool = False) -> Axis:
    """Return the axis of `a,b,c`, `a:b:xF` (times F), `a:b:+S` (steps of S) or `a:b:N` (N even points, both ends).

    name: the option or key, for the message.
    read: turns one value into a number, or raises.
    whole: whether every value must be a whole number.
    Raises ValueRangeError for a grid that is empty, reversed, endless or off the whole numbers.

    >>> parse_grid("1:64:x4", "--batch", float, whole=True).part(0, 4)
    [1, 4, 16, 64]
    >>> parse_grid("0:1:3", "--set", float).part(0, 3)
    [0.0, 0.5, 1.0]
    """
    if ":" not in text:
        _refuse_grouped(name, text)
        axis = listed(name, [_value(read(_item(item, text, name)), whole, text, name) for item in text.split(",")])
        return axis if axis.count <= _LONGEST_LIST else _fail(name, text, f"lists more than {_LONGEST_LIST:,} values")
    parts = [_item(part, text, name) for part in text.split(":")]
    if len(parts) != 3 or "," in text:
        _unreadable(name, text, "is not a grid; write a,b,c or a:b:xF or a:b:+S or a:b:N, such as 1:64:x2")
    low, high = (_value(read(part), whole, text, name) for part in parts[:2])
    if low > high:
        _fail(name, text, "is reversed; the first end must not be larger than the second")
    if parts[2][0] in "xX":
        return _factors(name, text, low, high, _plain(parts[2][1:], text, name), whole=whole)
    if parts[2][0] == "+":
        return _steps(name, text, low, high, read(parts[2][1:]), whole=whole)
    return _even(name, text, low, high, _plain(parts[2], text, name), whole=whole)


def _refuse_grouped(name: str, text: str) -> None:
    """Raise UnreadableValueError for `128,000`: a part that begins with zeros is the rest of a number, not a value."""
    items = [item.strip() for item in text.split(",")]
    for one, rest in pairwise(items):
        if one.isdecimal() and len(one) <= 3 and rest.isdecimal() and len(rest) == 3 and rest[0] == "0":
            _unreadable(
                name,
                text,
                f"would be {one} and {int(rest)}: a comma separates values and is never part of one; write {one}{rest}",
            )


def _factors(name: str, text: str, low: float, high: float, factor: float, *, whole: bool) -> Axis:
    if factor <= 1:
        _fail(name, text, "has a factor that is not above 1")
    if low <= 0:
        _fail(name, text, "starts at 0 or below, from where no factor leads away")
    count = math.floor(math.log(high / low) / math.log(factor) + 1e-9) + 1
    if whole:
        values = [_value(low * factor**i, whole, text, name) for i in range(count)]
        return listed(name, values)
    return Axis(name, count, (), low, factor, factor=True)


def _steps(name: str, text: str, low: float, high: float, step: float, *, whole: bool) -> Axis:
    if step <= 0:
        _fail(name, text, "has a step that is not above 0")
    step = _value(step, whole, text, name)
    ratio = (high - low) / step
    if not math.isfinite(ratio):
        _fail(name, text, "has a step so small that it never ends")
    return Axis(name, math.floor(ratio + 1e-9) + 1, (), low, step)


def _even(name: str, text: str, low: float, high: float, number: float, *, whole: bool) -> Axis:
    if number != int(number) or number < 1 or (number == 1 and low != high):
        _fail(name, text, "needs a whole number of points, 2 or more, as its third part")
    count = int(number)
    if count == 1:
        return listed(name, [low])
    if low == high:
        _fail(name, text, f"has both ends at {low:g}, so there are no {count} points between them")
    return Axis(name, count, (), low, _value((high - low) / (count - 1), whole, text, name), last=high)


def _value(value: float, whole: bool, text: str, name: str) -> float:
    if not whole:
        return value
    if not math.isfinite(value) or value != int(value):
        _fail(name, text, f"lands on {value:.12g}, which is not a whole number")
    return int(value)


def _plain(part: str, text: str, name: str) -> float:
    try:
        number = float(part.replace("_", ""))
    except ValueError:
        number = math.nan
    return number if math.isfinite(number) else _unreadable(name, text, "needs a number as its third part: xF, +S or N")


def _item(item: str, text: str, name: str) -> str:
    if not item.strip():
        _unreadable(name, text, "has an empty part")
    return item.strip()


def _unreadable(name: str, text: str, what: str) -> Never:
    raise UnreadableValueError(f"{name}: {shown(text)} {what}")


def _fail(name: str, text: str, what: str) -> Never:
    raise ValueRangeError(f"{name}: {shown(text)} {what}")


def points(axes: Sequence[Axis]) -> int:
    """Return the number of points of a grid."""
    return math.prod(axis.count for axis in axes)


def _split(counts: Sequence[int], most: int) -> tuple[int, int, int]:
    """Return the axis that is cut into pieces, the values in a piece, and the pieces; inner axes are whole."""
    inner, split = 1, len(counts)
    while split and inner * counts[split - 1] <= most:
        split -= 1
        inner *= counts[split]
    if not split:
        return 0, 0, 1
    chunk = max(1, most // inner)
    return split, chunk, -(-counts[split - 1] // chunk)


def block_count(counts: Sequence[int], most: int = BLOCK) -> int:
    """Return how many blocks a grid has.

    >>> block_count([2, 3], 2)
    4
    """
    split, _, pieces = _split(counts, most)
    return math.prod(counts[: split - 1]) * pieces if split else 1


def block_at(counts: Sequence[int], index: int, most: int = BLOCK) -> tuple[tuple[int, int], ...]:
    """Return block `index`, in row order, of at most `most` rows: for each axis where the block starts and stops.

    >>> block_at([2, 3], 3, 2)
    ((1, 2), (2, 3))
    """
    split, chunk, pieces = _split(counts, most)
    whole = tuple((0, count) for count in counts[split:])
    if not split:
        return whole
    index, piece = divmod(index, pieces)
    start = piece * chunk
    ends = [(start, min(start + chunk, counts[split - 1]))]
    for count in reversed(counts[: split - 1]):
        index, i = divmod(index, count)
        ends.append((i, i + 1))
    return (*reversed(ends), *whole)


def blocks(counts: Sequence[int], most: int = BLOCK) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield all blocks of a grid in row order.

    >>> list(blocks([2, 3], 2))
    [((0, 1), (0, 2)), ((0, 1), (2, 3)), ((1, 2), (0, 2)), ((1, 2), (2, 3))]
    """
    return (block_at(counts, i, most) for i in range(block_count(counts, most)))
