"""Read the SQLite export of Nsight Systems.

Only the tables named here are read: others hold the environment of the recording machine.
"""

from typing import Any

from perfmodel.traces.databases import Database
from perfmodel.traces.events import Event, Range, Trace, TraceError, build_trace

_KERNELS = "CUPTI_ACTIVITY_KIND_KERNEL"
_COPIES = "CUPTI_ACTIVITY_KIND_MEMCPY"
_SETS = "CUPTI_ACTIVITY_KIND_MEMSET"
_LAUNCHES = "CUPTI_ACTIVITY_KIND_RUNTIME"
_GRAPHS = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE"
_RANGES = "NVTX_EVENTS"
_STRINGS = "StringIds"
_DEVICES = "TARGET_INFO_GPU"
NSIGHT_TABLES = frozenset((_KERNELS, _COPIES, _SETS, _LAUNCHES, _GRAPHS, _RANGES, _STRINGS, _DEVICES))
_PLACE = ("start", "end", "deviceId", "streamId", "correlationId", "globalPid")
_PROCESS = 1 << 24  # globalPid and globalTid hold the process above these bits


def read_nsight(database: Database) -> Trace:
    """Return the device events, launches and NVTX ranges of an Nsight Systems SQLite export.

    A graph that was recorded whole is one event of kind 'graph'.
    Raises TraceError for a database of another schema, and one without kernels and graphs.
    """
    source = str(database.path)
    events: list[Event] = []
    launches = _launches(database)
    texts = dict(database.rows(_STRINGS, ("id", "value"))) if _STRINGS in database.columns else {}
    if _KERNELS in database.columns:
        name = _name_column(database)
        events += [
            _event(source, row, launches, "kernel", texts.get(row[6]))
            for row in database.rows(_KERNELS, (*_PLACE, name))
        ]
    elif _GRAPHS not in database.columns:
        raise TraceError(
            f"{source}: has no table {_KERNELS}; expected the SQLite export of an Nsight Systems recording with CUDA"
            " activity, or a rocpd database of rocprofv3"
        )
    if _GRAPHS in database.columns:
        # A graph whose nodes were recorded too is its nodes.
        known = {event.correlation for event in events if event.correlation is not None}
        events += [
            event
            for row in database.rows(_GRAPHS, (*_PLACE, "graphId"))
            if (event := _event(source, row, launches, "graph", f"graph {row[6]}")).correlation not in known
        ]
    for table, kind, word in ((_COPIES, "copy", "Memcpy"), (_SETS, "set", "Memset")):
        if table in database.columns:
            events += [
                _event(source, row, launches, kind, word if row[6] is None else f"{word} {row[6]}")
                for row in database.rows(table, (*_PLACE, "copyKind"))
            ]
    ranges = _nvtx(database, texts) if _RANGES in database.columns else []
    names = [row[0] for row in database.rows(_DEVICES, ("name", "id"))] if _DEVICES in database.columns else []
    return build_trace(source, "nsight", events, ranges, hardware=str(names[0] or "") if names else "")


def _name_column(database: Database) -> str:
    """Return the column of kernel names; raise TraceError where an export lacks what is needed."""
    columns = database.columns[_KERNELS]
    name = next((column for column in ("demangledName", "shortName", "mangledName") if column in columns), None)
    missing = sorted({"start", "end", "deviceId", "streamId"} - columns)
    if name is None or missing or not {"id", "value"} <= database.columns.get(_STRINGS, frozenset()):
        raise TraceError(
            f"{database.path}: {_KERNELS} lacks {', '.join(missing) or 'the names of kernels'}; expected an export of"
            " Nsight Systems 2020 or later: export it again"
        )
    return name


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


def _launches(database: Database) -> dict[tuple[int | None, int], int]:
    """Return the start of each call of the runtime [ns] by process and correlation id."""
    found: dict[tuple[int | None, int], int] = {}
    if not {"start", "correlationId"} <= database.columns.get(_LAUNCHES, frozenset()):
        return found
    for start, correlation, thread in database.rows(_LAUNCHES, ("start", "correlationId", "globalTid")):
        if isinstance(start, int) and isinstance(correlation, int):
            found.setdefault((thread // _PROCESS if isinstance(thread, int) else None, correlation), start)
    return found


def _nvtx(database: Database, texts: dict[int, str]) -> list[Range]:
    return [
        Range(start, stop, str(name or texts.get(key, "")), "host")
        for start, stop, name, key in database.rows(_RANGES, ("start", "end", "text", "textId"))
        if isinstance(start, int) and isinstance(stop, int)
    ]
