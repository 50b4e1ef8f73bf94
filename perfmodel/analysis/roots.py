"""Roots: where a figure that was sampled crosses what is asked, and how that is said."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from perfmodel.analysis.targets import Target
from perfmodel.units import format_quantity


def crossings_of(
    found: Sequence[tuple[float, float]], goal: Target
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the neighbours (unknown, figure) between which the figure passes the target."""
    return [(a, b) for a, b in pairwise(found) if (a[1] - goal.value) * (b[1] - goal.value) <= 0 and a[1] != b[1]]


def between(figure: Callable[[float], float], goal: Target, value: int, limits: tuple[int, int]) -> float | None:
    """Return the root next to the whole number `value`, or None where there is none."""
    from scipy.optimize import brentq

    at_value = figure(value) - goal.value
    if at_value == 0:
        return float(value)
    for other in (value - 1, value + 1):
        if limits[0] <= other <= limits[1] and at_value * (figure(other) - goal.value) <= 0:
            return float(
                brentq(
                    lambda x: figure(x) - goal.value,
                    min(value, other),
                    max(value, other),
                    xtol=1e-300,
                    rtol=1e-15,
                    maxiter=1000,
                )
            )
    return None


def spread(most: int) -> Iterable[int]:
    """Yield 0, 1, 2, ... 16, then every tenth part more, up to `most`."""
    n = 0
    while n < most:
        yield n
        n = n + 1 if n < 16 else n + n // 10
    yield most


def close(figure: float, target: float, tolerance: float = 1e-10) -> bool:
    """Return whether a figure is its target, to a relative tolerance [-]."""
    return abs(figure - target) <= tolerance * abs(target)


def shown_figure(value: float, unit: str) -> str:
    """Return a figure with its unit."""
    return format_quantity(value, unit)


def nothing_reaches(goal: Target, unknown: str, nearest_value: str, reached: float, every: str = "") -> str:
    """Return the message for an unknown with which no figure reaches the target."""
    asked, got = shown_figure(goal.value, goal.unit), shown_figure(reached, goal.unit)
    if every:
        return (
            f"no solution: {goal.figure} = {asked} is met at every {unknown} {every}; nearest to it is {got}, at"
            f" {unknown} = {nearest_value}"
        )
    return (
        f"no solution: no {unknown} gives {goal.figure} = {asked}; nearest feasible is {got}, at {unknown} ="
        f" {nearest_value}"
    )
