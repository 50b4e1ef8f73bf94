"""Sums of a function over many whole numbers, from few of its values: exact where it is straight in pieces."""

from collections.abc import Callable, Sequence

Values = Sequence[float]
# Values of one straight piece agree with its line to this share of the largest.
_STRAIGHT = 1e-12


def summed(function: Callable[[int], Values], first: int, step: int, count: int) -> list[float]:
    """Return the sum of each value of `function` at first, first + step, ... [their units], `count` points.

    The equations are straight in the context but for bends where one of two times, or a window, becomes the smaller:
    a stretch whose ends and inner points lie on a line is added up as one, any other is halved.

    >>> summed(lambda n: (2.0 * n, max(n, 50.0)), 0, 1, 101)
    [10100.0, 6325.0]
    """
    known: dict[int, Values] = {}

    def at(place: int) -> Values:
        if place not in known:
            known[place] = function(first + step * place)
        return known[place]

    total = [0.0] * len(at(0))
    waiting = [(0, count - 1)]
    while waiting:
        low, high = waiting.pop()
        if _straight(at, low, high):
            points = high - low + 1
            total = [t + points * (a + b) / 2 for t, a, b in zip(total, at(low), at(high), strict=True)]
        else:
            middle = (low + high) // 2
            waiting += [(middle + 1, high), (low, middle)]
    return total


def _straight(at: Callable[[int], Values], low: int, high: int) -> bool:
    """Whether the points from `low` to `high` lie on the line between both."""
    span = high - low
    if span < 2:
        return True
    for place in {low + 1, low + span // 5, low + span // 2, low + 7 * span // 9, high - 1}:
        share = (place - low) / span
        for a, b, value in zip(at(low), at(high), at(place), strict=True):
            line = a + share * (b - a)
            if abs(value - line) > _STRAIGHT * max(abs(a), abs(b), abs(value)):
                return False
    return True
