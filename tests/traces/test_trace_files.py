"""Every kind of file is read by content; every bad one ends in one line."""

import gzip
import json
import sqlite3
import subprocess
import sys

import pytest

from perfmodel.errors import PerfModelError, ValueRangeError
from perfmodel.traces import TraceError, chrome, read_trace, sources, summarise

LAYER = ["qkv", "flash_fwd_kernel", "out", "ncclDevKernel_AllReduce", "up", "down"]
NAMES = ["embed", *LAYER * 12, "head"]


def kineto(names=NAMES, *, duration=4.0, step=5.0, origin=1.7e15, **extra):
    events = []
    for number, name in enumerate(names):
        time = origin + step * number
        events.append(
            {
                "ph": "X",
                "cat": "kernel",
                "name": name,
                "pid": 0,
                "tid": 7,
                "ts": time,
                "dur": duration,
                "args": {"device": 0, "stream": 7, "correlation": number, "grid": [1, 2, 3], "x": {"y": {}}},
            }
        )
        events.append(
            {
                "ph": "X",
                "cat": "cuda_runtime",
                "name": "cudaLaunchKernel",
                "pid": 1,
                "tid": 1,
                "ts": time - 50,
                "dur": 1.0,
                "args": {"correlation": number},
            }
        )
        events.append(
            {"ph": "i", "cat": "cpu_instant_event", "name": '{["]}\\', "pid": 1, "tid": 1, "ts": time, "s": "t"}
        )
    return {
        "schemaVersion": 1,
        "deviceProperties": [{"id": 0, "name": "NVIDIA H100"}],
        "distributedInfo": {"world_size": 2},
        "traceEvents": events,
        "traceName": "a.json",
    } | extra


