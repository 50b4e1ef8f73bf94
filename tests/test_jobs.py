"""Blocks worked out side by side, by threads and by processes: the same answer in the same order, errors and all."""

import os
import time
import warnings
from functools import partial

import numpy
import pytest

from perfmodel import PerfModelError, sweep
from perfmodel.errors import ValueRangeError
from perfmodel.report.files import workers
from perfmodel.report.files.blocks import write_blocks
from perfmodel.sweeps.columnkinds import Column
from perfmodel.sweeps.jobs import by_threads

# Two models of three blocks each, so that threads prepare questions too.
GRID = {"batch": "1:512:+1", "context": "256:65536:256", "devices": "1,8"}


# What other processes make stands in a module, where they find it.
def named(i):
    yield f"{i} of ".encode()
    yield str(os.getpid()).encode()


def lost(here, i):
    """Pieces larger than a pipe holds; the process that makes the third block is lost in it."""
    for _ in range(3):
        yield str(i).encode() * 700_000
    if i == 2 and os.getpid() != here:
        os._exit(1)


def touched(folder, i):
    (folder / str(i)).touch()
    yield bytes(1 << 22)


def failing(here, i):
    yield b"first"
    if i == 3 and os.getpid() != here:
        raise ValueError
    yield b"second"


def block_of(i):
    if i == 3:
        raise PerfModelError("block 3 cannot be made")
    return {"batch": Column(numpy.arange(3) + i)}


@pytest.fixture
def worthwhile(monkeypatch):
    """Processes of their own for a few blocks too."""
    monkeypatch.setattr(workers, "_WORTH", 1)


def together(*asked):
    return [b"".join(pieces) for pieces in workers.by_processes(*asked)]


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


@pytest.mark.usefixtures("worthwhile")
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


@pytest.mark.usefixtures("worthwhile")
def test_processes_take_turns_and_none_is_forked(monkeypatch):
    monkeypatch.setattr(os, "fork", None, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = [text.decode().split() for text in together(named, range(4, 11), 3)]
    assert [int(words[0]) for words in made] == list(range(4, 11))
    processes = [words[-1] for words in made]
    assert len(set(processes)) == 3
    assert processes == (processes[:3] * 3)[:7]
    assert str(os.getpid()) not in processes


def test_few_blocks_stay_here():
    assert (
        together(named, range(2), 1)
        == together(named, range(2), 9)
        == [f"{i} of {os.getpid()}".encode() for i in (0, 1)]
    )


@pytest.mark.usefixtures("worthwhile")
def test_what_cannot_be_sent_is_made_here():
    assert together(lambda i: (str(i).encode(),), range(5), 2) == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.usefixtures("worthwhile")
@pytest.mark.parametrize("make", [lost, failing])
def test_a_lost_process_or_block_is_made_up_for(make):
    expected = [b"".join(make(os.getpid(), i)) for i in range(9)]
    assert together(partial(make, os.getpid()), range(9), 2) == expected


@pytest.mark.usefixtures("worthwhile")
def test_an_error_is_raised_where_rows_are_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("as it was")
    with pytest.raises(PerfModelError, match="block 3 cannot be made"):
        write_blocks(path, "csv", ["batch"], block_of, 6, "q", jobs=2)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("worthwhile")
def test_processes_wait_until_rows_are_taken(tmp_path):
    taken = workers.by_processes(partial(touched, tmp_path), range(40), 2)
    next(iter(next(taken)))
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
