# ruff: noqa: INP001
"""Write how far megakernels are off beyond their parameters into software/*.toml, as `spread` of their modes.

    python validation/fused.py

The fit of software sees plain calls alone. What kernels of a mode's own are off by is the same whatever the software:
the half-width with which intervals hold a share of a source's rows nearest to INSIDE, each source counted once. Loops
have none of their own: sources of loops by hand lie inside, two of Neuron's compiler at twice the time. Imported by
writing.py.
"""

import math
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

import tomlkit

from perfmodel.errors import PerfModelError
from perfmodel.estimates.intervals import ends_of
from perfmodel.estimates.known import BEYOND, beyond_parts
from perfmodel.measurements.rows import Row, all_rows, read_rows
from perfmodel.measurements.stacks import prepared_row, why_apart
from perfmodel.specifications.software import find_software

HERE = Path(__file__).resolve().parent
SOFTWARE = HERE.parent / "software"
MODES = ("megakernel-generated", "megakernel")
# Modes of fused kernels, which the fit does not see.
FUSED = ("looped", *MODES)
# Share of the rows of a source that its interval should hold, averaged over sources.
INSIDE = 0.85
SOURCE = "own_kernels"


def off(row: Row) -> tuple[float, float]:
    """Return the logarithm of predicted over measured time, and the half-width that its parameters give [-]."""
    prepared = prepared_row(row)
    known = prepared.recording.run({"batch": row.batch, "context": row.context, "tokens": 1})
    ends = ends_of(prepared.recording, known, {})
    time = prepared.recording.terms(known)[0].total()
    return math.log(time / row.time_per_step), math.log(ends.before_slow / ends.before_fast) / 2


def spread_of(mode: str, rows: list[Row]) -> tuple[float, str]:
    """Return the spread of a mode's own kernels [-], and the sources that tell it."""
    sources: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row.mode != mode or why_apart(row):
            continue
        try:
            if beyond_parts(prepared_row(row).hardware, mode):
                sources[row.source_id].append(off(row))
        except PerfModelError as error:
            sys.stderr.write(f"{row.id}: {error}\n")

    def inside(deviation: float) -> float:
        return mean(mean(abs(error) <= math.hypot(half, deviation) for error, half in own) for own in sources.values())

    total = min((step / 200 for step in range(200)), key=lambda deviation: abs(inside(deviation) - INSIDE))
    noise = find_software("engine").values[BEYOND[1]].value
    named = ", ".join(f"{source} {len(each)}" for source, each in sorted(sources.items()))
    return math.sqrt(max(total**2 - noise**2, 0.0)), f"{mode}: {inside(total):.0%} inside of rows of {named}"


def with_kernels(text: str, spreads: Mapping[str, float], source: str) -> str:
    """Return the text of a software file with the spreads of modes' own kernels; source: the rows that say so."""
    if not spreads:
        return text
    text = re.sub(rf'^{SOURCE} = ".*"\n', "", text, flags=re.MULTILINE)
    text = re.sub(rf"^\[modes\.({'|'.join(MODES)})\]\nspread = .*\n\n", "", text, flags=re.MULTILINE)
    text = text.replace("\n[software]\n", f'{SOURCE} = "{source}"\n\n[software]\n', 1)
    told = "".join(
        f'[modes.{mode}]\nspread = {{ value = {spread:.4g}, kind = "derived", source = "{SOURCE}" }}\n\n'
        for mode, spread in spreads.items()
    )
    head, mark, rest = text.partition("[on.")
    return f"{head}{told}{mark}{rest}"


def written_kernels(name: str) -> tuple[dict[str, float], str]:
    """Return the spreads of modes' own kernels that the package's file of a software has, and their source."""
    path = SOFTWARE / f"{name}.toml"
    held = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap() if path.exists() else {}
    spreads = {mode: held.get("modes", {}).get(mode, {}).get("spread") for mode in MODES}
    return {mode: told["value"] for mode, told in spreads.items() if told}, held.get("sources", {}).get(SOURCE, "")


def main() -> int:
    """Print the spreads, and write them into every file of software/."""
    rows = [*all_rows(), *read_rows(HERE / "pairs.csv")]
    found = {mode: spread_of(mode, rows) for mode in MODES}
    for mode, (spread, source) in found.items():
        sys.stdout.write(f"{mode}: {spread:.4f}: {source}\n")
    spreads = {mode: spread for mode, (spread, _) in found.items()}
    source = "; ".join(told for _, told in found.values())
    for path in sorted(SOFTWARE.glob("*.toml")):
        path.write_text(with_kernels(path.read_text(encoding="utf-8"), spreads, source), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
