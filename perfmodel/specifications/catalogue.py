"""Find a specification by name or path, and list what the catalogue holds."""

import os
import re
from functools import lru_cache
from pathlib import Path

from perfmodel._layout import data_folder
from perfmodel.errors import UnknownNameError, UnreadableValueError, nearest, shown
from perfmodel.specifications.devicefiles import load_hardware
from perfmodel.specifications.files import toml_tables
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.modelfiles import load_model


@lru_cache(maxsize=512)
def find_hardware(name: str) -> Hardware:
    """Return the device called `name`, or described by the TOML file at that path.

    Raises UnknownNameError with the nearest name, or SpecificationError for a file that cannot be used.
    """
    return load_hardware(_catalogued("hardware", name) or _path("hardware", name))


def find_model(name: str) -> Model:
    """Return the model called `name`: a catalogue name or alias, the organisation/name an entry came from, or a path.

    A path is a TOML file, a config.json or a folder with one. A catalogue name is never shadowed by a path; a note says
    where both are there. Raises UnknownNameError with the nearest name, or SpecificationError for a file that cannot be
    used.
    """
    found = _catalogued("models", name)
    if found is None:
        path = _path("models", name)
        return _load_model(path, path.absolute(), _changed(path))
    model = _load_model(found, found, 0)
    # A bare name that is a folder here may have been meant.
    if os.path.exists(name):  # noqa: PTH110 - asked with every question, and three times as quick as a Path
        note = f"{shown(name)} is the catalogue's; the folder or file of that name is {shown(f'./{name}')}"
        return model.replace(notes=(*model.notes, note))
    return model


@lru_cache(maxsize=512)
def _load_model(path: Path, absolute: Path, changed: int) -> Model:
    """Return the model at `path`; absolute, changed: where and of when it is, so that another file is read anew."""
    del absolute, changed
    return load_model(path)


def _changed(path: Path) -> int:
    """Return when the newest of what describes the model at `path` changed [ns], 0 where nothing can be there."""
    try:
        files = [path, path / "config.json"] if path.is_dir() else [path, path.parent]
        return max((file.stat().st_mtime_ns for file in files if file.exists()), default=0)
    except (OSError, ValueError):  # a name that no file can have, of which the reader says so
        return 0


def names(kind: str) -> list[str]:
    """Return the sorted names in the catalogue `kind`: hardware or models."""
    return sorted(path.stem for path in data_folder(kind).glob("*.toml"))


def is_catalogued(kind: str, name: str) -> bool:
    """Return whether `name` is a name, an alias or an origin in the catalogue `kind`, whose files do not change."""
    return _catalogued(kind, name) is not None


@lru_cache(maxsize=4096)
def _catalogued(kind: str, name: str) -> Path | None:
    """Return the file of the catalogue that `name` is the name, an alias or an origin of, or None."""
    folder = data_folder(kind)
    if not name or set(name) & set("*?[]\0") or len(name) >= 200:
        return None
    if "/" not in name and "\\" not in name and (path := folder / f"{name}.toml").is_file():
        return path
    from perfmodel.specifications.spellings import (  # with its patterns, where a name is not as files have it
        device_meant,
        spelled,
    )

    known = _called(kind)
    called = known.get(spelled(name))
    if called is None and kind == "hardware" and not _meant_as_path(name):
        called = device_meant(name, known)
    return folder / f"{called}.toml" if called else None


