"""Find the loops in a sequence of calls: the repeats that leave the fewest calls."""

from collections.abc import Hashable, Sequence
from functools import lru_cache

import msgspec


class Run(msgspec.Struct, frozen=True):
    """A part of a sequence: `count` repeats of the `body` items from `start`. A run of one is a call left alone."""

    start: int
    body: int
    count: int

    @property
    def stop(self) -> int:
        """Index after the last item."""
        return self.start + self.body * self.count


def find_loops(signatures: Sequence[Hashable]) -> list[Run]:
    """Cut `signatures` into runs so that the fewest are left, ties to the shortest bodies, then to the earliest.

    Each run becomes one call. The runs, unrolled in order, give back the sequence. Takes time in the
    square of the length, once for each pattern.
    """
    return list(_cut(tuple(signatures)))


@lru_cache(maxsize=256)
def _cut(signatures: tuple[Hashable, ...]) -> tuple[Run, ...]:
    length = len(signatures)
    # best[i]: runs and summed body lengths of the best cut of signatures[i:], and the first run of it.
    best: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)] * (length + 1)
    for start in range(length - 1, -1, -1):
        rest = best[start + 1]
        choice = (rest[0] + 1, rest[1] + 1, 1, 1)
        for size, period in enumerate(_smallest_periods(signatures, start), start=1):
            if period < size and size % period == 0:
                rest = best[start + size]
                cut = (rest[0] + 1, rest[1] + period, period, size // period)
                # On a tie the longer first run wins, so that the loop starts as early as it can.
                if cut[:2] <= choice[:2]:
                    choice = cut
        best[start] = choice
    runs: list[Run] = []
    start = 0
    while start < length:
        runs.append(Run(start, best[start][2], best[start][3]))
        start = runs[-1].stop
    return tuple(runs)


def _smallest_periods(signatures: Sequence[Hashable], start: int) -> list[int]:
    """Return the smallest period of signatures[start : start + size] for each size from 1, by its borders."""
    border = [0]
    periods = [1]
    for size in range(2, len(signatures) - start + 1):
        item = signatures[start + size - 1]
        length = border[-1]
        while length and signatures[start + length] != item:
            length = border[length - 1]
        if signatures[start + length] == item:
            length += 1
        border.append(length)
        periods.append(size - length)
    return periods
