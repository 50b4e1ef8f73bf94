"""(U) What independent uncertain parts of a figure make together.

A part is known at its slow and at its fast end, its 5th and 95th percentile. What it does to the logarithm of the
figure there is its effect; between and beyond the effects are straight lines, so that a part is a normal distribution
with another spread on each side.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from perfmodel.numbers.choices import Number, added, exp, larger, smaller

# Standard deviations from the median to the 95th percentile of a normal distribution [-].
NORMAL_PERCENTILE = 1.6448536269514722
# Of z, a standard normal number: the mean of |z|, and what is left of the variance of |z|.
_MEAN = 0.7978845608028654
_SPREAD = 1 - _MEAN**2
_SKEW = 2 * _MEAN**2 - 1
# Of the cubic that (U2) solves: with S**2 = V - _SPREAD * D**2 the skewness is D (3 V - _CUBIC * D**2).
_CUBIC = 3 * _SPREAD - _SKEW
# The mean of |z| in units of the 95th percentile.
_SHIFT = _MEAN / NORMAL_PERCENTILE
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


class Moments(msgspec.Struct, frozen=True):
    """Sums over parts of powers of w = fast - slow and e = fast + slow, of the effects at their two ends [-].

    sum_: of e; width: of w; squares: of w**2; sum_squares: of e**2; cross: of e w**2; cubes: of e**3; fourths: of w**4.
    """

    sum_: Number = 0.0
    width: Number = 0.0
    squares: Number = 0.0
    sum_squares: Number = 0.0
    cross: Number = 0.0
    cubes: Number = 0.0
    fourths: Number = 0.0


def moments(effects: Sequence[Effect], turned: Sequence[Effect] = ()) -> Moments:
    """Return the sums over parts that (U2) and (U3) rest on [-].

    effects: of each part, slow and fast [-]
    turned: of further parts with the sign turned, as those of the time after are in a ratio [-]
    """
    total = Moments()
    for sign, parts in ((1, effects), (-1, turned)):
        for slow, fast in parts:
            e, w = fast + slow, fast - slow
            ee, ww = e * e, w * w
            even = (ww, ee, ww * ww)
            odd = (e, w, e * ww, e * ee)
            one, two, three, four = (
                sum_ + part if sign > 0 else sum_ - part
                for sum_, part in zip((total.sum_, total.width, total.cross, total.cubes), odd, strict=True)
            )
            total = Moments(
                one, two, total.squares + even[0], total.sum_squares + even[1], three, four, total.fourths + even[2]
            )
    return total


def part_variance(slow: Number, fast: Number) -> Number:
    """(U1) variance of the logarithm of a figure by one part [-], v = (w**2 + (1 - 2 / pi) e**2) / 4.

    w = fast - slow; e = fast + slow.

    In units of the square of the 95th percentile of a standard normal number. A part with equal effects up and down has
    v = effect**2. After [5].

    slow: effect at the slow end [-]
    fast: effect at the fast end [-]

    >>> round(part_variance(0.1, -0.1), 12)
    0.01
    """
    e, w = fast + slow, fast - slow
    return (w * w + _SPREAD * e * e) / 4


def combined_spread(parts: Moments, kept: Number = 1.0) -> Spread:
    """(U2) logarithms of the ends of a figure with independent parts [-].

    For parts with equal effects up and down the root of the sum of squares, +-sqrt(sum of v). In general the parts are
    replaced by one of their kind with the same mean, variance and skewness, so that a single part gives its own ends,
    and many give those of a normal distribution. After [5].

    parts: from `moments` [-]
    kept: share of the shift of the middle, from `kept_shift` [-]

    >>> [round(end, 6) for end in combined_spread(moments([Effect(0.3, -0.3), Effect(-0.4, 0.4)]))]
    [-0.5, 0.5]
    >>> [round(end, 6) for end in combined_spread(moments([Effect(0.3, -0.1)]))]
    [-0.1, 0.3]
    """
    variance = parts.squares + _SPREAD * parts.sum_squares
    if variance.__class__ is float and variance < _LEAST:
        return Spread(0.0, 0.0)
    variance = larger(variance, _LEAST)
    deviation = variance**0.5
    skewness = (3 * parts.cross + _SKEW * parts.cubes) / (variance * deviation)
    d = skewness / 3
    for _ in range(_NEWTON_STEPS):
        dd = d * d
        d = (skewness - 2 * _CUBIC * dd * d) / (3 - 3 * _CUBIC * dd)
    half = 0.5 * deviation
    s = (1 - _SPREAD * d * d) ** 0.5
    shift = 0.5 * _SHIFT * (parts.sum_ - d * deviation) * kept
    return Spread(smaller(shift + (d - s) * half, 0.0), larger(shift + (d + s) * half, 0.0))


def kept_shift(parts: Moments, together: Effect) -> Number:
    """(U2, shift) share of the shift of a figure's middle left where parts are less skewed together than alone [-].

    parts: from `moments` [-]
    together: of all parts at once, slow and fast [-]

    >>> kept_shift(moments([Effect(0.4, 0.0), Effect(0.4, 0.0)]), Effect(0.4, 0.0))
    0.5
    """
    square = parts.sum_ * parts.sum_
    if square.__class__ is float and square < _LEAST:
        return 1.0
    share = (together.slow + together.fast) * parts.sum_ / larger(square, _LEAST)
    return smaller(larger(share, 0.0), 1.0)


def joint_spread(spread: Spread, parts: Moments, together: Effect) -> Spread:
    """(U3) `spread` of a time corrected for what its parts do together and not alone [-].

    Where two paths of a larger() are near each other a part alone changes little. What all parts at their slow, or at
    their fast ends do beyond the sum of what each does is spread over the pairs of parts by the product of their
    effects, and each pair stands where (U2) has its parts. No further than all parts together, nor than the value.

    spread: from (U2) of the same parts [-]
    parts: from `moments` [-]
    together: of all parts at once, slow and fast [-]

    >>> two = moments([Effect(0.1, 0.0), Effect(0.1, 0.0)])
    >>> joint_spread(combined_spread(two), two, Effect(0.1, -0.1)).below < combined_spread(two).below
    True
    """
    if parts.squares.__class__ is float and parts.squares < _LEAST:
        return spread
    share = _pair_share(parts, Along(parts.squares, parts.fourths), parts.squares)
    beyond = _beyond_sum(parts, together)
    below = smaller(spread.below + share * beyond.fast, 0.0)
    above = larger(spread.above + share * beyond.slow, 0.0)
    return Spread(larger(below, together.fast), smaller(above, together.slow))


class Along(msgspec.Struct, frozen=True):
    """Sums over parts of products of w, of a time and of a ratio that it stands in, and of their squares [-]."""

    products: Number
    squares: Number


class Joint(msgspec.Struct, frozen=True):
    """A time of a ratio: its parts, how they stand in the ratio, and what all of them do at once [-]."""

    parts: Moments
    along: Along
    together: Effect


def joint_ratio_spread(spread: Spread, parts: Moments, before: Joint, after: Joint) -> Spread:
    """(U3, ratio) `spread` of a ratio corrected for what the parts of either time do together and not alone [-].

    As for a time, each pair where (U2) has its parts in the ratio: slow before and fast after at its high end.

    spread: from (U2) of the parts of the ratio [-]
    parts: of the ratio, from `moments` [-]
    before, after: both times [-]

    >>> two = moments([Effect(0.1, 0.0), Effect(0.1, 0.0)])
    >>> none = Joint(moments([]), Along(0.0, 0.0), Effect(0.0, 0.0))
    >>> joint = Joint(two, Along(two.squares, two.fourths), Effect(0.1, -0.1))
    >>> joint_ratio_spread(combined_spread(two), two, joint, none).above < combined_spread(two).above
    True
    """
    below, above = spread
    for sign, time in ((1, before), (-1, after)):
        if time.parts.squares.__class__ is float and time.parts.squares < _LEAST:
            continue
        share = _pair_share(time.parts, time.along, parts.squares)
        beyond = _beyond_sum(time.parts, time.together)
        if sign > 0:
            below, above = below + share * beyond.fast, above + share * beyond.slow
        else:
            below, above = below - share * beyond.slow, above - share * beyond.fast
    return Spread(smaller(below, 0.0), larger(above, 0.0))


def _pair_share(parts: Moments, along: Along, squares: Number) -> Number:
    """The share of what parts do only together that stands where the parts of a figure with the sum `squares` stand."""
    pairs = larger(parts.width * parts.width - parts.squares, 1e-9 * larger(parts.squares, _LEAST))
    return (along.products * along.products - along.squares) / (larger(squares, _LEAST) * pairs)


def _beyond_sum(parts: Moments, together: Effect) -> Effect:
    """What all parts at once do beyond the sum of what each does."""
    half_sum, half_width = 0.5 * parts.sum_, 0.5 * parts.width
    return Effect(together.slow - (half_sum - half_width), together.fast - (half_sum + half_width))


def end_of(value: Number, logarithm: Number) -> Number:
    """(U5) end of an interval [unit of the value], value x exp(logarithm).

    value: the figure with every parameter at its value [unit of the value]
    logarithm: from (U2), (U3) or (U4) [-]

    >>> end_of(2.0, 0.0)
    2.0
    """
    return value * exp(logarithm)


def widened(spread: Spread, parts: Sequence[Number]) -> Spread:
    """(U4) a spread with further independent parts, each as wide up as down [-]: root of the sum of squares. After [5].

    spread: from (U2) or (U3) [-]
    parts: half-widths of the logarithm, such as the spread between sources and the noise of a row [-]

    >>> [round(end, 6) for end in widened(Spread(-0.3, 0.4), [0.4])]
    [-0.5, 0.565685]
    """
    if not parts:
        return spread
    squares = added(part * part for part in parts)
    return Spread(-((spread.below * spread.below + squares) ** 0.5), (spread.above * spread.above + squares) ** 0.5)
