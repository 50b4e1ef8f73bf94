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
from typing import Any
from uuid import uuid4

import msgspec

from perfmodel.errors import PerfModelError, StoppedError, shown
from perfmodel.estimates.progress import Report
from perfmodel.report.files.locks import only_writer
from perfmodel.report.files.rowfiles import Block, ParquetRows, TextRows, parquet_library
from perfmodel.report.files.whole import check_name, explained, hidden, publish
from perfmodel.report.files.workers import by_processes

ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}


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
    jobs: int = 1,
) -> None:
    """Write blocks 0 to `count` - 1 to `path`, which appears only when whole.

    form: csv, jsonl or parquet.
    block_of: gives block i, the same rows whenever it is asked.
    question: a text that differs between questions; only the same one is resumed.
    report: is told after each block how many are done.
    mark: sets hidden files apart where several processes may write the same file; the last whole one stays. Without
    one there is a single writer at a time.
    beside: gives files that appear together with this one.
    jobs: how many processes make text of blocks side by side; the bytes are the same.
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
        job = _Job(path, form, columns, block_of, count, question, report, mark, jobs)
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
        jobs: int,
    ) -> None:
        self._path, self._form, self._columns = path, form, columns
        self._block_of, self._count, self._question, self._report = block_of, count, question, report
        self._partial, self._state_path = partial_paths(path, mark)
        self._jobs = jobs

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
            kept = _reached(self._partial, self._state_path, self._question)
            keep = kept is not None
            raise StoppedError(self._left(kept)) from None
        finally:
            unfinished = _unfinished(self._state_path)
            for left in [*extra.values(), unfinished, *(() if keep else (self._partial, self._state_path))]:
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)

    def _left(self, kept: _State | None) -> str:
        """Return what a stopped run left, and how to go on."""
        if kept is None:
            begun = " of a .parquet file" if self._form == "parquet" else ""
            return f"nothing{begun} was kept, and {shown(str(self._path))} is as it was"
        return (
            f"{shown(str(self._partial))} keeps {kept.blocks} of {self._count} blocks, and"
            f" {shown(str(self._state_path))} says how far it reaches; the same line with --resume goes on from there,"
            " without --resume it begins anew"
        )

    def _fill(self, state: _State | None) -> None:
        done, size, checksum = (state.blocks, state.bytes, state.checksum) if state else (0, 0, 0)
        if state is None:
            self._state_path.unlink(missing_ok=True)
        with self._partial.open("r+b" if state else "wb") as file:
            file.truncate(size)
            file.seek(size)
            writer: Any = (
                ParquetRows(file, self._columns)
                if self._form == "parquet"
                else TextRows(file, self._form, self._columns, started=bool(done))
            )
            try:
                places, jobs = range(done, self._count), self._jobs if writer.resumes else 1
                made = by_processes(writer.making(self._block_of), places, jobs)
                for i, rows in zip(places, made, strict=True):
                    for data in writer.write(rows):
                        size, checksum = size + len(data), zlib.crc32(data, checksum)
                    if writer.resumes:
                        file.flush()
                        _note(self._state_path, _State(self._question, i + 1, size, checksum))
                    if self._report is not None:
                        self._report(i + 1, self._count)
                writer.close()
            except BaseException:
                writer.abandon()
                raise
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


def text_blocks(
    form: str, columns: Sequence[str], block_of: Callable[[int], Block], count: int, jobs: int = 1
) -> Iterator[str]:
    """Yield what `write_blocks` would write, as text, block by block; form: csv or jsonl."""
    writer = TextRows(io.BytesIO(), form, columns, started=False)
    for rows in by_processes(writer.making(block_of), range(count), jobs):
        yield b"".join(writer.write(rows)).decode()
