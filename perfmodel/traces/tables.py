"""Read CSV of nsys stats, rocprof and the Ascend profiler: every kernel with its times, or totals by kernel."""

import codecs
import csv
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from perfmodel.errors import shown
from perfmodel.traces.events import Event, KernelTotal, Range, Trace, TraceError, build_trace
from perfmodel.traces.sources import chunks

LONGEST_LINE = 1_000_000  # characters
_DIGITS = 19  # of a number of nanoseconds; far beyond any clock
_HEADER_WITHIN = 200_000  # lines; nsys stats prints other reports before the one of kernels
_SCALE = {"ns": 1, "us": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "sec": 1_000_000_000}
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$")
_PREAMBLE = 60  # lines kept to tell what a file is that holds no table of kernels
_UNIT = re.compile(r"\s*\((\w+)\)\s*$")

# What we need -> spellings of nsys stats (cuda_gpu_trace, cuda_gpu_kern_sum), rocprofv3, rocprofv2, rocprof and the
# Ascend profiler (kernel_details.csv), folded.
_SPELLINGS = {
    "name": ("name", "kernelname", "kernel"),
    "start": ("start", "starttimestamp", "beginns", "startns", "starttime"),
    "stop": ("end", "endtimestamp", "endns"),
    "duration": ("duration", "durationns"),
    "device": ("device", "agentid", "gpuid", "deviceid"),
    "stream": ("strm", "streamid", "stream"),
    "queue": ("queueid",),
    "correlation": ("corrid", "correlationid"),
    "identity": ("dispatchid",),
    "step": ("stepid",),
    "count": ("instances", "calls"),
    "total": ("totaltime", "totalduration", "totaldurationns"),
    "shortest": ("min", "minns", "minimum"),
    "median": ("med", "median"),
    "longest": ("max", "maxns", "maximum"),
}
_LIST = frozenset(("name", "start"))
_SUMMARY = frozenset(("name", "count", "total"))
# Columns of reports on calls of the host, which have names and times too.
_HOST = frozenset(("result", "threadname", "tpri", "depth", "durchild", "rangeid"))


class _Column(NamedTuple):
    place: int
    scale: int  # ns


class _Table(NamedTuple):
    """A table of kernels among the reports of a file: what each column holds, and its rows with their numbers."""

    columns: dict[str, _Column]
    rows: Iterator[tuple[int, list[str]]]

    @property
    def lists(self) -> bool:
        """Whether it has every kernel with its times; else one line a kernel with its totals."""
        return self.columns.keys() >= _LIST and ("stop" in self.columns or "duration" in self.columns)


def read_table(path: Path) -> Trace:
    """Return the Trace of a CSV of nsys stats, rocprofv3, rocprof or the Ascend profiler (kernel_details.csv).

    Where a file holds several reports, as nsys stats prints them, kernels with their times come before totals.
    Raises TraceError for a table of other columns, for a value that is not a number, and for one without kernels.
    """
    rows = csv.reader(_lines(path))
    totals: list[KernelTotal] | None = None
    events: list[Event] = []
    steps: dict[str, tuple[int, int]] = {}
    listed = False
    limit = csv.field_size_limit(LONGEST_LINE)
    try:
        for table in _tables(path, rows):
            if table.lists:
                listed = True
                events += _events(path, table, steps)
            elif totals is None:
                totals = _totals(path, table)
    except csv.Error as error:
        raise TraceError(f"{path}: is not CSV: {error} at line {rows.line_num}") from None
    finally:
        csv.field_size_limit(limit)
    if listed or totals is None:
        ranges = [Range(start, stop, f"step {name}", "device") for name, (start, stop) in steps.items()]
        return build_trace(str(path), "kernel table", events, ranges)
    if not totals:
        raise TraceError(f"{path}: names no kernel; was anything recorded?")
    note = (
        "a summary without times of day: gaps, steps and layers cannot be seen; export the trace itself (nsys"
        " export --type sqlite, rocprofv3 --kernel-trace)"
    )
    return Trace(str(path), "kernel summary", (), (), tuple(totals), None, "", None, (note,))


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines, whichever way they end: two characters, one, or the other."""
    rest = ""
    first = True
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in chunks(path):
        text = rest + decoder.decode(piece)
        if first:
            text, first = text.removeprefix("\ufeff"), False
        held = text.endswith("\r")  # the other half of the line end may come with the next piece
        lines = _LINE.findall(text[:-1] if held else text)
        rest = lines.pop() if lines and not lines[-1].endswith(("\n", "\r")) else ""
        rest += "\r" if held else ""
        if max(map(len, (*lines, rest))) > LONGEST_LINE:
            raise TraceError(
                f"{path}: has a line of more than {LONGEST_LINE:,} characters; expected CSV of nsys stats or rocprof"
            )
        for line in lines:
            yield line.rstrip("\r\n") + "\n"
    if rest:
        yield rest.rstrip("\r\n")


def _tables(path: Path, rows: Iterator[list[str]]) -> Iterator[_Table]:
    """Yield the tables of kernels in a file, one after the other; its rows must be read before the next."""
    start: list[str] = []
    number = 0
    found = False
    following: list[list[str]] = []  # the row that ended a table

    def rest(columns: dict[str, _Column]) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows of a table up to the header or the headline of another."""
        parted = False
        for line, row in enumerate(rows, start=1):
            if not any(row):
                parted = True
                continue
            if row[0].startswith("Processing [") or (parted and not _belongs(row, columns)):
                following.append(row)
                return
            yield line, row

    while (row := following.pop() if following else next(rows, None)) is not None:
        columns = _columns(row)
        if columns.keys() >= _LIST or columns.keys() >= _SUMMARY:
            found = True
            yield _Table(columns, rest(columns))
            continue
        start += row if number < _PREAMBLE else []
        number += 1
        if number >= _HEADER_WITHIN:
            break
    if not found:
        raise TraceError(f"{path}: {_what_instead(' '.join(start))}")


