"""Sweeps: every point is the estimate at that point; bad grids end before any work; files are whole,
resumed ones the same."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel import PerfModelError, Sweep, estimate, sweep
from perfmodel.errors import ValueRangeError
from perfmodel.estimates.answered import ALONE
from perfmodel.report.files.blocks import partial_paths, write_blocks
from perfmodel.report.files.rowfiles import csv_rows
from perfmodel.sweeps.columnkinds import Column
from perfmodel.sweeps.columns import ROW_COLUMNS
from perfmodel.sweeps.grids import block_at, block_count, blocks, parse_grid
from perfmodel.sweeps.sweeps import make_grid

KEYS = ("model", "hardware", "devices", "batch", "context")


def same(row, expected):
    """Whether a row holds the figures of an estimate, terms to 1e-12 of the step they are part of."""
    for name, value in expected.items():
        if name in ALONE:
            continue
        if isinstance(value, float):
            scale = expected[f"{name.partition('.')[0]}.time_per_step"] if ".terms." in name else abs(value)
            assert abs(row[name] - value) <= 1e-12 * scale, name
        else:
            assert row[name] == value, name


def check(found, parameters=(), **fixed):
    for row in found.rows():
        asked = {key: row[key] for key in KEYS} | {"before": row["before.mode"], "after": row["after.mode"]} | fixed
        same(row, estimate(**asked, parameters={path: row[path] for path in parameters}).rows()[0])


def test_columns_are_those_of_an_estimate():
    assert tuple(estimate("llama-3.1-8b", "sn40l").rows()[0]) == (*ROW_COLUMNS, *ALONE)


CASES = [
    (("llama-3.1-8b,llama-3.2-1b", "sn40l,h100-sxm"), {"devices": "1,8", "batch": "1,16,256", "context": "0,128,4k"}),
    (
        ("llama-3.1-8b", "h100-sxm"),
        {
            "before": "eager,graph",
            "after": "looped,megakernel",
            "batch": "1:1024:x32",
            "parameters": {"modes.looped.stage": "0us:4us:3"},
        },
    ),
    (
        ("llama-3.1-8b", "sn40l"),
        {
            "devices": 8,
            "batch": "1:1024:x4",
            "parameters": {"modes.layer-fused.boundary": [0, 1e-6, 2e-5], "modes.looped.prefetch": "0B,100kB,10MB"},
        },
    ),
    (("mixtral-8x7b", "h100-sxm"), {"devices": "1,8", "batch": "1:1024:x8", "context": "1k:64k:x8"}),
    (
        ("llama-3.1-8b", "m2-ultra"),
        {
            "before": "stream,eager",
            "batch": "1:64:x8",
            "parameters": {"memory.bandwidth": "0.5TB/s:1TB/s:3", "memory.capacity": "8GB,64GB"},
        },
    ),
    (
        ("llama-3.1-8b", "h100-sxm"),
        {
            "before": "eager",
            "parameters": {"modes.eager.issue": "0us,1us,20us", "memory.sustained.weights": "0.5:0.9:3"},
        },
    ),
]


@pytest.mark.parametrize(("names", "keys"), CASES, ids=str)
def test_every_point_is_the_estimate_at_that_point(names, keys):
    check(sweep(*names, columns="all", **keys), tuple(keys.get("parameters", ())))


def test_intervals_and_formats_are_axes_too():
    found = sweep(
        "llama-3.1-8b",
        "h100-sxm",
        columns="all",
        weights="bf16,int4",
        kv=["bf16", "fp8"],
        batch=[1, 7],
        parameters={"modes.looped.stage": "1us,1us..3us"},
    )
    assert found.shape == (1, 1, 1, 2, 1, 2, 2, 1, 1, 1, 1, 2)
    for i, row in enumerate(found.rows()):
        same(
            row,
            estimate(
                "llama-3.1-8b",
                "h100-sxm",
                batch=row["batch"],
                weights=row["weight_format"],
                kv=row["kv_format"],
                parameters={"modes.looped.stage": ("1us", "1us..3us")[i % 2]},
            ).rows()[0],
        )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.sampled_from(
        [("llama-3.1-8b", "h100-sxm"), ("llama-3.1-8b", "sn40l"), ("llama-3.2-1b", "b200"), ("qwen3-0.6b", "rtx-4090")]
    ),
    devices=st.sampled_from([1, 2, 8]),
    batch=st.lists(st.integers(1, 5000), min_size=1, max_size=3),
    context=st.lists(st.integers(0, 200_000), min_size=1, max_size=3),
    after=st.sampled_from(["looped", "stream"]),
    stage=st.lists(st.floats(0, 2e-5), min_size=1, max_size=3),
    eta=st.floats(0.1, 1),
)
def test_random_grids_hold_estimates(names, devices, batch, context, after, stage, eta):
    if names[1] == "rtx-4090":
        devices = 1
    if names[1] == "sn40l":
        after = "looped"
    parameters = {"modes.looped.stage": stage, "memory.sustained.kv": eta}
    found = sweep(
        *names, columns="all", devices=devices, batch=batch, context=context, after=after, parameters=parameters
    )
    check(found, parameters)


BUILT = [
    (
        ("llama-3.1-8b", "sn40l"),
        {"batch": "1:3501:+500", "context": "1k:32k:+6k", "parameters": {"modes.looped.stage": "0us:20us:37"}},
    ),
    (
        ("llama-3.1-8b", "h100-sxm"),
        {"devices": 8, "batch": "1:3501:+500", "parameters": {"modes.looped.stage": "0us:20us:301"}},
    ),
    (
        ("mixtral-8x7b", "h100-sxm"),
        {"batch": numpy.arange(1, 300).tolist(), "parameters": {"modes.looped.prefetch": "0B,1MB"}},
    ),
]


@pytest.mark.parametrize(("names", "keys"), BUILT, ids=str)
def test_compiled_kernels_give_what_numpy_gives(monkeypatch, names, keys):
    pytest.importorskip("llvmlite", reason="kernels are compiled where llvmlite is installed")
    plain = sweep(*names, columns="all", **keys)
    monkeypatch.setattr("perfmodel.sweeps.columns._WORTH_COMPILING", 1)
    compiled = sweep(*names, columns="all", **keys)
    for name, values in plain.columns.items():
        assert (
            numpy.array_equal(values, compiled[name])
            if values.dtype.kind != "f"
            else numpy.allclose(values, compiled[name], rtol=1e-13, atol=0)
        ), name


def test_rows_come_first_axis_slowest_and_blocks_join_up():
    found = sweep(
        "llama-3.1-8b,llama-3.2-1b",
        "sn40l",
        batch="1,2",
        parameters={"modes.looped.stage": "1us,2us"},
        columns="model,batch,modes.looped.stage",
    )
    assert list(found.columns["batch"]) == [1, 1, 2, 2] * 2
    assert list(found.columns["modes.looped.stage"]) == [1e-6, 2e-6] * 4
    for counts in ([3, 4, 5], [1, 1], [7], [2, 1, 9]):
        for most in (1, 2, 4, 7, 20, 1000):
            parts = list(blocks(counts, most))
            flat = numpy.arange(numpy.prod(counts)).reshape(counts)
            assert numpy.array_equal(
                numpy.concatenate([flat[tuple(slice(*ends) for ends in part)].ravel() for part in parts]), flat.ravel()
            )
            assert parts == [block_at(counts, i, most) for i in range(block_count(counts, most))]


def test_large_sweeps_are_the_same_as_small_ones():
    stage = numpy.linspace(0, 5e-6, 701)
    whole = sweep("llama-3.1-8b", "sn40l", batch="1:100:+1", parameters={"modes.looped.stage": stage}, columns="all")
    assert len(whole) == 70_100
    for batch in (1, 50, 100):
        one = sweep("llama-3.1-8b", "sn40l", batch=batch, parameters={"modes.looped.stage": stage}, columns="all")
        for name, values in one.columns.items():
            there = whole[name].reshape(whole.shape)[:, :, :, batch - 1].ravel()
            assert (
                numpy.array_equal(there, values)
                if values.dtype.kind != "f"
                else numpy.allclose(there, values, rtol=1e-12, atol=1e-15)
            ), name


def test_a_sweep_is_a_frozen_set_of_columns():
    found = sweep("llama-3.1-8b", "sn40l", batch="1,2")
    assert isinstance(found, Sweep)
    assert found["speedup.value"].shape == (2,)
    assert found.rows()[1]["batch"] == 2
    assert json.loads(json.dumps(found.to_dict()))["batch"] == [1, 2]
    assert "<table>" in found._repr_html_()
    with pytest.raises(AttributeError):
        found.shape = ()
    with pytest.raises(PerfModelError, match=r"did you mean 'speedup\.value'"):
        found["speedup.valeu"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2, 4", [1, 2, 4]),
        ("1:64:x4", [1, 4, 16, 64]),
        ("1:9:x2", [1, 2, 4, 8]),
        ("0:8:+4", [0, 4, 8]),
        ("0:7:+2", [0, 2, 4, 6]),
        ("10:30:3", [10, 20, 30]),
        ("5:5:1", [5]),
        ("3:12:x2", [3, 6, 12]),
    ],
)
def test_grids(text, values):
    axis = parse_grid(text, "--batch", float, whole=True)
    assert axis.part(0, axis.count) == values
    assert all(isinstance(value, int) for value in axis.part(0, axis.count))


BAD = [
    (["--batch", ""], "empty"),
    (["--batch", ","], "empty"),
    (["--batch", "8:1:x2"], "reversed"),
    (["--batch", "1:8:+0"], "step"),
    (["--batch", "1:8:x1"], "factor"),
    (["--batch", "0:8:x2"], "0 or below"),
    (["--batch", "1:8:+1.5"], "2.5|1.5"),
    (["--batch", "1:9:x1.5"], "1.5"),
    (["--batch", "1:10:4x"], "third part"),
    (["--batch", "1:10:3"], "whole number"),
    (["--batch", "1:8"], "not a grid"),
    (["--batch", "1:2:3:4"], "not a grid"),
    (["--batch", "0,1"], "'?0'?"),
    (["--batch", "1:1e30:x10"], "whole number"),
    (["--context", "1:8:"], "empty"),
    (["--set", "memory.bandwith=1TB/s,2TB/s"], "did you mean"),
    (["--set", "modes.looped.stage=1us:2TB/s:+1us"], "expected s"),
    (["--set", "modes.looped.stage=1us:8us:+0us"], "step"),
    (["--set", "modes.looped.stage=8us:1us:+1us"], "reversed"),
    (["--set", "modes.looped.stage=1:8:+1"], "no unit"),
    (["--set", "modes.looped.stage=0us:1us:+1e-300us"], "points|never ends"),
    (["--set", "memory.sustained.weights=0.5:2:4"], "at most 1"),
    (["--batch", "1:100000:+1", "--context", "1:100000:+1", "--set", "modes.looped.stage=0us:1us:100000"], "--yes"),
    (["--before", "graph,lopped"], "not a launch mode"),
    (["--weights", "bf16,bf15"], "bf15"),
    (["--columns", "speed"], "not a column"),
    (["-o", "x.xlsx"], "ending"),
    (["-o", "/no/such/x.csv"], "cannot be written"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_bad_grids_are_one_line_before_any_work(run, words, says):
    import re

    start = time.process_time()
    answer = run("sweep", "llama-3.1-8b", "h100-sxm", *words)
    # What cannot be read is wrong usage; what can be read and cannot be is an error.
    unreadable = ("empty part", "not a grid", "third part", "no unit", "expected ")
    assert answer.code == (2 if any(words in answer.err for words in unreadable) else 1), answer.err
    assert answer.out == ""
    assert answer.err.startswith("perfmodel: ")
    assert answer.err.count("\n") == 1
    assert re.search(says, answer.err), answer.err
    assert time.process_time() - start < 2


def test_a_system_takes_all_of_its_devices_everywhere(run):
    names = ("llama-3.1-8b", "dgx-h100")
    whole = estimate(*names)
    assert whole.devices == 8
    assert sweep(*names)["after.time_per_step"][0] == pytest.approx(whole.after.time_per_step, rel=1e-12)
    for words in (
        ("sweep", *names, "--columns", "devices"),
        ("compare", *names, "--columns", "devices"),
        ("solve", *names, "--unknown", "boundary", "--target", "speedup=2.5", "--columns", "devices"),
    ):
        assert run(*words).out == "devices\n8\n"
    assert "on dgx-h100" in run("explain", *names).out
    assert run("sensitivity", *names, "--csv").out == run("sensitivity", *names, "--devices", "8", "--csv").out


@pytest.mark.parametrize("parallel", ["tp=8,ep=8", "tp=4,dp=2", "tp=2,pp=4"])
def test_sweeps_share_the_work_as_estimates_do(run, parallel):
    names = ("mixtral-8x7b", "h100-sxm")
    found = sweep(*names, batch=[1, 3, 64], parallel=parallel, columns="all")
    for row, batch in zip(found.rows(), (1, 3, 64), strict=True):
        same(row, estimate(*names, batch=batch, parallel=parallel).rows()[0])
    assert run("sweep", *names, "--parallel", parallel, "--columns", "parallel").out.splitlines()[1].strip('"') == str(
        estimate(*names, parallel=parallel).parallel
    )


def test_a_device_without_the_mode_is_found_before_any_work(run):
    answer = run("sweep", "llama-3.1-8b", "h100-sxm,sn40l", "--before", "graph", "--csv")
    assert (answer.code, answer.out) == (1, "")
    assert "sn40l has no mode 'graph'" in answer.err


def test_csv_and_json_lines_hold_the_columns(run):
    words = ("sweep", "llama-3.1-8b", "sn40l", "--batch", "1:4:x2", "--set", "modes.looped.stage=1us,2us")
    rows = list(csv.DictReader(run(*words, "--csv").out.splitlines()))
    found = sweep("llama-3.1-8b", "sn40l", batch="1:4:x2", parameters={"modes.looped.stage": "1us,2us"}).rows()
    assert [json.loads(line) for line in run(*words, "--json").out.splitlines()] == found
    assert [float(row["after.tokens_per_second"]) for row in rows] == [row["after.tokens_per_second"] for row in found]
    assert rows[0]["fits.fits"] == "true"
    assert rows[0]["batch"] == "1"
    everything = next(csv.DictReader(run(*words, "--columns", "all").out.splitlines()))
    assert everything["bytes_per_step"].isdigit()
    first = run(*words).out.splitlines()[0]
    assert first.startswith("6 points: looping brings")


def test_cells_are_quoted_where_need_be():
    block = {
        "a": Column(numpy.array([0, 1, 2]), ("=1+1", 'x,"y"', "two\nlines]\n[")),
        "b": Column(numpy.array([True, False, True])),
        "c": Column(numpy.array([None, 3, 1e-7], dtype=object)),
    }
    assert csv_rows(block).decode() == '\'=1+1,true,\n"x,""y""",false,3\ntwo lines] [,true,1e-7\n'


def test_rows_that_repeat_cells_are_those_written_one_by_one():
    places = numpy.arange(600)
    signs = numpy.where(places < 300, 0.0, -0.0)
    block = {
        "text": Column(places // 100 % 2, ("x]", "two\nlines]\n[,")),
        "sign": Column(signs),
        "truth": Column(places < 450),
        "each": Column(places / 7),
        "unknown": Column(numpy.where(places < 200, None, 1.5)),
        "count": Column(places // 150),
        "none": Column(numpy.full(600, numpy.inf)),
        "last": Column(places // 599),
    }
    rows = csv_rows(block)
    assert rows == b"".join(csv_rows(block, i, i + 1) for i in range(600))
    assert [row.split(",")[-6] for row in rows.decode().splitlines()[299:301]] == ["true", "true"]
    assert [row.split(",")[-7] for row in rows.decode().splitlines()[299:301]] == ["0.0", "-0.0"]


GRID = (
    "sweep",
    "llama-3.1-8b",
    "sn40l",
    "--batch",
    "1:100:+1",
    "--context",
    "1k:100k:+1k",
    "--set",
    "modes.looped.stage=0us:1us:40",
)


def command(*words):
    return [sys.executable, "-m", "perfmodel", *map(str, words)]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_killed_sweep_resumes_to_the_same_bytes(repository, tmp_path, ending):
    whole, broken = tmp_path / f"whole{ending}", tmp_path / f"broken{ending}"
    columns = ("--columns", "batch,context,modes.looped.stage,after.time_per_step,speedup.low")
    subprocess.run(command(*GRID, *columns, "-o", whole), cwd=repository, check=True)
    partial, state = partial_paths(broken)
    process = subprocess.Popen(command(*GRID, *columns, "-o", broken), cwd=repository)
    while process.poll() is None and not (state.exists() and json.loads(state.read_bytes())["blocks"] >= 2):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not broken.exists()
    with partial.open("ab") as file:
        file.write(b"half a row")
    subprocess.run(command(*GRID, *columns, "-o", broken, "--resume"), cwd=repository, check=True)
    assert broken.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{p.name}{end}" for p in (whole, broken) for end in ("", ".meta.json")
    )


def test_resume_refuses_another_question_and_begins_where_nothing_is_left(run, tmp_path):
    path = tmp_path / "a.csv"
    partial, state = partial_paths(path)
    partial.write_bytes(b"x")
    state.write_text('{"question": "other", "blocks": 1, "bytes": 1, "checksum": 0}')
    answer = run("sweep", "llama-3.1-8b", "sn40l", "-o", path, "--resume")
    assert answer.code == 1
    assert "belongs to another question" in answer.err
    state.unlink()
    assert run("sweep", "llama-3.1-8b", "sn40l", "-o", path, "--resume").code == 0
    assert len(path.read_text().splitlines()) == 2
    assert run("sweep", "llama-3.1-8b", "sn40l", "--resume").code == 2


def test_a_full_disk_leaves_no_half_file(repository, tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = subprocess.run(
        command(*GRID, "-o", tmp_path / "a.csv"), cwd=repository, capture_output=True, text=True, preexec_fn=limit
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_error_midway_keeps_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("as it was")

    def block_of(i):
        if i:
            raise OSError(28, "No space left on device")
        return {"x": Column(numpy.arange(3))}

    with pytest.raises(PerfModelError, match="No space left"):
        write_blocks(path, "csv", ["x"], block_of, 2, "q")
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_without_pyarrow_says_what_to_do(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = run("sweep", "llama-3.1-8b", "sn40l", "-o", tmp_path / "a.parquet")
    assert answer.code == 1
    assert "needs pyarrow" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_parquet_holds_the_columns_in_row_groups(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    path, words = tmp_path / "a.parquet", ("llama-3.1-8b", "sn40l")
    # One device in reach of the first batches, none of the last: an unknown count.
    keys = {
        "devices": "1,8",
        "batch": "1:300:+1",
        "context": "1k:100k:+1k",
        "parameters": {"memory.capacity": "8GB,64GB", "modes.looped.stage": "1us,2us"},
    }
    assert (
        run(
            "sweep",
            *words,
            "--devices",
            keys["devices"],
            "--batch",
            keys["batch"],
            "--context",
            keys["context"],
            "--set",
            "memory.capacity=8GB,64GB",
            "--set",
            "modes.looped.stage=1us,2us",
            "--columns",
            "all",
            "-o",
            path,
        ).code
        == 0
    )
    found = sweep(*words, columns="all", **keys)
    assert parquet.read_metadata(path).num_row_groups > 1
    table = parquet.read_table(path)
    assert table.column_names == list(found.columns)
    for name, values in found.columns.items():
        assert table.column(name).to_pylist() == values.tolist(), name


def test_parquet_is_whole_or_not_there(run, repository, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    path = tmp_path / "a.parquet"
    answer = run(*GRID, "-o", path, "--resume")
    assert answer.code == 1
    assert "its index stands at the end" in answer.err

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = subprocess.run(command(*GRID, "-o", path), cwd=repository, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_command_prints_the_line(run):
    assert run(*GRID, "--command").out == "perfmodel " + " ".join(GRID) + "\n"


def test_a_grid_of_a_billion_points_costs_nothing_to_make():
    with pytest.raises(ValueRangeError, match="1,000,000,000,000,000 points"):
        make_grid(
            "llama-3.1-8b",
            "sn40l",
            batch="1:100000:+1",
            context="1:100000:+1",
            parameters={"modes.looped.stage": "0us:1us:100000"},
        )
