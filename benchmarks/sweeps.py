"""Points a second of sweeps on one core, CSV rows a second, and memory, beside a plain numpy copy of the same output.

In memory: time per step of both sides with their bounds, and the speed-up with its interval. Goals: 18 million points
a second on batch x context x stage cost on SN40L and 15 on H100, 3 where every parameter of every point differs; CSV
300,000 rows a second with the default columns and 60,000 with all; memory that does not grow with the rows. Times are
those of the processor, so that others at work on the machine disturb less; a core that shares its cache and its units
is slower. `--cores` asks grids of 12.8 and 32 million points on one core and on two instead, by the clock, for which
nobody else may be at work. Goals: 1.8 times as fast, and 600,000 rows of CSV a second.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy

from perfmodel import sweep
from perfmodel.estimates.conditioning import ask
from perfmodel.numbers.machinecode import available
from perfmodel.specifications.parameters import lookup
from perfmodel.sweeps.cases import Case, Points
from perfmodel.sweeps.columns import block_columns
from perfmodel.sweeps.grids import BLOCK, blocks
from perfmodel.sweeps.sweeps import make_grid

FIGURES = [f"{side}{end}.time_per_step" for side in ("before", "after") for end in ("", ".low", ".high")] + [
    "speedup.value",
    "speedup.low",
    "speedup.high",
]
MEMORY = """
import sys
from pathlib import Path
from perfmodel.commands.sweeping import _write
from perfmodel.sweeps.sweeps import make_grid
axis = f"0us:4us:{int(sys.argv[1])}"
grid = make_grid("llama-3.1-8b", "sn40l", batch="1:100:+1", context="1024:102400:+1024",
                 parameters={"modes.looped.stage": axis})
