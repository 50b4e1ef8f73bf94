"""Write a file whole or not at all."""

import os
import tempfile
from pathlib import Path

from perfmodel.errors import PerfModelError


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, as `write_bytes_whole` does."""
    write_bytes_whole(path, text.encode())


def write_bytes_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` under a temporary name, then rename; raise PerfModelError when that fails.

    A file that was there before stays untouched unless the new one is complete.
    """
    if path.is_dir():
        raise PerfModelError(f"{path}: is a folder, expected a file name")
    temporary: str | None = None
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name[:80]}.", delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is private; the finished one has the permissions any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise PerfModelError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
