"""Prints what the questions beside it are answered, as JSON by question: compared between Pythons and dependencies.

A program of the tests; it runs in any environment that has perfmodel.
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from commandline import answered

QUESTIONS = Path(__file__).with_name("questions.txt")


def answer(line: str) -> str:
    """Return what a command line prints; raise RuntimeError with its error where it fails."""
    ended = answered(line.split())
    if ended.code:
        raise RuntimeError(f"{line}: exit code {ended.code}: {ended.err}")
    return ended.out


def answers() -> dict[str, str]:
    """Return what each question is answered."""
    return {line: answer(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answers()))
