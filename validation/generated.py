# ruff: noqa: INP001
"""Print what a matrix costs in a generated megakernel, by maker and by whether its tiles are tuned.

    python validation/generated.py

A row's cost is what is left of its step beside the bytes and the stages of the package, over its matrices. Rows that
state their tasks are apart: (R1) has what few tasks lose. A maker is the median of its rows; a group of makers the mean
of their logarithms, its interval the 5th and 95th percentile of the next maker's by Student. Constants of
hardware/architectures rest on what this prints; ratios.py asks a megakernel by what other makers of its tiles lose.
"""

import math
import sys
from functools import cache, lru_cache
from pathlib import Path
from statistics import mean, median, stdev

import msgspec
from scipy.stats import t

from perfmodel.measurements.predictions import predict
from perfmodel.measurements.rows import Row, all_rows, read_rows
from perfmodel.measurements.stacks import why_apart
from perfmodel.specifications.quantities import Quantity

HERE = Path(__file__).resolve().parent
MODE = "megakernel-generated"
# Makers whose tiles were tuned for the model, by hand or by search. The others say that theirs are general, or list
# most of them as slower than a library's kernel: ETX ("general, not tuned"; the same compiler with Fleet's tiles is a
# maker of its own here), Mirage (11 of 15 stages slower than vLLM's kernel), AutoMegaKernel (none written for a model).
TUNED = ("triton-dist", "fleet", "etx with fleet's tiles")
# Two costs that a row is asked with: its time is linear in between.
COSTS = (0.0, 16e-6)


def time_at(row: Row, cost: float) -> float:
    """Return the predicted step of a row whose matrices cost that much each beside their bytes and stages [s]."""
    return predict(msgspec.structs.replace(row, settings=f"modes.{MODE}.stage_matrix={cost!r} s")).time


def cost(row: Row) -> float:
    """Return the time that each matrix of a row takes beside its bytes and its stage [s]."""
    least, more = (time_at(row, one) for one in COSTS)
    return (row.time_per_step - least) / (more - least) * (COSTS[1] - COSTS[0])


def predicted(costs: list[float]) -> tuple[float, float, float]:
    """Return the cost of the next maker and its 5th and 95th percentile, from those of some [s]."""
    logarithms = [math.log(one) for one in costs]
    spread = stdev(logarithms) * math.sqrt(1 + 1 / len(costs)) * float(t.ppf(0.95, len(costs) - 1))
    middle = mean(logarithms)
    return math.exp(middle), math.exp(middle - spread), math.exp(middle + spread)


def maker_of(row: Row) -> str:
    """Return who made the kernel of a row: its stack, and whose tiles it has where they are another's."""
    return f"{row.stack} with fleet's tiles" if "fleet's tiles" in row.engine else row.stack


@lru_cache(maxsize=1)
def rows_of_makers() -> dict[str, dict[tuple[str, int, float], Row]]:
    """Return the rows of each maker that state no tasks, by their question and time."""
    rows: dict[str, dict[tuple[str, int, float], Row]] = {}
    for row in (*all_rows(), *read_rows(HERE / "pairs.csv")):
        if row.mode == MODE and not row.settings and not why_apart(row):
            # One measurement may be a side of several pairs.
            rows.setdefault(maker_of(row), {})[row.model, row.batch, row.time_per_step] = row
    return rows


@lru_cache(maxsize=1)
def costs_of_makers() -> dict[str, list[float]]:
    """Return what a matrix costs in each row of each maker [s]."""
    return {name: [cost(row) for row in own.values()] for name, own in rows_of_makers().items()}


@cache
def cost_of_others(maker: str, source: str) -> Quantity | None:
    """Return what a matrix costs other makers of such tiles as `maker` says it has, in other sources than `source` [s].

    None for one who is no maker, or has no others.
    """
    rows = rows_of_makers()
    others = [
        median(costs_of_makers()[name])
        for name, own in rows.items()
        if (name in TUNED) is (maker in TUNED) and name != maker and all(r.source_id != source for r in own.values())
    ]
    if maker not in rows or len(others) < 2:
        return None
    value, low, high = predicted(others)
    return Quantity(low=low, value=value, high=high, unit="s", kind="derived", source="other makers of such tiles")


def main() -> int:
    """Print a line for each maker, one for each group, and one for all."""
    rows, found = rows_of_makers(), costs_of_makers()
    makers = {name: median(costs) for name, costs in found.items()}
    out = []
    middles = []
    for group, tuned in (("tuned tiles", True), ("general tiles", False)):
        members = {name: own for name, own in makers.items() if (name in TUNED) is tuned}
        for name, own in sorted(members.items()):
            others = predicted([other for one, other in members.items() if one != name])
            costs = found[name]
            ends = f"{min(costs) * 1e6:.1f} to {max(costs) * 1e6:.1f}"
            off = median(abs(time_at(row, others[0]) / row.time_per_step - 1) for row in rows[name].values())
            out.append(
                f"{name}: {len(costs)} rows, {own * 1e6:.1f} us ({ends}); the others say {told(others)}, "
                f"by which its steps are {off:.0%} off"
            )
        middles.append(predicted(list(members.values())))
        out.append(f"{group}: {told(middles[-1])}")
    (tuned_value, low, _), (general_value, _, high) = middles
    out.append(f"either: {told((math.sqrt(tuned_value * general_value), low, high))}")
    sys.stdout.write("\n".join(out) + "\n")
    return 0


def told(figures: tuple[float, float, float]) -> str:
    """Return a cost with its interval in words."""
    value, low, high = (figure * 1e6 for figure in figures)
    return f"{value:.1f} us ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    sys.exit(main())
