"""(U) What independent uncertain parts of a figure make together.

A part is known at its slow and at its fast end, its 5th and 95th percentile. What it does to the logarithm of the figure
there is its effect; between and beyond the effects are straight lines, so that a part is a normal distribution with
another spread on each side.
"""

from collections.abc import Sequence
from typing import NamedTuple

from perfmodel.numbers.choices import Number, exp, larger, smaller

# Of z, a standard normal number: the mean of |z|, and what is left of the variance of |z|.
_MEAN = 0.7978845608028654
_SPREAD = 1 - _MEAN**2
_SKEW = 2 * _MEAN**2 - 1
# Of the cubic that (U2) solves: with S**2 = V - _SPREAD * D**2 the skewness is D (3 V - _CUBIC * D**2).
_CUBIC = 3 * _SPREAD - _SKEW
# The mean of |z| in units of the 95th percentile.
_SHIFT = _MEAN / 1.6448536269514722
_NEWTON_STEPS = 4
_LEAST = 1e-30


class Effect(NamedTuple):
    """What one part alone does to the logarithm of a figure at its slow and at its fast end [-]."""

    slow: Number
    fast: Number


class Spread(NamedTuple):
    """How far a figure may be from its value, as logarithms of factors [-]: below is at most 0, above at least 0."""

    below: Number
    above: Number


def part_variance(slow: Number, fast: Number) -> Number:
    """(U1) variance of the logarithm of a figure by one part [-], v = s**2 + (1 - 2 / pi) d**2, s = (fast - slow) / 2, d = (fast + slow) / 2.

    In units of the square of the 95th percentile of a standard normal number. A part with equal effects up and down has
    v = effect**2. After [5].

    slow: effect at the slow end [-]
    fast: effect at the fast end [-]

    >>> round(part_variance(0.1, -0.1), 12)
    0.01
    """
    half_difference, half_sum = 0.5 * (fast - slow), 0.5 * (fast + slow)
    return half_difference * half_difference + _SPREAD * half_sum * half_sum


def combined_spread(effects: Sequence[Effect]) -> Spread:
    """(U2) logarithms of the ends of a figure with independent parts [-].

    For parts with equal effects up and down the root of the sum of squares, +-sqrt(sum of v). In general the parts are
    replaced by one of their kind with the same mean, variance and skewness, so that a single part gives its own ends,
    and many give those of a normal distribution. After [5].

    effects: of each part, slow and fast [-]

    >>> [round(end, 6) for end in combined_spread([Effect(0.3, -0.3), Effect(-0.4, 0.4)])]
    [-0.5, 0.5]
    >>> [round(end, 6) for end in combined_spread([Effect(0.3, -0.1)])]
    [-0.1, 0.3]
    """
    shift: Number = 0.0
    variance: Number = 0.0
    skewness: Number = 0.0
    for slow, fast in effects:
        s, d = 0.5 * (fast - slow), 0.5 * (fast + slow)
        squares, shifted = s * s, d * d
        shift = shift + d
        variance = variance + (squares + _SPREAD * shifted)
        skewness = skewness + d * (3 * squares + _SKEW * shifted)
    if variance.__class__ is float and variance < _LEAST:
        return Spread(0.0, 0.0)
    variance = larger(variance, _LEAST)
    deviation = variance**0.5
    wanted = skewness / (variance * deviation)
    d = wanted / 3
    for _ in range(_NEWTON_STEPS):
        d = (wanted - 2 * _CUBIC * d * d * d) / (3 - 3 * _CUBIC * d * d)
    s = (1 - _SPREAD * d * d) ** 0.5
    shift = _SHIFT * (shift - d * deviation)
    return Spread(smaller(shift + (d - s) * deviation, 0.0), larger(shift + (d + s) * deviation, 0.0))


def joint_spread(spread: Spread, effects: Sequence[Effect], together: Effect) -> Spread:
    """(U3) `spread` of a time corrected for what its parts do together and not alone [-].

    Where two paths of a larger() are near each other a part alone changes little. What all parts at their slow, or at
    their fast ends do beyond the sum of what each does is spread over the pairs of parts by the product of their
    effects, and each pair stands where (U2) has its parts. No further than all parts together, nor than the value.

    spread: from (U2) of the same effects [-]
    effects: of each part, slow and fast [-]
    together: of all parts at once, slow and fast [-]

    >>> two = [Effect(0.1, 0.0), Effect(0.1, 0.0)]
    >>> joint_spread(combined_spread(two), two, Effect(0.1, -0.1)).below < combined_spread(two).below
    True
    """
    total: Number = 0.0
    squares: Number = 0.0
    fourths: Number = 0.0
    slow_sum: Number = 0.0
    fast_sum: Number = 0.0
    for slow, fast in effects:
        width = slow - fast
        square = width * width
        total, squares, fourths = total + width, squares + square, fourths + square * square
        slow_sum, fast_sum = slow_sum + slow, fast_sum + fast
    if squares.__class__ is float and squares < _LEAST:
        return spread
    squares = larger(squares, _LEAST)
    share = (squares - fourths / squares) / larger(total * total - squares, 1e-9 * squares)
    below = smaller(spread.below + share * (together.fast - fast_sum), 0.0)
    above = larger(spread.above + share * (together.slow - slow_sum), 0.0)
    return Spread(larger(below, together.fast), smaller(above, together.slow))


def end_of(value: Number, logarithm: Number) -> Number:
    """(U5) end of an interval [unit of the value], value x exp(logarithm).

    value: the figure with every parameter at its value [unit of the value]
    logarithm: from (U2), (U3) or (U4) [-]

    >>> end_of(2.0, 0.0)
    2.0
    """
    return value * exp(logarithm)


def widened(spread: Spread, parts: Sequence[Number]) -> Spread:
    """(U4) a spread with further independent parts, each as wide up as down [-]: the root of the sum of squares. After [5].

    spread: from (U2) or (U3) [-]
    parts: half-widths of the logarithm, such as the spread between sources and the noise of a row [-]

    >>> [round(end, 6) for end in widened(Spread(-0.3, 0.4), [0.4])]
    [-0.5, 0.565685]
    """
    if not parts:
        return spread
    added = sum(part * part for part in parts)
    return Spread(-((spread.below * spread.below + added) ** 0.5), (spread.above * spread.above + added) ** 0.5)