def _belongs(row: list[str], columns: dict[str, _Column]) -> bool:
    """Whether a row behind an empty line has a number where the table has its times."""
    place = columns["start" if "start" in columns else "total"].place
    return place < len(row) and bool(re.match(r"\s*[-+]?[0-9.]", row[place]))


def _what_instead(start: str) -> str:
    """Return what is wrong with a text that holds no table of kernels, and what to record or export instead."""
    if "# of Calls" in start or "Self CPU" in start or "Self CUDA" in start:
        return (
            "is a table of the PyTorch profiler's key_averages(), which has no times of day; record a trace instead:"
            " prof.export_chrome_trace('trace.json')"
        )
    if "cuda_gpu_kern_sum" in start or ("Total Time (ns)" in start and "Instances" in start):
        return (
            "is a table that nsys stats lays out for reading; give --format csv to it, or better export the recording:"
            " nsys export --type sqlite"
        )
    if re.search(r"Processing \[|Time \(%\)|Num Calls", start):
        return (
            "holds reports of nsys stats, but none of kernels; give --report cuda_gpu_trace --format csv to it, or"
            " better export the recording: nsys export --type sqlite"
        )
    if re.search(r"Domain\W+Function|HIP_.*API", start):
        return "lists calls of the host; give the kernel trace of rocprofv3 (--kernel-trace)"
    if "OP Type" in start or "op_statistic" in start:
        return "has totals of operators; give kernel_details.csv of the same profile"
    return (
        "is no trace I know; expected a PyTorch Chrome trace, an SQLite export of Nsight Systems or rocprofv3, JSON or"
        " CSV of rocprofv3, CSV of nsys stats (columns Name and Start, or Name, Instances and Total Time), or"
        " kernel_details.csv of the Ascend profiler"
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
            if folded in _HOST:
                return {}
    return found


def _events(path: Path, table: _Table, steps: dict[str, tuple[int, int]]) -> Iterator[Event]:
    """Yield the kernels of a table; `steps` gets the first start and last end [ns] of each step that it names."""
    columns = table.columns
    identities: set[str] = set()
    for line, row in table.rows:
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
        if step := _cell(row, columns, "step"):
            first, last = steps.get(step, (start, start))
            steps[step] = min(first, start), max(last, start + duration)
        stream = _cell(row, columns, "stream")
        if stream in ("", "0") and "queue" in columns:
            stream = f"queue {_cell(row, columns, 'queue')}"
        correlation = _cell(row, columns, "correlation")
        number = int(correlation) if correlation.isdecimal() and len(correlation) < 20 else None
        yield Event(start, duration, name, device, stream or "0", _kind(name), number, None)


def _kind(name: str) -> str:
    folded = name.lower()
    if folded.startswith(("[", "mem")):
        return "copy" if "memcpy" in folded else "set" if "memset" in folded else "kernel"
    return "kernel"


def _totals(path: Path, table: _Table) -> list[KernelTotal]:
    columns = table.columns
    totals: list[KernelTotal] = []
    for line, row in table.rows:
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
    return totals


def _cell(row: list[str], columns: dict[str, _Column], key: str) -> str:
    column = columns.get(key)
    return row[column.place].strip() if column is not None and column.place < len(row) else ""


def _number(path: Path, row: list[str], columns: dict[str, _Column], key: str, line: int) -> Decimal:
    text = _cell(row, columns, key)
    try:
        number = Decimal(text.replace(",", "") if len(text) < 100 else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    # Compared by its exponent: a number such as 1e999999999 must not be written out.
    if not number.is_finite() or number.adjusted() > _DIGITS:
        raise TraceError(f"{path}: row {line}: {key} is {shown(text)}; expected a number")
    return number


def _time(path: Path, row: list[str], columns: dict[str, _Column], key: str, line: int) -> int:
    """Return the cell in whole nanoseconds."""
    return round(_number(path, row, columns, key, line) * columns[key].scale)
