"""Blocks of rows as CSV, JSON lines or Parquet."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby, repeat
from operator import sub
from typing import IO, Any, Protocol

import msgspec

from perfmodel.errors import PerfModelError
from perfmodel.quoting import json_text
from perfmodel.report.columnwords import column_words
from perfmodel.report.files.delimited import to_csv
from perfmodel.sweeps.columnkinds import is_float


class FileColumn(Protocol):
    """A column of a block: values as a list or, where `names` is given, as codes of names."""

    @property
    def values(self) -> Any:
        """The values or codes, an array."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """What the codes stand for."""


Block = dict[str, Any]


_ROWS = 1 << 12


_ENCODER = msgspec.json.Encoder()


# Between two rows, which are arrays to the encoder.
_SEAM = b"]\n["
# A column seldom changes that does so in fewer than one row of so many.
_FEW = 16


_CELLS = {True: msgspec.Raw(b"true"), False: msgspec.Raw(b"false"), None: msgspec.Raw(b"")}


def csv_header(columns: Sequence[str]) -> bytes:
    """Return the header line."""
    return to_csv([], columns).encode()


def csv_rows(block: Block, start: int = 0, stop: int | None = None) -> bytes:
    """Return the rows of a block as CSV.

    Shortest round-trip floats, true and false, empty for unknown, texts quoted where need be.
    """
    rows = slice(start, stop)
    cells: list[Iterable[Any]] = []
    for seldom, columns in groupby(block.values(), lambda column: _seldom_changes(column.values[rows])):
        if seldom:
            cells.append(_repeated(list(columns), rows))
        else:
            cells += [_csv_cells(column, column.values[rows]) for column in columns]
    lines = _csv_lines(cells)
    return lines.replace(_SEAM, b"\n") + b"\n" if lines else b""


def _csv_lines(cells: Sequence[Iterable[Any]]) -> bytes:
    """Return rows of cells, with a seam between them; a text that holds this very seam is guarded by _raw_text."""
    return _ENCODER.encode_lines(list(zip(*cells, strict=True)))[1:-2]


def _changes(values: Any) -> Any:
    """Return the places at which a column has another value than in the row before, to the last bit."""
    bits = values.view(f"i{values.itemsize}") if values.dtype.kind == "f" else values
    return (bits[1:] != bits[:-1]).nonzero()[0] + 1


def _seldom_changes(values: Any) -> bool:
    """Whether a column has the same value in row after row, as axes have and what depends on outer axes only."""
    return values.dtype != object and len(values) > _FEW and len(_changes(values)) * _FEW < len(values)


def _repeated(columns: Sequence[Any], rows: slice) -> Iterable[Any]:
    """Return columns that seldom change as one cell for each row, written once for the rows in which none changes."""
    values = [column.values[rows] for column in columns]
    first = sorted({0}.union(*(_changes(one).tolist() for one in values)))
    cells = [_csv_cells(column, one[first]) for column, one in zip(columns, values, strict=True)]
    texts = map(msgspec.Raw, _csv_lines(cells).split(_SEAM))
    return chain.from_iterable(map(repeat, texts, map(sub, (*first[1:], len(values[0])), first)))


def _csv_cells(column: Any, values: Any) -> list[Any]:
    plain: list[Any] = values.tolist()
    if column.names is not None:
        cells = [_raw_text(name) for name in column.names]
        return [cells[code] for code in plain]
    if values.dtype in (bool, object):
        return [
            _CELLS.get(value, value) if value is None or value is True or value is False else value for value in plain
        ]
    return plain


def _raw_text(text: str) -> msgspec.Raw:
    # One cell by the rules of every other CSV of this package; line ends inside a name are made spaces.
    cell = to_csv([{"x": " ".join(text.splitlines())}], ["x"])[2:-1]
    return msgspec.Raw(cell.encode())


def json_rows(block: Block, start: int = 0, stop: int | None = None) -> bytes:
    """Return the rows of a block as JSON lines, one object a row."""
    names = list(block)
    return _ENCODER.encode_lines(
        [
            dict(zip(names, row, strict=True))
            for row in zip(*(_quoted_cells(column, slice(start, stop)) for column in block.values()), strict=True)
        ]
    )


def _json_cells(column: Any, rows: slice = slice(None)) -> list[Any]:
    plain: list[Any] = column.values[rows].tolist()
    return [column.names[code] for code in plain] if column.names is not None else plain


def _quoted_cells(column: Any, rows: slice) -> list[Any]:
    """Return the values of a column, texts as JSON that may be shown in a terminal."""
    if column.names is None:
        return _json_cells(column, rows)
    cells = [msgspec.Raw(json_text(name).encode()) for name in column.names]
    return [cells[code] for code in column.values[rows].tolist()]


def text_rows(form: str, block_of: Callable[[int], Block], i: int) -> Iterator[bytes]:
    """Yield the rows of block `i` as text, csv or jsonl, piece by piece."""
    block = block_of(i)
    make = csv_rows if form == "csv" else json_rows
    rows = len(next(iter(block.values())).values)
    # Few rows at a time: as Python objects they take many times the room that they take as arrays.
    for start in range(0, rows, _ROWS):
        yield make(block, start, start + _ROWS)


class TextRows:
    """CSV or JSON lines; blocks are appended, so that a file can be gone on with."""

    resumes = True

    def __init__(self, file: IO[bytes], form: str, columns: Sequence[str], *, started: bool) -> None:
        self._file, self._form = file, form
        self._head = csv_header(columns) if form == "csv" and not started else b""

    def making(self, block_of: Callable[[int], Block]) -> Callable[[int], Iterator[bytes]]:
        """Return what gives the rows of a block as `write` takes them; another process can have it too."""
        return partial(text_rows, self._form, block_of)

    def write(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        """Append rows; yield all bytes that are written, as they are."""
        for piece in chain((self._head,) if self._head else (), rows):
            self._file.write(piece)
            yield piece
        self._head = b""

    def abandon(self) -> None:
        """Leave the file as it is."""

    def close(self) -> None:
        """Write what stands at the end."""
        self._file.write(self._head)


class ParquetRows:
    """Parquet by pyarrow, one row group a block; its index stands at the end, so an interrupted file is begun anew."""

    resumes = False

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        del columns
        self._arrow, self._parquet = parquet_library()
        self._file, self._writer = file, None

    def making(self, block_of: Callable[[int], Block]) -> Callable[[int], Block]:
        """Return what gives a block as `write` takes it: as it is, since the library makes its bytes."""
        return block_of

    def write(self, block: Block) -> tuple[bytes, ...]:
        """Append a row group; the bytes are told to nobody."""
        schema = (
            self._arrow.schema([self._field(name, column) for name, column in block.items()])
            if self._writer is None
            else self._writer.schema
        )
        if self._writer is None:
            # Texts and counts repeat, figures do not.
            repeated = [
                name for name, column in block.items() if column.names is not None or column.values.dtype.kind != "f"
            ]
            self._writer = self._parquet.ParquetWriter(self._file, schema, use_dictionary=repeated)
        try:
            arrays = [
                self._arrow.array(
                    _json_cells(column) if column.names is not None or column.values.dtype == object else column.values,
                    type=field.type,
                )
                for column, field in zip(block.values(), schema, strict=True)
            ]
        except OverflowError:
            raise PerfModelError(
                "-o: a count is too large for a .parquet file, which holds 64 bits; leave out that column, or write"
                " .csv or .jsonl"
            ) from None
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=schema))  # type: ignore[attr-defined]
        return ()

    def _field(self, name: str, column: Any) -> Any:
        """The name of a column with its type, and its unit as metadata: - for a number without one, '' for a text."""
        return self._arrow.field(name, self._type(name, column), metadata={"unit": column_words(name)[0]})

    def _type(self, name: str, column: Any) -> Any:
        """The type of a column in every block: what is no text, truth or float is a count, which may be unknown."""
        if column.names is not None:
            return self._arrow.string()
        if is_float(name):
            return self._arrow.float64()
        return {"b": self._arrow.bool_(), "f": self._arrow.float64()}.get(column.values.dtype.kind, self._arrow.int64())

    def abandon(self) -> None:
        """Leave the file as it is; the library would write its index into a file that is closed by then."""
        if self._writer is not None:
            self._writer.is_open = False

    def close(self) -> None:
        """Write the index."""
        if self._writer is not None:
            self._writer.close()


def parquet_library() -> tuple[Any, Any]:
    """Return pyarrow and its module for Parquet; raise PerfModelError where they are not installed."""
    from importlib import import_module

    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise PerfModelError(
            "-o: a .parquet file needs pyarrow, which is not installed: pip install 'perfmodel[parquet]', or write .csv"
            " or .jsonl"
        ) from None
