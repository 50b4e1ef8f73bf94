"""Blocks worked out side by side by threads, and given in their order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MOST_JOBS = 1024


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def by_threads(work: Callable[[Any], Any], places: Iterable[Any], jobs: int) -> Iterator[Any]:
    """Yield `work` of every place in order; at most two for each thread are begun and not yet taken.

    numpy and machine code let other threads run, so that they share the cores.

    >>> list(by_threads(lambda i: i * i, range(5), jobs=2))
    [0, 1, 4, 9, 16]
    """
    if jobs == 1:
        yield from map(work, places)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    pool = ThreadPoolExecutor(jobs)
    begun: deque[Future[Any]] = deque()
    try:
        for place in places:
            begun.append(pool.submit(work, place))
            if len(begun) == 2 * jobs:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
