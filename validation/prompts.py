# ruff: noqa: INP001, T201
"""Fit what kernels reach with a prompt on prompts.csv, each source left out in turn, and say how far the rates are off.

    python validation/prompts.py

Of each row the time to process the prompt on an empty cache is predicted. Left out are whole sources; of the one source
that
measured many cards, also each card: "a card unseen".
"""

import csv
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy

from perfmodel import equations
from perfmodel.estimates.prepared import prepare_question
from perfmodel.estimates.prompting import kernels_of
from perfmodel.estimates.prompts import prompt_terms
from perfmodel.estimates.question import read_question
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.numbers.python import function_of
from perfmodel.numbers.recorded import Recorder, operand

sys.path.insert(0, str(Path(__file__).resolve().parent))
from figures import grouped, said

HERE = Path(__file__).resolve().parent
SHARES = [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9]
HALVES = [0.0, 10.0, 20.0, 30.0, 45.0, 70.0, 110.0, 160.0, 230.0]
EFFICIENCIES = [0.35e12, 0.5e12, 0.7e12, 0.85e12, 1e12, 1.2e12, 1.5e12, 1e18]
OVERLAPS = [0.0, 0.2, 0.4, 0.6, 0.8]
# Of software of which no pipeline is left: llama.cpp hands chunks on without waiting (pull 6017).
MECHANISM = 0.8
# What all rows of other kernels together weigh, in rows.
OTHERS = 1.0
FITTED = ("prompts.share", "prompts.half", "prompts.power_rate")
# The place of the rate that a power limit allows.
POWER = 2
# Fits whose errors are within this factor of the least do equally well.
EQUAL = 1.05
# Of an interval, high over low.
WIDTH = 2.5
Reached = tuple[float, float, float]


