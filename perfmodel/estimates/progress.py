"""How far long work is: what it tells while it goes on."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

# Is told how many parts of the work are done, and of how many.
Report = Callable[[int, int], None]
_Part = TypeVar("_Part")


def watched(parts: Sequence[_Part], report: Report | None) -> Iterator[_Part]:
    """Yield parts of some work; `report` is told when each is done.

    >>> told = []
    >>> list(watched("ab", lambda done, of: told.append((done, of)))), told
    (['a', 'b'], [(1, 2), (2, 2)])
    """
    for done, part in enumerate(parts, 1):
        yield part
        if report is not None:
            report(done, len(parts))
