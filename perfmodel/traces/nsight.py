"""Read the SQLite export of Nsight Systems.

Only the tables named here are read: others hold the environment of the recording machine.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from perfmodel.traces.events import Event, Range, Trace, TraceError, build_trace

_KERNELS = "CUPTI_ACTIVITY_KIND_KERNEL"
_COPIES = "CUPTI_ACTIVITY_KIND_MEMCPY"
_SETS = "CUPTI_ACTIVITY_KIND_MEMSET"
_LAUNCHES = "CUPTI_ACTIVITY_KIND_RUNTIME"
_GRAPHS = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE"
_RANGES = "NVTX_EVENTS"
_STRINGS = "StringIds"
_DEVICES = "TARGET_INFO_GPU"
READ_TABLES = frozenset(
    (_KERNELS, _COPIES, _SETS, _LAUNCHES, _GRAPHS, _RANGES, _STRINGS, _DEVICES, "sqlite_master", "sqlite_schema")
)
_PROCESS = 1 << 24  # globalPid and globalTid hold the process above these bits


def read_nsight(path: Path) -> Trace:
    """Return the device events, launches and NVTX ranges of an Nsight Systems SQLite export, opened read-only.

    Raises TraceError for a database of another schema, a damaged one, and one without kernels.
    """
    try:
        # immutable: no lock and no journal is written beside the file
        with closing(
            sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
        ) as connection:
            connection.set_authorizer(_allow)
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            return _read(str(path), connection)
    except sqlite3.Error as error:
        raise TraceError(
            f"{path}: is not a database that can be read: {' '.join(str(error).split())}; export it again with nsys"
            " export --type sqlite"
        ) from None
    except (OverflowError, MemoryError):
        raise TraceError(f"{path}: holds values no trace has; export it again with nsys export --type sqlite") from None


def _allow(action: int, table: str | None, _column: str | None, _database: str | None, _trigger: str | None) -> int:
    """Let SQLite itself refuse whatever is not on the list."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION) or (
        action == sqlite3.SQLITE_PRAGMA and table == "table_info"
    ):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action == sqlite3.SQLITE_READ and table in READ_TABLES else sqlite3.SQLITE_DENY


def _read(source: str, connection: sqlite3.Connection) -> Trace:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if _KERNELS not in tables:
        if _GRAPHS in tables:
            raise TraceError(
                f"{source}: was recorded with whole graphs; record with nsys profile --cuda-graph-trace=node"
            )
        raise TraceError(
            f"{source}: has no table {_KERNELS}; expected the SQLite export of an Nsight Systems recording with CUDA"
            " activity"
        )
    columns = _columns(connection, _KERNELS)
    name = next((column for column in ("demangledName", "shortName", "mangledName") if column in columns), None)
    missing = sorted({"start", "end", "deviceId", "streamId"} - columns)
    if name is None or missing or _STRINGS not in tables:
        raise TraceError(
            f"{source}: {_KERNELS} lacks {', '.join(missing) or 'the names of kernels'}; expected an export of Nsight"
            " Systems 2020 or later"
        )
    launches = _launches(connection) if _LAUNCHES in tables and "correlationId" in columns else {}
    texts = dict(connection.execute(f"SELECT id, value FROM {_STRINGS}"))  # noqa: S608 (a constant)
    events = [
        _event(source, row, launches, "kernel", texts.get(row[6])) for row in _rows(connection, _KERNELS, columns, name)
    ]
    for table, kind, word in ((_COPIES, "copy", "Memcpy"), (_SETS, "set", "Memset")):
        if table in tables:
            extra = _columns(connection, table)
            label = "copyKind" if "copyKind" in extra else "NULL"
            events += [
                _event(source, row, launches, kind, word if row[6] is None else f"{word} {row[6]}")
                for row in _rows(connection, table, extra, label)
            ]
    ranges = _nvtx(connection, texts) if _RANGES in tables else []
    hardware = ""
    if _DEVICES in tables and "name" in _columns(connection, _DEVICES):
        found = connection.execute(f"SELECT name FROM {_DEVICES} LIMIT 1").fetchone()  # noqa: S608 (a constant)
        hardware = str(found[0] or "") if found else ""
    return build_trace(source, "nsight", events, ranges, hardware=hardware)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _rows(connection: sqlite3.Connection, table: str, columns: set[str], name: str) -> "sqlite3.Cursor":
    """Return start, end, device, stream, correlation, process and name of each row.

    NULL where the export has no such column.
    """
    optional = [
        column if column in columns else "NULL" for column in ("deviceId", "streamId", "correlationId", "globalPid")
    ]
    return connection.execute(f"SELECT start, end, {', '.join(optional)}, {name} FROM {table}")  # noqa: S608 (names of the lists above)


def _event(
    source: str, row: tuple[Any, ...], launches: dict[tuple[int | None, int], int], kind: str, name: object
) -> Event:
    start, stop, device, stream, correlation, process, _ = row
    if not isinstance(start, int) or not isinstance(stop, int):
        raise TraceError(f"{source}: an event of kind {kind} has no whole start and end; expected nanoseconds")
    correlation = correlation if isinstance(correlation, int) else None
    launched = None
    if correlation is not None:
        launched = launches.get((process // _PROCESS if isinstance(process, int) else None, correlation))
    return Event(start, stop - start, str(name or "(no name)"), str(device), str(stream), kind, correlation, launched)


def _launches(connection: sqlite3.Connection) -> dict[tuple[int | None, int], int]:
    columns = _columns(connection, _LAUNCHES)
    if not {"start", "correlationId"} <= columns:
        return {}
    process = "globalTid" if "globalTid" in columns else "NULL"
    found: dict[tuple[int | None, int], int] = {}
    for start, correlation, thread in connection.execute(f"SELECT start, correlationId, {process} FROM {_LAUNCHES}"):  # noqa: S608 (constants)
        if isinstance(start, int) and isinstance(correlation, int):
            found.setdefault((thread // _PROCESS if isinstance(thread, int) else None, correlation), start)
    return found


def _nvtx(connection: sqlite3.Connection, texts: dict[int, str]) -> list[Range]:
    columns = _columns(connection, _RANGES)
    if not {"start", "end"} <= columns:
        return []
    text = "text" if "text" in columns else "NULL"
    number = "textId" if "textId" in columns else "NULL"
    rows = connection.execute(f"SELECT start, end, {text}, {number} FROM {_RANGES} WHERE end IS NOT NULL")  # noqa: S608 (constants)
    return [
        Range(start, stop, str(name or texts.get(key, "")), "host")
        for start, stop, name, key in rows
        if isinstance(start, int) and isinstance(stop, int)
    ]
