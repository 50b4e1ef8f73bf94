"""Axes: where a number lies on paper, which ticks an axis has, and how numbers are written beside it."""

import math
from collections.abc import Sequence

import msgspec

from perfmodel.units import UNITS

# Widths of characters in a sans-serif face [em]; generous, so that no face runs over.
_NARROW, _WIDE, _USUAL = 0.34, 0.9, 0.57


class Scale(msgspec.Struct, frozen=True):
    """From numbers `low` to `high` to places `start` to `end` on paper [px]; logarithmic where `log` is set."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where `value` lies [px]; a logarithmic scale holds numbers under its low end at that end."""
        share = (
            math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
            if self.log
            else (value - self.low) / (self.high - self.low)
        )
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> tuple[float, ...]:
        """Return the numbers that get a tick, about `count` of them."""
        return log_ticks(self.low, self.high, count) if self.log else linear_ticks(self.low, self.high, count)


def linear_scale(values: Sequence[float], start: float, end: float, *, zero: bool = True) -> Scale:
    """Return a linear scale that holds `values`, from zero unless told otherwise, with a little room at the end."""
    low, high = (min(0.0, *values) if zero else min(values)), max(values)
    if high <= low:
        high = low + (abs(low) or 1.0)
    room = 0.04 * (high - low)
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


def log_scale(values: Sequence[float], start: float, end: float, *, room: float = 1.15) -> Scale:
    """Return a logarithmic scale that holds the positive of `values`, a factor `room` wider at both ends."""
    positive = [value for value in values if value > 0] or [1.0]
    return Scale(min(positive) / room, max(positive) * room, start, end, log=True)


def linear_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Return about `count` round numbers from `low` to `high`.

    >>> linear_ticks(0, 2.4)
    (0.0, 0.5, 1.0, 1.5, 2.0)
    """
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / rough)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Multiples of a step carry the noise of binary fractions: 0.30000000000000004.
    return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))


def log_ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Return powers of ten from `low` to `high`; with 2 and 5 times them where there are few decades.

    >>> log_ticks(90, 3000)
    (100.0, 200.0, 500.0, 1000.0, 2000.0)
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    if len(decades) > 2:
        every = max(1, math.ceil(len(decades) / (count + 2)))
        return tuple(decades[::every])
    finer = [
        factor * 10.0**power
        for power in range(first, last + 1)
        for factor in (1, 2, 5)
        if low <= factor * 10.0**power <= high
    ]
    return tuple(finer) if len(finer) > 1 else linear_ticks(low, high, 3)


def unit_of(largest: float, dimension: str) -> tuple[str, float]:
    """Return the unit for an axis that reaches to `largest` [base unit], with its factor to the base unit.

    >>> unit_of(0.0024, "s")
    ('ms', 0.001)
    """
    prefixes = {"s": ("s", "ms", "us", "ns"), "tok/s": ("tok/s",), "1": ("",)}.get(dimension)
    spellings = UNITS[dimension]
    names = prefixes or tuple(f"{p}{dimension}" for p in ("P", "T", "G", "M", "k", ""))
    return next(
        ((name, spellings[name]) for name in names if abs(largest) >= spellings[name]),
        (names[-1], spellings[names[-1]]),
    )


def number_label(value: float, digits: int = 3) -> str:
    """Return a number as a tick shows it: `digits` significant ones, thousands with commas, large ones with a prefix.

    >>> [number_label(x) for x in (0.05, 2.0, 1500.0, 25_000.0, 3e6)]
    ['0.05', '2', '1,500', '25k', '3M']
    """
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (1e4 if factor == 1e3 else factor):
            return (
                f"{value / factor:.{digits}g}{prefix}"
                if abs(value) / factor < 1000
                else f"{value / factor:,.0f}{prefix}"
            )
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def digits_of(values: Sequence[float]) -> int:
    """Return how many significant digits the labels of `values` need, three or more, so that no two are alike.

    >>> digits_of([1.01, 1.012, 1.014])
    4
    """
    different = len(set(values))
    return next(
        (digits for digits in range(3, 9) if len({number_label(value, digits) for value in values}) == different), 9
    )


def tokens_label(tokens: int) -> str:
    """Return a context as it is written in options, where k is 1,024.

    >>> tokens_label(4096), tokens_label(1000)
    ('4k', '1,000')
    """
    return f"{tokens // 1024:,}k" if tokens and tokens % 1024 == 0 else f"{tokens:,}"


def text_width(text: str, size: float) -> float:
    """Return about how wide `text` is in a sans-serif face of `size` [px]: rather too wide than too narrow."""
    return size * sum(
        _NARROW if c in " .,:;|!'()[]ijlt/" else _WIDE if c in "mwMW@%" or ord(c) > 0x2000 else _USUAL for c in text
    )


def shortened(text: str, width: float, size: float) -> str:
    """Return `text`, cut with three dots where it is wider than `width` [px]."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while kept and text_width(kept + "...", size) > width:
        kept = kept[:-1]
    return kept.rstrip() + "..."


def wrapped(text: str, width: float, size: float) -> tuple[str, ...]:
    """Return `text` in lines of at most `width` [px], broken at spaces."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and text_width(longer, size) > width:
            lines.append(line)
            line = shortened(word, width, size)
        else:
            line = shortened(longer, width, size)
    return (*lines, line) if line else tuple(lines)