def _path(kind: str, name: str) -> Path:
    """Return `name` as a path where it is one, or is meant as one."""
    from perfmodel.specifications.othernames import counted_device, is_closed
    from perfmodel.specifications.spellings import model_meant, spelled

    path = Path(name)
    if (kind == "hardware" and _meant_as_path(name)) or (
        kind == "models" and name and (_exists(path) or _written_as_path(name))
    ):
        return path
    _refuse_other_kind(kind, name)
    if kind == "models" and (called := model_meant(name, _called(kind))):
        return data_folder(kind) / f"{called}.toml"
    what = "device" if kind == "hardware" else "model"
    if "," in name:
        raise UnreadableValueError(
            f"{shown(name)} names several {what}s, and one is asked for; perfmodel compare and perfmodel sweep take"
            " them"
        )
    if kind == "models" and (there := _stored_otherwise(name)):
        raise UnknownNameError(f"{shown(name)} is not in the catalogue; {there}")
    if kind == "hardware" and (counted := counted_device(name)) and _is_device(counted[1]):
        raise UnknownNameError(
            f"{shown(name)} is not a device in the catalogue; for {counted[0]} of them write {counted[1]} --devices"
            f" {counted[0]}"
        )
    if kind == "hardware" and (vendor := _vendors().get(name.strip().lower())):
        raise UnknownNameError(
            f"{shown(name)} makes many devices; see: perfmodel hardware list --vendor {shown(vendor)}"
        )
    if kind == "models" and is_closed(name):
        raise UnknownNameError(
            f"{shown(name)} has shapes that were not published; ask for an open model of about its size, or write"
            " a file of your own (docs/models.md)"
        )
    if name.strip().lower() in ("all", "any", "*"):
        raise UnknownNameError(f"{shown(name)} is not a {what}; name them, separated by commas: perfmodel {kind} list")
    raise UnknownNameError(
        f"{shown(name)} is not a {what} in the catalogue{nearest(spelled(name), [*names(kind), *_called(kind)])}; see:"
        f" perfmodel {kind} list"
    )


def _is_device(name: str) -> bool:
    try:
        return is_catalogued("hardware", name)
    except UnknownNameError:  # several of them
        return True


@lru_cache(maxsize=1)
def _vendors() -> dict[str, str]:
    """Return the makers of devices, by their names in small letters."""
    from perfmodel.specifications.indexes import index_of

    index = index_of("hardware")
    every = (
        [find_hardware(name).vendor for name in names("hardware")]
        if index is None
        else [row["vendor"] for row in index.rows]
    )
    return {vendor.lower(): vendor for vendor in every}


def _meant_as_path(name: str) -> bool:
    """Return whether a device's name is a path: `MI250X / MI250` and `M2 (100 GB/s)` are none."""
    bare = re.sub(r"\([^)]*\)| / ", " ", name)
    return "/" in bare or "\\" in bare or bare.endswith((".toml", ".json", ".gguf"))


def _stored_otherwise(name: str) -> str:
    """Return what of the catalogue a quantised or repacked checkpoint is made of, and how to ask for it, or ''."""
    from perfmodel.specifications.spellings import plain_forms, stored_as

    for form in plain_forms(name):
        if called := _called("models").get(form) or _alone().get(form.replace("-", "")):
            stored = stored_as(name)
            return f"{called} is" + (f", with --weights {stored}" if stored else "")
    return ""


@lru_cache(maxsize=1)
def _alone() -> dict[str, str]:
    """Return every name of a model without its `-`, with the name of its file."""
    return {other.replace("-", ""): model for other, model in _called("models").items()}


def _written_as_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or "\\" in name or name.endswith((".toml", ".json", ".gguf"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _refuse_other_kind(kind: str, name: str) -> None:
    """Raise UnknownNameError where `name` is one of the other catalogue: the words are in the wrong order."""
    from perfmodel.specifications.spellings import spelled

    other, is_one = ("models", "a model") if kind == "hardware" else ("hardware", "a device")
    if spelled(name) in _called(other):
        raise UnknownNameError(f"{shown(name)} is {is_one}; the order is MODEL HARDWARE")


@lru_cache(maxsize=4)
def _called(kind: str) -> dict[str, str]:
    """Return the names of `read_called`, from the index of the catalogue where there is one of it."""
    from perfmodel.specifications.indexes import index_of

    index = index_of(kind)
    return read_called(kind) if index is None else index.called


def read_called(kind: str) -> dict[str, str]:
    """Return every name, alias and origin of `kind` as `spelled` writes it, with the name of its file."""
    from perfmodel.specifications.spellings import spelled

    found: dict[str, str] = {}
    alone: dict[str, str] = {}
    for name in names(kind):
        found[spelled(name)] = name
        # They stand before the first table; reading no further is four times as quick.
        path = data_folder(kind) / f"{name}.toml"
        head = toml_tables(path.read_text(encoding="utf-8").partition("\n[")[0], path)
        for other in (*head.get("aliases", ()), *head.get("origins", ())):
            found[spelled(str(other))] = name
            alone.setdefault(spelled(str(other).rpartition("/")[2]), name)
    # Without the organisation, where no other entry is called so.
    return alone | found
