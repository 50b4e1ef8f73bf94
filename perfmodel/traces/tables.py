"""Read CSV of nsys stats and of rocprof: either every kernel with its times, or one line a kernel with its totals."""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from perfmodel.errors import shown
from perfmodel.traces.events import Event, KernelTotal, Trace, TraceError, build_trace
from perfmodel.traces.sources import chunks

LONGEST_LINE = 1_000_000  # characters
_HEADER_WITHIN = 60  # lines; nsys stats prints some before the table
_SCALE = {"ns": 1, "us": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "sec": 1_000_000_000}
_UNIT = re.compile(r"\s*\((\w+)\)\s*$")

# What we need -> spellings of nsys stats (cuda_gpu_trace, cuda_gpu_kern_sum), rocprofv3, rocprofv2 and rocprof, folded.
_SPELLINGS = {
    "name": ("name", "kernelname", "kernel"),
    "start": ("start", "starttimestamp", "beginns", "startns"),
    "stop": ("end", "endtimestamp", "endns"),
    "duration": ("duration", "durationns"),
    "device": ("device", "agentid", "gpuid", "deviceid"),
    "stream": ("strm", "streamid", "stream"),
    "queue": ("queueid",),
    "correlation": ("corrid", "correlationid"),
    "identity": ("dispatchid",),
    "count": ("instances", "calls"),
    "total": ("totaltime", "totalduration", "totaldurationns"),
    "shortest": ("min", "minns", "minimum"),
    "median": ("med", "median"),
    "longest": ("max", "maxns", "maximum"),
}
_LIST = frozenset(("name", "start"))
_SUMMARY = frozenset(("name", "count", "total"))


class _Column(NamedTuple):
    place: int
    scale: int  # ns


def read_table(path: Path) -> Trace:
    """Return the Trace of a CSV of nsys stats (cuda_gpu_trace, cuda_gpu_kern_sum), rocprofv3 or rocprof.

    Raises TraceError for a table of other columns, for a value that is not a number, and for one without kernels.
    """
    rows = csv.reader(_lines(path))
    try:
        columns = _header(path, rows)
        if columns.keys() >= _LIST and ("stop" in columns or "duration" in columns):
            return build_trace(str(path), "kernel table", list(_events(path, rows, columns)))
        return _summary(path, rows, columns)
    except csv.Error as error:
        raise TraceError(f"{path}: is not CSV: {error} at line {rows.line_num}") from None


def _lines(path: Path) -> Iterator[str]:
    rest = ""
    first = True
    for piece in chunks(path):
        text = rest + piece.decode("utf-8", "replace")
        if first:
            text, first = text.removeprefix("﻿"), False
        *lines, rest = text.splitlines(keepends=True)
        if len(rest) > LONGEST_LINE:
            raise TraceError(
                f"{path}: has a line of more than {LONGEST_LINE:,} characters; expected CSV of nsys stats or rocprof"
            )
        yield from lines
    if rest:
        yield rest


def _header(path: Path, rows: Iterator[list[str]]) -> dict[str, _Column]:
    for number, row in enumerate(rows):
        columns = _columns(row)
        if columns.keys() >= _LIST or columns.keys() >= _SUMMARY:
            return columns
        if number >= _HEADER_WITHIN:
            break
    raise TraceError(
        f"{path}: is no trace I know; expected a PyTorch Chrome trace, an Nsight Systems SQLite export, JSON or CSV of"
        " rocprofv3, or CSV of nsys stats (columns Name and Start, or Name, Instances and Total Time)"
    )


def _columns(row: list[str]) -> dict[str, _Column]:
    """Return the columns that a header row names; a unit may stand in brackets, nanoseconds otherwise."""
    found: dict[str, _Column] = {}
    for index, cell in enumerate(row):
        unit = _UNIT.search(cell)
        folded = re.sub(r"[^a-z]", "", _UNIT.sub("", cell).lower())
        for key, spellings in _SPELLINGS.items():
            if folded in spellings and key not in found:
                found[key] = _Column(index, _SCALE.get(unit[1].lower(), 1) if unit else 1)
    return found


def _events(path: Path, rows: Iterator[list[str]], columns: dict[str, _Column]) -> Iterator[Event]:
    identities: set[str] = set()
    for line, row in enumerate(rows, start=1):
        if not any(row):
            continue
        start = _time(path, row, columns, "start", line)
        duration = (
            _time(path, row, columns, "stop", line) - start
            if "stop" in columns
            else _time(path, row, columns, "duration", line)
        )
        name = _cell(row, columns, "name") or "(no name)"
        device = _cell(row, columns, "device") or "0"
        identity = _cell(row, columns, "identity")
        if identity and f"{device} {identity}" in identities:
            raise TraceError(
                f"{path}: row {line}: dispatch {shown(identity)} is listed twice; was the table joined from two?"
            )
        identities.add(f"{device} {identity}")
        stream = _cell(row, columns, "stream")
        if stream in ("", "0") and "queue" in columns:
            stream = f"queue {_cell(row, columns, 'queue')}"
        folded = name.lower()
        kind = (
            "copy"
            if "memcpy" in folded and folded.startswith(("[", "mem"))
            else "set"
            if "memset" in folded and folded.startswith(("[", "mem"))
            else "kernel"
        )
        correlation = _cell(row, columns, "correlation")
        yield Event(
            start,
            duration,
            name,
            device,
            stream or "0",
            kind,
            int(correlation) if correlation.isdecimal() and len(correlation) < 20 else None,
            None,
        )


def _summary(path: Path, rows: Iterator[list[str]], columns: dict[str, _Column]) -> Trace:
    totals: list[KernelTotal] = []
    for line, row in enumerate(rows, start=1):
        if not any(row):
            continue
        count, total = _number(path, row, columns, "count", line), _time(path, row, columns, "total", line)
        if count < 1 or count != int(count) or total < 0:
            raise TraceError(
                f"{path}: row {line}: {int(count)} calls in {total} ns; expected a whole number of calls and a time of"
                " 0 or more"
            )
        ends = [
            _time(path, row, columns, key, line) / 1e9 if _cell(row, columns, key) else None
            for key in ("shortest", "median", "longest")
        ]
        totals.append(KernelTotal(_cell(row, columns, "name") or "(no name)", int(count), total / 1e9, *ends))
    if not totals:
        raise TraceError(f"{path}: names no kernel; was anything recorded?")
    notes = (
        (
            "a summary without times of day: gaps, steps and layers cannot be seen; export the trace itself (nsys"
            " export --type sqlite, rocprofv3 --kernel-trace)"
        ),
    )
    return Trace(str(path), "kernel summary", (), (), tuple(totals), None, "", None, notes)


def _cell(row: list[str], columns: dict[str, _Column], key: str) -> str:
    column = columns.get(key)
    return row[column.place].strip() if column is not None and column.place < len(row) else ""


def _number(path: Path, row: list[str], columns: dict[str, _Column], key: str, line: int) -> Decimal:
    text = _cell(row, columns, key)
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > 10**19:
        raise TraceError(f"{path}: row {line}: {key} is {shown(text)}; expected a number")
    return number


def _time(path: Path, row: list[str], columns: dict[str, _Column], key: str, line: int) -> int:
    """Return the cell in whole nanoseconds."""
    return round(_number(path, row, columns, key, line) * columns[key].scale)
