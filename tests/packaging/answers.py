"""Prints what the questions beside it are answered, as JSON by question: compared between Pythons and dependencies.

A program of the tests; it runs in any environment that has perfmodel.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from perfmodel._layout import load_command_line

QUESTIONS = Path(__file__).with_name("questions.txt")


def answer(line: str) -> str:
    """Return what a command line prints; raise RuntimeError with its error where it fails."""
    out, err = io.StringIO(), io.StringIO()
    arguments, sys.argv = sys.argv, ["perfmodel", *line.split()]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            load_command_line().main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = arguments
    if code:
        raise RuntimeError(f"{line}: exit code {code}: {err.getvalue()}")
    return out.getvalue()


def answers() -> dict[str, str]:
    """Return what each question is answered."""
    return {line: answer(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answers()))
