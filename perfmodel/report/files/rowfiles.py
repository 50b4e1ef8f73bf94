"""Blocks of rows as CSV, JSON lines or Parquet."""

from collections.abc import Sequence
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


_CELLS = {True: msgspec.Raw(b"true"), False: msgspec.Raw(b"false"), None: msgspec.Raw(b"")}


def csv_header(columns: Sequence[str]) -> bytes:
    """Return the header line."""
    return to_csv([], columns).encode()


def csv_rows(block: Block, start: int = 0, stop: int | None = None) -> bytes:
    """Return the rows of a block as CSV.

    Shortest round-trip floats, true and false, empty for unknown, texts quoted where need be.
    """
    columns = [_csv_cells(column, slice(start, stop)) for column in block.values()]
    lines = _ENCODER.encode_lines(list(zip(*columns, strict=True)))
    # Each line is [a,b,c]; a text that holds this very seam is guarded by _raw_text.
    return lines[1:-2].replace(b"]\n[", b"\n") + b"\n" if lines else b""


def _csv_cells(column: Any, rows: slice) -> list[Any]:
    plain: list[Any] = column.values[rows].tolist()
    if column.names is not None:
        cells = [_raw_text(name) for name in column.names]
        return [cells[code] for code in plain]
    if column.values.dtype in (bool, object):
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


class TextRows:
    """CSV or JSON lines; blocks are appended, so that a file can be gone on with."""

    resumes = True

    def __init__(self, file: IO[bytes], form: str, columns: Sequence[str], *, started: bool) -> None:
        self._file, self._rows = file, csv_rows if form == "csv" else json_rows
        self._head = csv_header(columns) if form == "csv" and not started else b""

    def ready(self, block: Block) -> bytes:
        """Return the rows of a block as they are written."""
        rows = len(next(iter(block.values())).values)
        # Few rows at a time: as Python objects they take many times the room that they take as arrays.
        return b"".join([self._rows(block, start, start + _ROWS) for start in range(0, rows, _ROWS)])

    def write(self, rows: bytes) -> bytes:
        """Append rows that are ready and return all bytes that were written."""
        data, self._head = self._head + rows, b""
        self._file.write(data)
        return data

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

    def ready(self, block: Block) -> Block:
        """Return the block: the library makes its bytes."""
        return block

    def write(self, block: Block) -> bytes:
        """Append a row group."""
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
        return b""

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
