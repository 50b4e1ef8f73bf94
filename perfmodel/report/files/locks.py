"""One writer at a time of a file that is written bit by bit: a lock that the system gives up when its holder ends."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from perfmodel.errors import PerfModelError
from perfmodel.report.files.whole import explained, hidden

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, a hidden file beside it that is gone afterwards.

    Raises PerfModelError, at once, where another process holds it. Where the file system knows no locks, there is none.
    """
    lock = hidden(path, "lock")
    descriptor = _held(path, lock)
    try:
        yield
    finally:
        # Removed while it is still held: whoever opened it before sees that it is no longer the one at this name.
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # Windows removes no file that is open
            if os.name == "nt":
                lock.unlink(missing_ok=True)


def _held(path: Path, lock: Path) -> int:
    """Return an open descriptor of the lock file, held."""
    while True:
        with explained(path):
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(descriptor)
            found = lock.stat()
        except FileNotFoundError:
            os.close(descriptor)
            continue
        except OSError as error:
            if error.errno in _TAKEN:
                os.close(descriptor)
                raise PerfModelError(
                    f"{path}: another process is writing this file; wait until it is done, or give another name"
                ) from None
            return descriptor
        if os.fstat(descriptor).st_ino == found.st_ino:
            return descriptor
        os.close(descriptor)


def _take(descriptor: int) -> None:
    """Take the lock of an open file; raise OSError where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
