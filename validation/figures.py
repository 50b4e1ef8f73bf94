# ruff: noqa: INP001
"""What the programs that leave sources out share: rows by group, and a line of figures about their errors."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any, TypeVar

Row = TypeVar("Row")


def grouped(found: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Return the rows by what `key` gives."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in found:
        groups[key(row)].append(row)
    return dict(groups)


def said(name: str, errors: Sequence[float], band: float) -> str:
    """Return a line of figures: the median error, and the share of rows in a band.

    errors: logarithms of predicted over measured [-]; band: its high over its low [-].
    """
    if not errors:
        return f"{name}: no rows"
    sizes = sorted(abs(error) for error in errors)
    inside = sum(size <= math.log(band) / 2 for size in sizes) / len(sizes)
    width = math.exp(2 * sizes[math.ceil(0.9 * len(sizes)) - 1])
    return (
        f"{name}: {len(errors)} rows, median {math.expm1(median(sizes)):.1%}, {inside:.0%} inside a band of width"
        f" {band:g}, 90 % inside one of {width:.2f}"
    )
