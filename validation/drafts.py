# ruff: noqa: INP001, T201
"""Fit the costs of drafts on drafts.csv, each source left out in turn, and say how far the predicted gains are off.

    python validation/drafts.py

A row is the gain of a stack with drafts over the same stack without. Trees are priced as they run: `steps` drafts one after the
other, then a step that verifies `nodes` of them. The gain is that of the prediction on both sides, nothing of the row but
what was accepted is used; "calibrated" multiplies a stack's other rows by what one of its rows is off.
"""

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from perfmodel import estimate

HERE = Path(__file__).resolve().parent
# Parameters that are fitted, with the values that are tried.
HOSTS = [0.0, 1e-4, 2e-4, 3e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1.3e-3]
VERIFY = [0.0, 1e-4, 2e-4, 4e-4, 7e-4, 1e-3, 1.5e-3, 2e-3]
TOKENS = [0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.11, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8, 1.0]
Costs = tuple[float, float, float]
# The kind of software that kernels belong to.
SOFTWARE = {"server": "server", "ggml": "ggml", "framework": "framework"}
# Threads in which each owner of a device measures his own.
THREADS = ("qwen38-mtp",)
# Of an interval, high over low.
WIDTH = 1.6
NOTHING = {"drafts.token": 0.0, "drafts.host": 0.0, "drafts.verify": 0.0, "drafts.independence": 0.6}


