"""How long a fresh command takes beside a fresh `import typer`, interleaved in one run.

Machines are noisy, so the figure is the ratio of the best of many runs, of wall time and, where others work on the same
cores, of processor time. Goals: of an estimate on one H100 at most 1.55 as CSV, 2.0 with all fields as JSON, 2.3 as a
table; 2.3 for `models list`; `--help` and lists under 0.2 s.
"""

import compileall
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RUNS = 25

REFERENCE = "import typer"
ON_ONE, ON_EIGHT = ["llama-3.1-8b", "h100-sxm"], ["llama-3.1-8b", "sn40l", "--devices", "8"]
# What is run, and the goal as a ratio to the reference, where there is one.
CALLS: dict[str, tuple[list[str], float | None]] = {
    "bare interpreter": (["-c", "pass"], None),
    REFERENCE: (["-c", REFERENCE], None),
    "estimate --csv": (["-m", "perfmodel", "estimate", *ON_ONE, "--csv"], 1.55),
    "estimate --json": (["-m", "perfmodel", "estimate", *ON_ONE, "--json"], 2.0),
    "estimate (table in a pipe)": (["-m", "perfmodel", "estimate", *ON_ONE], 2.3),
    "estimate --csv, 8 SN40L": (["-m", "perfmodel", "estimate", *ON_EIGHT, "--csv"], None),
    "estimate --json, 8 SN40L": (["-m", "perfmodel", "estimate", *ON_EIGHT, "--json"], None),
    "estimate, 8 SN40L": (["-m", "perfmodel", "estimate", *ON_EIGHT], None),
    "models list": (["-m", "perfmodel", "models", "list"], 2.3),
    "hardware list": (["-m", "perfmodel", "hardware", "list"], None),
    "--help": (["-m", "perfmodel", "--help"], None),
    "estimate --help": (["-m", "perfmodel", "estimate", "--help"], None),
}


def main() -> None:
    compileall.compile_dir(REPOSITORY / "perfmodel", quiet=1)
    compileall.compile_file(REPOSITORY / "cli.py", quiet=1)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    best = {name: (float("inf"), float("inf")) for name in CALLS}
    for _ in range(RUNS):
        for name, (words, _goal) in CALLS.items():
            start = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *words], stdout=subprocess.DEVNULL, env=environment, cwd=REPOSITORY
            )
            _, status, used = os.wait4(process.pid, 0)
            took = time.perf_counter() - start, used.ru_utime + used.ru_stime
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{name}: ended with {process.returncode}")
            best[name] = tuple(map(min, best[name], took))
    print(f"best of {RUNS}; load {os.getloadavg()[0]:.1f}")
    print(f"{'':28s} {'wall':>8s}   ratio {'processor':>10s}  ratio   goal")
    for name, (wall, processor) in best.items():
        ratios = [took / reference for took, reference in zip((wall, processor), best[REFERENCE], strict=True)]
        goal = CALLS[name][1]
        print(
            f"{name:28s} {wall * 1e3:5.1f} ms {ratios[0]:7.2f} {processor * 1e3:7.1f} ms {ratios[1]:6.2f}"
            f" {'' if goal is None else f'{goal:6.2f}'}"
        )


if __name__ == "__main__":
    main()
