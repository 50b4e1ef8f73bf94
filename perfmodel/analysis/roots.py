"""Roots: where a figure that was sampled crosses what is asked, and how that is said."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from perfmodel.analysis.targets import Target
from perfmodel.errors import PerfModelError
from perfmodel.estimates.bestdrafts import LONGEST_CHAIN
from perfmodel.estimates.splits import tensor_splits
from perfmodel.specifications.keys import Parameter
from perfmodel.specifications.model import Model
from perfmodel.units import LARGEST_BATCH, LONGEST_CONTEXT, MOST_DEVICES, format_quantity

# Unknowns that are whole numbers, with the least and the largest that is tried.
WHOLE = {
    "batch": (1, LARGEST_BATCH),
    "context": (0, LONGEST_CONTEXT),
    "devices": (1, MOST_DEVICES),
    "loop_at_most": (1, 4096),
    "draft": (0, LONGEST_CHAIN),
    "layers": (1, 1024),
    "hidden": (64, 65_536),
}
# Of these the fewest that reach the target are the answer; of the others the crossing nearest to what was asked.
_FEWEST = ("loop_at_most", "draft")
_STEP = {"hidden": 64}
_TYPICAL = {"s": 1e-6, "B": 1e6, "B/s": 1e12, "FLOP/s": 1e14, "1": 0.5}


class NoSolutionError(PerfModelError):
    """No value of the unknown reaches the target; the message says what comes nearest."""


def parameter_root(
    figure: Callable[[float], float], goal: Target, path: str, stands: float, parameter: Parameter
) -> float:
    """Return the value of a parameter for which its figure is the target: the one nearest to what stands.

    figure: of the answer, by the value of the parameter. Raises NoSolutionError.
    """
    from scipy.optimize import brentq, minimize_scalar

    if stands and close(figure(stands), goal.value, 1e-13):
        return stands
    scale = stands or _TYPICAL[parameter.unit]
    points = sorted(
        {
            *([] if parameter.positive else [parameter.least]),
            scale,
            *(scale * 10 ** (k / 4) for k in range(-32, 33)),
            *([parameter.most] if parameter.most < 1e30 else []),
        }
    )
    found = [(x, figure(x)) for x in points if parameter.least <= x <= parameter.most]
    crossings = crossings_of(found, goal)
    if not crossings:
        # The figure may turn between two points: look closer around the nearest one.
        low_end, high_end = _around_nearest(found, goal)
        found = sorted(
            {*found, *((x, figure(x)) for x in (low_end + (high_end - low_end) * k / 400 for k in range(401)))}
        )
        crossings = crossings_of(found, goal)
    if not crossings:
        # Or turn right at the target, as where two sides of a larger() change places.
        ends = _around_nearest(found, goal)
        turn, near = 0.0, 1e-6 * ends[1]
        for bounds in (ends, (-near, near)):
            # An offset from where the first search ended has more digits than the place itself.
            turn += float(
                minimize_scalar(
                    lambda by, start=turn: abs(figure(start + by) - goal.value),
                    bounds=bounds,
                    method="bounded",
                    options={"xatol": 1e-14 * ends[1]},
                ).x
            )
        found = sorted({*found, (turn, figure(turn))})
        crossings = crossings_of(found, goal)
    if not crossings:
        x, best = min(found, key=lambda pair: abs(pair[1] - goal.value))
        if close(best, goal.value, 1e-9):
            return x
        if all(close(value, best) for _, value in found):
            raise NoSolutionError(
                f"no solution: {goal.figure} does not depend on {path} here; it stays {shown_figure(best, goal.unit)},"
                f" asked {shown_figure(goal.value, goal.unit)}"
            )
        raise NoSolutionError(nothing_reaches(goal, path, shown_figure(x, parameter.unit), best))
    low, high = min(crossings, key=lambda pair: abs(math.log(max(pair[1][0], 1e-30) / scale)))
    for x, value in (low, high):
        if value == goal.value:
            return x
    return float(brentq(lambda x: figure(x) - goal.value, low[0], high[0], xtol=1e-300, rtol=1e-15, maxiter=1000))


def _around_nearest(found: Sequence[tuple[float, float]], goal: Target) -> tuple[float, float]:
    """Return the unknown on either side of the one whose figure is nearest to the target; found: in order."""
    nearest = min(range(len(found)), key=lambda i: abs(found[i][1] - goal.value))
    return found[max(nearest - 1, 0)][0], found[min(nearest + 1, len(found) - 1)][0]


def whole_root(
    unknown: str, figure: Callable[[float], float], goal: Target, stands: float | None, *, layers: int
) -> int:
    """Return the whole number for which a figure meets the target: the first, or the last before it no longer does.

    layers: of the model, more than which no loop holds [-]. Raises NoSolutionError.
    """
    least, most = WHOLE[unknown]
    if unknown == "loop_at_most":
        most = layers
    step = _STEP.get(unknown, 1)
    grid = [least + step * k for k in spread((most - least) // step)]
    found: list[tuple[int, float]] = []
    for n in grid:
        found.append((n, figure(n)))
        if unknown in _FEWEST and goal.met(found[-1][1]):
            break
    if unknown in _FEWEST and goal.met(found[0][1]):
        return found[0][0]
    crossings = [(a[0], b[0]) for a, b in pairwise(found) if goal.met(a[1]) != goal.met(b[1])]
    every = goal.met(found[0][1])
    if not crossings and not every and (turn := _turn(figure, goal, found, step)) is not None:
        crossings = [turn]
    if not crossings:
        n, best = min(found, key=lambda pair: abs(pair[1] - goal.value))
        raise NoSolutionError(
            nothing_reaches(goal, unknown, f"{n:,}", best, every=f"from {least:,} to {most:,}" if every else "")
        )
    origin = max(stands or 1, 1)
    low, high = min(crossings, key=lambda pair: abs(math.log(max(pair[1], 1) / origin)))
    rises = goal.met(figure(high))
    while high - low > step:
        middle = low + (high - low) // (2 * step) * step
        if goal.met(figure(middle)) == rises:
            high = middle
        else:
            low = middle
    return high if rises else low


def _turn(
    figure: Callable[[float], float], goal: Target, found: Sequence[tuple[int, float]], step: int
) -> tuple[int, int] | None:
    """Return a whole number that misses the target and one that meets it, where the figure turns in between.

    None where it does not reach the target beside the nearest of `found` either.
    """
    first, last = _around_nearest(found, goal)
    low, high = int(first), int(last)
    while high - low > 2 * step:
        third = max((high - low) // (3 * step), 1) * step
        left, right = low + third, high - third
        reached = [figure(n) for n in (left, right)]
        for n, value in zip((left, right), reached, strict=True):
            if goal.met(value):
                return int(first), n
        nearer_left = abs(reached[0] - goal.value) <= abs(reached[1] - goal.value)
        low, high = (low, right) if nearer_left else (left, high)
    return None


def fewest_devices(model: Model, figure: Callable[[float], float], goal: Target) -> int:
    """Return the fewest devices that meet the target, of those that can share the model; raise NoSolutionError."""
    numbers = tensor_splits(model)
    found = []
    for n in numbers:
        found.append((n, figure(n)))
        if goal.met(found[-1][1]):
            return n
    n, best = min(found, key=lambda pair: abs(pair[1] - goal.value))
    raise NoSolutionError(
        f"{nothing_reaches(goal, 'devices', f'{n:,}', best)}; {model.name} can be split over"
        f" {', '.join(f'{number:,}' for number in numbers)}"
    )


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
