"""Text laid out to a width: paragraphs wrapped, tables fitted, and records where a table finds no room.

A number with its unit and a key of the assumptions stay whole: they are read, compared and copied.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol
from unicodedata import combining, east_asian_width

from perfmodel.units import UNITS

GAP = 2  # spaces between columns
_LEAST = 20  # columns of a terminal, whatever it says
_NARROW = 16  # a column of words is at least as wide, or as wide as its words are
_LONGEST = 48  # a longer word is no key of ours, and may be broken
_BARS = " ▏▎▍▌▋▊▉█"
_SHORTEST_BAR = 6
_ROOM_FOR_BARS = 80  # below, a bar goes if it does not fit
_NUMBER = re.compile(r"[(~<>+-]*\d[\d.,e+-]*[);,.]*$")
_UNIT = re.compile(
    "(?:"
    + "|".join(
        sorted(
            map(
                re.escape, {"%", "x", "tok/s", "steps/s", "USD", "points", *(u for s in UNITS.values() for u in s if u)}
            ),
            key=len,
            reverse=True,
        )
    )
    + r")[);,.:]*$"
)
# Where a formula may go on in the next line.
_OPERATOR = re.compile(r"[^*+]*[*+]+(?=\S)|[^*+]+$|[*+]+$")


class Laid(Protocol):
    """A table to lay out (see `perfmodel.report.text.Table`)."""

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""

    @property
    def rows(self) -> Sequence[tuple[str, ...]]:
        """The cells."""

    @property
    def right(self) -> frozenset[int]:
        """Columns of numbers."""

    @property
    def bars(self) -> frozenset[int]:
        """Columns of bars."""

    @property
    def spare(self) -> tuple[int, ...]:
        """Columns that may go."""


def columns_of(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(line: str, width: int, indent: str | None = None) -> list[str]:
    """Return a line in lines of at most `width` columns, the later ones indented like the first or by `indent`.

    >>> wrapped("the step takes 4.2 ms before", 15)
    ['the step takes', '4.2 ms before']
    """
    width = max(width, _LEAST)
    if columns_of(line) <= width:
        return [line]
    hanging = indent if indent is not None else line[: len(line) - len(line.lstrip())]
    return [row.rstrip() for row in _filled(line.strip(), width, line[: len(line) - len(line.lstrip())], hanging)]


def table_lines(table: Laid, width: int | None) -> list[str]:
    """Return a table as lines of at most `width` columns: with fewer columns if need be, at last one record a row."""
    every = list(range(len(table.header)))
    if width is None:
        return _aligned(table, every, _natural(table, every))
    width = max(width, _LEAST)
    for kept, bars in _choices(table, every, width):
        shown = bars or table
        widths = _fitted(shown, kept, width)
        if widths is not None:
            return _aligned(shown, kept, widths)
    return _records(table, [i for i in every if i not in table.bars], width)


def _choices(table: Laid, every: list[int], width: int) -> Iterator[tuple[list[int], "Laid | None"]]:
    """Yield what columns to try, and the table with shorter bars where they are shorter."""
    yield every, None
    longest = max((columns_of(row[i]) for row in table.rows for i in table.bars), default=0)
    for length in range(longest - 1, _SHORTEST_BAR - 1, -1):
        yield every, _Shrunk(table, length / longest)
    kept = [i for i in every if i not in table.bars] if width < _ROOM_FOR_BARS else every
    if kept != every:
        yield kept, None
    for i in table.spare:
        kept = [k for k in kept if k != i]
        yield kept, None


class _Shrunk:
    """A table whose bars are shorter by a factor."""

    def __init__(self, table: Laid, factor: float) -> None:
        self.header, self.right, self.bars, self.spare = table.header, table.right, table.bars, table.spare
        self.rows = [
            tuple(_shorter(cell, factor) if i in table.bars else cell for i, cell in enumerate(row))
            for row in table.rows
        ]


def _shorter(bar: str, factor: float) -> str:
    """Return a bar as long as its share of a shorter whole, never nothing."""
    blocks = bar.lstrip(" ")
    if not blocks:
        return bar
    start = int((len(bar) - len(blocks)) * factor)
    eighths = max(1, round(factor * sum(_BARS.index(c) for c in blocks if c in _BARS)))
    return " " * start + "█" * (eighths // 8) + _BARS[eighths % 8].strip()


def _natural(table: Laid, kept: Sequence[int]) -> list[int]:
    lines = [table.header, *table.rows]
    return [max((columns_of(line[i]) for line in lines), default=0) for i in kept]


def _fitted(table: Laid, kept: Sequence[int], width: int) -> list[int] | None:
    """Return widths of the columns so that the table is at most `width` wide, None where it cannot be.

    Heads give way first, then the widest column of words; numbers and keys stay whole.
    """
    widths = _natural(table, kept)
    cells = [max((columns_of(row[i]) for row in table.rows), default=0) for i in kept]
    heads = [max((columns_of(word) for word in table.header[i].split()), default=0) for i in kept]
    least = [
        cells[place]
        if i in table.right or i in table.bars
        else max(
            min(cells[place], _NARROW),
            max(
                (min(columns_of(piece.rstrip()), _LONGEST) for row in table.rows for piece in _pieces(row[i])),
                default=0,
            ),
        )
        for place, i in enumerate(kept)
    ]
    places = range(len(kept))
    room = width - GAP * (len(kept) - 1)
    for floors in ([max(cells[p], heads[p]) for p in places], [max(least[p], heads[p]) for p in places]):
        while sum(widths) > room and any(widths[p] > floors[p] for p in places):
            widest = max((p for p in places if widths[p] > floors[p]), key=lambda p: widths[p])
            widths[widest] -= 1
    return widths if sum(widths) <= room else None


def _aligned(table: Laid, kept: Sequence[int], widths: Sequence[int]) -> list[str]:
    """Return the rows in columns of these widths, each row in as many lines as it needs."""
    found = []
    for row in [table.header, *table.rows] if any(table.header) else table.rows:
        cells = [
            _filled(row[i], width) if columns_of(row[i]) > width else [row[i]]
            for i, width in zip(kept, widths, strict=True)
        ]
        for at in range(max(map(len, cells), default=0)):
            line = ""
            for i, cell, width in zip(kept, cells, widths, strict=True):
                text = cell[at] if at < len(cell) else ""
                space = " " * (width - columns_of(text))
                line += (space + text if i in table.right else text + space) + " " * GAP
            found.append(line.rstrip())
    return found


def _records(table: Laid, kept: Sequence[int], width: int) -> list[str]:
    """Return each row as a record: its first cell, then a line for each of the others that says something."""
    found = []
    for row in table.rows:
        said: list[tuple[str, list[str]]] = []
        for i in kept:
            if not row[i].strip():
                continue
            # A column without a head belongs to the one before.
            if said and not table.header[i].strip():
                said[-1][1].append(row[i].strip())
            else:
                said.append((table.header[i].strip(), [row[i].strip()]))
        for place, (head, cells) in enumerate(said):
            text = "  ".join(cells)
            first = place == 0
            labelled = f"{head}: {text}" if head and (not first or _NUMBER.match(text)) else text
            found += wrapped(f"{'' if first else '  '}{labelled}", width, "" if first and len(said) == 1 else "    ")
    return found


def _filled(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """Return `text` in lines of at most `width`, broken between words and after the signs of a formula."""
    lines = [first]
    empty = True
    for whole in _pieces(text):
        piece = whole
        room = width - columns_of(lines[-1])
        if not empty and columns_of(piece.rstrip()) > room:
            lines.append(later)
            room = width - columns_of(later)
        while columns_of(piece.rstrip()) > room and len(piece.rstrip()) > min(_LONGEST, room):
            cut = max(room, 1)
            lines[-1] += piece[:cut]
            piece = piece[cut:]
            lines.append(later)
            room = width - columns_of(later)
        lines[-1] += piece
        empty = False
    return [line.rstrip() for line in lines]


def _pieces(text: str) -> list[str]:
    """Return `text` cut where it may be broken: behind spaces and operators, but no number from its unit.

    >>> _pieces("4.2 ms of 2*batch + 1")
    ['4.2 ms ', 'of ', '2*', 'batch ', '+ ', '1']
    """
    pieces: list[str] = []
    number = False
    for word in re.findall(r" *\S+ ?| +", text):
        bare = word.strip()
        if number and _UNIT.match(bare):
            pieces[-1] += word
            number = False
            continue
        number = bool(_NUMBER.match(bare))
        if number or len(bare) < 3 or not ("*" in bare or "+" in bare):
            pieces.append(word)
        else:
            pieces += _OPERATOR.findall(word)
    return pieces
