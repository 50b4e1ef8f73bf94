"""Try random pairs of questions that differ in one parameter: python tests/monotony/monotony_run.py --pairs 200000.

A development program, run by `make monotony`. What was tried, by key, and every pair that went against its direction,
is written beside this program (result.json). The pairs are the same for the same seed.
"""

import argparse
import json
import multiprocessing
import sys
from collections import Counter
from pathlib import Path

from pairs import ELSEWHERE, ROUNDING, Tried, directed, tried, tried_anew

HERE = Path(__file__).parent
EACH = 50  # pairs of one question
ANEW = 400  # one pair in so many is asked anew


def tasks(seed: int, pairs: int) -> list[tuple[str, int]]:
    """Return what to try, by seed and number of pairs; 0 for one that is asked anew."""
    anew = pairs // ANEW
    recorded = -(-(pairs - anew) // EACH)
    return [(f"{seed} {i}", EACH) for i in range(recorded)] + [(f"{seed} anew {i}", 0) for i in range(anew)]


def done(task: tuple[str, int]) -> Tried:
    """Try one task."""
    seed, pairs = task
    return tried(seed, pairs) if pairs else tried_anew(seed)


def joined(parts: list[Tried]) -> Tried:
    """Return what all parts gave together."""
    keys = Counter[str]()
    for part in parts:
        keys.update(part.keys)
    moved, recut = sum(part.moved for part in parts), sum(part.recut for part in parts)
    return Tried(keys, moved, [one for part in parts for one in part.against], recut)


def main() -> int:
    """Run, write the result, and return 1 where a pair went against its direction or a key was never tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    asked = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(asked.processes) as pool:
        found = joined(pool.map(done, tasks(asked.seed, asked.pairs), chunksize=20))
    untried = sorted(directed() - set(found.keys) - set(ELSEWHERE))
    result = {
        "pairs": found.keys.total(),
        "seed": asked.seed,
        "rounding": ROUNDING,
        "moved": found.moved,
        "recut": found.recut,
        "against": [one._asdict() for one in found.against],
        "untried": untried,
        "keys": dict(sorted(found.keys.items())),
    }
    text = json.dumps(result, indent=2) + "\n"
    (HERE / "result.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if found.against or untried else 0


if __name__ == "__main__":
    sys.exit(main())
