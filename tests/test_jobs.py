"""Blocks worked out side by side, by threads and by processes: the same answer in the same order, errors and all."""

import os
import signal
import sys
import time

import numpy
import pytest

from perfmodel import PerfModelError, sweep
from perfmodel.errors import ValueRangeError
from perfmodel.report.files.blocks import write_blocks
from perfmodel.report.files.workers import by_processes
from perfmodel.sweeps.columnkinds import Column
from perfmodel.sweeps.jobs import by_threads

FORKS = pytest.mark.skipif(sys.platform != "linux", reason="one process where none is forked")
# Two models of three blocks each, so that threads prepare questions too.
GRID = {"batch": "1:512:+1", "context": "256:65536:256", "devices": "1,8"}


def named(i):
    return f"{i} of {os.getpid()}".encode()


def test_threads_give_the_same_sweep():
    one, three = (sweep("llama-3.2-1b,qwen3-8b", "h100-sxm", columns="all", **GRID, jobs=jobs) for jobs in (1, 3))
    assert len(one) == 524_288
    assert list(one.columns) == list(three.columns)
    for name, values in one.columns.items():
        assert values.dtype == three[name].dtype, name
        if values.dtype == float:  # to the last bit, and what is no number
            assert numpy.array_equal(values.view(numpy.int64), three[name].view(numpy.int64)), name
        else:
            assert numpy.array_equal(values, three[name]), name


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True, "2"])
def test_jobs_are_a_whole_number(jobs):
    with pytest.raises(ValueRangeError, match=r"jobs: .* is not a whole number from 1 to 1,024"):
        sweep("llama-3.2-1b", "h100-sxm", jobs=jobs)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_processes_write_the_same_bytes(run, tmp_path, form):
    words = ("sweep", "llama-3.2-1b", "h100-sxm,sn40l", "--batch", "1:512:+1", "--context", "256:65536:256")
    words = (*words, "--columns", "hardware,batch,context,after.bound,speedup.value,fits.fits")
    for jobs in (1, 3):
        path = tmp_path / f"{jobs}.{form}"
        assert run(*words, "--jobs", jobs, "-o", path).code == 0
    assert (tmp_path / f"1.{form}").read_bytes() == (tmp_path / f"3.{form}").read_bytes()
    flag = "--csv" if form == "csv" else "--json"
    assert run(*words, "--jobs", 3, flag).out.encode() == path.read_bytes()


@pytest.mark.parametrize("jobs", ["0", "x", "1.5"])
def test_the_flag_takes_a_whole_number(run, jobs):
    answer = run("sweep", "llama-3.2-1b", "h100-sxm", "--jobs", jobs, "--csv")
    assert (answer.code, answer.out) == (2, "")
    assert "--jobs" in answer.err
    assert answer.err.count("\n") == 1


@FORKS
def test_processes_take_turns():
    made = [text.split() for text in by_processes(named, range(4, 11), 3)]
    assert [int(words[0]) for words in made] == list(range(4, 11))
    processes = [words[-1] for words in made]
    assert len(set(processes)) == 3
    assert processes == (processes[:3] * 3)[:7]
    assert str(os.getpid()).encode() not in processes


def test_one_job_stays_here():
    assert list(by_processes(named, range(2), 1)) == [named(0), named(1)]


@FORKS
def test_a_lost_process_is_made_up_for():
    here = os.getpid()

    def make(i):
        if i == 2 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return str(i).encode()

    assert list(by_processes(make, range(9), 2)) == [str(i).encode() for i in range(9)]


def test_an_error_is_raised_where_rows_are_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("as it was")

    def block_of(i):
        if i == 3:
            raise PerfModelError("block 3 cannot be made")
        return {"batch": Column(numpy.arange(3) + i)}

    with pytest.raises(PerfModelError, match="block 3 cannot be made"):
        write_blocks(path, "csv", ["batch"], block_of, 6, "q", jobs=2)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


@FORKS
def test_processes_wait_until_rows_are_taken(tmp_path):
    def make(i):
        (tmp_path / str(i)).touch()
        return bytes(1 << 20)  # more than a pipe holds

    taken = by_processes(make, range(40), 2)
    next(taken)
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) <= 5
    taken.close()


def test_threads_wait_until_blocks_are_taken():
    begun = []

    def work(i):
        begun.append(i)
        return i

    taken = by_threads(work, range(40), 2)
    assert next(taken) == 0
    time.sleep(0.1)
    assert len(begun) <= 5
    assert list(taken) == list(range(1, 40))


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(by_threads(lambda i: 1 // (3 - i), range(9), 2))
