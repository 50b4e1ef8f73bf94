"""Blocks of rows made by several processes side by side, and given in their order.

Writing numbers as text holds Python's lock, so that threads would wait for each other. Each process begins anew, since
one that has threads, as those of numpy, must not be forked. It makes every n-th block and waits until that is taken, so
that memory does not grow with the rows.
"""

import contextlib
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

Make = Callable[[int], Iterable[bytes]]

# Blocks for each process from which it saves more time than it takes to begin.
_WORTH = 8
_PROGRAM = ("-P", "-c", "from perfmodel.report.files.workers import work; work()")
_PIECE = 1 << 20
# A block is sent behind its length; in place of one that could not be made stands the greatest.
_LENGTH = 8
_FAILED = b"\xff" * _LENGTH


def by_processes(make: Make, places: range, jobs: int) -> Iterator[Iterable[bytes]]:
    """Yield what `make` makes of every place, in order, as pieces to be taken before the next.

    make: gives the same whenever it is asked; where it cannot be sent to other processes this one makes all. What fails
    in another process, or is lost with it, is made in this one too, so that errors are raised here.
    """
    jobs = min(jobs, len(places) // _WORTH) if sys.executable else 1
    tasks = _tasks(make, places, jobs) if jobs > 1 else []
    workers: list[Any] = []
    try:
        workers += (_begun() for _ in tasks)
        for worker, task in zip(workers, tasks, strict=True):
            with contextlib.suppress(OSError), worker.stdin:
                worker.stdin.write(task)
        for i, place in enumerate(places):
            yield _taken(workers[i % jobs].stdout, make, place) if workers else make(place)
    finally:
        for worker in workers:
            worker.kill()
            worker.stdout.close()
            worker.wait()


def _tasks(make: Make, places: range, jobs: int) -> list[bytes]:
    """Return what each process is sent; nothing where it cannot be."""
    try:
        return [pickle.dumps((make, places[first::jobs])) for first in range(jobs)]
    except (pickle.PicklingError, AttributeError, TypeError):
        return []


def _begun() -> "subprocess.Popen[bytes]":
    """Begin a process that runs `work`; in a session of its own, so that Ctrl-C reaches only the one that writes."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return subprocess.Popen(  # noqa: S603 - this Python, with our own program
        [sys.executable, *_PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,
        pipesize=_PIECE,
    )


def work() -> None:
    """Make the blocks that stdin says, in a process of its own, and send them to stdout."""
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what else is printed goes elsewhere
        try:
            make, places = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that began this one
        except Exception:  # noqa: BLE001 - the process that reads makes them itself
            return
        text = io.BytesIO()  # used again, so that its memory is not asked for anew
        for place in places:
            text.seek(0)
            try:
                for piece in make(place):
                    text.write(piece)
            except Exception:  # noqa: BLE001 - made again, and raised, where it is read
                out.write(_FAILED)
            else:
                length = text.tell()
                out.write(length.to_bytes(_LENGTH, "little"))
                out.write(text.getbuffer()[:length])
            out.flush()


def _taken(end: IO[bytes], make: Make, place: int) -> Iterator[bytes]:
    """Yield the next block of a process in pieces; what it could not send is made here."""
    length = end.read(_LENGTH)
    failed = length == _FAILED or len(length) < _LENGTH
    left, taken = 0 if failed else int.from_bytes(length, "little"), 0
    while left and (piece := end.read(min(left, _PIECE))):
        left, taken = left - len(piece), taken + len(piece)
        yield piece
    for piece in make(place) if failed or left else ():
        rest, taken = piece[taken:], max(taken - len(piece), 0)
        if rest:
            yield rest
