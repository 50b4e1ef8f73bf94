"""Documents of paragraphs and tables, as plain text, as text for a terminal, and as Markdown, from the same rows."""

from collections.abc import Sequence

import msgspec

from perfmodel import quoting
from perfmodel.report import layout

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


class Table(msgspec.Struct, frozen=True):
    """Header and rows of text.

    right: the columns that hold numbers, which are never broken and stand to the right.
    bars: those that hold bars of characters, which shrink or go where there is little room.
    spare: those that may go where there is no room for all, the first named first.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[int] = frozenset()
    bars: frozenset[int] = frozenset()
    spare: tuple[int, ...] = ()


class Document(msgspec.Struct, frozen=True):
    """What a command shows: paragraphs and tables in order. The first paragraph is the verdict."""

    parts: list[str | Table]


def to_plain(document: Document, *, width: int | None = None) -> str:
    """Return the document as plain text of at most `width` columns; None leaves every line and row whole."""
    return "\n\n".join("\n".join(_lines(part, width)) for part in document.parts) + "\n"


def to_terminal(document: Document, *, width: int) -> str:
    """Return the document for a terminal `width` columns wide, the verdict and the heads of tables in bold."""
    blocks = []
    for index, part in enumerate(document.parts):
        lines = _lines(part, width)
        if isinstance(part, str):
            heads = len(lines) if index == 0 else 0
        else:
            heads = len(lines) - sum(1 for _ in _body(part, width)) if any(part.header) else 0
        blocks.append("\n".join(f"{_BOLD}{line}{_PLAIN}" if i < heads else line for i, line in enumerate(lines)))
    return "\n\n".join(blocks) + "\n"


def to_markdown(document: Document) -> str:
    """Return the document as Markdown, tables as GitHub writes them; the first paragraph is bold."""
    blocks = []
    for index, part in enumerate(document.parts):
        if isinstance(part, Table):
            blocks.append(_markdown_table(part))
            continue
        lines = [quoting.markdown(line.strip()) for line in part.split("\n") if line.strip()]
        text = "  \n".join(lines)
        blocks.append(f"**{text}**" if index == 0 and len(lines) == 1 else text)
    return "\n\n".join(blocks) + "\n"


def _markdown_table(table: Table) -> str:
    kept = [i for i in range(len(table.header)) if i not in table.bars]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(quoting.markdown(cells[i].strip()) for i in kept)} |"

    rule = f"| {' | '.join('---:' if i in table.right else '---' for i in kept)} |"
    return "\n".join([line(table.header), rule, *(line(row) for row in table.rows)])


def _lines(part: str | Table, width: int | None) -> list[str]:
    """Return a paragraph or a table as lines, none of which moves the cursor of a terminal."""
    if isinstance(part, str):
        lines = quoting.terminal(part).split("\n")
        return lines if width is None else [row for line in lines for row in layout.wrapped(line, width)]
    return layout.table_lines(_clean(part), width)


def _body(part: Table, width: int) -> list[str]:
    """Return the lines of a table without its head."""
    return layout.table_lines(msgspec.structs.replace(_clean(part), header=("",) * len(part.header)), width)


def _clean(table: Table) -> Table:
    rows = [tuple(map(quoting.line, row)) for row in table.rows]
    return msgspec.structs.replace(table, header=tuple(map(quoting.line, table.header)), rows=rows)
