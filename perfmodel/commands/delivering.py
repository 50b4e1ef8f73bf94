"""How a command delivers its answer: in which form, to a file or to stdout, and what it says beside."""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from perfmodel._layout import SCHEMA
from perfmodel.errors import OldNameWarning, PerfModelError, UnknownNameError, nearest, shown
from perfmodel.quoting import line, shell

if TYPE_CHECKING:
    from perfmodel.estimates.answers import Estimate
    from perfmodel.report.text import Document

FORMATS = {".md": "markdown", ".json": "json", ".csv": "csv", ".txt": "text"}


def text_width(*, terminal: bool) -> int | None:
    """Return the columns that text is laid out to: COLUMNS, else those of the terminal, else None for whole lines."""
    import shutil

    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given[:9]) > 0:
        return int(given[:9])
    return shutil.get_terminal_size().columns if terminal else None


# Who writes files of other endings.
_ELSEWHERE = {
    **dict.fromkeys((".pdf", ".svg", ".png"), "; a picture is made by perfmodel plot"),
    **dict.fromkeys((".html", ".htm"), "; a page is made by perfmodel report"),
    ".parquet": "; Parquet files are made by perfmodel sweep",
    ".tex": "; formulas are written by perfmodel explain --latex",
}


class Delivery(msgspec.Struct, frozen=True):
    """How an answer is wanted: as JSON or CSV, in which file, with which columns, or only the line that gives it."""

    as_json: bool
    as_csv: bool
    output: str | None
    columns: str | None
    command: bool

    def form(self, formats: dict[str, str] | None = None, lines: str = "json") -> str:
        """Return text, markdown, json or csv, from the flags or the ending of the file.

        formats: what each ending stands for, those of FORMATS if not given; lines: what --json stands for.
        A flag and an ending that say different things are wrong usage.
        """
        if self.as_json and self.as_csv:
            raise typer.BadParameter("--json and --csv exclude each other")
        if self.as_json and self.columns is not None and lines == "json":
            raise typer.BadParameter("--columns chooses columns of CSV; --json gives every figure")
        formats = formats or FORMATS
        asked, flag = lines if self.as_json else "csv", ""
        if self.as_json or self.as_csv or self.columns is not None:
            flag = "--json" if self.as_json else "--csv" if self.as_csv else "--columns"
        ending = Path(self.output).suffix if self.output is not None else ""
        meant = formats.get(ending, "")
        if flag == "--columns" and lines != "json" and meant and meant not in ("text", "markdown"):
            return meant
        if flag:
            if meant and meant != asked:
                raise typer.BadParameter(
                    f"{flag} and -o {shown(self.output)} contradict each other; leave one of them out"
                )
            return asked
        if self.output is None:
            return "text"
        if not meant:
            *others, last = formats
            accepted = f"{', '.join(others)} and {last} are accepted" if others else f"{last} is accepted"
            raise UnknownNameError(
                f"-o: {shown(self.output)} has an ending I do not know{nearest(ending, formats)};"
                f" {accepted}{_ELSEWHERE.get(ending, '')}"
            )
        return meant

    def is_line(self) -> bool:
        """Return whether only the command line is asked for, and print it then."""
        if self.command:
            show(reproducing_line() + "\n")
        return self.command

    def deliver(
        self,
        chosen: str,
        *,
        rows: Callable[[], list[dict[str, Any]]],
        json: Callable[[], Any],
        document: "Callable[[], Document]",
        default_columns: tuple[str, ...] | None = None,
        sidecar: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        """Print the answer in its form, or write it to a file; a CSV file gets what does not fit its rows beside it."""
        if chosen == "text":
            from perfmodel.report.text import to_plain, to_terminal

            terminal = self.output is None and sys.stdout.isatty()
            width = text_width(terminal=terminal)
            plain = not terminal or width is None or os.environ.get("TERM") == "dumb"
            text = to_plain(document(), width=width) if plain else to_terminal(document(), width=width or 0)
        elif chosen == "markdown":
            from perfmodel.report.text import to_markdown

            text = to_markdown(document())
        else:
            from perfmodel.report.files.delimited import choose_columns, to_csv, to_json

            if chosen == "json":
                found = json()
                text = to_json({"schema": SCHEMA} | found if isinstance(found, dict) else found)
            else:
                lines = rows()
                available = list(lines[0]) if lines else list(default_columns or ())
                text = to_csv(lines, choose_columns(self.columns, available, default_columns or available))
        if self.output is None:
            show(text)
            return
        from perfmodel.report.files.whole import write_together

        contents = {Path(self.output): text.encode("utf-8", "backslashreplace")}
        if chosen == "csv" and sidecar is not None:
            from perfmodel.report.files.delimited import to_json as meta_json

            contents[Path(self.output + ".meta.json")] = meta_json(sidecar()).encode("utf-8", "backslashreplace")
        write_together(contents)

    def deliver_list(
        self, rows: Callable[[], list[dict[str, Any]]], document: "Callable[[], Document]", *, name: str = ""
    ) -> None:
        """Deliver a list: rows as CSV or as a JSON array, or a table; or only the line that gives it again.

        name: of the command, where there may be no row, so that CSV has its header all the same.
        """
        if self.is_line():
            return
        chosen, header = self.form(), None
        if chosen == "csv" and name and not rows():
            from perfmodel.report.columntables import header_of

            header = header_of(name)
        self.deliver(chosen, rows=rows, default_columns=header, json=rows, document=document)


def reproducing_line() -> str:
    """Return the command line that gives this answer again."""
    return " ".join(shell(word) for word in ("perfmodel", *sys.argv[1:]) if word != "--command")


def show(text: str) -> None:
    """Write `text` to stdout, which carries the answer only; raise PerfModelError where it cannot be written."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PerfModelError(f"stdout: cannot be written: {error.strerror or error}") from None


def note(text: str) -> None:
    """Write a remark to stderr, in one line."""
    sys.stderr.write(f"perfmodel: note: {line(text)}\n")


def note_old_names() -> None:
    """Show each use of a name of an earlier version as a note, once a command; other warnings as Python does."""
    usual, told = warnings.showwarning, set[str]()

    def shown_once(message: Warning | str, category: type[Warning], *place: Any, **named: Any) -> None:
        if not issubclass(category, OldNameWarning):
            usual(message, category, *place, **named)
        elif str(message) not in told:
            told.add(str(message))
            note(str(message))

    warnings.showwarning = shown_once
    warnings.filterwarnings("always", category=OldNameWarning)


def tally(checked: int, faults: int, what: str) -> str:
    """Return how many of `what` were checked, and how many faults were found."""
    return f"{checked} {what}{'s' if checked != 1 else ''} checked, {faults} fault{'s' if faults != 1 else ''}"


def warn(answer: "Estimate", chosen: str) -> None:
    """Say on stderr without which notes an answer misleads; text carries most of them itself."""
    for text in answer.warnings:
        if chosen != "text" or text.kind in ("memory", "tier-memory"):
            note(text)
