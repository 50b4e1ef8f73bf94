"""Read a recorded profile of any known kind, told by its first bytes and not by its name."""

import re
from os import PathLike
from pathlib import Path

from perfmodel.traces.events import Trace, TraceError
from perfmodel.traces.sources import check_file, head

_LARGEST_MODEL = 4_000_000  # B; more than any config.json


def read_trace(path: str | PathLike[str]) -> Trace:
    """Return the Trace in the file at `path`.

    Reads Chrome traces of the PyTorch profiler (.json, .json.gz), SQLite exports of Nsight Systems and of
    rocprofv3 (rocpd), CSV of nsys stats, of rocprof and rocprofv3 and of the Ascend profiler, and JSON of
    rocprofiler-sdk.
    Raises TraceError, with one line that says what would be right, for anything else.
    """
    file = Path(path)
    check_file(file)
    start = head(file)
    text = start.lstrip()
    if not text:
        raise TraceError(f"{file}: holds nothing but space; was the recording finished?")
    if start.startswith(b"SQLite format 3\x00"):
        if _is_packed(file):
            raise TraceError(f"{file}: is a packed database; unpack it first (gunzip)")
        return _read_database(file)
    if text[:1] in (b"{", b"["):
        if b'"rocprofiler-sdk-tool"' in text[:4096]:
            from perfmodel.traces.rocprof import read_rocprofiler_json

            return read_rocprofiler_json(file)
        from perfmodel.traces.chrome import read_chrome

        return read_chrome(file)
    if text.startswith(b"PK\x03\x04"):
        raise TraceError(f"{file}: is a zip archive; unpack it and give the trace inside")
    if b"\x00" in start:
        raise TraceError(
            f"{file}: is binary, but no SQLite database; an .nsys-rep becomes one with nsys export --type sqlite"
        )
    from perfmodel.traces.tables import read_table

    return read_table(file)


def looks_like_trace(path: Path) -> bool:
    """Whether the content of a file is that of a recorded trace, rather than of a model in JSON, TOML or GGUF.

    What cannot be read is taken for a trace, whose reader says what is wrong.
    """
    try:
        check_file(path)
        start = head(path)
        text = start.lstrip()
        if text[:1] == b"{":
            return (
                b'"traceEvents"' in start
                or b'"rocprofiler-sdk-tool"' in start
                or path.stat().st_size > _LARGEST_MODEL
                or b'"traceEvents"' in path.read_bytes()
            )
        return not (start.startswith(b"GGUF") or _is_toml(start))
    except (TraceError, OSError):
        return True


def _is_toml(start: bytes) -> bool:
    """Whether a text begins as TOML does: behind comments stands a table or a key with its value."""
    lines = (line.strip() for line in start.decode("utf-8", "replace").splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return re.match(r"\[\[?[\w.\" -]+\]\]?\s*(#.*)?$|[\w.\" -]+=\s*\S", first) is not None


def _read_database(path: Path) -> Trace:
    from perfmodel.traces.databases import open_database
    from perfmodel.traces.nsight import NSIGHT_TABLES, read_nsight
    from perfmodel.traces.rocpd import is_rocpd, is_rocpd_table, read_rocpd

    with open_database(path, lambda name: name in NSIGHT_TABLES or is_rocpd_table(name)) as database:
        return read_rocpd(database) if is_rocpd(database) else read_nsight(database)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
