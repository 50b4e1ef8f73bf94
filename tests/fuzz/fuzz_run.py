"""Fuzz for as long as asked: python tests/fuzz/fuzz_run.py --inputs 100000, or --hours 8; each crash becomes a file.

Inputs are numbered, and the same for the same seed. They run in processes with 2 GB of memory each, and 10 s for an
input. What was tried, how it ended, and how long the slowest took, is written beside this program (result.json).
"""

import argparse
import json
import multiprocessing
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULT = HERE / "result.json"
LONGEST, MOST = 10, 2 << 30  # s of a processor for one input, B of a process
CHUNK = 50  # inputs that a process takes at once
# Shares of the inputs: whole answers take long, and readers are what strangers' files meet.
WEIGHTS = {
    "traces": 4,
    "configs": 3,
    "devices": 1,
    "models": 2,
    "profiles": 1,
    "measurements": 3,
    "studies": 1,
    "words": 1,
    "texts": 2,
    "tools": 1,
    "drafters": 1,
}


class TooSlowError(Exception):
    """An input that took longer than an answer may take."""


def input_of(target: str, seed: int, number: int) -> bytes:
    """Return the input of this number."""
    from fuzz_inputs import mutated, seeds

    found = seeds(target)
    random_ = random.Random(f"{seed} {target} {number}")
    return mutated(random_.choice(found), found, random_)


def outcome(target: str, data: bytes) -> tuple[str, str, float]:
    """Return how an input ended (answered, refused, crashed), the traceback of a crash,
    and its time [s of a processor]."""
    from fuzz_targets import tried

    from perfmodel.errors import OldNameWarning

    def stop(_signal: int, _frame: object) -> None:
        raise TooSlowError

    before = time.process_time()
    signal.signal(signal.SIGPROF, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    signal.alarm(60 * LONGEST)  # of the clock, for one that waits: other processes share the machine
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", OldNameWarning)  # which is meant
            how, why = tried(target, data), ""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 (whatever it is, it is a crash)
        how, why = "crashed", traceback.format_exc(limit=-12)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return how, why, time.process_time() - before


def chunk(task: tuple[str, int, int]) -> list[tuple[str, int, str, str, float, bytes]]:
    """Try the inputs of one chunk; return target, number, how each ended, why, its time, and the bytes of a crash."""
    target, seed, start = task
    ended = []
    for number in range(start, start + CHUNK):
        data = input_of(target, seed, number)
        how, why, took = outcome(target, data)
        ended.append((target, number, how, why, took, data if how == "crashed" else b""))
    return ended


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _tasks(seed: int) -> Any:
    """Yield chunks without end, each target by its weight."""
    starts = Counter[str]()
    while True:
        for target, weight in WEIGHTS.items():
            for _ in range(weight):
                yield target, seed, starts[target]
                starts[target] += CHUNK


def kept(target: str, data: bytes) -> Path:
    """Write an input that crashed where the tests will try it again, and return its path."""
    folder = HERE / "crashes" / target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def main() -> int:
    """Run, print each new kind of crash, and write the result; 1 where there was any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=0, help="inputs to try")
    parser.add_argument("--hours", type=float, default=0.0, help="hours to go on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--target", choices=tuple(WEIGHTS), help="this one only")
    parser.add_argument("--add", action="store_true", help="add to the kept result; for another seed")
    asked = parser.parse_args()
    for target in WEIGHTS:
        if asked.target not in (None, target):
            WEIGHTS[target] = 0
    deadline = time.monotonic() + 3600 * asked.hours if asked.hours else float("inf")
    wanted = asked.inputs or (0 if asked.hours else 10_000)
    ends: dict[str, Counter[str]] = {target: Counter() for target in WEIGHTS}
    slowest: dict[str, float] = dict.fromkeys(WEIGHTS, 0.0)
    places: Counter[str] = Counter()
    done = 0
    with multiprocessing.get_context("spawn").Pool(asked.processes, _bounded, maxtasksperchild=40) as pool:
        for ended in pool.imap_unordered(chunk, _until(_tasks(asked.seed), wanted)):
            if time.monotonic() > deadline:  # the chunks that wait are dropped
                pool.terminate()
                break
            for target, number, how, why, took, data in ended:
                done += 1
                ends[target][how] += 1
                slowest[target] = max(slowest[target], took)
                if done % 1_000 == 0:
                    sys.stderr.write(f"{done:,} tried, {sum(places.values())} crashed\n")
                if how == "crashed":
                    place = f"{target}: {why.strip().splitlines()[-1][:150]}"
                    places[place] += 1
                    if places[place] <= 3:
                        sys.stdout.write(f"{kept(target, data)} ({target} {number}):\n{why}\n")
                        sys.stdout.flush()
    result = {
        "inputs": done,
        "seeds": {str(asked.seed): done},
        "crashed": sum(count["crashed"] for count in ends.values()),
        "targets": {
            target: dict(sorted(count.items())) | {"slowest_s": round(slowest[target], 2)}
            for target, count in ends.items()
            if count
        },
        "places": dict(places.most_common()),
    }
    if asked.add and RESULT.exists():
        result = added(json.loads(RESULT.read_text(encoding="utf-8")), result)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 1 if result["crashed"] else 0


def added(before: dict[str, Any], further: dict[str, Any]) -> dict[str, Any]:
    """Return two results as one: counts summed, the slowest of both."""
    both = dict(before)
    for key, value in further.items():
        if isinstance(value, dict):
            both[key] = added(before.get(key, {}), value)
        else:
            both[key] = max(before.get(key, 0), value) if key == "slowest_s" else before.get(key, 0) + value
    return both


def _until(tasks: Any, wanted: int) -> Any:
    given = 0
    for task in tasks:
        if wanted and given >= wanted:
            return
        given += CHUNK
        yield task


if __name__ == "__main__":
    sys.exit(main())
