# ruff: noqa: INP001
"""Print how far predictions of sources that a fit has not seen are off, by groups of rows and by pairs of launch modes.

    python validation/goals.py

Reads left_out.csv, which `python validation/fit.py --left-out` writes, and the rows. Medians are over sources, shares
the mean of the sources' shares. Standard library only.
"""

import csv
import math
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

HERE = Path(__file__).resolve().parent
ORDER = ("eager", "stream", "graph", "pdl", "layer-fused", "looped", "megakernel-generated", "megakernel")
Line = dict[str, str]


def lines(name: str) -> list[Line]:
    """Return the lines of a CSV file beside this one."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def error(line: Line) -> float:
    """Return the logarithm of predicted over measured time."""
    return math.log(float(line["predicted"]) / float(line["measured"]))


def by_source(chosen: list[Line]) -> dict[str, list[Line]]:
    """Return lines by their source."""
    found: dict[str, list[Line]] = {}
    for line in chosen:
        found.setdefault(line["source_id"], []).append(line)
    return found


def group(name: str, chosen: list[Line]) -> str:
    """Return a line of the table for a group of rows."""
    sources = [[error(line) for line in members] for members in by_source(chosen).values()]
    if not sources:
        return f"| {name} | 0 | 0 | | | | | |"
    middle = median(median(abs(math.expm1(e)) for e in errors) for errors in sources)
    bias = median(median(errors) for errors in sources)
    half = mean(mean(abs(e) <= math.log(1.5) for e in errors) for errors in sources)
    inside = mean(mean(map(within, members)) for members in by_source(chosen).values())
    wide = median(median(map(width, members)) for members in by_source(chosen).values())
    errors = f"{middle:.1%} | {math.expm1(bias):+.1%} | {half:.0%}"
    return f"| {name} | {len(sources)} | {len(chosen)} | {errors} | {inside:.0%} | {wide:.2f} |"


def within(line: Line) -> bool:
    """Whether the measured time lies between low and high of the prediction."""
    return float(line["low"]) <= float(line["measured"]) <= float(line["high"])


def width(line: Line) -> float:
    """Return high over low of the predicted time."""
    return float(line["high"]) / float(line["low"])


def pairs(rows: dict[str, Line], predicted: list[Line]) -> list[tuple[str, str, float, float]]:
    """Return source, modes, and logarithms of measured and predicted ratio of two launch modes of a question."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    keys = ("source_id", "stack", "model", "hardware", "devices", "parallel", "weight_format", "batch", "context")
    for line in predicted:
        row = rows[line["id"]]
        # Both sides of a pair of pairs.csv have its tag: another pair is another build.
        tag = row["ladder"] if row["class"] == "pair" else ""
        groups.setdefault((*(row[key] for key in keys), tag), []).append(line)
    found = []
    for members in groups.values():
        for i, one in enumerate(members):
            for other in members[:i]:
                if one["mode"] == other["mode"]:
                    continue
                slow, fast = sorted((one, other), key=lambda line: ORDER.index(line["mode"]))
                measured = math.log(float(slow["measured"]) / float(fast["measured"]))
                asked = math.log(float(slow["predicted"]) / float(fast["predicted"]))
                if abs(measured) > 0.01:
                    found.append((slow["source_id"], f"{slow['mode']} to {fast['mode']}", measured, asked))
    return found


def main() -> int:
    """Print both tables."""
    rows = {row["id"]: row for name in ("rows.csv", "pairs.csv") for row in lines(name)}
    predicted = lines("left_out.csv")
    tests: list[tuple[str, Callable[[Line], bool]]] = [
        ("all", bool),
        ("all but pairs", lambda line: rows[line["id"]]["class"] != "pair"),
        (
            "well-made 16 bit, trust A and B",
            lambda line: rows[line["id"]]["class"] == "well-made-16-bit" and rows[line["id"]]["trust"] in "AB",
        ),
        ("quantised", lambda line: rows[line["id"]]["class"] == "quantised"),
        ("batch", lambda line: rows[line["id"]]["class"] == "batch"),
        ("eager", lambda line: rows[line["id"]]["class"] == "eager"),
        ("servers of 2025 and 2026", lambda line: line["software"] in ("server-2025", "server-2026")),
    ]
    out = ["| rows, each source left out | sources | rows | median error | bias | within 1.5 x | inside | width |"]
    out.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    out += [group(name, [line for line in predicted if test(line)]) for name, test in tests]
    out += ["", "| pairs of launch modes | sources | pairs | order right | ratio within 15 % |"]
    out.append("| --- | ---: | ---: | ---: | ---: |")
    found = pairs(rows, predicted)
    for modes in ("", *sorted({pair[1] for pair in found})):
        chosen = [pair for pair in found if modes in ("", pair[1])]
        sources = {source: [p for p in chosen if p[0] == source] for source in {p[0] for p in chosen}}
        order = mean(mean((m > 0) == (a > 0) for _, _, m, a in members) for members in sources.values())
        near = mean(mean(abs(math.expm1(a - m)) <= 0.15 for _, _, m, a in members) for members in sources.values())
        out.append(f"| {modes or 'all'} | {len(sources)} | {len(chosen)} | {order:.0%} | {near:.0%} |")
    sys.stdout.write("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
