"""Builds the package, checks it, and asks it the same questions on every Python found, with oldest and newest
dependencies.

A development program, run by `make packaging`; it needs a package index, and some minutes. What it found is kept beside
it, in result.json.
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_string
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OLDEST, ANSWERS, RESULT = HERE / "oldest.txt", HERE / "answers.py", HERE / "result.json"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# The oldest numpy, scipy and msgspec have no wheels for newer Pythons.
OLDEST_PYTHONS = ("3.11",)
LICENSES = ("LICENSE", "LICENSE-uPlot")
# What a run shows of an environment.
SHOWN = ("numpy", "scipy", "sympy", "msgspec", "typer", "rich", "matplotlib", "tomli", "tomlkit")
_NUMBER = re.compile(r"(?<![\w.])-?\d+\.?\d*(?:e[-+]?\d+)?")
_LINK = re.compile(r"\]\(([^)]*)\)")


def call(*words: object, version: str | None = None) -> str:
    """Return what a program prints; stop with its error where it fails.

    version: of Python, for the programs of pyenv.
    """
    environment = os.environ | ({"PYENV_VERSION": version} if version else {})
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def interpreters() -> dict[str, str]:
    """Return the Pythons of this machine by version."""
    found = {}
    for version in PYTHONS:
        program = shutil.which(f"python{version}")
        words = [program or "", "-c", "import sys; print(sys.executable)"]
        environment = os.environ | {"PYENV_VERSION": version}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment) if program else None
        if done is not None and done.returncode == 0:
            found[version] = done.stdout.strip()
    return found


def check_contents(wheel: Path, sdist: Path) -> list[str]:
    """Check what the two files hold, and return what was checked; stop at what is missing."""
    call(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    call(sys.executable, "-m", "check_wheel_contents", "--toplevel", "perfmodel", wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    with tarfile.open(sdist) as archive:
        names += archive.getnames()
    for license_ in LICENSES:
        if sum(Path(name).name == license_ for name in names) != 2:
            sys.exit(f"{license_} is not in both wheel and sdist")
    message = message_from_string(metadata)
    if message.get_all("License-File") != list(LICENSES):
        sys.exit(f"license files: {message.get_all('License-File')}")
    beside = [link for link in _LINK.findall(str(message.get_payload())) if not re.match(r"https?://|#", link)]
    if beside:
        sys.exit(f"links of the README that lead nowhere on a package index: {', '.join(beside)}")
    return ["twine check --strict", "check-wheel-contents", "licences in both", "links of the README"]


def same(line: str, one: str, other: str) -> bool:
    """Whether two answers to `line` are the same, to the last digit.

    The ends of ranges in a sweep rest on numpy's logarithms, whose last digits depend on its version: they agree to
    1e-12.
    """
    if not line.startswith("sweep"):
        return one == other
    numbers = zip(map(float, _NUMBER.findall(one)), map(float, _NUMBER.findall(other)), strict=True)
    return _NUMBER.sub("", one) == _NUMBER.sub("", other) and all(math.isclose(a, b, rel_tol=1e-12) for a, b in numbers)


def answers_of(python: str, version: str, place: Path, package: Path, limits: list[object]) -> tuple[Any, Any]:
    """Install `package` in an environment of its own; return versions of its dependencies, and its answers."""
    call(python, "-m", "venv", place, version=version)
    own = place / "bin" / "python"
    call(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", *limits, package)
    listed = json.loads(call(own, "-m", "pip", "list", "--disable-pip-version-check", "--format", "json"))
    return {one["name"]: one["version"] for one in listed if one["name"] in SHOWN}, json.loads(call(own, ANSWERS))


def main() -> None:
    """Build, check, install and ask."""
    runs: list[dict[str, Any]] = []
    first: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder) / "dist"
        call(sys.executable, "-m", "build", "--outdir", dist, ROOT)
        (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        checked = check_contents(wheel, sdist)
        for version, python in interpreters().items():
            for name, package in (("newest", wheel), ("sdist", sdist), ("oldest", wheel)):
                if name == "oldest" and version not in OLDEST_PYTHONS:
                    continue
                limits: list[object] = ["-c", OLDEST] if name == "oldest" else []
                versions, answers = answers_of(python, version, Path(folder) / f"{version}-{name}", package, limits)
                first = first or answers
                other = [line for line in answers if not same(line, answers[line], first[line])]
                runs.append(
                    {"python": version, "installed": name, "dependencies": versions}
                    | {"questions": len(answers), "other_digits": other}
                )
                sys.stdout.write(f"Python {version}, {name}: {len(answers)} answers, {len(other)} with other digits\n")
    differ = any(run["other_digits"] for run in runs)
    RESULT.write_text(json.dumps({"checked": checked, "runs": runs}, indent=2) + "\n", encoding="utf-8")
    if differ:
        sys.exit("the answers differ between Pythons or dependencies")
    sys.stdout.write("all answers are the same: single ones to the last digit, sweeps to 1e-12\n")


if __name__ == "__main__":
    main()
