# ruff: noqa: INP001
"""Print, and write to calibrated.csv, what a few rows of a stack and machine teach of its others.

    python validation/calibrated.py

Each source is left out of the fit of software. Of each of its stacks, devices and launch modes one row, or three, are
calibrated on, and the other rows are predicted: several choices, spread evenly over the rows by their times.
Medians are over sources, of medians over rows and choices; doubtful rows are apart.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from withheld import rows_asked, software_without, write_table

from perfmodel.errors import PerfModelError
from perfmodel.measurements.calibration import as_profile, calibrate
from perfmodel.measurements.predictions import Predicted, predict
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import why_apart
from perfmodel.measurements.validation import percentile

# Rows that a source must have, rows of a group that are asked at most, and choices of rows to calibrate on.
LEAST, MOST, CHOICES = 4, 12, 3
SIZES = (1, 3)
CLASSES = ("all", "well-made-16-bit", "quantised", "eager", "server", "batch", "looped")


class Taught(NamedTuple):
    """A row and its predictions: from first principles, and from `size` other rows of its stack and machine."""

    size: int
    plain: Predicted
    found: Predicted


def groups() -> dict[str, list[list[Row]]]:
    """Return by source its rows of one stack, device and launch mode each, in the order of their times."""
    found: dict[str, dict[tuple[str, ...], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows_asked():
        if not why_apart(row) and not row.source_id.startswith("pair-"):
            found[row.source_id][row.stack, row.engine, row.hardware, row.mode].append(row)
    return {
        source: [evenly(sorted(rows, key=lambda row: (row.time_per_step, row.id)), MOST) for rows in parts.values()]
        for source, parts in found.items()
        if sum(map(len, parts.values())) >= LEAST
    }


def evenly(rows: list[Row], most: int) -> list[Row]:
    """Return at most so many of the rows, spread evenly."""
    count = min(most, len(rows))
    return [rows[int((i + 0.5) * len(rows) / count)] for i in range(count)]


def choices(rows: list[Row], size: int) -> Iterator[list[Row]]:
    """Yield rows to calibrate on: each choice is spread over the rows, and no two are alike."""
    if size == 1:
        yield from ([row] for row in evenly(rows, CHOICES))
        return
    step = len(rows) // size
    for first in {i * step // CHOICES for i in range(CHOICES)}:
        yield [rows[first + i * step] for i in range(size)]


def taught(source: str, rows: list[Row]) -> Iterator[Taught]:
    """Yield predictions of rows from others of their group."""
    named = software_without(source)
    try:
        plain = {row.id: predict(row, software_named=named) for row in rows}
    except PerfModelError as error:
        sys.stderr.write(f"{rows[0].id}: {error}\n")
        return
    for size in SIZES:
        for chosen in choices(rows, size) if len(rows) > size else ():
            profile = as_profile(calibrate(chosen, leave_out=False, software_named=named), "calibrated")
            for row in rows:
                if row not in chosen:
                    yield Taught(size, plain[row.id], predict(row, profile, software_named=named))


def line(name: str, size: int, found: dict[str, list[Taught]]) -> list[str]:
    """Return a line of the table: rows of a class, from so many others."""
    chosen = {
        source: [t for t in own if t.size == size and name in ("all", t.plain.row.row_class)]
        for source, own in found.items()
    }
    sources = [own for own in chosen.values() if own]
    if not sources:
        return []

    def over(figure: str, share: float, side: str) -> str:
        each = [percentile([abs(getattr(getattr(t, side), figure)) for t in own], share) for own in sources]
        return f"{median(each) * 100:.1f} %" if figure == "error" else f"{median(each):.2f}"

    inside = sum(sum(t.found.inside for t in own) / len(own) for own in sources) / len(sources)
    count = sum(map(len, sources))
    figures = [over("error", 0.5, "plain"), over("error", 0.5, "found"), over("error", 0.9, "found")]
    return [
        name,
        str(size),
        str(len(sources)),
        str(count),
        *figures,
        f"{inside * 100:.0f} %",
        over("width", 0.5, "found"),
    ]


def main() -> int:
    """Print and write the table."""
    found: dict[str, list[Taught]] = {}
    for source, parts in sorted(groups().items()):
        found[source] = [one for rows in parts for one in taught(source, rows)]
        sys.stderr.write(f"{source}: {len(found[source])}\n")
    heads = ["rows", "calibrated on", "sources", "predictions", "before"]
    heads += ["median error", "90th percentile", "inside", "width"]
    lines = [heads, *filter(None, (line(name, size, found) for name in CLASSES for size in SIZES))]
    sys.stdout.write(write_table("calibrated", lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
