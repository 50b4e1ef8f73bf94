"""Open a file of any size.

Missing, empty, packed and unreasonably packed ones are told apart before any meaning is looked for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from perfmodel.traces.events import TraceError

CHUNK = 4 << 20  # B
LARGEST_UNPACKED = 16_000_000_000  # B
LARGEST_RATIO = 300  # unpacked / packed; recorded traces have 15 to 60
_ALWAYS_ALLOWED = 64_000_000  # B; below this the ratio is of no concern


def check_file(path: Path) -> None:
    """Raise TraceError when `path` is missing, a folder, not a plain file, unreadable or empty."""
    try:
        if path.is_dir():
            raise TraceError(f"{path}: is a folder, expected a recorded trace")
        size = path.stat().st_size
        if not path.is_file():
            raise TraceError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TraceError(f"{path}: cannot be read: {reason}") from None
    if not size:
        raise TraceError(f"{path}: is empty")


def chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of `path`, unpacked if it is gzip, in pieces of at most `CHUNK` bytes.

    Raises TraceError for a damaged gzip and for one that unpacks beyond reason.
    """
    import gzip
    import zlib

    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            while piece := file.read(CHUNK):
                yield piece
            return
        file.seek(0)
        unpacked = 0
        with gzip.GzipFile(fileobj=file) as packed:
            while True:
                try:
                    piece = packed.read(CHUNK)
                except (OSError, EOFError, zlib.error) as error:
                    raise TraceError(
                        f"{path}: is damaged gzip after {unpacked:,} unpacked bytes ({error}); was the file cut off?"
                    ) from None
                if not piece:
                    return
                unpacked += len(piece)
                _limit(path, unpacked, file)
                yield piece


def _limit(path: Path, unpacked: int, file: IO[bytes]) -> None:
    if unpacked > LARGEST_UNPACKED:
        raise TraceError(f"{path}: unpacks to more than {LARGEST_UNPACKED:,} bytes; record fewer steps")
    if unpacked > _ALWAYS_ALLOWED and unpacked > LARGEST_RATIO * max(file.tell(), 1):
        raise TraceError(
            f"{path}: unpacks to more than {LARGEST_RATIO} times its size, which no recorded trace does; is it one?"
        )


def head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first `size` bytes, unpacked, without a byte order mark."""
    start = b""
    for piece in chunks(path):
        start += piece[:size]
        if len(start) >= size:
            break
    return start[:size].removeprefix(b"\xef\xbb\xbf")


def read_whole(path: Path, limit: int) -> bytes:
    """Return all bytes, unpacked; raise TraceError beyond `limit` bytes."""
    pieces: list[bytes] = []
    total = 0
    for piece in chunks(path):
        total += len(piece)
        if total > limit:
            raise TraceError(f"{path}: has more than {limit:,} bytes for this format; record fewer steps")
        pieces.append(piece)
    return b"".join(pieces).removeprefix(b"\xef\xbb\xbf")
