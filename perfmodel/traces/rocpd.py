"""Read the SQLite databases of AMD's profilers: rocpd of rocprofv3, and the older one of rocmProfileData (.rpd).

The tables of rocpd carry the recording's id in their names, and a merged file has several of each; the views over
them are not used. Columns and their meaning: rocprofiler-sdk, source/share/rocprofiler-sdk-rocpd/rocpd_tables.sql;
rocmProfileData, rocpd_python/rocpd/schema_data.
"""

import re
from typing import Any

from perfmodel.traces.databases import Database
from perfmodel.traces.events import Event, Trace, TraceError, build_trace

_TABLE = re.compile(
    r"rocpd_(string|info_kernel_symbol|info_agent|event|region|kernel_dispatch|memory_copy|op)((?:_[0-9a-f_-]+)?)",
    re.IGNORECASE,
)
_PLACE = ("start", "end", "event_id", "nid", "pid")


def is_rocpd_table(name: str) -> bool:
    """Whether a table of this name is read."""
    return _TABLE.fullmatch(name) is not None


def is_rocpd(database: Database) -> bool:
    """Whether the database is one of AMD's profilers."""
    return any(name.lower().startswith(("rocpd_kernel_dispatch", "rocpd_op")) for name in database.columns)


def read_rocpd(database: Database) -> Trace:
    """Return the kernel dispatches and copies of a rocpd database, with the calls of HIP that launched them.

    Raises TraceError for tables without the columns that are needed, and for a file without a dispatch.
    """
    by_kind: dict[str, dict[str, str]] = {}  # kind of table -> id of the recording -> its name
    for name in database.columns:
        match = _TABLE.fullmatch(name)
        if match:
            by_kind.setdefault(match[1].lower(), {})[match[2].lower()] = name
    events: list[Event] = []
    hardware = ""
    for recording, table in by_kind.get("kernel_dispatch", {}).items():
        tables = {kind: names[recording] for kind, names in by_kind.items() if recording in names}
        _needs(database, table, ("start", "end", "kernel_id"))
        apart = recording if len(by_kind["kernel_dispatch"]) > 1 else ""
        found, agents = _dispatches(database, tables, apart)
        events += found
        hardware = hardware or agents
    for table in by_kind.get("op", {}).values():
        _needs(database, table, ("start", "end", "description_id"))
        events += _operations(database, table, by_kind.get("string", {}).get("", ""))
    return build_trace(str(database.path), "rocpd", events, hardware=hardware)


def _needs(database: Database, table: str, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in database.columns[table]]
    if missing:
        raise TraceError(
            f"{database.path}: {table} lacks {', '.join(missing)}; expected a rocpd database of ROCm 7 or later"
        )


def _dispatches(database: Database, tables: dict[str, str], apart: str) -> tuple[list[Event], str]:
    """Return the events of one recording and the name of the device that most of its kernels ran on."""
    texts = dict(database.rows(tables["string"], ("id", "string"))) if "string" in tables else {}
    names = (
        {
            key: shown or plain
            for key, shown, plain in database.rows(tables["info_kernel_symbol"], ("id", "display_name", "kernel_name"))
        }
        if "info_kernel_symbol" in tables
        else {}
    )
    agents = (
        {
            key: product or model or name
            for key, product, model, name in database.rows(
                tables["info_agent"], ("id", "product_name", "model_name", "name")
            )
        }
        if "info_agent" in tables
        else {}
    )
    calls, launches = _launches(database, tables)
    events: list[Event] = []
    used: dict[Any, int] = {}
    for *place, agent, kernel, queue, stream in database.rows(
        tables["kernel_dispatch"], (*_PLACE, "agent_id", "kernel_id", "queue_id", "stream_id")
    ):
        used[agent] = used.get(agent, 0) + 1
        name = str(names.get(kernel) or f"kernel {kernel}")
        events.append(
            _event(database, place, calls, launches, name, "kernel", f"{apart}{agent}", _stream(stream, queue))
        )
    if "memory_copy" in tables:
        for *place, name_id, to, back, queue, stream in database.rows(
            tables["memory_copy"], (*_PLACE, "name_id", "dst_agent_id", "src_agent_id", "queue_id", "stream_id")
        ):
            agent = to if to in used else back
            name = str(texts.get(name_id) or "Memory copy")
            events.append(
                _event(database, place, calls, launches, name, "copy", f"{apart}{agent}", _stream(stream, queue))
            )
    most = max(used, key=lambda agent: used[agent], default=None)
    return events, str(agents.get(most) or "")


def _stream(stream: object, queue: object) -> str:
    # A stream is the program's order; a queue of the hardware may serve several.
    return f"queue {queue}" if stream is None else str(stream)


def _launches(database: Database, tables: dict[str, str]) -> tuple[dict[Any, int], dict[tuple[Any, ...], int]]:
    """Return the correlation of each event id, and the start [ns] of each correlation's call by node and process."""
    if not {"event", "region"} <= tables.keys():
        return {}, {}
    stacks = {
        key: stack
        for key, stack in database.rows(tables["event"], ("id", "stack_id"))
        if isinstance(stack, int) and stack > 0
    }
    found: dict[tuple[Any, ...], int] = {}
    for start, event, node, process in database.rows(tables["region"], ("start", "event_id", "nid", "pid")):
        if event in stacks and isinstance(start, int):
            key = node, process, stacks[event]
            found[key] = min(start, found.get(key, start))
    return stacks, found


def _event(
    database: Database,
    place: list[Any],
    calls: dict[Any, int],
    launches: dict[tuple[Any, ...], int],
    name: str,
    kind: str,
    device: str,
    stream: str,
) -> Event:
    start, stop, event, node, process = place
    if not isinstance(start, int) or not isinstance(stop, int):
        raise TraceError(f"{database.path}: {name} has no whole start and end; expected nanoseconds")
    correlation = calls.get(event)
    launched = None if correlation is None else launches.get((node, process, correlation))
    return Event(start, stop - start, name, device, stream, kind, correlation, launched)


def _operations(database: Database, table: str, strings: str) -> list[Event]:
    """Return the device operations of an .rpd file; markers and barriers have no length and are left out."""
    texts = dict(database.rows(strings, ("id", "string"))) if strings else {}
    events = []
    for start, stop, description, kind, device, queue in database.rows(
        table, ("start", "end", "description_id", "opType_id", "gpuId", "queueId")
    ):
        if not isinstance(start, int) or not isinstance(stop, int):
            raise TraceError(f"{database.path}: an operation has no whole start and end; expected nanoseconds")
        what = str(texts.get(kind, ""))
        name = str(texts.get(description) or what or "(no name)")
        if stop > start and "barrier" not in what.lower() and "marker" not in what.lower():
            sort = "copy" if "copy" in what.lower() else "set" if "fill" in what.lower() else "kernel"
            events.append(Event(start, stop - start, name, str(device), f"queue {queue}", sort, None, None))
    return events