def written(folder, content, name="trace.json"):
    path = folder / name
    path.write_bytes(
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    return path


def refused(path):
    with pytest.raises(TraceError) as stop:
        summarise(read_trace(path))
    message = str(stop.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def check(trace, *, launched=True):
    summary = summarise(trace)
    assert (summary.layers, summary.kernels_per_step, summary.kernels_per_layer) == (12, 74, 6)
    assert summary.step_time == pytest.approx(73 * 5e-6 + 4e-6, rel=1e-6)
    assert summary.busy + summary.idle == pytest.approx(summary.step_time, rel=1e-9)
    assert all(kernel.launched is not None for kernel in trace.kernels) is launched
    return summary


@pytest.mark.parametrize("layout", ["packed", "compact", "indented", "list", "wrong ending", "byte order mark"])
def test_chrome_layouts(tmp_path, layout):
    content = kineto()
    if layout == "packed":
        path = written(tmp_path, gzip.compress(json.dumps(content).encode()), "trace.json.gz")
    elif layout == "list":
        path = written(tmp_path, content["traceEvents"])
    elif layout == "byte order mark":
        path = written(tmp_path, b"\xef\xbb\xbf" + json.dumps(content).encode())
    else:
        path = written(
            tmp_path,
            json.dumps(
                content,
                indent=2 if layout == "indented" else None,
                separators=(",", ":") if layout == "compact" else None,
            ),
            "trace.txt" if layout == "wrong ending" else "trace.json",
        )
    trace = read_trace(path)
    summary = check(trace)
    if layout != "list":
        assert (trace.hardware, trace.ranks) == ("NVIDIA H100", 2)
    assert summary.shares.collectives == pytest.approx(12 * 4 / (73 * 5 + 4), rel=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_chrome_read_in_small_pieces(tmp_path, monkeypatch, size):
    """Wherever the buffer ends: inside a string, a number, an escape, between events."""
    monkeypatch.setattr(sources, "CHUNK", size)
    check(read_trace(written(tmp_path, kineto(note={"a": ["}", '\\"{', 1.5e-3, None]}))))


def test_chrome_tolerates_what_recorders_write(tmp_path):
    text = (
        json.dumps(kineto())
        .replace('"grid": [1, 2, 3]', '"memory bandwidth (GB/s)": inf, "x": [NaN, -Infinity]')
        .encode()
    )
    text = text.replace(b'"traceName": "a.json"', b'"traceName": "\xff\xfe", "more": nan')
    text = text.replace(b"cudaLaunchKernel", b"caf\xe9 launch")
    check(read_trace(written(tmp_path, text)))
    odd = kineto()
    odd["traceEvents"] += [
        {"ph": "X", "cat": "cpu_op", "name": 3, "ts": "x", "args": [1]},
        {"ph": "M", "name": "process_name", "args": {"name": "python"}},
    ]
    check(read_trace(written(tmp_path, odd)))


def test_stamps_of_today_keep_their_nanoseconds(tmp_path):
    """Microseconds since 1970 as a float are good to a quarter of one."""
    text = json.dumps(kineto(["a", "b"]))
    text = text.replace("1700000000000000.0", "1700000000000000.001").replace(
        "1700000000000005.0", "1700000000000005.063"
    )
    first, second = read_trace(written(tmp_path, text)).kernels
    assert (first.start, second.start) == (0, pytest.approx(5.062e-6, abs=1e-15))


def test_whole_microseconds_are_told_and_their_gaps_refused(tmp_path):
    trace = read_trace(written(tmp_path, kineto(duration=5)))
    assert trace.resolution == 1e-6
    assert any("multiples of 1 us" in note for note in trace.notes)
    summary = summarise(trace)
    assert summary.gap_median is None
    assert summary.gap_90 is None


def nsight(path, *, names=NAMES, kernels="CUPTI_ACTIVITY_KIND_KERNEL", extra="", end="end", graphs=False):
    with sqlite3.connect(path) as connection:
        connection.executescript(f"""
            CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);
            CREATE TABLE {kernels} (start INTEGER, "{end}" INTEGER, deviceId INTEGER, streamId INTEGER,
            correlationId INTEGER, globalPid INTEGER, demangledName INTEGER, shortName INTEGER);
            CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, globalTid INTEGER,
            correlationId INTEGER, nameId INTEGER);
            CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, text TEXT, textId INTEGER);
            CREATE TABLE TARGET_INFO_SYSTEM_ENV (name TEXT, nameEnum INTEGER, value TEXT);
            INSERT INTO TARGET_INFO_SYSTEM_ENV VALUES ('SECRET_TOKEN', 0, 'hunter2');
            {"CREATE TABLE CUPTI_ACTIVITY_KIND_GRAPH_TRACE (start INTEGER, end INTEGER);" if graphs else ""}
            {extra}
        """)
        for number, name in enumerate(names):
            connection.execute("INSERT INTO StringIds VALUES (?, ?)", (number, name))
            connection.execute(
                f"INSERT INTO {kernels} VALUES (?, ?, 0, 7, ?, ?, ?, ?)",
                (10**9 + 5000 * number, 10**9 + 5000 * number + 4000, number, 5 << 24, number, number),
            )
            connection.execute(
                "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (?, ?, ?, ?, 0)",
                (10**9 + 5000 * number - 50_000, 10**9, (5 << 24) + 3, number),
            )
    connection.close()
    return path


def test_nsight_export(tmp_path):
    trace = read_trace(nsight(tmp_path / "report.sqlite"))
    check(trace)
    assert "hunter2" not in repr(trace)
    assert "hunter2" not in json.dumps(summarise(trace).to_dict(kernels=True))
    assert [file.name for file in tmp_path.iterdir()] == ["report.sqlite"]


def test_environment_of_the_recording_machine_is_never_read(tmp_path, monkeypatch):
    """SQLite itself refuses every table that is not on the list, even where a view of a known name leads to it."""
    from perfmodel.traces.databases import Database

    asked = set()
    allow = Database._allow
    monkeypatch.setattr(
        Database, "_allow", lambda self, action, table, *rest: (asked.add(table), allow(self, action, table, *rest))[1]
    )
    read_trace(nsight(tmp_path / "report.sqlite"))
    assert not {table for table in asked if table and "ENV" in table.upper() and table != "NVTX_EVENTS"}
    path = nsight(tmp_path / "view.sqlite", extra="CREATE TABLE TARGET_INFO_GPU (name TEXT);")
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "DROP TABLE TARGET_INFO_GPU; CREATE VIEW TARGET_INFO_GPU AS SELECT value AS name FROM "
            "TARGET_INFO_SYSTEM_ENV;"
        )
    connection.close()
    assert "hunter2" not in repr(read_trace(path))


GENERATED = "Generating SQLite file report.sqlite\nProcessing [report.sqlite] with [cuda_gpu_trace.py]... \n\n"
TABLES = {
    "nsys cuda_gpu_trace": (
        f"{GENERATED}Start (ns),Duration (ns),CorrId,GrdX,Bytes (MB),Device,Ctx,Strm,Name\n",
        lambda n, name: f'{10**9 + 5000 * n},4000,{n},1,,NVIDIA H100 (0),1,7,"{name}"\n',
    ),
    "nsys in microseconds": (
        "Start (us),Duration (us),CorrId,Device,Ctx,Strm,Name\n",
        lambda n, name: f"{10**6 + 5 * n}.000,4.000,{n},H100 (0),1,7,{name}\n",
    ),
    "rocprofv3": (
        '"Kind","Agent_Id","Queue_Id","Stream_Id","Thread_Id","Dispatch_Id","Kernel_Id","Kernel_Name","Correlation_Id","Start_Timestamp","End_Timestamp","LDS_Block_Size"\n',
        lambda n, name: (
            f'"KERNEL_DISPATCH","Agent 4",1,0,77,{n},9,"{name}",{n},{10**12 + 5000 * n},{10**12 + 5000 * n + 4000},0\n'
        ),
    ),
    "rocprof": (
        '"Index","KernelName","gpu-id","queue-id","queue-index","pid","tid","BeginNs","EndNs","DurationNs"\r\n',
        lambda n, name: f'{n},"{name}",0,0,{n},1,1,{5000 * n},{5000 * n + 4000},4000\r\n',
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_with_times(tmp_path, kind):
    header, row = TABLES[kind]
    check(
        read_trace(written(tmp_path, header + "".join(row(n, name) for n, name in enumerate(NAMES)), "table.csv")),
        launched=False,
    )


def test_tables_of_totals(tmp_path):
    lines = (
        '"Name","Calls","TotalDurationNs","AverageNs","Percentage"',
        '"gemm",10,50000,5000,80.0',
        '"nccl_all_reduce",4,12000,3000,20.0',
        "",
    )
    text = "\n".join(lines)
    summary = summarise(read_trace(written(tmp_path, text, "stats.csv")))
    assert (summary.busy, summary.step_time, summary.prize) == (pytest.approx(62e-6), None, None)
    assert summary.shares.collectives == pytest.approx(12 / 62)
    assert any("without times of day" in note for note in summary.notes)


def rocprofiler(names=NAMES, step=5000):
    records = [
        {
            "start_timestamp": 10**12 + step * n,
            "end_timestamp": 10**12 + step * n + 4000,
            "correlation_id": {"internal": n, "external": 0},
            "dispatch_info": {"agent_id": {"handle": 3}, "queue_id": {"handle": 1}, "kernel_id": n},
            "stream_id": {"handle": 4},
        }
        for n, _ in enumerate(names)
    ]
    symbols = [{"kernel_id": n, "formatted_kernel_name": name} for n, name in enumerate(names)]
    calls = [
        {"start_timestamp": 10**12 + step * n - 50_000, "correlation_id": {"internal": n}} for n, _ in enumerate(names)
    ]
    return {
        "rocprofiler-sdk-tool": [
            {
                "metadata": {},
                "agents": [{"id": {"handle": 3}, "product_name": "MI300X"}],
                "kernel_symbols": symbols,
                "buffer_records": {"kernel_dispatch": records, "hip_api": calls},
            }
        ]
    }


def test_rocprofiler_json(tmp_path):
    trace = read_trace(written(tmp_path, rocprofiler()))
    check(trace)
    assert trace.hardware == "MI300X"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  \n ", "nothing but space"),
        (b"\x00\x01\x02" * 50, "binary"),
        (b"PK\x03\x04 abc", "zip archive"),
        (b"\x1f\x8b\x08\x00 no gzip", "damaged gzip"),
        (b"SQLite format 3\x00" + b"\xff" * 4096, "database"),
        (b"hello, world\n1,2\n", "no trace I know"),
        (b"x" * 3_000_000, "line of more than"),
        (b'"unfinished', "no trace I know"),
        (b"{}", "without traceEvents"),
        (b"[]", "no GPU kernel"),
        (b"{", "cut off"),
        (b"[", "cut off"),
        (b'{"traceEvents"', "cut off"),
        (b'{"traceEvents": 3}', "not a list"),
        (b'{"traceEvents": [3]}', "not an object"),
        (b'{"traceEvents": [{}, ]}', "no GPU kernel"),
        (b'{"traceEvents": [{"a": }]}', "not a JSON trace"),
        (b'{"traceEvents": []} {', "after the end"),
        (b'{"a": [1, {"b": "c"}', "cut off"),
        (b"{" * 100_000, "key"),
        (b"[" * 100_000, "not an object"),
        (b'{"a":' * 100_000, "cut off"),
        (b'{"traceEvents": [' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"]}", "cut off"),
        (b'{"rocprofiler-sdk-tool": [{}]}', "rocprofiler-sdk"),
        (b'{"rocprofiler-sdk-tool": [', "not whole JSON"),
        (b'{"rocprofiler-sdk-tool": []}', "no GPU kernel"),
        (b"Time (%),Total Time (ns),Instances,Name\n1,x,3,a\n", "expected a number"),
        (b"Time (%),Total Time (ns),Instances,Name\n1,5,0,a\n", "0 calls"),
        (b"Time (%),Total Time (ns),Instances,Name\n", "names no kernel"),
        (b"Start (ns),Duration (ns),Name\n", "no GPU kernel"),
        (b"Start (ns),Duration (ns),Name\n5,-3,a\n", "before it starts"),
        (b"Start (ns),Duration (ns),Name\n5\n", "expected a number"),
        (b"Kernel_Name,Start_Timestamp,End_Timestamp\na,9,3\n", "before it starts"),
        (b"Kernel_Name,Start_Timestamp,End_Timestamp,Dispatch_Id\na,1,3,7\nb,4,5,7\n", "listed twice"),
        (b"Kernel_Name,Start_Timestamp,End_Timestamp\na,1,nan\n", "expected a number"),
        (b"Kernel_Name,Start_Timestamp,End_Timestamp\na,1,1e99999\n", "expected a number"),
    ],
)
def test_bad_content_ends_in_one_line(tmp_path, content, says):
    assert says in refused(written(tmp_path, content, "file"))


def changed(**values):
    content = kineto()
    content["traceEvents"][9] |= values
    return content


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"dur": -3.5}, "before it starts"),
        ({"dur": None}, "has no dur"),
        ({"ts": None}, "has no ts"),
        ({"ts": 1e60}, "expected microseconds"),
        ({"dur": 1e14}, "more than a day"),
        ({"ts": "noon"}, "GPU event"),
        ({"ph": "B"}, "begin-and-end"),
        ({"name": [1]}, "GPU event"),
        ({"args": 3}, "GPU event"),
    ],
)
def test_bad_events_end_in_one_line(tmp_path, values, says):
    assert says in refused(written(tmp_path, changed(**values)))


