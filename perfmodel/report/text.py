"""Tables for people: aligned text for a pipe, rich tables for a terminal, both from the same rows."""

import re
from collections.abc import Sequence

import msgspec

WIDTH = 80


class Table(msgspec.Struct, frozen=True):
    """Header and rows of text; the columns named in `right` hold numbers."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[int] = frozenset()


class Document(msgspec.Struct, frozen=True):
    """What a command shows: paragraphs and tables in order. The first paragraph is the verdict."""

    parts: list[str | Table]


def to_plain(document: Document) -> str:
    """Return the document as plain text, tables aligned with two spaces between columns."""
    blocks = [_plain_table(part) if isinstance(part, Table) else part for part in document.parts]
    return "\n\n".join(blocks) + "\n"


def _plain_table(table: Table) -> str:
    lines: list[Sequence[str]] = [table.header, *table.rows] if any(table.header) else list(table.rows)
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(len(table.header))]

    def line_of(line: Sequence[str]) -> str:
        cells = (
            text.rjust(w) if i in table.right else text.ljust(w)
            for i, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(line_of(line) for line in lines)


_GAP = 2  # spaces between columns
# Where a word may go on in the next line: after a space or a sign, and after a dot, dash or underscore between letters.
_PIECE = re.compile(r"(?:(?![ */+,]|(?<=[a-z])[._-](?=[a-z])).)*(?:[*/+]+|, ?| +|[._-])?")


def to_terminal(document: Document, *, width: int | None = None) -> str:
    """Return the document with rich's colours and rules for a terminal `width` columns wide."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(width=width, force_terminal=True, highlight=False)
    with console.capture() as capture:
        for index, part in enumerate(document.parts):
            if index:
                console.print()
            if isinstance(part, str):
                console.print(Text(part, style="bold" if index == 0 else ""))
                continue
            made = RichTable(
                box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=any(part.header), header_style="bold"
            )
            widths = fitted(part, console.width)
            for i, name in enumerate(part.header):
                made.add_column(
                    Text(_broken(name, widths[i])), justify="right" if i in part.right else "left", overflow="fold"
                )
            for row in part.rows:
                made.add_row(*(Text(_broken(cell, widths[i])) for i, cell in enumerate(row)))
            console.print(made)
    return capture.get()


def fitted(table: Table, width: int) -> list[int]:
    """Return the widths of the columns so that the table is at most `width` wide, as far as words and numbers allow.

    Headers give way first, then the widest column of words; numbers stay on one line.

    >>> fitted(Table(("a long header", "parameter"), [("12", "modes.graph.boundary")], frozenset({0})), 24)
    [6, 16]
    """
    columns = range(len(table.header))
    cells = [max((len(row[i]) for row in table.rows), default=0) for i in columns]
    widths = [max(cells[i], len(table.header[i])) for i in columns]
    words = [max((len(word) for word in table.header[i].split()), default=0) for i in columns]
    least = [
        (
            cells[i]
            if i in table.right
            else max((len(piece.rstrip()) for row in table.rows for piece in _PIECE.findall(row[i])), default=0)
        )
        for i in columns
    ]
    room = width - _GAP * (len(columns) - 1)
    for floors in ([max(cells[i], words[i]) for i in columns], [max(least[i], words[i]) for i in columns]):
        while sum(widths) > room and any(widths[i] > floors[i] for i in columns):
            widest = max((i for i in columns if widths[i] > floors[i]), key=lambda i: widths[i])
            widths[widest] -= 1
    return widths


def _broken(text: str, width: int) -> str:
    """Return `text` in lines of at most `width`, broken where a reader would."""
    lines = [""]
    for piece in _PIECE.findall(text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() if len(lines) > 1 else line for line in lines)
