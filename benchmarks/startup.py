"""How long a fresh `perfmodel estimate --json` takes beside a fresh `import typer`, interleaved in one run.

Machines are noisy, so the figure is the ratio of the best of many runs. Goals: at most 2.0 with all fields as
JSON, 2.3 as a table.
"""

import compileall
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RUNS = 25

CALLS = {
    "bare interpreter": ["-c", "pass"],
    "import typer": ["-c", "import typer"],
    "estimate --json": ["-m", "perfmodel", "estimate", "llama-3.1-8b", "sn40l", "--devices", "8", "--json"],
    "estimate (table in a pipe)": ["-m", "perfmodel", "estimate", "llama-3.1-8b", "sn40l", "--devices", "8"],
}


def main() -> None:
    for folder in ("perfmodel",):
        compileall.compile_dir(REPOSITORY / folder, quiet=1)
    compileall.compile_file(REPOSITORY / "cli.py", quiet=1)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    best = dict.fromkeys(CALLS, float("inf"))
    for _ in range(RUNS):
        for name, words in CALLS.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment, cwd=REPOSITORY
            )
            best[name] = min(best[name], time.perf_counter() - start)
    reference = best["import typer"]
    for name, seconds in best.items():
        print(f"{name:28s} {seconds * 1e3:7.1f} ms  {seconds / reference:5.2f} x import typer")


if __name__ == "__main__":
    main()
