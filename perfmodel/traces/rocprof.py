"""Read the JSON of rocprofiler-sdk (rocprofv3 --output-format json)."""

from pathlib import Path
from typing import Any

import msgspec

from perfmodel.traces.events import Event, Trace, TraceError, build_trace
from perfmodel.traces.sources import read_whole

LARGEST_JSON = 4_000_000_000  # B; read whole, then decoded to the few keys below


class _Handle(msgspec.Struct, gc=False):
    handle: int = 0


class _Correlation(msgspec.Struct, gc=False):
    internal: int | None = None


class _Dispatch(msgspec.Struct, gc=False):
    kernel_id: int
    agent_id: _Handle = msgspec.field(default_factory=_Handle)
    queue_id: _Handle = msgspec.field(default_factory=_Handle)


class _Record(msgspec.Struct, gc=False):
    start_timestamp: int
    end_timestamp: int
    dispatch_info: _Dispatch
    correlation_id: _Correlation = msgspec.field(default_factory=_Correlation)
    stream_id: _Handle | None = None


class _Call(msgspec.Struct, gc=False):
    start_timestamp: int = 0
    correlation_id: _Correlation = msgspec.field(default_factory=_Correlation)


class _Copy(msgspec.Struct, gc=False):
    start_timestamp: int
    end_timestamp: int
    correlation_id: _Correlation = msgspec.field(default_factory=_Correlation)
    dst_agent_id: _Handle = msgspec.field(default_factory=_Handle)
    src_agent_id: _Handle = msgspec.field(default_factory=_Handle)
    stream_id: _Handle | None = None


class _Symbol(msgspec.Struct, gc=False):
    kernel_id: int
    formatted_kernel_name: str = ""
    demangled_kernel_name: str = ""
    kernel_name: str = ""


class _Agent(msgspec.Struct, gc=False):
    id: _Handle = msgspec.field(default_factory=_Handle)
    product_name: str = ""
    name: str = ""


class _Records(msgspec.Struct, gc=False):
    kernel_dispatch: list[_Record] = msgspec.field(default_factory=list)
    hip_api: list[_Call] = msgspec.field(default_factory=list)
    memory_copy: list[_Copy] = msgspec.field(default_factory=list)


class _Tool(msgspec.Struct, gc=False):
    buffer_records: _Records
    kernel_symbols: list[_Symbol] = msgspec.field(default_factory=list)
    agents: list[_Agent] = msgspec.field(default_factory=list)


class _Export(msgspec.Struct, rename={"tools": "rocprofiler-sdk-tool"}, gc=False):
    tools: list[_Tool]


def read_rocprofiler_json(path: Path) -> Trace:
    """Return the kernel dispatches of a rocprofiler-sdk JSON file (.json or .json.gz).

    Raises TraceError when it is cut off, of another schema, or holds no dispatch.
    """
    data = read_whole(path, LARGEST_JSON)
    try:
        tools = msgspec.json.decode(data, type=_Export).tools
    except msgspec.ValidationError as error:
        raise TraceError(f"{path}: is not JSON of rocprofiler-sdk: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TraceError(f"{path}: is not whole JSON: {' '.join(str(error).split())}; was the file cut off?") from None
    events: list[Event] = []
    hardware = ""
    for process, tool in enumerate(tools):
        names = {
            symbol.kernel_id: symbol.formatted_kernel_name or symbol.demangled_kernel_name or symbol.kernel_name
            for symbol in tool.kernel_symbols
        }
        launches: dict[int, int] = {}
        for call in tool.buffer_records.hip_api:
            if call.correlation_id.internal is not None:
                launches.setdefault(call.correlation_id.internal, call.start_timestamp)
        events += [
            _dispatch(record, names, launches, process if len(tools) > 1 else None)
            for record in tool.buffer_records.kernel_dispatch
        ]
        used = {record.dispatch_info.agent_id.handle for record in tool.buffer_records.kernel_dispatch}
        events += [
            _copy(copy, used, launches, process if len(tools) > 1 else None) for copy in tool.buffer_records.memory_copy
        ]
        hardware = hardware or next(
            (agent.product_name or agent.name for agent in tool.agents if agent.id.handle in used), ""
        )
    return build_trace(str(path), "rocprofiler-sdk", events, hardware=hardware)


def _dispatch(record: _Record, names: dict[int, str], launches: dict[int, int], process: int | None) -> Event:
    where = record.dispatch_info
    # A stream is the program's order; a queue of the hardware may serve several. Stream 0 is the default one.
    stream = f"queue {where.queue_id.handle}" if record.stream_id is None else str(record.stream_id.handle)
    name = names.get(where.kernel_id) or f"kernel {where.kernel_id}"
    duration = record.end_timestamp - record.start_timestamp
    correlation = record.correlation_id.internal
    launched = None if correlation is None else launches.get(correlation)
    return Event(
        record.start_timestamp,
        duration,
        name,
        _device(where.agent_id.handle, process),
        stream,
        "kernel",
        correlation,
        launched,
    )


def _copy(copy: _Copy, used: set[int], launches: dict[int, int], process: int | None) -> Event:
    agent = copy.dst_agent_id.handle if copy.dst_agent_id.handle in used else copy.src_agent_id.handle
    stream = "copies" if copy.stream_id is None else str(copy.stream_id.handle)
    correlation = copy.correlation_id.internal
    launched = None if correlation is None else launches.get(correlation)
    return Event(
        copy.start_timestamp,
        copy.end_timestamp - copy.start_timestamp,
        "Memory copy",
        _device(agent, process),
        stream,
        "copy",
        correlation,
        launched,
    )


def _device(agent: int, process: int | None) -> Any:
    return str(agent) if process is None else f"{process}:{agent}"
