"""What lists and names need of a catalogue, kept in one file beside its files, so that not all of them are read.

`python docs/generate.py` makes these files anew. Where a catalogue's files are not those that an index was made of, it
is not used, and they are read one by one.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from perfmodel._layout import data_folder

INDEX_FILE = "index.json"
# A file that changed this long after its index was written [s] is not the one it was made of, also at the same size.
_LATER = 60.0


class Index(msgspec.Struct, frozen=True):
    """What a catalogue holds.

    files: size of each of its files [bytes]; called: each name, alias and origin as `spelled` writes it, with the name
    of the file; rows: what is listed of each entry, with its aliases.
    """

    files: dict[str, int]
    called: dict[str, str]
    rows: list[dict[str, Any]]


@lru_cache(maxsize=4)
def index_of(kind: str) -> Index | None:
    """Return the index of the catalogue `kind`, hardware or models, or None where it is not of the files there."""
    folder = data_folder(kind)
    try:
        index = msgspec.json.decode((folder / INDEX_FILE).read_bytes(), type=Index)
        newest = os.stat(folder / INDEX_FILE).st_mtime + _LATER  # noqa: PTH116 - once for each question
    except (OSError, msgspec.DecodeError):
        return None
    found = _files(folder)
    is_of_them = {name: size for name, (size, _) in found.items()} == index.files
    return index if is_of_them and all(changed <= newest for _, changed in found.values()) else None


def index_text(kind: str, called: dict[str, str], rows: list[dict[str, Any]]) -> str:
    """Return the text of the index of the catalogue `kind`, a line for each entry, so that changes can be read."""
    sizes = {name: size for name, (size, _) in sorted(_files(data_folder(kind)).items())}
    parts = [f'"files":{_lines(sizes)}', f'"called":{_lines(called)}']
    listed = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    return "{" + ",\n".join([*parts, f'"rows":[\n{listed}\n]']) + "}\n"


def _lines(table: dict[str, Any]) -> str:
    return "{\n" + ",\n".join(msgspec.json.encode({k: v}).decode()[1:-1] for k, v in table.items()) + "\n}"


def _files(folder: Path) -> dict[str, tuple[int, float]]:
    """Return size [bytes] and time of change [s] of each TOML file of a catalogue and of the folders in it."""
    found: dict[str, tuple[int, float]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                found |= {f"{entry.name}/{name}": told for name, told in _files(Path(entry.path)).items()}
            elif entry.name.endswith(".toml"):
                stat = entry.stat()
                found[entry.name] = (stat.st_size, stat.st_mtime)
    return found
