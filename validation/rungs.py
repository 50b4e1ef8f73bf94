# ruff: noqa: INP001
"""Print, and write to rungs.csv, how right the rungs of a ladder are from its first one, each source left out.

    python validation/rungs.py

A ladder climbs in devices (tensor parallel) or in the batch; its first rung is measured, which conditions machine and
software, and the others follow. Shares are the mean of the sources' shares, errors the median over the sources.
Doubtful rows are apart.
"""

import sys
from statistics import mean, median
from typing import NamedTuple

from withheld import device_of, question_of, rows_asked, software_without, write_table

from perfmodel.errors import PerfModelError
from perfmodel.estimates.answers import answer_to
from perfmodel.estimates.conditioning import conditioned
from perfmodel.measurements.ladders import ladders_climbing
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import software_of_row, why_apart


class Rung(NamedTuple):
    """A rung above the first: predicted over measured time, less 1, from first principles and from the first."""

    row: Row
    plain: float
    error: float
    inside: bool
    width: float


def rungs(climb: str) -> list[Rung]:
    """Return every rung but the first of each ladder that climbs in 'devices' or 'batch'."""
    found = []
    rows = [row for row in rows_asked() if not why_apart(row)]
    for first, *others in ladders_climbing(rows, climb):
        named = software_without(first.source_id)
        device = device_of(first, named)
        try:
            known = conditioned(question_of(first, device, first, device, measured=True))
        except PerfModelError as error:
            sys.stderr.write(f"{first.id}: {error}\n")
            continue
        for row in others:
            own = device_of(row, named)
            question = question_of(row, own, row, own, measured=False)
            plain, side = answer_to(question).before, answer_to(question, known).before
            inside = side.high.time_per_step <= row.time_per_step <= side.low.time_per_step
            errors = [one.time_per_step / row.time_per_step - 1 for one in (plain, side)]
            found.append(Rung(row, *errors, inside, side.low.time_per_step / side.high.time_per_step))
    return found


def line(name: str, chosen: list[Rung]) -> list[str]:
    """Return a line of the table."""
    sources: dict[str, list[Rung]] = {}
    for rung in chosen:
        sources.setdefault(rung.row.source_id, []).append(rung)
    if not chosen:
        return [name, "0", "0", "", "", "", "", ""]
    near, plain = (
        mean(mean(abs(getattr(r, of)) <= 0.1 for r in own) for own in sources.values()) for of in ("error", "plain")
    )
    error = median(median(abs(r.error) for r in own) for own in sources.values())
    inside = mean(mean(r.inside for r in own) for own in sources.values())
    width = median(median(r.width for r in own) for own in sources.values())
    shares = (f"{near * 100:.0f} %", f"{plain * 100:.0f} %", f"{error * 100:.1f} %", f"{inside * 100:.0f} %")
    return [name, str(len(sources)), str(len(chosen)), *shares, f"{width:.2f}"]


def main() -> int:
    """Print and write the table."""
    devices, batch = rungs("devices"), rungs("batch")
    kind = {id(r): software_of_row(r.row).partition("-")[0] for r in batch}
    groups = (
        ("tensor parallel", devices),
        ("batch, servers", [r for r in batch if kind[id(r)] == "server"]),
        ("batch, llama.cpp", [r for r in batch if kind[id(r)] == "ggml"]),
        ("batch, others", [r for r in batch if kind[id(r)] not in ("server", "ggml")]),
    )
    heads = [
        "rungs above the first",
        "sources",
        "rungs",
        "within 10 %",
        "without the first",
        "median error",
        "inside",
        "width",
    ]
    lines = [heads, *(line(*group) for group in groups)]
    sys.stdout.write(write_table("rungs", lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
