# ruff: noqa: INP001
"""Make evidence.csv and inside.csv: how right predictions of published rows are, by kind of software, mode and width.

    python validation/evidence.py

Errors are those of left_out.csv, each source left out of the fit; of looped and mega kernels, which the fit does not
see, those of the package, some of whose constants rest on the same rows; of these modes the sides of pairs count too.
Intervals are the package's, around the left-out prediction. Rows that stand apart are left out. Takes a minute.
"""

import csv
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import msgspec
from fused import FUSED

from perfmodel.errors import PerfModelError
from perfmodel.measurements.predictions import Predicted, predict
from perfmodel.measurements.rows import Row, all_rows, read_rows
from perfmodel.measurements.stacks import software_of_row, why_apart
from perfmodel.measurements.validation import percentile, validate
from perfmodel.specifications.storage import nominal_bits, weights_format

HERE = Path(__file__).resolve().parent


class Line(NamedTuple):
    """A row as it is judged: its group, the logarithm of predicted over measured, and whether it lies inside."""

    source: str
    software: str
    mode: str
    width: str
    error: float
    inside: bool


def judged(one: Predicted, left_out: dict[str, float]) -> Line:
    """Return how a prediction is judged, with its source left out where the fit has seen it."""
    row = one.row
    time = left_out.get(row.id, one.time)
    low, high = one.low * time / one.time, one.high * time / one.time
    bits = nominal_bits(weights_format(row.weight_format, row.id)) if row.weight_format else 16
    inside = low <= row.time_per_step <= high
    error = math.log(time / row.time_per_step)
    return Line(
        row.source_id, software_of_row(row), row.mode or "graph", "16" if bits >= 16 else "below", error, inside
    )


def group(lines: list[Line]) -> tuple[int, int, str, str]:
    """Return rows, sources, median error and share inside of a group."""
    sources: dict[str, list[Line]] = {}
    for line in lines:
        sources.setdefault(line.source, []).append(line)
    error = median(median(abs(math.expm1(line.error)) for line in own) for own in sources.values())
    inside = mean(mean(line.inside for line in own) for own in sources.values())
    return len(lines), len(sources), f"{error:.3f}", f"{inside:.3f}"


def slower_than_by_hand(rows: Iterable[Predicted]) -> str:
    """Return by what factors generated megakernels took longer than predictions of one by hand, as '1.5 to 6'."""
    factors = []
    for one in rows:
        try:
            by_hand = predict(msgspec.structs.replace(one.row, mode="megakernel", settings=""))
        except PerfModelError:
            continue
        factors.append(one.row.time_per_step / by_hand.time)
    low, high = (percentile(factors, share) for share in (0.1, 0.9))
    return f"{low:.2g} to {high:.2g}"


def fused_sides() -> list[Row]:
    """Return the sides of pairs.csv in modes that the fit does not see, each measurement once."""
    sides = (row for row in read_rows(HERE / "pairs.csv") if row.mode in FUSED)
    known = {(row.source_id, row.model, row.hardware, row.batch, row.context, row.time_per_step): row for row in sides}
    return list(known.values())


def main() -> int:
    """Write both files."""
    with (HERE / "left_out.csv").open(encoding="utf-8", newline="") as file:
        left_out = {row["id"]: float(row["predicted"]) for row in csv.DictReader(file)}
    found = validate(all_rows()).predicted
    with (HERE / "inside.csv").open("w", encoding="utf-8", newline="") as file:
        file.write("id,inside\n")
        file.writelines(f"{one.row.id},{str(one.inside).lower()}\n" for one in sorted(found, key=lambda p: p.row.id))
    judging = [*found, *validate(fused_sides()).predicted]
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for one in judging:
        if why_apart(one.row):
            continue
        line = judged(one, left_out)
        kind = line.software.partition("-")[0]
        names = {line.software, kind, ""} if one.row.id in left_out else {""}
        for software in names:
            for mode in {line.mode, ""}:
                for width in {line.width, ""}:
                    groups.setdefault((software, mode, width), []).append(line)
    generated = [one for one in judging if one.row.mode == "megakernel-generated"]
    with (HERE / "evidence.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("software", "mode", "width", "rows", "sources", "median_error", "inside", "slower"))
        for key in sorted(groups):
            slower = slower_than_by_hand(generated) if key == ("", "megakernel-generated", "") else ""
            writer.writerow((*key, *group(groups[key]), slower))
    sys.stdout.write(f"{len(groups)} groups, {len(judging)} rows\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