def test_events_listed_twice(tmp_path):
    content = kineto()
    content["traceEvents"].append(content["traceEvents"][9])
    assert "listed twice" in refused(written(tmp_path, content))


def test_events_out_of_order_are_sorted_and_told(tmp_path):
    content = kineto()
    content["traceEvents"].reverse()
    trace = read_trace(written(tmp_path, content))
    check(trace)
    assert any("out of order" in note for note in trace.notes)


def test_host_events_alone(tmp_path):
    content = kineto()
    content["traceEvents"] = [event for event in content["traceEvents"] if event.get("cat") != "kernel"]
    assert "no GPU kernel" in refused(written(tmp_path, content))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.77, 0.999])
@pytest.mark.parametrize("packed", [False, True])
def test_cut_off_anywhere(tmp_path, share, packed):
    text = json.dumps(kineto()).encode()
    text = gzip.compress(text) if packed else text
    refused(written(tmp_path, text[: int(len(text) * share)]))


def test_zip_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_ALWAYS_ALLOWED", 1_000_000)
    for filler in (
        b" " * 30_000_000,
        b'{"a": "' + b"x" * 30_000_000,
        b'{"traceEvents": [' + b'{"ph":"X"},' * 3_000_000,
        b"Name,Start\n" + b"\n" * 30_000_000,
    ):
        path = written(tmp_path, gzip.compress(filler), "bomb.json.gz")
        assert "times its size" in refused(path)


