# ruff: noqa: INP001, T201
"""Fit the costs of drafts on drafts.csv, each source left out in turn, and say how far the predicted gains are off.

    python validation/drafts.py [--write]

With --write the costs of the host go into the files of the kinds of software; what kernels take for a token stands in
perfmodel/estimates/draftcosts.py.

A row is the gain of a stack with drafts over the same stack without. Trees are priced as they run: `steps` drafts one
after the other, then a step that verifies `nodes` of them. The gain is that of the prediction on both sides, nothing of
the row but what was accepted is used; "calibrated" multiplies a stack's other rows by what one of its rows is off.
"""

import csv
import math
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy

from perfmodel import estimate
from perfmodel.estimates.draftcosts import few_token_kernels
from perfmodel.operations.storing import formats_of
from perfmodel.specifications.catalogue import find_hardware, find_model

sys.path.insert(0, str(Path(__file__).resolve().parent))
from figures import grouped, said
from writing import write_drafts

HERE = Path(__file__).resolve().parent
# Parameters that are fitted, with the values that are tried: of kernels for few tokens, and of software.
SHARES = {
    "matrix": [0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.11, 0.15],
    "vector": [0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0],
    "once": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2],
}
HOSTS = [0.0, 1e-4, 2e-4, 3e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1.3e-3]
VERIFY = [0.0, 1e-4, 2e-4, 4e-4, 7e-4, 1e-3, 1.5e-3, 2e-3]
# As drafts.most_tokens has it.
MOST_TOKENS = 8
# What is known of kernels of which no source is left: those that are run once a token read the weights each time.
MECHANISM = {"matrix": 0.02, "vector": 2.0, "once": 1.0}
# Engines of servers that are asked as of 2026; the others are of 2025.
OF_2026 = ("vllm 0.27.1", "vllm 2026-01", "vllm 2026-06")
NEAREST = {"framework": ("server", "ggml"), "server": ("framework", "ggml"), "ggml": ("server", "framework")}
# Fits of shares and of host times follow each other until neither moves.
ROUNDS = 4
# Threads in which each owner of a device measures his own.
THREADS = ("qwen38-mtp",)
# Of an interval, high over low.
WIDTH = 1.6
NOTHING = {
    "drafts.token": 0.0,
    "drafts.operations": 0.0,
    "drafts.host": 0.0,
    "drafts.verify": 0.0,
    "drafts.independence": 0.6,
}


class Row(NamedTuple):
    """A measured gain and what of its step is priced: all times in seconds.

    kernels: for few tokens: matrix, vector or once; software: its kind.
    base: the step without drafts; verified: with them, further tokens free; token: what these add at a share of one of
    streaming, of vector kernels at one operation for each of a matrix; draft: one draft on the device.
    nodes: drafts that a step verifies; steps: those that follow each other.
    """

    id: str
    source: str
    kind: str
    kernels: str
    software: str
    stack: str
    nodes: int
    steps: int
    accepted: float
    gain: float
    base: float
    verified: float
    token: float
    draft: float

    def predicted(self, token: Any, host: Any, verify: Any) -> Any:
        """Return the gain with these costs."""
        time = self.verified + token * self.token + verify + self.steps * (self.draft + host)
        return (self.accepted + 1) * self.base / time

    @property
    def host(self) -> tuple[str, str]:
        """Return the rows whose host does the same: of its kind of software, trees and mixtures apart from chains."""
        return self.software, "chain" if self.kind == "chain" else "tree"


