"""All benchmarks in one table, each beside what was pinned last: python benchmarks/benchmark.py [--pin].

Times are those of the processor, the best of some rounds, as ratios: estimates in turns of a bare Python loop, a fresh
process in times of a fresh `import typer`, sweeps as a share of a copy of their output. `--pin` keeps the figures in
pinned.json. estimates.py, startup.py and sweeps.py beside it say more of each.
"""

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy

from perfmodel import estimate, find_hardware, find_model, sweep

HERE = Path(__file__).parent
PINNED = HERE / "pinned.json"
ROUNDS = 5
LLAMA = "llama-3.1-8b"
ESTIMATES = {
    "H100": ("h100-sxm", {}),
    "eight H100": ("h100-sxm", {"devices": 8}),
    "H100 to a megakernel": ("h100-sxm", {"after": "megakernel"}),
    "eight SN40L": ("sn40l", {"devices": 8}),
}
ASKED = ["-m", "perfmodel", "estimate", LLAMA, "sn40l", "--devices", "8"]
STARTS = {
    "import typer": ["-c", "import typer"],
    "estimate --csv": [*ASKED, "--csv"],
    "estimate --json": [*ASKED, "--json"],
    "estimate as a table": ASKED,
    "models list": ["-m", "perfmodel", "models", "list"],
}
FIGURES = [f"{side}{end}.time_per_step" for side in ("before", "after") for end in ("", ".low", ".high")]
FIGURES += ["speedup.value", "speedup.low", "speedup.high"]
# The most memory since the program began: what is inherited from the process that started it does not count.
MEMORY = """
import sys
from pathlib import Path
from perfmodel.commands.sweeping import _write
from perfmodel.sweeps.sweeps import make_grid
axis = f"0us:4us:{sys.argv[1]}"
grid = make_grid("llama-3.1-8b", "sn40l", batch="1:100:+1", context="1024:102400:+1024",
                 parameters={"modes.looped.stage": axis})
_write(grid, Path(sys.argv[2]), "csv", "benchmark", resume=False)
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)
"""


def least(task: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least time of the processor that a task took [s]."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        task()
        best = min(best, time.process_time() - start)
    return best


def turns() -> None:
    """A million turns of a bare loop."""
    total = 0.0
    for i in range(1_000_000):
        total += i * 1.5


def estimates() -> dict[str, float]:
    """Return what one estimate takes, each of another batch and context [turns of the loop]."""
    found = {}
    for name, (hardware, options) in ESTIMATES.items():

        def ask(hardware: str = hardware, options: dict = options) -> None:
            for i in range(1000):
                estimate(LLAMA, hardware, batch=1 + i % 7, context=1000 + i, **options)

        ask()
        found[f"estimate, {name} [turns]"] = 1e3 * least(ask) / least(turns)
    return found


def firsts() -> dict[str, float]:
    """Return what the first two estimates of a question take [ms]."""
    found = {}
    estimate("qwen3-8b", "a10")  # what any question loads
    for model in (LLAMA, "deepseek-v3"):
        find_model(model), find_hardware("h200-sxm")
        for count, which in ((1, "first"), (2, "second")):
            task = lambda model=model, count=count: estimate(model, "h200-sxm", devices=8, batch=count)  # noqa: E731
            found[f"{which} estimate of {model} [ms]"] = 1e3 * least(task, 1)
    return found


def starts() -> dict[str, float]:
    """Return what a fresh process takes [times a fresh import of typer]."""
    compileall.compile_dir(HERE.parent / "perfmodel", quiet=1)
    compileall.compile_file(HERE.parent / "cli.py", quiet=1)
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    best = dict.fromkeys(STARTS, float("inf"))
    for _ in range(ROUNDS):
        for name, words in STARTS.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best[name] = min(best[name], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {f"{name} [x typer]": best[name] / best["import typer"] for name in list(STARTS)[1:]}


def sweeps() -> dict[str, float]:
    """Return points a second of nine columns [millions],
    and the time of the sweep beside that of a copy of its output."""
    found = {}
    for hardware, stage in (("sn40l", "modes.looped.stage"), ("h100-sxm", "modes.looped.stage")):
        grid = {"batch": "1:100:+1", "context": "1024:32768:32", "parameters": {stage: "1us:5us:400"}}
        kept = {}

        def ask(hardware: str = hardware, grid: dict = grid, kept: dict = kept) -> None:
            kept["answer"] = sweep(LLAMA, hardware, columns=FIGURES, jobs=1, **grid)

        took = least(ask, 3)
        values = list(kept["answer"].columns.values())
        copying = least(lambda values=values: [numpy.copy(one) for one in values], 3)
        found[f"sweep, {hardware} [million points/s]"] = len(kept["answer"]) / took / 1e6
        found[f"sweep, {hardware} [copies of its output]"] = took / copying
    return found


def memory() -> dict[str, float]:
    """Return the memory of a sweep to CSV of 2.4 million rows beside that of 600,000 [-]."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    sizes = []
    for stages in ("60", "240"):
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-c", MEMORY, stages, f"{folder}/swept.csv"]
            done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
        sizes.append(int(done.stdout.split()[-1]))
    return {"memory of 2.4 million rows [x that of 600,000]": sizes[1] / sizes[0]}


def main() -> None:
    """Measure, print the table, and keep the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pin", action="store_true", help="keep the figures as those to compare with")
    asked = parser.parse_args()
    pinned = json.loads(PINNED.read_text(encoding="utf-8")) if PINNED.exists() else {}
    print(f"{'':52s} {'now':>9s} {'pinned':>9s} {'ratio':>6s}")
    found: dict[str, float] = {}
    for part in (firsts, estimates, starts, sweeps, memory):
        for name, figure in part().items():
            found[name] = round(figure, 3)
            before = pinned.get(name)
            beside = f"{before:9.2f} {figure / before:6.2f}" if before else ""
            print(f"{name:52s} {figure:9.2f} {beside}", flush=True)
    if asked.pin:
        PINNED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
