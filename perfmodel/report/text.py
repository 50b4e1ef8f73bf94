"""Tables for people: aligned text for a pipe, rich tables for a terminal, both from the same rows."""

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
        cells = (text.rjust(w) if i in table.right else text.ljust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True)))
        return "  ".join(cells).rstrip()

    return "\n".join(line_of(line) for line in lines)


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
            table = RichTable(box=None, pad_edge=False, show_header=any(part.header), header_style="bold")
            for i, name in enumerate(part.header):
                table.add_column(Text(name), justify="right" if i in part.right else "left", overflow="fold")
            for row in part.rows:
                table.add_row(*(Text(cell) for cell in row))
            console.print(table)
    return capture.get()