_write(grid, Path(sys.argv[2]), "csv", "benchmark", resume=False)
# Since the program began: what a process inherits from the one that started it is in ru_maxrss.
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024)
"""
GRID = {"batch": "1:100:+1", "context": "1024:32768:32"}


def in_memory(label: str, model: str, hardware: str, **keys: object) -> None:
    """Best of three, the memory of the last answer given back before the next."""
    best, copying, rows = 1e9, 1e9, 0
    for _ in range(3):
        start = time.process_time()
        found = sweep(model, hardware, columns=FIGURES, jobs=1, **keys)
        best, rows = min(best, time.process_time() - start), len(found)
        start = time.process_time()
        copies = [values.copy() for values in found.columns.values()]
        copying = min(copying, time.process_time() - start)
        del found, copies
    print(f"{label:58s} {rows / best / 1e6:8.2f} million points/s; a copy of the output {rows / copying / 1e6:8.1f}")


def in_blocks(label: str, model: str, hardware: str, **keys: object) -> None:
    """Block after block into the same memory, as one does who keeps only what a grid comes to."""
    grid = make_grid(model, hardware, columns=FIGURES, **keys)
    into: dict[str, object] = {name: numpy.zeros(BLOCK) for name in FIGURES}
    best, copying = 1e9, 1e9
    for _ in range(3):
        start = time.process_time()
        for part in blocks(grid.counts):
            rows = math.prod(last - first for first, last in part)
            block_columns(grid, part, {name: array[:rows] for name, array in into.items()})
        best = min(best, time.process_time() - start)
        other = [numpy.zeros(BLOCK) for _ in FIGURES]
        start = time.process_time()
        for _ in range(100):
            for one, two in zip(other, into.values(), strict=True):
                numpy.copyto(one, two)
        copying = min(copying, time.process_time() - start)
    print(
        f"{f'{label}, in blocks':58s} {grid.size / best / 1e6:8.2f} million points/s; a copy of the output "
        f"{100 * BLOCK / copying / 1e6:8.1f}"
    )


def every_parameter(label: str, model: str, hardware: str, points: int) -> None:
    """Points of which each has a batch, a context and a value of every parameter of its own, all at once."""
    question = ask(model, hardware)
    random = numpy.random.default_rng(1)
    values = {
        "batch": random.integers(1, 64, points).astype(float),
        "context": random.integers(0, 32_768, points).astype(float),
    }
    for assumption in question.assumptions:
        parameter = lookup(assumption.name)
        spread = random.uniform(0.9, 1.1, points) * (assumption.value or 1e-6)
        values[assumption.name] = numpy.minimum(spread, parameter.most)
    case = Case(question, {key: (array.min(), array.max()) for key, array in values.items()}, large=True)
    asked = Points(values, dict.fromkeys(values, 1), (points,), (points,))
    out = {name: numpy.zeros(points) for name in FIGURES}
    best = 1e9
    for _ in range(4):
        start = time.process_time()
        case.answer(asked, frozenset(FIGURES), out)
        best = min(best, time.process_time() - start)
    start = time.process_time()
    for array in out.values():
        array.copy()
    copying = time.process_time() - start
    print(
        f"{f'{label} ({len(values)} arrays)':58s} {points / best / 1e6:8.2f} million points/s; a copy of the output "
        f"{points / copying / 1e6:8.1f}"
    )


def to_file(label: str, columns: str | None) -> None:
    from perfmodel.commands.sweeping import _write
    from perfmodel.sweeps.sweeps import make_grid

    for model, hardware, parameter in (
        ("llama-3.1-8b", "sn40l", "modes.looped.stage"),
        ("llama-3.1-8b", "h100-sxm", "modes.looped.stage"),
    ):
        grid = make_grid(model, hardware, **GRID, parameters={parameter: "1us:5us:120"}, columns=columns)
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            _write(grid, Path(folder) / "a.csv", "csv", "benchmark", resume=False)
            taken = time.process_time() - start
        print(f"{label} {hardware:44s} {grid.size / taken:12,.0f} rows/s")


def two_cores() -> None:
    """The same grids on one core and on two, in memory and to CSV with the default columns, by the clock."""
    from perfmodel.commands.sweeping import _write

    print(f"load of the machine {os.getloadavg()[0]:.2f}")
    keys = GRID | {"parameters": {"modes.looped.stage": "0us:5us:4000"}}
    # In memory so many points that compiling the kernel, on one core, takes a small part.
    more = GRID | {"parameters": {"modes.looped.stage": "0us:5us:10000"}}
    for hardware in ("sn40l", "h100-sxm"):
        grid, large = (make_grid("llama-3.1-8b", hardware, **each) for each in (keys, more))
        with tempfile.TemporaryDirectory() as folder:
            in_memory = partial(sweep, "llama-3.1-8b", hardware, columns=FIGURES, **more)
            to_text = partial(_write, grid, Path(folder) / "a.csv", "csv", "benchmark", resume=False)
            for what, task, size in (("in memory", in_memory, large.size), ("CSV", to_text, grid.size)):
                best = {1: math.inf, 2: math.inf}
                for jobs in (1, 2) * 3:
                    start = time.perf_counter()
                    task(jobs=jobs)
                    best[jobs] = min(best[jobs], time.perf_counter() - start)
                one, two = (size / best[jobs] for jobs in (1, 2))
                print(f"{hardware + ', ' + what:24s} {one:14,.0f} and {two:14,.0f} points/s, {two / one:5.2f} times")


def memory(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(rows // 10_000), f"{folder}/a.csv"],
            capture_output=True,
            text=True,
            check=True,
        )
    print(f"CSV of {rows:12,} rows, default columns: peak memory {float(done.stdout):8.0f} MiB")


def main() -> None:
    if "--cores" in sys.argv:
        two_cores()
        return
    stage = {"parameters": {"modes.looped.stage": "0us:5us:4000"}}
    print(f"kernels are {'compiled' if available() else 'not compiled: llvmlite is not installed'}")
    in_memory("sn40l, batch x context x stage", "llama-3.1-8b", "sn40l", **GRID, **stage)
    in_memory("sn40l x 8, batch x context x stage", "llama-3.1-8b", "sn40l", devices=8, **GRID, **stage)
    in_memory("h100-sxm, batch x context x stage", "llama-3.1-8b", "h100-sxm", **GRID, **stage)
    in_memory(
        "h100-sxm, batch x context x boundary",
        "llama-3.1-8b",
        "h100-sxm",
        **GRID,
        parameters={"modes.graph.boundary": "0us:5us:4000"},
    )
    in_blocks("sn40l, batch x context x stage", "llama-3.1-8b", "sn40l", **GRID, **stage)
    in_blocks("h100-sxm, batch x context x stage", "llama-3.1-8b", "h100-sxm", **GRID, **stage)
    in_blocks(
        "h100-sxm, batch x context x boundary",
        "llama-3.1-8b",
        "h100-sxm",
        **GRID,
        parameters={"modes.graph.boundary": "0us:5us:4000"},
    )
    every_parameter("sn40l, every parameter of every point differs", "llama-3.1-8b", "sn40l", 500_000)
    every_parameter("h100-sxm, every parameter of every point differs", "llama-3.1-8b", "h100-sxm", 500_000)
    in_memory(
        "sn40l, a list of stage costs",
        "llama-3.1-8b",
        "sn40l",
        parameters={"modes.looped.stage": numpy.linspace(0, 5e-6, 1_000_000)},
    )
    to_file("CSV, default columns, ", None)
    to_file("CSV, all columns,     ", "all")
    if "--memory" in sys.argv:
        memory(1_000_000)
        memory(10_000_000)


if __name__ == "__main__":
    main()
