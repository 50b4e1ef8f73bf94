"""Builds the package, checks it, and answers a question on every Python found, with oldest and newest dependencies.

A development program, run by `make packaging`; it needs a package index, and some minutes.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST = Path(__file__).with_name("oldest.txt")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# The oldest numpy, scipy and msgspec have no wheels for newer Pythons.
OLDEST_PYTHONS = ("3.11",)
ASK = ("estimate", "llama-3.1-8b", "sn40l", "--devices", "8", "--json")


def call(*words: object) -> str:
    """Return what a program prints; stop with its error where it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def interpreters() -> dict[str, str]:
    """Return the Pythons of this machine by version."""
    found = {}
    for version in PYTHONS:
        program = shutil.which(f"python{version}")
        words = [program or "", "-c", "import sys; print(sys.executable)"]
        done = subprocess.run(words, capture_output=True, text=True, check=False) if program else None
        if done is not None and done.returncode == 0:
            found[version] = done.stdout.strip()
    return found


def main() -> None:
    """Build, check, install and ask."""
    answers = set()
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder) / "dist"
        call(sys.executable, "-m", "build", "--outdir", dist, ROOT)
        call(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())
        (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        for version, python in interpreters().items():
            for name, package, constraints in (
                ("newest", wheel, None),
                ("sdist", sdist, None),
                ("oldest", wheel, OLDEST),
            ):
                if name == "oldest" and version not in OLDEST_PYTHONS:
                    continue
                place = Path(folder) / f"{version}-{name}"
                call(python, "-m", "venv", place)
                limits = ["-c", constraints] if constraints else []
                call(place / "bin" / "python", "-m", "pip", "install", "--quiet", *limits, package)
                answer = call(place / "bin" / "perfmodel", *ASK)
                answers.add(answer)
                speedup = json.loads(answer)["speedup"]["value"]
                sys.stdout.write(f"Python {version}, {name}: speed-up {speedup:.6g}\n")
    if len(answers) != 1:
        sys.exit("the answers differ between Pythons or dependencies")
    sys.stdout.write("all answers are the same to the last digit\n")


if __name__ == "__main__":
    main()
