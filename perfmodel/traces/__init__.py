"""Read a recorded profile and say what of a step is gaps, floors, collectives and repeated layers.

`read_trace` reads a file of any known profiler into a frozen Trace; `summarise` turns that into the
numbers of a report. Nothing heavy is imported before one of them is called.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel.traces.events import Kernel, Trace, TraceError
    from perfmodel.traces.reading import read_trace
    from perfmodel.traces.records import TraceSummary
    from perfmodel.traces.summary import summarise

__all__ = ["Kernel", "Trace", "TraceError", "TraceSummary", "read_trace", "summarise"]

_HOMES = {
    "Kernel": "events",
    "TraceSummary": "records",
    "Trace": "events",
    "TraceError": "events",
    "read_trace": "reading",
    "summarise": "summary",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'perfmodel.traces' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"perfmodel.traces.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
