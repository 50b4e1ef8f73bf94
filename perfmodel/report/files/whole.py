"""Write files whole or not at all, several of them together.

Each is written under a hidden name of its own, flushed to the disk, and renamed when all are whole: of two writers of
one file the last rename wins, and no reader ever sees half a file. Where one of several cannot be renamed, those
before it get back what they were.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from perfmodel.errors import PerfModelError, shown

_LONGEST = 80  # B of a name that a hidden one repeats; with what is added it stays below what file systems take


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8; raise PerfModelError, leaving what was there, when that fails."""
    write_together({path: text.encode("utf-8", "backslashreplace")})


def write_bytes_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`; raise PerfModelError, leaving what was there, when that fails."""
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write all of these files or none; raise PerfModelError where one cannot be written.

    The first is the one that a reader looks for; it gets its name last.
    """
    temporary: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            with explained(path):
                check_name(path)
                temporary[path] = hidden(path, uuid4().hex)
                with temporary[path].open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        publish([(temporary[path], path) for path in reversed(list(contents))])
    finally:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


def publish(files: Sequence[tuple[Path, Path]]) -> None:
    """Give whole files their names, all or none; files: hidden and final path of each, in the order of the renames.

    Raises PerfModelError where one cannot be renamed, after undoing the renames before it.
    """
    renamed: list[tuple[Path, Path | None]] = []
    kept: list[Path] = []
    try:
        for number, (temporary, path) in enumerate(files, 1):
            with explained(path):
                # The last rename needs no way back.
                before = _kept(path) if number < len(files) else None
                kept += [before] if before is not None else []
                temporary.replace(path)
                renamed.append((path, before))
    except BaseException:
        for path, before in reversed(renamed):
            with contextlib.suppress(OSError):
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    before.replace(path)
        raise
    finally:
        for before in kept:
            with contextlib.suppress(OSError):
                before.unlink(missing_ok=True)


def _kept(path: Path) -> Path | None:
    """Return a second name of the file at `path`, so that it can come back; None where there is none."""
    if not path.exists():
        return None
    kept = hidden(path, uuid4().hex)
    try:
        os.link(path, kept)
    except OSError:  # a file system without second names
        kept.write_bytes(path.read_bytes())
    return kept


def check_name(path: Path) -> None:
    """Raise PerfModelError for a path that is a folder, or whose name is no UTF-8; OSError for one that is too long."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise PerfModelError(f"-o: {shown(str(path))}: a file name must be UTF-8") from None
    if path.is_dir():
        raise PerfModelError(f"{path}: is a folder, expected a file name")
    path.parent.stat()
    with contextlib.suppress(FileNotFoundError):
        path.lstat()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError into a PerfModelError that says which file cannot be written, and why."""
    try:
        yield
    except OSError as error:
        raise PerfModelError(f"{_short(path)}: cannot be written: {error.strerror or error}") from None


def _short(path: Path) -> str:
    return str(path) if len(path.name) <= 2 * _LONGEST else str(path.with_name(f"{path.name[:_LONGEST]}..."))


def hidden(path: Path, mark: str) -> Path:
    """Return a hidden name beside `path`, another one for each `mark`."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = f"{sha256(os.fsencode(name)).hexdigest()[:32]}"
    return path.with_name(f".{name}.{mark}")
