"""Find a specification by name or path, and list what the catalogue holds."""

import tomllib
from functools import lru_cache
from pathlib import Path

from perfmodel._layout import data_folder
from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.specifications.hardware import Hardware, load_hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.modelfiles import load_model
from perfmodel.specifications.spellings import device_meant, spelled


def is_path(name: str) -> bool:
    """Return whether `name` is a path: only if it holds a slash or ends in .toml, .json or .gguf."""
    return "/" in name or "\\" in name or name.endswith((".toml", ".json", ".gguf"))


@lru_cache(maxsize=512)
def find_hardware(name: str) -> Hardware:
    """Return the device called `name`, or described by the TOML file at that path.

    Raises UnknownNameError with the nearest name, or SpecificationError for a file that cannot be used.
    """
    return load_hardware(Path(name)) if is_path(name) else load_hardware(_catalogue_file("hardware", name))


@lru_cache(maxsize=512)
def find_model(name: str) -> Model:
    """Return the model called `name`, or described by the TOML file, config.json or folder at that path.

    Raises UnknownNameError with the nearest name, or SpecificationError for a file that cannot be used.
    """
    return load_model(Path(name)) if is_path(name) else load_model(_catalogue_file("models", name))


def names(kind: str) -> list[str]:
    """Return the sorted names in the catalogue `kind`: hardware or models."""
    return sorted(path.stem for path in data_folder(kind).glob("*.toml"))


def _catalogue_file(kind: str, name: str) -> Path:
    folder = data_folder(kind)
    path = folder / f"{name}.toml"
    if name and not set(name) & set("*?[]\0") and len(name) < 200 and path.is_file():
        return path
    aliases = _aliases(kind)
    known = aliases.get(spelled(name)) or (device_meant(name, aliases) if kind == "hardware" else None)
    if known:
        return folder / f"{known}.toml"
    what = "device" if kind == "hardware" else "model"
    raise UnknownNameError(
        f"{shown(name)} is not a {what} in the catalogue{nearest(name, [*names(kind), *aliases])}; see: perfmodel"
        f" {kind} list"
    )


@lru_cache(maxsize=4)
def _aliases(kind: str) -> dict[str, str]:
    """Return every name and alias of `kind` as `spelled` writes it, with the name of its file."""
    found: dict[str, str] = {}
    for name in names(kind):
        found[spelled(name)] = name
        # Aliases stand before the first table; reading no further is four times as quick.
        head = (data_folder(kind) / f"{name}.toml").read_text(encoding="utf-8").partition("\n[")[0]
        for alias in tomllib.loads(head).get("aliases", ()):
            found[spelled(str(alias))] = name
    return found
