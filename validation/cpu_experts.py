# ruff: noqa: INP001, T201
"""Fit what a host's cores reach with experts on cpu_experts.csv, and say how far rates of a source left out are.

    python validation/cpu_experts.py

Fitted are the share of the host memory's rating that its kernels reach, by sockets, and what a core streams where few
bind.
"""

import csv
import math
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from perfmodel import estimate

sys.path.insert(0, str(Path(__file__).resolve().parent))
from figures import said

HERE = Path(__file__).resolve().parent
SHARES = [0.15 + 0.01 * step for step in range(46)]
STREAMS = [1e9, 1.5e9, 2e9, 2.5e9, 3e9, 4e9, 6e9, 8e9]
WIDTH = 2.5


class Row(NamedTuple):
    """A measured rate.

    rest: time of a token but for the host's cores [s]; size: bytes they read [B]; cores: 0 where unknown.
    """

    id: str
    source: str
    sockets: int
    memory: float
    cores: int
    rate: float
    rest: float
    size: float

    def off(self, share: float, stream: float) -> float:
        """Return the logarithm of predicted over measured rate."""
        reached = share * self.memory
        if self.cores:
            reached = min(reached, self.cores * stream)
        return -math.log((self.rest + self.size / reached) * self.rate)


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """Return the rows that are asked."""
    with (HERE / "cpu_experts.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_asked(row) for row in csv.DictReader(file) if not row["dropped"])


def _asked(row: dict[str, str]) -> Row:
    def time(memory: float) -> float:
        return estimate(
            row["model"],
            row["hardware"],
            devices=int(row["devices"]),
            weights=row["weight_format"],
            context=int(row["context"]),
            software="ggml" if "llama" in row["engine"] else "server",
            offload=f"experts=host:{row['share']}:compute",
            parameters={"tiers.host.memory": memory, "tiers.host.computed": 1.0},
        ).before.time_per_step

    memory, half = float(row["memory"]), float(row["memory"]) / 2
    # The time of the host's cores goes by one over their bandwidth.
    size = (time(half) - time(memory)) / (1 / half - 1 / memory)
    cores = int(row["cores"] or 0)
    return Row(
        row["id"],
        row["source_id"],
        int(row["sockets"]),
        memory,
        cores,
        float(row["rate"]),
        time(memory) - size / memory,
        size,
    )


def fitted(found: Sequence[Row]) -> tuple[float, float]:
    """Return the share, and the stream of a core, with the least sum of absolute errors."""
    share = min(SHARES, key=lambda one: sum(abs(row.off(one, math.inf)) for row in found if not row.cores))
    stream = min(STREAMS, key=lambda one: sum(abs(row.off(share, one)) for row in found if row.cores))
    return share, stream


def left_out() -> list[tuple[Row, float]]:
    """Return each row with the logarithm of predicted over measured rate, its source left out of the fit."""
    errors = []
    for source in dict.fromkeys(row.source for row in rows()):
        fit = fitted([row for row in rows() if row.source != source])
        errors += [(row, row.off(*fit)) for row in rows() if row.source == source]
    return errors


def main() -> int:
    """Print what is fitted and the figures."""
    share, stream = fitted(rows())
    print(f"fitted on all rows: share {share:.2f}, a core {stream / 1e9:g} GB/s")
    for sockets in (1, 2):
        own = [row for row in rows() if row.sockets == sockets]
        print(f"  {sockets} sockets: share {fitted(own)[0]:.2f}, {len(own)} rows")
    errors = left_out()
    print(said("sources left out", [error for _, error in errors], WIDTH))
    for source in dict.fromkeys(row.source for row, _ in errors):
        print(" ", said(source, [error for row, error in errors if row.source == source], WIDTH))
    return 0


if __name__ == "__main__":
    sys.exit(main())