class Row(NamedTuple):
    """A measured prompt.

    timed: gives its time [s] at a share, half rows and operations a joule, without any overlap of chunks; saving: what
    whole overlap would save of that, as a share of it; felt: whether a power limit is part of it.
    """

    id: str
    source: str
    card: str
    kernels: str
    served: bool
    time: float
    timed: Callable[[Reached], float]
    saving: float
    felt: bool

    def off(self, reached: Reached, overlap: float) -> float:
        """Return the logarithm of predicted over measured time."""
        return math.log(self.timed(reached) * (1 - overlap * self.saving) / self.time)


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """Return the rows that are asked."""
    with (HERE / "prompts.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_asked(row) for row in csv.DictReader(file) if not row["dropped"])


def _asked(row: dict[str, str]) -> Row:
    question = read_question(
        row["model"],
        row["hardware"],
        devices=int(row["devices"]),
        parallel=row["parallel"] or None,
        weights=row["weight_format"],
        software=row["software"] if row["software"].startswith("ggml") else None,
        batch=int(row["batch"]),
        context=0,
        prompt=int(row["prompt"]),
        chunk=int(row["chunk"]) if row["chunk"] else None,
    )
    assert question.prompt is not None  # noqa: S101
    prepared = prepare_question(question)
    recording, recorder = prepared.prompting, Recorder()
    free = {each.path: name for name, each in recording.inputs.items() if each.path in FITTED}
    names = ("batch", "context", "tokens", *free.values())
    known = recording.run(dict(zip(names, recorder.inputs(names), strict=True)))
    results = [operand(term) for term in recording.terms(known)[0]]
    step = function_of(recorder.needed(results), names, results)
    order = [FITTED.index(path) for path in free]
    tokens, chunk = question.prompt
    power = question.hardware.values["power.tdp"].value if "power.tdp" in question.hardware.values else 0.0

    @lru_cache(maxsize=4096)
    def timed(reached: Reached) -> float:
        numbers = [reached[place] * (power if place == POWER else 1.0) for place in order]

        def both(batch: int, context: int, new: int) -> tuple[float, ...]:
            return (*step(batch, context, new, *numbers), *[0.0] * len(TERM_NAMES))

        return sum(prompt_terms(both, question.batch, question.context, tokens, chunk))

    steps, stages = -(-tokens // chunk), question.parallel.pipeline
    saving = 1 - equations.chunked_time(1 / steps, 1 / steps / stages, steps, 1.0)
    return Row(
        row["id"],
        row["source_id"],
        row["hardware"],
        kernels_of(question.hardware, question.formats),
        row["software"] == "server",
        float(row["time"]),
        timed,
        saving,
        POWER in order,
    )


@cache
def errors_of(row: Row) -> Any:
    """Return the logarithm of predicted over measured time at each share, half rows, operations a joule; no overlap."""
    efficiencies = EFFICIENCIES if row.felt else EFFICIENCIES[-1:]
    found = [[[row.off((s, h, e), 0.0) for e in efficiencies] for h in HALVES] for s in SHARES]
    return numpy.broadcast_to(numpy.array(found), (len(SHARES), len(HALVES), len(EFFICIENCIES)))


def fitted(found: Sequence[Row], others: Sequence[Row]) -> tuple[Reached, float]:
    """Return what gives the least sum of absolute errors: share, half rows, operations a joule; then the overlap.

    others: rows of other kernels, which decide where the own ones say nothing.
    """
    alone = [row for row in found if not row.saving] or list(found)
    error = sum(abs(errors_of(row)) for row in alone)
    if others:
        error = error + OTHERS / len(others) * sum(abs(errors_of(row)) for row in others)
    # Of those that do equally well, the one in the middle.
    good = numpy.argwhere(error <= error.min() * EQUAL)
    share, half, efficiency = good[numpy.argmin(((good - good.mean(0)) ** 2).sum(1))]
    reached = SHARES[share], HALVES[half], EFFICIENCIES[efficiency]
    split = [row for row in found if row.saving]
    overlap = min(OVERLAPS, key=lambda one: sum(abs(row.off(reached, one)) for row in split)) if split else MECHANISM
    return reached, overlap


def left_out(key: Callable[[Row], Any]) -> list[tuple[Row, float]]:
    """Return each row with the logarithm of predicted over measured time, all rows of its group left out of the fit.

    Where no other row has its kernels, what the package assumes is left, which rests on them: such a row is not
    counted.
    """
    errors = []
    for kernels, alike in grouped(rows(), lambda row: (row.kernels, row.served)).items():
        for group, own in grouped(alike, key).items():
            left = [row for row in rows() if key(row) != group]
            others = [row for row in left if row in alike]
            if others:
                fit = fitted(others, _of_other_kernels(left, kernels))
                errors += [(row, row.off(*fit)) for row in own]
            else:
                print(f"  only source of its kernels: {group} ({' '.join(map(str, kernels))}, {len(own)} rows)")
    return errors


def _of_other_kernels(found: Iterable[Row], kernels: tuple[str, bool]) -> list[Row]:
    """Return the rows of engines, without pipelines, that have other kernels."""
    return [row for row in found if (row.kernels, row.served) != kernels and not row.served and not row.saving]


def main() -> int:
    """Print what is fitted and the figures."""
    print("fitted on all rows: kernels, share [-], half [rows], operations a joule, overlap [-], rows")
    for (kernels, served), own in sorted(grouped(rows(), lambda row: (row.kernels, row.served)).items()):
        reached, overlap = fitted(own, _of_other_kernels(rows(), (kernels, served)))
        errors = [row.off(reached, overlap) for row in own]
        print(" ", f"{kernels}{' served' if served else ''}:", *reached, overlap, said("", errors, WIDTH))
    for title, key in (("sources left out", lambda row: row.source), ("cards left out", lambda row: row.card)):
        print(title)
        errors = left_out(key)
        print(" ", said("engines", [error for row, error in errors if not row.served], WIDTH))
        print(
            " ", said("servers, first token as a client sees it", [error for row, error in errors if row.served], WIDTH)
        )
        for kernels, own in sorted(
            grouped((row for row, _ in errors if not row.served), lambda row: row.kernels).items()
        ):
            print("   ", said(kernels, [error for row, error in errors if row in own], WIDTH))
    return 0


if __name__ == "__main__":
    sys.exit(main())
