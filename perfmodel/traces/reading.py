"""Read a recorded profile of any known kind, told by its first bytes and not by its name."""

from os import PathLike
from pathlib import Path

from perfmodel.traces.events import Trace, TraceError
from perfmodel.traces.sources import check_file, head


def read_trace(path: str | PathLike[str]) -> Trace:
    """Return the Trace in the file at `path`.

    Reads Chrome traces of the PyTorch profiler (.json, .json.gz), SQLite exports of Nsight Systems,
    CSV of nsys stats, CSV of rocprof and rocprofv3, and JSON of rocprofiler-sdk.
    Raises TraceError, with one line that says what would be right, for anything else.
    """
    file = Path(path)
    check_file(file)
    start = head(file)
    text = start.lstrip()
    if not text:
        raise TraceError(f"{file}: holds nothing but space; was the recording finished?")
    if start.startswith(b"SQLite format 3\x00"):
        from perfmodel.traces.nsight import read_nsight

        if _is_packed(file):
            raise TraceError(f"{file}: is a packed database; unpack it first (gunzip)")
        return read_nsight(file)
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


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
