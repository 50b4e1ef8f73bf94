# ruff: noqa: INP001
"""Print, and write to ratios.csv, how right the ratio of two launch modes is with each source left out of the fit.

    python validation/ratios.py [pairs]

Three ways to ask the same pair. First principles: both sides by the software that their rows name. From the measured
side before (the slower one): its step conditions what the sides share, and the after side runs on the same software.
The same with the after side's own software named. A generated megakernel is asked by the tiles that its maker says it
has, tuned for the model or general, at what other makers of such lose. Shares are the mean of the sources' shares;
doubtful rows are apart.
`pairs` prints every pair.
"""

import math
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from statistics import mean, median
from typing import NamedTuple

from fused import FUSED
from generated import MODE, cost_of_others, maker_of
from withheld import device_of, question_of, rows_asked, software_without, write_table

from perfmodel.errors import PerfModelError
from perfmodel.estimates.answers import answer_to
from perfmodel.estimates.question import Question
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import why_apart
from perfmodel.specifications.parameters import MODES
from perfmodel.specifications.storage import read_weights, spelled

KINDS = (
    ("stream to graph", ("stream",), ("graph",)),
    ("graph or layer-fused to looped or megakernel", ("graph", "layer-fused"), FUSED),
    ("eager to graph", ("eager",), ("graph",)),
    ("eager to megakernel", ("eager",), FUSED),
)
WAYS = ("first principles", "measured before", "measured, after named")


class Asked(NamedTuple):
    """A pair and its predictions: the rows, and by way the ratio with its interval [-]."""

    before: Row
    after: Row
    ways: dict[str, tuple[float, float, float]]

    @property
    def measured(self) -> float:
        """The measured ratio [-]."""
        return self.before.time_per_step / self.after.time_per_step


def pairs() -> Iterator[tuple[Row, Row]]:
    """Yield every two rows of a source and a question in different launch modes that differ by a hundredth or more."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows_asked():
        weights = spelled(read_weights(row.weight_format, row.id)) if row.weight_format else ""
        key = (row.source_id, row.model, row.hardware, row.devices, row.parallel, weights, row.batch, row.context)
        groups.setdefault(key, []).append(row)
    for members in groups.values():
        for one, other in combinations(members, 2):
            before, after = sorted((one, other), key=lambda row: MODES.index(row.mode or "graph"))
            differs = abs(math.log(before.time_per_step / after.time_per_step)) > 0.01
            # In pairs.csv a row is one side of one pair, whatever else its question was asked of.
            apart = before.source_id.startswith("pair-") and set(before.ladder).isdisjoint(after.ladder)
            if before.mode != after.mode and differs and not apart:
                yield before, after


def asked(before: Row, after: Row) -> Asked:
    """Return a pair with its predictions; raise PerfModelError where it cannot be asked."""
    named = software_without(before.source_id)
    device, own = device_of(before, named), device_of(after, named)
    if device.stack == own.stack and before.settings == after.settings:
        own = device
    lost = cost_of_others(maker_of(after), after.source_id) if after.mode == MODE and not after.settings else None
    if lost is not None:
        tiles = {f"modes.{MODE}.stage_matrix": lost}
        device, own = device.replace_values(tiles), own.replace_values(tiles)
    questions: dict[str, Question] = {
        WAYS[0]: question_of(before, device, after, own, measured=False),
        WAYS[1]: question_of(before, device, after, device, measured=True),
        WAYS[2]: question_of(before, device, after, own, measured=True),
    }
    found = {}
    for way, question in questions.items():
        gain = answer_to(question).speedup
        found[way] = (gain.value, gain.low, gain.high)
    return Asked(before, after, found)


def line(name: str, chosen: list[Asked]) -> list[str]:
    """Return a line of the table for one or more pairs of one kind."""
    sources: dict[str, list[Asked]] = {}
    for pair in chosen:
        sources.setdefault(pair.before.source_id, []).append(pair)

    def share(held: Callable[[Asked], bool]) -> str:
        return f"{mean(mean(map(held, own)) for own in sources.values()) * 100:.0f} %"

    cells = [name, str(len(sources)), str(len(chosen))]
    cells.append(share(lambda pair: (pair.ways[WAYS[0]][0] > 1) == (pair.measured > 1)))
    for way in WAYS:
        cells.append(share(lambda pair, way=way: abs(pair.ways[way][0] / pair.measured - 1) <= 0.15))  # type: ignore[misc]
        cells.append(share(lambda pair, way=way: pair.ways[way][1] <= pair.measured <= pair.ways[way][2]))  # type: ignore[misc]
        cells.append(f"{median(median(p.ways[way][2] / p.ways[way][1] for p in own) for own in sources.values()):.2f}")
    return cells


def main(arguments: list[str]) -> int:
    """Print the table, and with `pairs` every pair."""
    found: list[Asked] = []
    apart, refused = 0, 0
    for before, after in pairs():
        if why_apart(before) or why_apart(after):
            apart += 1
            continue
        try:
            found.append(asked(before, after))
        except PerfModelError as error:
            refused += 1
            sys.stderr.write(f"{before.id}, {after.id}: {error}\n")
    lines = []
    known = set()
    for name, one, other in KINDS:
        chosen = [pair for pair in found if pair.before.mode in one and pair.after.mode in other]
        known |= {id(pair) for pair in chosen}
        parts = {
            word: [pair for pair in chosen if (pair.before.stack == pair.after.stack) is alike]
            for alike, word in ((True, "- of one stack"), (False, "- of two stacks"))
        }
        lines.append(line(name, chosen))
        lines += [line(word, part) for word, part in parts.items() if 0 < len(part) < len(chosen)]
    lines += [line("other", [pair for pair in found if id(pair) not in known]), line("all", found)]
    heads = ["pairs", "sources", "pairs asked", "order right"]
    heads += [f"{what}: {way}" for way in WAYS for what in ("within 15 %", "inside", "width")]
    out = [write_table("ratios", [heads, *lines]).rstrip("\n")]
    out.append(f"{apart} pairs with a row that stands apart, {refused} that cannot be asked.")
    if arguments == ["pairs"]:
        for pair in found:
            figures = "  ".join("{:.2f} ({:.2f} to {:.2f})".format(*pair.ways[way]) for way in WAYS)
            modes = f"{pair.before.stack} {pair.before.mode} to {pair.after.stack} {pair.after.mode}"
            out.append(
                f"{pair.before.source_id:24s} {pair.before.id}, {pair.after.id}: {modes}: {pair.measured:.2f}: "
                f"{figures}"
            )
    sys.stdout.write("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