class Row(NamedTuple):
    """A measured gain and what of its step is priced: all times in seconds.

    base: the step without drafts; verified: with them, further tokens free; token: what a further share of one adds;
    draft: one draft on the device.
    """

    id: str
    source: str
    kind: str
    kernels: str
    stack: str
    steps: int
    accepted: float
    gain: float
    base: float
    verified: float
    token: float
    draft: float

    def predicted(self, token: float, host: float, verify: float) -> float:
        """Return the gain with these costs."""
        time = self.verified + token * self.token + verify + self.steps * (self.draft + host)
        return (self.accepted + 1) * self.base / time


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """Return the rows that are asked, with the times that the prediction gives their parts."""
    with (HERE / "drafts.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_priced(row) for row in csv.DictReader(file) if not row["dropped"])


def _priced(row: dict[str, str]) -> Row:
    asked = {
        "batch": int(row["batch"]),
        "context": int(row["context"]),
        "weights": row["weight_format"],
        "devices": int(row["devices"]),
        "parallel": row["parallel"] or None,
        "before": row["mode"] or None,
        "software": SOFTWARE[row["kernels"].split("-")[0]],
    }
    where = (row["model"], row["hardware"])
    nodes, steps, accepted = int(row["nodes"]), int(row["steps"]), float(row["accepted"])
    base = estimate(*where, **asked).before.time_per_step

    def step(**parameters: float) -> float:
        return estimate(
            *where, **asked, draft=nodes, drafter="ngram", acceptance=0.5, parameters=NOTHING | parameters
        ).before.time_per_step

    verified = step()
    token = (step(**{"drafts.token": 0.1}) - verified) / 0.1
    draft = 0.0
    if row["drafter"] != "ngram" and steps:
        shape = {"drafts.vocabulary": float(row["vocabulary"])} if row["vocabulary"] else {}
        drafted = estimate(
            *where, **asked, draft=steps, drafter=row["drafter"], acceptance=0.5, parameters=NOTHING | shape
        ).before
        draft = (drafted.time_drafting or 0.0) / steps
    return Row(
        row["id"],
        row["source_id"],
        row["class"],
        row["kernels"],
        "/".join((row["source_id"], row["model"], row["hardware"], row["engine"])),
        steps,
        accepted,
        float(row["gain"]),
        base,
        verified,
        token,
        draft,
    )


def off(row: Row, costs: Costs) -> float:
    """Return the logarithm of predicted over measured gain."""
    return math.log(row.predicted(*costs) / row.gain)


def fitted(found: Sequence[Row]) -> Costs:
    """Return the costs with the least sum of absolute errors; the middle ones of those that do equally well."""
    tried = [(sum(abs(off(row, costs)) for row in found), costs) for costs in product(TOKENS, HOSTS, VERIFY)]
    least = min(error for error, _ in tried)
    good = [costs for error, costs in tried if error <= least * 1.02 + 1e-6]
    return good[len(good) // 2]


def group_of(row: Row) -> str:
    """Return what is left out together: a source; of the thread to which many add, each owner's device."""
    return f"{row.source}/{row.stack.split('/')[2]}" if row.source in THREADS else row.source


def class_of(row: Row) -> tuple[str, str]:
    """Return the rows from which a row's costs are fitted: of its kernels, trees and mixtures apart from chains."""
    return row.kernels, "chain" if row.kind == "chain" else "tree"


def left_out() -> list[tuple[Row, float]]:
    """Return each row with the logarithm of predicted over measured gain, its group left out of the fit."""
    errors = []
    for group, own in grouped(rows(), lambda row: (group_of(row), class_of(row))).items():
        alike = [row for row in rows() if class_of(row) == group[1]]
        others = [row for row in alike if group_of(row) != group[0]]
        # The only source of its kernels is predicted from the nearest kernels there are.
        nearest = [
            r for r in rows() if r.kernels.split("-")[0] == own[0].kernels.split("-")[0] and group_of(r) != group[0]
        ]
        costs = fitted(others or nearest or [row for row in rows() if group_of(row) != group[0]])
        errors += [(row, off(row, costs)) for row in own]
    return errors


def grouped(found: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Return the rows by what `key` gives."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in found:
        groups[key(row)].append(row)
    return dict(groups)


def calibrated(errors: Iterable[tuple[Row, float]]) -> list[float]:
    """Return the errors of all rows of a stack but its middle one, which sets the scale."""
    found = dict(errors)
    moved = []
    for own in grouped(found, lambda row: row.stack).values():
        if len(own) > 1:
            own.sort(key=lambda row: row.steps)
            middle = own[len(own) // 2]
            moved += [found[row] - found[middle] for row in own if row is not middle]
    return moved


def said(name: str, errors: Sequence[float]) -> str:
    """Return a line of figures: the median error, and the share of rows in a band of the width asked for."""
    if not errors:
        return f"{name}: no rows"
    sizes = sorted(abs(error) for error in errors)
    inside = sum(size <= math.log(WIDTH) / 2 for size in sizes) / len(sizes)
    width = math.exp(2 * sizes[math.ceil(0.9 * len(sizes)) - 1])
    return (
        f"{name}: {len(errors)} rows, median {math.expm1(median(sizes)):.1%}, {inside:.0%} inside a band of width"
        f" {WIDTH:g}, 90 % inside one of {width:.2f}"
    )


def main() -> int:
    """Print the fitted costs and the figures."""
    print("fitted on all rows: kernels, token [-], host [ms], verify [ms], rows")
    for (kernels, kind), own in sorted(grouped(rows(), class_of).items()):
        token, host, verify = fitted(own)
        print(f"  {kernels} {kind}: {token:g}, {host * 1e3:g}, {verify * 1e3:g}, {len(own)}")
    errors = left_out()
    plain = [off(row, (0.0, 0.0, 0.0)) for row in rows()]
    print(f"without these costs the gain is {math.expm1(median(plain)):+.0%} off in the median")
    print("sources left out")
    for name, kinds in (("dense chains", ("chain",)), ("trees and mixtures", ("tree", "mixture"))):
        chosen = [(row, error) for row, error in errors if row.kind in kinds]
        print(" ", said(name, [error for _, error in chosen]))
        print(" ", said(f"{name}, from one row of the stack", calibrated(chosen)))
    for kernels, own in sorted(grouped((row for row, _ in errors), class_of).items()):
        print("   ", said(" ".join(kernels), [error for row, error in errors if row in own]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
