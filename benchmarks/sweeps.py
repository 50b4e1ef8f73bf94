"""Points a second of sweeps on one core, CSV rows a second, and memory, beside a plain numpy copy of the same output.

In memory: time per step of both sides with their bounds, and the speed-up with its interval. Goals: 20 million
points a second on batch x context x stage cost, 3 million where every point differs in every axis; CSV 300,000
rows a second with the default columns and 60,000 with all; memory that does not grow with the rows.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

from perfmodel import sweep

FIGURES = [f"{side}{end}.time_per_step" for side in ("before", "after") for end in ("", ".low", ".high")] + ["speedup.value", "speedup.low", "speedup.high"]
MEMORY = """
import resource, sys
from pathlib import Path
from perfmodel.commands.sweeping import _write
from perfmodel.sweeps import make_grid
grid = make_grid("llama-3.1-8b", "sn40l", batch="1:100:+1", context="1024:102400:+1024", parameters={"modes.looped.stage": f"0us:4us:{int(sys.argv[1])}"})
_write(grid, Path(sys.argv[2]), "csv", "benchmark", resume=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
GRID = {"batch": "1:100:+1", "context": "1024:32768:32"}


def in_memory(label: str, model: str, hardware: str, **keys: object) -> None:
    sweep(model, hardware, columns=FIGURES, **(keys | {"batch": 1}))
    start = time.perf_counter()
    found = sweep(model, hardware, columns=FIGURES, **keys)
    taken = time.perf_counter() - start
    start = time.perf_counter()
    copies = [values.copy() for values in found.columns.values()]
    copying = time.perf_counter() - start
    print(f"{label:58s} {len(found) / taken / 1e6:8.2f} million points/s; a copy of the output {len(copies[0]) / copying / 1e6:8.1f}")


def to_file(label: str, columns: str | None) -> None:
    from perfmodel.commands.sweeping import _write
    from perfmodel.sweeps import make_grid

    for model, hardware, parameter in (("llama-3.1-8b", "sn40l", "modes.looped.stage"), ("llama-3.1-8b", "h100-sxm", "modes.looped.stage")):
        grid = make_grid(model, hardware, **GRID, parameters={parameter: "1us:5us:120"}, columns=columns)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            _write(grid, Path(folder) / "a.csv", "csv", "benchmark", resume=False)
            taken = time.perf_counter() - start
        print(f"{label} {hardware:44s} {grid.size / taken:12,.0f} rows/s")


def memory(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-c", MEMORY, str(rows // 10_000), f"{folder}/a.csv"], capture_output=True, text=True, check=True)
    print(f"CSV of {rows:12,} rows, default columns: peak memory {float(done.stdout):8.0f} MiB")


def main() -> None:
    stage = {"parameters": {"modes.looped.stage": "0us:5us:1000"}}
    in_memory("sn40l, batch x context x stage", "llama-3.1-8b", "sn40l", **GRID, **stage)
    in_memory("sn40l x 8, batch x context x stage", "llama-3.1-8b", "sn40l", devices=8, **GRID, **stage)
    in_memory("h100-sxm, batch x context x stage", "llama-3.1-8b", "h100-sxm", **GRID, **stage)
    in_memory("h100-sxm, batch x context x boundary", "llama-3.1-8b", "h100-sxm", **GRID, parameters={"modes.graph.boundary": "0us:5us:1000"})
    in_memory("sn40l, every point differs", "llama-3.1-8b", "sn40l", parameters={"modes.looped.stage": numpy.linspace(0, 5e-6, 300_000)})
    to_file("CSV, default columns, ", None)
    to_file("CSV, all columns,     ", "all")
    if "--memory" in sys.argv:
        memory(1_000_000)
        memory(10_000_000)


if __name__ == "__main__":
    main()
