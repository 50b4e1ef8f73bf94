"""Files as profilers write them: each is read with its right figures, or refused with what to record instead."""

import json
import sqlite3
from pathlib import Path

import pytest

from perfmodel.traces import TraceError, read_trace, summarise
from perfmodel.traces.reading import looks_like_trace

CASES = Path(__file__).parent / "cases"

# Steps, layers, kernels a step, time of a step [s], share of the time from start to start that is busy.
READ = {
    "nsys_graphs_whole.sqlite": (12, 0, 3, 10.023e-3, 0.99),
    "rocpd_results.db": (1, 400, 400, 3.998e-3, 0.8),
    "rocprofv3_kernel_trace.csv.gz": (1, 80, 400, 3.598e-3, 0.778),
    "ascend_kernel_details.csv.gz": (4, 24, 120, 2.543e-3, 0.883),
    "deferred_burst.json.gz": (6, 24, 122, 2.3075e-3, 0.971),
    "graph_two_streams_no_marks.json.gz": (5, 24, 123, 2.316e-3, 0.951),
    "only_copies_repeat.json.gz": (1, 0, 60, 3.585e-3, 0.884),
}
TOTALS = ("nsys_stats_all_reports.csv", "nsys_stats_kern_only_preamble.csv")
REFUSED = {"key_averages.txt": "export_chrome_trace", "nsys_stats_default_table.txt": "--format csv"}