@lru_cache(maxsize=1)
def rows() -> tuple[Row, ...]:
    """Return the rows that are asked, with the times that the prediction gives their parts."""
    with (HERE / "drafts.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_priced(row) for row in csv.DictReader(file) if not row["dropped"])


def _priced(row: dict[str, str]) -> Row:
    kind = row["kernels"].split("-")[0]
    year = ("-2026" if row["engine"] in OF_2026 else "-2025") if kind == "server" else ""
    asked = {
        "batch": int(row["batch"]),
        "context": int(row["context"]),
        "weights": row["weight_format"],
        "devices": int(row["devices"]),
        "parallel": row["parallel"] or None,
        "before": row["mode"] or None,
        "software": kind + year,
    }
    where = (row["model"], row["hardware"])
    nodes, steps, accepted = int(row["nodes"]), int(row["steps"]), float(row["accepted"])
    base = estimate(*where, **asked).before.time_per_step

    def step(**parameters: float) -> float:
        return estimate(
            *where, **asked, draft=nodes, drafter="ngram", acceptance=0.5, parameters=NOTHING | parameters
        ).before.time_per_step

    verified = step()
    kernels = few_token_kernels(
        find_hardware(row["hardware"]), formats_of(find_model(row["model"]), row["weight_format"], None)
    )
    token = (step(**{"drafts.operations" if kernels == "vector" else "drafts.token": 0.1}) - verified) / 0.1
    draft = 0.0
    if row["drafter"] != "ngram" and steps:
        shape = {"drafts.vocabulary": float(row["vocabulary"])} if row["vocabulary"] else {}
        drafted = estimate(
            *where, **asked, draft=steps, drafter=row["drafter"], acceptance=0.5, parameters=NOTHING | shape
        ).before
        draft = (drafted.time_drafting or 0.0) / steps
    return Row(
        row["id"],
        row["source_id"],
        row["class"],
        kernels,
        kind,
        "/".join((row["source_id"], row["model"], row["hardware"], row["engine"])),
        nodes,
        steps,
        accepted,
        float(row["gain"]),
        base,
        verified,
        token,
        draft,
    )


class Costs(NamedTuple):
    """What is fitted: share or operations of each kind of kernels, times of a draft and of a step [s] by host."""

    kernels: dict[str, float]
    hosts: dict[tuple[str, str], tuple[float, float]]

    def of(self, row: Row) -> tuple[float, float, float]:
        """Return the costs of a row; of software that was left out those of the nearest."""
        chain = row.host[1]
        places = [(software, chain) for software in (row.software, *NEAREST[row.software])]
        host, verify = next(self.hosts[place] for place in places if place in self.hosts)
        return self.kernels.get(row.kernels, MECHANISM[row.kernels]), host, verify


def off(row: Row, costs: tuple[Any, Any, Any]) -> Any:
    """Return the logarithm of predicted over measured gain; costs: numbers, or arrays of them."""
    return numpy.log(row.predicted(*costs) / row.gain)


def fitted(found: Sequence[Row]) -> Costs:
    """Return the costs with the least sum of absolute errors; the middle ones of those that do equally well."""
    costs = Costs({}, dict.fromkeys(grouped(found, lambda row: row.host), (0.0003, 0.0002)))
    for _ in range(ROUNDS):
        # Steps of more tokens run kernels for matrices, which say little of these.
        few = [row for row in found if row.nodes < MOST_TOKENS]
        for kernels, own in grouped(few, lambda row: row.kernels).items():
            shares = numpy.array(SHARES[kernels])
            errors = sum(abs(off(row, (shares, *costs.of(row)[1:]))) for row in own)
            costs.kernels[kernels] = float(shares[_best(errors)])
        for place, own in grouped(found, lambda row: row.host).items():
            costs.hosts[place] = _host(costs, own)
    return costs


def _host(costs: Costs, own: Iterable[Row]) -> tuple[float, float]:
    """Return the host times of a draft and of a step [s] that serve these rows best."""
    hosts, verify = (each.ravel() for each in numpy.meshgrid(HOSTS, VERIFY, indexing="ij"))
    best = _best(sum(abs(off(row, (costs.of(row)[0], hosts, verify))) for row in own))
    return float(hosts[best]), float(verify[best])


def _best(errors: Any) -> int:
    """Return the place of the least error; the middle one of those that do equally well."""
    good = numpy.flatnonzero(errors <= errors.min() * 1.02 + 1e-6)
    return int(good[len(good) // 2])


def group_of(row: Row) -> str:
    """Return what is left out together: a source; of the thread to which many add, each owner's device."""
    return f"{row.source}/{row.stack.split('/')[2]}" if row.source in THREADS else row.source


def left_out() -> list[tuple[Row, float]]:
    """Return each row with the logarithm of predicted over measured gain, its group left out of the fit."""
    errors = []
    for group, own in grouped(rows(), group_of).items():
        costs = fitted([row for row in rows() if group_of(row) != group])
        errors += [(row, off(row, costs.of(row))) for row in own]
    return errors


def calibrated(errors: Iterable[tuple[Row, float]]) -> list[float]:
    """Return the errors of all rows of a stack but its middle one, which sets the scale."""
    found = dict(errors)
    moved = []
    for own in grouped(found, lambda row: row.stack).values():
        if len(own) > 1:
            own.sort(key=lambda row: row.steps)
            middle = own[len(own) // 2]
            moved += [found[row] - found[middle] for row in own if row is not middle]
    return moved


def host_ends(costs: Costs, software: str) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Return low, value and high [s] of the host times of chains, and the rows that say so.

    low, high: 5th and 95th percentile of what groups alone say; of software of one source, of all groups.
    """
    chains = [row for row in rows() if row.kind == "chain"]
    own = [row for row in chains if row.software == software]
    sources = grouped(own, lambda row: row.source)
    groups = grouped(own if len(sources) > 1 else chains, group_of).values()
    alone = [_host(costs, found) for found in groups]
    value = costs.hosts[software, "chain"]
    ends = {
        key: (min(value[i], float(low)), value[i], max(value[i], float(high)))
        for i, key in enumerate(("host", "verify"))
        for low, high in [numpy.percentile([one[i] for one in alone], (5, 95))]
    }
    told = ", ".join(f"{source} {len(found)}" for source, found in sources.items())
    return ends, f"{len(own)} chains of validation/drafts.csv: {told}"


def main() -> int:
    """Print the fitted costs and the figures; write the host's with --write."""
    costs = fitted(rows())
    print("fitted on all rows: kernels, what each further token takes [-]")
    for kernels, token in sorted(costs.kernels.items()):
        print(f"  {kernels}: {token:g}")
    print("software, a draft [ms], a step [ms], rows")
    for place, own in sorted(grouped(rows(), lambda row: row.host).items()):
        host, verify = costs.hosts[place]
        print(f"  {' '.join(place)}: {host * 1e3:g}, {verify * 1e3:g}, {len(own)}")
    for software in dict.fromkeys(row.software for row in rows()):
        ends, source = host_ends(costs, software)
        print(f"  {software}: {ends}, {source}")
        if "--write" in sys.argv[1:]:
            write_drafts(software, ends, source)
    errors = left_out()
    plain = [off(row, (0.0, 0.0, 0.0)) for row in rows()]
    print(f"without these costs the gain is {math.expm1(median(plain)):+.0%} off in the median")
    print("sources left out")
    for name, kinds in (("dense chains", ("chain",)), ("trees and mixtures", ("tree", "mixture"))):
        chosen = [(row, error) for row, error in errors if row.kind in kinds]
        print(" ", said(name, [error for _, error in chosen], WIDTH))
        print(" ", said(f"{name}, from one row of the stack", calibrated(chosen), WIDTH))
    for kernels, own in sorted(grouped((row for row, _ in errors), lambda row: (row.kernels, *row.host)).items()):
        print("   ", said(" ".join(kernels), [error for row, error in errors if row in own], WIDTH))
    return 0


if __name__ == "__main__":
    sys.exit(main())
