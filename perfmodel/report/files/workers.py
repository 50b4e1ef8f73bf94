"""Blocks of rows made by several processes side by side, and given in their order.

Writing numbers as text holds Python's lock, so that threads would wait for each other. A forked process has the grid
as it stands. Each makes every n-th block and waits until that is taken, so that memory does not grow with the rows.
"""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Elsewhere processes begin anew, or may not be forked once a library has used threads.
_FORKS = sys.platform == "linux"


def by_processes(make: Callable[[int], bytes], places: range, jobs: int) -> Iterator[bytes]:
    """Yield `make` of every place in order.

    make: gives the same whenever it is asked. What fails in another process, or is lost with it, is made in this one,
    so that errors are raised here.
    """
    jobs = min(jobs, len(places))
    if jobs <= 1 or not _FORKS:
        yield from map(make, places)
        return
    context = multiprocessing.get_context("fork")
    workers: list[Any] = []
    ends: list[Any] = []
    try:
        for first in range(jobs):
            ours, theirs = context.Pipe(duplex=False)
            ends.append(ours)
            workers.append(context.Process(target=_work, args=(make, places[first::jobs], theirs, ends), daemon=True))
            workers[-1].start()
            theirs.close()
        for i, place in enumerate(places):
            made = _taken(ends[i % jobs])
            yield make(place) if made is None else made
    finally:
        for end in ends:
            end.close()
        for worker in workers:
            worker.terminate()
            worker.join()


def _work(make: Callable[[int], bytes], places: range, theirs: Any, ends: Sequence[Any]) -> None:
    """Make blocks in a process of its own and send them; one that cannot be made is sent as none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that writes says what was kept
    for end in ends:
        end.close()  # so that a pipe breaks when the process that reads is gone
    with theirs, contextlib.suppress(BrokenPipeError):
        for place in places:
            try:
                made = make(place)
            except Exception:  # noqa: BLE001 - made again, and raised, where it is read
                theirs.send(None)
                continue
            theirs.send(made)


def _taken(end: Any) -> bytes | None:
    """Return the next block of a worker, None where it could not be made."""
    try:
        made: bytes | None = end.recv()
    except (EOFError, OSError):
        return None
    return made
