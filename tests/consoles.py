"""A program of the tests: each command at each console, in a process of its own that begins with all loaded.

python tests/consoles.py < lines.json, a list of lists of words; prints for each line and console how it ended.
"""

import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

from commandline import answered

from perfmodel._layout import load_command_line

CONSOLES = ("full", "closed", "ascii", "cp1252")


def at(console: str, output: Any) -> None:
    """Make stdout what the console is; output: the file that stands for what it shows."""
    os.dup2(output.fileno(), 1)
    if console == "closed":
        os.close(1)
        sys.stdout = None
        return
    if console == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    encoding = "utf-8" if console == "full" else console
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding=encoding)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), encoding=encoding, errors="backslashreplace")


def ended(words: Sequence[str], console: str) -> dict[str, Any]:
    """Run a command line there; return its exit code, what it showed and what it said on stderr."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            code = 99
            os.dup2(err.fileno(), 2)
            try:
                at(console, out)
                sys.argv = ["perfmodel", *words]
                load_command_line().main()
            except SystemExit as stop:
                code = stop.code or 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        encoding = console if console in ("ascii", "cp1252") else "utf-8"
        said = err.read().decode("utf-8", "replace").splitlines()
        return {
            "words": words,
            "console": console,
            "code": os.waitstatus_to_exitcode(status),
            "out": out.read().decode(encoding),
            "errors": [line for line in said if not line.startswith("perfmodel: note: ")],
        }


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # that a process with threads forks
    lines = json.load(sys.stdin)
    for line in lines:  # so that what it loads is there for those that follow
        answered(line)
    json.dump([ended(words, console) for words in lines for console in CONSOLES], sys.stdout)
