"""The command line, asked in this process: what programs of the tests share, in any environment that has perfmodel."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import NamedTuple

from perfmodel._layout import load_command_line


class Answer(NamedTuple):
    """How a command line ended: its exit code, and what it wrote to stdout and stderr."""

    code: object
    out: str
    err: str


def answered(words: Sequence[str]) -> Answer:
    """Return how the command line of these words ends; whatever it raises but an exit is raised."""
    out, err = io.StringIO(), io.StringIO()
    arguments, sys.argv = sys.argv, ["perfmodel", *words]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            load_command_line().main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = arguments
    return Answer(code, out.getvalue(), err.getvalue())
