"""Long work at a terminal: a bar with the time that is left."""

import sys
import time

from perfmodel.estimates.progress import Report

_WAIT, _AGAIN, _WIDTH = 1.0, 0.2, 30  # seconds before the first bar, seconds between two, letters


class Watched:
    """A bar on stderr for work that takes more than a second, where a person watches."""

    def __init__(self, what: str, total: int | None = None) -> None:
        """Say what is counted, such as rows; total: how many there are, where parts of the work hold several."""
        self._what, self._total, self._start, self._drawn = what, total, time.monotonic(), 0.0

    def __enter__(self) -> Report:
        """Return what is told how many parts are done, and of how many."""
        return self._report

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _report(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._start < _WAIT or now - self._drawn < _AGAIN or not sys.stderr.isatty():
            return
        self._drawn = now
        share = done / of
        left = (now - self._start) * (1 - share) / share
        bar = "#" * int(_WIDTH * share)
        sys.stderr.write(
            f"\r\x1b[K{bar:{_WIDTH}s} {share:4.0%} of {self._total or of:,} {self._what}, {_lasting(left)} left"
        )
        sys.stderr.flush()


def _lasting(seconds: float) -> str:
    """Return a time as it is said aloud.

    >>> _lasting(42.4), _lasting(200), _lasting(7300)
    ('42 s', '3 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
