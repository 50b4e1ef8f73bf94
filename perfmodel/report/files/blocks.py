"""Rows in blocks to CSV, JSON lines or Parquet: memory does not grow with the rows, and a file is whole or not there.

Rows go to a hidden file beside the final one, with a state file that says how far they reach. Only the
finished file gets its name. A process that was killed leaves both, and `resume` goes on behind the last
block that the state vouches for, to the same bytes as a run that was left alone.
"""

import contextlib
import io
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol
from uuid import uuid4

import msgspec

from perfmodel.errors import PerfModelError, shown
from perfmodel.quoting import json_text
from perfmodel.report.files.delimited import to_csv
from perfmodel.report.files.locks import only_writer
from perfmodel.report.files.whole import check_name, explained, hidden, publish

ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}


class Column(Protocol):
    """A column of a block: values as a list or, where `names` is given, as codes of names."""

    @property
    def values(self) -> Any:
        """The values or codes, an array."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """What the codes stand for."""


Block = dict[str, Any]
Report = Callable[[int], None]
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


class _Text:
    """CSV or JSON lines; blocks are appended, so that a file can be gone on with."""

    resumes = True

    def __init__(self, file: IO[bytes], form: str, columns: Sequence[str], *, started: bool) -> None:
        self._file, self._rows = file, csv_rows if form == "csv" else json_rows
        self._head = csv_header(columns) if form == "csv" and not started else b""

    def write(self, block: Block) -> bytes:
        """Append a block and return its bytes."""
        rows = len(next(iter(block.values())).values)
        # Few rows at a time: as Python objects they take many times the room that they take as arrays.
        data = b"".join([self._head, *(self._rows(block, start, start + _ROWS) for start in range(0, rows, _ROWS))])
        self._head = b""
        self._file.write(data)
        return data

    def close(self) -> None:
        """Write what stands at the end."""
        self._file.write(self._head)


class _Parquet:
    """Parquet by pyarrow, one row group a block; its index stands at the end, so an interrupted file is begun anew."""

    resumes = False

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        del columns
        self._arrow, self._parquet = parquet_library()
        self._file, self._writer = file, None

    def write(self, block: Block) -> bytes:
        """Append a row group."""
        schema = (
            self._arrow.schema([(name, self._type(column)) for name, column in block.items()])
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

    def _type(self, column: Any) -> Any:
        """The type of a column in every block: what is no text, truth or float is a count, which may be unknown."""
        if column.names is not None:
            return self._arrow.string()
        return {"b": self._arrow.bool_(), "f": self._arrow.float64()}.get(column.values.dtype.kind, self._arrow.int64())

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


class _State(msgspec.Struct):
    """How far the hidden file reaches. question: what is asked, as a hash; checksum: of all bytes so far."""

    question: str
    blocks: int
    bytes: int
    checksum: int


def write_blocks(
    path: Path,
    form: str,
    columns: Sequence[str],
    block_of: Callable[[int], Block],
    count: int,
    question: str,
    *,
    resume: bool = False,
    report: Report | None = None,
    mark: str = "",
    beside: Callable[[], Mapping[Path, bytes]] | None = None,
) -> None:
    """Write blocks 0 to `count` - 1 to `path`, which appears only when whole.

    form: csv, jsonl or parquet.
    block_of: gives block i, the same rows whenever it is asked.
    question: a text that differs between questions; only the same one is resumed.
    report: is told after each block how many are done.
    mark: sets hidden files apart where several processes may write the same file; the last whole one stays. Without
    one there is a single writer at a time.
    beside: gives files that appear together with this one.
    Raises PerfModelError where a file cannot be written, or another process is writing it; no half file is left then.
    """
    with explained(path):
        check_name(path)
    if form == "parquet":
        parquet_library()
        if resume:
            raise PerfModelError(
                "--resume: a .parquet file cannot be gone on with, since its index stands at the end; leave out"
                " --resume, or write .csv, .jsonl or, with --dask, a folder"
            )
    with contextlib.nullcontext() if mark else only_writer(path), explained(path):
        job = _Job(path, form, columns, block_of, count, question, report, mark)
        job.write(beside, resume=resume)


class _Job:
    """One file to be written block by block."""

    def __init__(
        self,
        path: Path,
        form: str,
        columns: Sequence[str],
        block_of: Callable[[int], Block],
        count: int,
        question: str,
        report: Report | None,
        mark: str,
    ) -> None:
        self._path, self._form, self._columns = path, form, columns
        self._block_of, self._count, self._question, self._report = block_of, count, question, report
        self._partial, self._state_path = partial_paths(path, mark)

    def write(self, beside: Callable[[], Mapping[Path, bytes]] | None, *, resume: bool) -> None:
        """Write the hidden file from where it stands, then give it its name together with those beside it."""
        state = _reached(self._partial, self._state_path, self._question) if resume else None
        extra: dict[Path, Path] = {}
        keep = False
        try:
            self._fill(state)
            for path, content in (beside() if beside is not None else {}).items():
                check_name(path)
                extra[path] = hidden(path, uuid4().hex)
                with extra[path].open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            publish([*((temporary, path) for path, temporary in extra.items()), (self._partial, self._path)])
        except KeyboardInterrupt:
            keep = True
            raise
        finally:
            unfinished = _unfinished(self._state_path)
            for left in [*extra.values(), unfinished, *(() if keep else (self._partial, self._state_path))]:
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)

    def _fill(self, state: _State | None) -> None:
        done, size, checksum = (state.blocks, state.bytes, state.checksum) if state else (0, 0, 0)
        if state is None:
            self._state_path.unlink(missing_ok=True)
        with self._partial.open("r+b" if state else "wb") as file:
            file.truncate(size)
            file.seek(size)
            writer: Any = (
                _Parquet(file, self._columns)
                if self._form == "parquet"
                else _Text(file, self._form, self._columns, started=bool(done))
            )
            for i in range(done, self._count):
                data = writer.write(self._block_of(i))
                if writer.resumes:
                    file.flush()
                    size, checksum = size + len(data), zlib.crc32(data, checksum)
                    _note(self._state_path, _State(self._question, i + 1, size, checksum))
                if self._report is not None:
                    self._report(i + 1)
            writer.close()
            file.flush()
            os.fsync(file.fileno())


def partial_paths(path: Path, mark: str = "") -> tuple[Path, Path]:
    """Return the hidden file that grows beside `path`, and the file that says how far it reaches."""
    dot = f"{mark.lstrip('.')}." if mark else ""
    return hidden(path, f"{dot}partial"), hidden(path, f"{dot}state")


def _unfinished(path: Path) -> Path:
    """Return the name of a state file that is being written."""
    return path.with_name(path.name + "~")


def _note(path: Path, state: _State) -> None:
    temporary = _unfinished(path)
    temporary.write_bytes(msgspec.json.encode(state))
    temporary.replace(path)


def _reached(partial: Path, state_path: Path, question: str) -> _State | None:
    """Return how far an interrupted file reaches, None where there is none that can be gone on with."""
    try:
        state = msgspec.json.decode(state_path.read_bytes(), type=_State)
    except (OSError, msgspec.MsgspecError):
        return None
    if state.question != question:
        raise PerfModelError(
            f"--resume: {shown(str(partial))} belongs to another question; ask that one, or leave out --resume to begin"
            " anew"
        )
    checksum, left = 0, state.bytes
    try:
        with partial.open("rb") as file:
            while left and (data := file.read(min(left, 1 << 22))):
                checksum, left = zlib.crc32(data, checksum), left - len(data)
    except OSError:
        return None
    return state if not left and checksum == state.checksum else None


def text_blocks(form: str, columns: Sequence[str], parts: Iterator[Block]) -> Iterator[str]:
    """Yield what `write_blocks` would write, as text, block by block; form: csv or jsonl."""
    buffer = io.BytesIO()
    writer = _Text(buffer, form, columns, started=False)
    for block in parts:
        yield writer.write(block).decode()