def test_every_case_is_here():
    assert {path.name for path in CASES.iterdir()} == {*READ, *TOTALS, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_cases_are_read(name):
    steps, layers, kernels, time, busy = READ[name]
    summary = summarise(read_trace(CASES / name))
    assert (summary.steps_complete, summary.layers, summary.kernels_per_step) == (steps, layers, kernels)
    assert summary.step_time == pytest.approx(time, rel=1e-3)
    assert summary.busy / (summary.step_period or summary.step_time) == pytest.approx(busy, abs=2e-3)


@pytest.mark.parametrize("name", TOTALS)
def test_totals_of_kernels_among_other_reports(run, name):
    assert "10 ms in 1,920 calls" in run("trace", CASES / name).out
    trace = read_trace(CASES / name)
    assert sum(total.total for total in trace.totals) == pytest.approx(10e-3)
    assert sum(total.count for total in trace.totals) == 1920
    assert {total.name for total in trace.totals} == {"gemv_a", "void attention<(int)128, (bool)1>(float *)"}


@pytest.mark.parametrize("name", REFUSED)
def test_cases_are_refused_with_what_to_record(name):
    with pytest.raises(TraceError) as stop:
        read_trace(CASES / name)
    assert REFUSED[name] in str(stop.value)
    assert "\n" not in str(stop.value)


def test_graphs_recorded_whole_ask_for_their_nodes(run):
    answer = run("trace", CASES / "nsys_graphs_whole.sqlite")
    assert answer.out.startswith("12 steps of 10.02 ms, 99 % busy")
    assert "--cuda-graph-trace=node" in answer.out.replace("\n", " ").replace("- ", "-")
    assert " x;" not in answer.out
    summary = summarise(read_trace(CASES / "nsys_graphs_whole.sqlite"))
    assert summary.prize is None
    assert summary.shares.graphs == pytest.approx(10 / 10.023, rel=1e-3)
    assert summary.bound == "graphs"
    priced = run("trace", CASES / "nsys_graphs_whole.sqlite", "--model", "llama-3.1-8b", "--hardware", "h100-sxm")
    assert (priced.code, priced.out) == (1, "")
    assert "record nodes" in priced.err


def test_a_graph_whose_nodes_were_recorded_is_its_nodes(tmp_path):
    path = tmp_path / "both.sqlite"
    path.write_bytes((CASES / "nsys_graphs_whole.sqlite").read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT start, end, deviceId, contextId, streamId, correlationId,"
            " globalPid, 0, 0 FROM CUPTI_ACTIVITY_KIND_GRAPH_TRACE"
        )
    connection.close()
    assert {kernel.kind for kernel in read_trace(path).kernels} == {"kernel"}


def test_copies_alone_are_no_layer():
    summary = summarise(read_trace(CASES / "only_copies_repeat.json.gz"))
    assert summary.repeats == ()
    assert any("no layer repeats" in note for note in summary.notes)


def test_layers_are_found_beside_more_copies_than_kernels(tmp_path):
    names = ["Memcpy HtoD"] * 60 + ["norm", "attention", "gemm"] * 16
    events = [
        {
            "ph": "X",
            "cat": "gpu_memcpy" if name.startswith("Memcpy") else "kernel",
            "name": name,
            "ts": 10.0 * number,
            "dur": 9.0,
            "args": {"device": 0, "stream": 7},
        }
        for number, name in enumerate(names)
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    (layer,) = summarise(read_trace(path)).repeats
    assert (layer.body, layer.count) == (("norm", "attention", "gemm"), 16)


def rocpd(path, suffix="_00aa"):
    """Write a rocpd database with the calls that launched its kernels; a graph launches three at once."""
    with sqlite3.connect(path) as connection:
        connection.executescript(f"""
            CREATE TABLE "rocpd_string{suffix}" (id INTEGER PRIMARY KEY, guid TEXT, string TEXT);
            CREATE TABLE "rocpd_info_agent{suffix}" (id INTEGER, type TEXT, name TEXT, product_name TEXT);
            CREATE TABLE "rocpd_info_kernel_symbol{suffix}" (id INTEGER, kernel_name TEXT, display_name TEXT);
            CREATE TABLE "rocpd_event{suffix}" (id INTEGER, stack_id INTEGER);
            CREATE TABLE "rocpd_region{suffix}" (nid INT, pid INT, start INT, end INT, name_id INT, event_id INT);
            CREATE TABLE "rocpd_kernel_dispatch{suffix}" (id INTEGER, nid INT, pid INT, agent_id INT, kernel_id INT,
                queue_id INT, stream_id INT, start BIGINT, end BIGINT, event_id INT);
            CREATE TABLE "rocpd_memory_copy{suffix}" (nid INT, pid INT, start INT, end INT, name_id INT,
                dst_agent_id INT, src_agent_id INT, queue_id INT, stream_id INT, event_id INT);
            CREATE VIEW IF NOT EXISTS kernels AS SELECT start, end FROM "rocpd_kernel_dispatch{suffix}";
            INSERT INTO "rocpd_string{suffix}" VALUES (1, '', 'MEMORY_COPY_HOST_TO_DEVICE');
            INSERT INTO "rocpd_info_agent{suffix}" VALUES (0, 'CPU', 'host', 'EPYC'), (2, 'GPU', 'gfx942', 'MI300X');
            INSERT INTO "rocpd_info_kernel_symbol{suffix}" VALUES (1, '_Z4gemv', 'gemv(float)'), (2, 'flash', NULL);
            INSERT INTO "rocpd_memory_copy{suffix}" VALUES (1, 1, 900, 950, 1, 2, 0, NULL, 3, NULL);
        """)
        for number in range(30):
            start = 1000 + 1000 * number
            connection.execute(f'INSERT INTO "rocpd_event{suffix}" VALUES (?, ?)', (number, 100 + number // 3))
            connection.execute(
                f'INSERT INTO "rocpd_kernel_dispatch{suffix}" VALUES (?, 1, 1, 2, ?, 9, 3, ?, ?, ?)',
                (number, 1 + number % 2, start, start + 800, number),
            )
        for call in range(10):
            connection.execute(f'INSERT INTO "rocpd_event{suffix}" VALUES (?, ?)', (1000 + call, 100 + call))
            connection.execute(
                f'INSERT INTO "rocpd_region{suffix}" VALUES (1, 1, ?, ?, 1, ?)', (500 + 10 * call, 505, 1000 + call)
            )
    connection.close()
    return path


def test_rocpd_knows_launches_copies_and_the_device(tmp_path):
    trace = read_trace(rocpd(tmp_path / "results.db"))
    assert (trace.format, trace.hardware) == ("rocpd", "MI300X")
    copy, first, second, *_ = trace.kernels
    assert (copy.kind, copy.name, copy.device) == ("copy", "MEMORY_COPY_HOST_TO_DEVICE", "2")
    assert (first.name, second.name) == ("gemv(float)", "flash")
    assert first.correlation == second.correlation == 100
    assert first.launched == pytest.approx((500 - 900) / 1e9)
    assert first.stream == "3"


def test_two_recordings_in_one_rocpd_file_stay_apart(tmp_path):
    path = rocpd(tmp_path / "results.db")
    rocpd(path, "_00bb")
    trace = read_trace(path)
    assert len(trace.kernels) == 62
    assert len({kernel.device for kernel in trace.kernels if kernel.kind == "kernel"}) == 2


def test_rocpd_without_what_is_needed(tmp_path):
    path = tmp_path / "results.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE rocpd_kernel_dispatch (id INTEGER, start INTEGER)")
    connection.close()
    with pytest.raises(TraceError, match=r"lacks end, kernel_id"):
        read_trace(path)


def test_operations_of_an_rpd_file(tmp_path):
    path = tmp_path / "trace.rpd"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE rocpd_string (id INTEGER PRIMARY KEY, string TEXT);
            CREATE TABLE rocpd_op (id INTEGER, gpuId INT, queueId INT, sequenceId INT, completionSignal TEXT, start INT,
                end INT, description_id INT, opType_id INT);
            INSERT INTO rocpd_string VALUES (1, 'KernelExecution'), (2, 'gemv'), (3, 'CopyHostToDevice'), (4, ''),
                (5, 'Barrier');
            INSERT INTO rocpd_op VALUES (1, 0, 0, 1, '', 100, 200, 2, 1), (2, 0, 1, 1, '', 300, 400, 4, 3),
                (3, 0, 0, 1, '', 500, 600, 4, 5);
        """)
    connection.close()
    assert [(k.name, k.kind, k.stream) for k in read_trace(path).kernels] == [
        ("gemv", "kernel", "queue 0"),
        ("CopyHostToDevice", "copy", "queue 1"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_age(tmp_path, end):
    path = tmp_path / "a.csv"
    path.write_bytes(f"Start (ns),Duration (ns),Name{end}5,3,a{end}9,3,b{end}".encode())
    assert [kernel.name for kernel in read_trace(path).kernels] == ["a", "b"]


def test_calls_of_the_host_are_no_kernels(tmp_path):
    """The report on API calls has names and times as well."""
    path = tmp_path / "all.csv"
    path.write_text(
        "Processing [a.sqlite] with [cuda_api_trace.py]...\n"
        "Start (ns),Duration (ns),Name,Result,CorrID,Pid,Tid,T-Pri,Thread Name\n1,5,cudaLaunchKernel,0,1,1,1,20,a\n\n"
        "Processing [a.sqlite] with [cuda_gpu_kern_sum.py]...\n"
        "Time (%),Total Time (ns),Instances,Avg (ns),Name\n100.0,7,1,7,gemm\n\n"
        "Processing [a.sqlite] with [cuda_gpu_trace.py]...\n"
        "Start (ns),Duration (ns),CorrId,Device,Ctx,Strm,Name\n10,7,1,H100 (0),1,7,gemm\n30,7,2,H100 (0),1,7,norm\n"
    )
    assert [kernel.name for kernel in read_trace(path).kernels] == ["gemm", "norm"]
    path.write_text("Start (ns),Duration (ns),Name,Result,CorrID\n1,5,cudaLaunchKernel,0,1\n")
    with pytest.raises(TraceError, match="no trace I know"):
        read_trace(path)


@pytest.mark.parametrize(
    ("content", "trace"),
    [
        (b'{"model_type": "llama", "hidden_size": 64}', False),
        (b'{"traceEvents": []}', True),
        (b"[]", True),
        (b'{"rocprofiler-sdk-tool": []}', True),
        (b'# a model\nname = "x"\n', False),
        (b"[model]\nname = 3\n", False),
        (b"GGUF\x03\x00\x00\x00", False),
        (b"SQLite format 3\x00", True),
        (b"Name,Start (ns)\n", True),
        (b'{"x": "' + b"a" * 70_000 + b'", "traceEvents": []}', True),
    ],
)
def test_a_trace_is_told_from_a_model_by_content(tmp_path, content, trace):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    assert looks_like_trace(path) == trace


def test_loops_takes_a_model_of_any_name(run, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps(
            {
                "model_type": "llama",
                "hidden_size": 256,
                "intermediate_size": 512,
                "num_hidden_layers": 7,
                "num_attention_heads": 4,
                "vocab_size": 1000,
                "tie_word_embeddings": True,
                "torch_dtype": "bfloat16",
                "max_position_embeddings": 512,
            }
        )
    )
    answer = run("loops", path)
    assert (answer.code, answer.err) == (0, "")
    assert "0-6" in answer.out


def test_equal_kernels_are_not_all_floor():
    """400 kernels of 8 us: at most 5 us of each go with the kernel, all but once; 1.25 to 500 x it was."""
    prize = summarise(read_trace(CASES / "rocpd_results.db")).prize
    assert prize.gaps_only.time == pytest.approx(3.2e-3)
    assert prize.floors.time == pytest.approx(3.2e-3 - 399 * 5e-6)


def test_a_measured_step_is_one_from_start_to_start(tmp_path):
    """A step of 99 us every 150 us: 140 us unprofiled is shorter than recorded, and holds the host's time between."""
    names = ["attention", "gemm"] * 8 + ["norm", "head", "top_k", "sample"]
    events = [
        {
            "ph": "X",
            "cat": "kernel",
            "name": name,
            "ts": 150.0 * step + 5.0 * number,
            "dur": 4.0,
            "args": {"device": 0, "stream": 7},
        }
        for step in range(6)
        for number, name in enumerate(names)
    ]
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": events}))
    trace = read_trace(path)
    within = summarise(trace, measured=140e-6)
    assert within.step_period == pytest.approx(150e-6)
    assert not any("are they the same work" in note for note in within.notes)
    # Of 70 us idle from start to start 19 lie between kernels, and so do 19 in 70 of the 60 us that are left.
    assert within.prize.gaps_only.saved == pytest.approx(19 * 60 / 70 * 1e-6)
    assert any("same work" in note for note in summarise(trace, measured=160e-6).notes)