def test_value_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(chrome, "LONGEST_EVENT_TEXT", 1_000_000)
    assert "longer than" in refused(written(tmp_path, b'{"traceEvents": [{"name": "' + b"x" * 9_000_000))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kernels": "OTHER"}, "has no table CUPTI_ACTIVITY_KIND_KERNEL"),
        ({"kernels": "OTHER", "graphs": True}, "no GPU kernel"),
        ({"end": "finish"}, "lacks end"),
        ({"names": []}, "no GPU kernel"),
        ({"extra": "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (5, 3, 0, 7, 1, 1, 1, 1);"}, "before it starts"),
        (
            {"extra": "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES ('a', NULL, 0, 7, 1, 1, 1, 1);"},
            "whole start and end",
        ),
        ({"extra": "DROP TABLE StringIds; CREATE TABLE StringIds (id INTEGER, text TEXT);"}, "export it again"),
    ],
)
def test_databases_of_another_schema(tmp_path, changes, says):
    if "StringIds (id INTEGER, text" in changes.get("extra", ""):
        path = tmp_path / "a.sqlite"
        with sqlite3.connect(path) as connection:
            connection.executescript(
                "CREATE TABLE StringIds (id INTEGER, text TEXT); CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, "
                '"end", deviceId, streamId, shortName);'
            )
        connection.close()
    else:
        path = nsight(tmp_path / "a.sqlite", **changes)
    assert says in refused(path)


def test_missing_and_folder(tmp_path):
    assert "no such file" in refused(tmp_path / "absent.json")
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"bandwidth": -1},
        {"measured": 0},
        {"measured": float("nan")},
        {"bandwidth": 1e12},
        {"bytes_per_step": 1e9},
        {"bandwidth": True, "bytes_per_step": 1},
    ],
)
def test_options_out_of_range(tmp_path, options):
    with pytest.raises(ValueRangeError):
        summarise(read_trace(written(tmp_path, kineto())), **options)


def test_errors_are_the_package_s_own():
    assert issubclass(TraceError, PerfModelError)


def test_import_is_cheap():
    code = """
import sys, perfmodel.traces
print([m for m in ('numpy', 'sqlite3', 'gzip', 'msgspec', 'csv', 'ijson') if m in sys.modules])
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
