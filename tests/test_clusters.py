"""Sweeps on a Dask cluster: a real one of two processes on this machine, one of them killed."""

import json
import subprocess
import sys

import pytest

from perfmodel import sweep

distributed = pytest.importorskip("distributed", reason="sweeps on clusters need dask.distributed")
parquet = pytest.importorskip("pyarrow.parquet", reason="partitions are Parquet files")

KEYS = {"batch": "1:40:+1", "context": "1k:50k:+1k", "parameters": {"modes.looped.stage": "0us:1us:300"}}
COLUMNS = "batch,context,modes.looped.stage,after.time_per_step,speedup.low"
WORDS = (
    "sweep",
    "llama-3.1-8b",
    "sn40l",
    "--batch",
    KEYS["batch"],
    "--context",
    KEYS["context"],
    "--set",
    "modes.looped.stage=0us:1us:300",
    "--columns",
    COLUMNS,
)

# Dask starts its workers from the main module, so the cluster has a program of its own.
PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from distributed import Client, LocalCluster
from perfmodel.report.files.clusters import sweep_on_cluster
from perfmodel.sweeps.sweeps import make_grid

def kill_when(folder, client, killed):
    while not any(folder.glob("part-*.parquet")) or not any(folder.glob(".part-*")):
        time.sleep(0.001)
    killed.append(min(client.run(os.getpid).values()))
    os.kill(killed[0], signal.SIGKILL)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    grid = make_grid("llama-3.1-8b", "sn40l", batch="1:40:+1", context="1k:50k:+1k",
                     parameters={"modes.looped.stage": "0us:1us:300"}, columns=sys.argv[2])
    local = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50)
    with local as cluster, Client(cluster) as client:
        killed = []
        watch = threading.Thread(target=kill_when, args=(folder, client, killed), daemon=True)
        watch.start()
        seen = []
        report = lambda done, of: seen.append((done, of))
        sweep_on_cluster(grid, folder, cluster.scheduler_address, report=report, blocks=1)
        watch.join(10)
        print(len(killed), len(seen), seen[-1])
"""


def table(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    parts = [parquet.read_table(folder / part["file"]) for part in manifest["partitions"]]
    assert [part.num_rows for part in parts] == [part["rows"] for part in manifest["partitions"]]
    return {name: [value for part in parts for value in part.column(name).to_pylist()] for name in manifest["columns"]}


def check(folder):
    expected = sweep("llama-3.1-8b", "sn40l", columns=COLUMNS, **KEYS).to_dict()
    assert table(folder) == expected
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {"manifest.json", "part", ".sweep.state"}


def test_a_worker_killed_midway_loses_nothing(repository, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program, tmp_path / "out", COLUMNS],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    killed, seen, last = done.stdout.split(" ", 2)
    assert killed == "1"
    assert last.strip() == f"({seen}, {seen})"
    check(tmp_path / "out")


def test_a_folder_is_gone_on_with_and_never_mixed(repository, tmp_path):
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "perfmodel", *WORDS, "--dask", "local", "-o", folder]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'manifest.json'}\n"
    check(folder)
    again = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300)
    assert again.returncode == 1
    assert "is not empty" in again.stderr
    (folder / "manifest.json").unlink()
    whole = folder / "part-0000000.parquet"
    before = whole.stat().st_mtime_ns
    whole.with_name(".part-left-by-a-lost-worker").touch()
    other = subprocess.run(
        [*command, "--resume", "--after", "layer-fused"], cwd=repository, capture_output=True, text=True, timeout=300
    )
    assert other.returncode == 1
    assert "belongs to another question" in other.stderr
    resumed = subprocess.run([*command, "--resume"], cwd=repository, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    assert whole.stat().st_mtime_ns == before
    check(folder)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--dask", "local"), 2, "--dask needs -o FOLDER"),
        (("--dask", "local", "-o", "x.csv"), 2, "--dask needs -o FOLDER"),
        (("--dask", "nonsense://1", "-o", "{}/a"), 1, "cannot be reached"),
        (("--dask", "local", "-o", "/proc/nothing"), 1, "cannot be"),
        (("--dask", "local", "-o", "{}/b", "--batch", "1:10000:+1", "--context", "0:1000000:+1"), 1, "--yes"),
    ],
)
def test_errors_are_one_line(run, tmp_path, words, code, says):
    answer = run("sweep", "llama-3.1-8b", "sn40l", *(str(word).replace("{}", str(tmp_path)) for word in words))
    assert answer.code == code
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_hundreds_of_billions_of_points_are_ranges_of_rows(tmp_path):
    from perfmodel.report.files.clusters import _BLOCKS, _MOST_FILES, _Cut, _write_partition
    from perfmodel.sweeps.grids import block_at, block_count
    from perfmodel.sweeps.sweeps import make_grid

    grid = make_grid(
        "llama-3.1-8b",
        "sn40l",
        batch="1:10000:+1",
        context="0:100000:+100",
        parameters={"modes.looped.stage": "0us:1us:100000"},
        columns="batch,after.time_per_step",
        yes=True,
    )
    assert grid.size == 10_000 * 1001 * 100_000
    of = block_count(grid.counts)
    cut = _Cut("", max(_BLOCKS, -(-of // _MOST_FILES)), of)
    assert cut.count <= _MOST_FILES
    last = cut.part(cut.count - 1)
    assert last.stop == of
    assert block_at(grid.counts, of - 1)[3] == (9_999, 10_000)
    i, rows = _write_partition(grid, str(tmp_path), cut.count - 1, (of - 1,))
    assert parquet.read_table(tmp_path / f"part-{i:07d}.parquet").column("batch").to_pylist() == [10_000] * rows
