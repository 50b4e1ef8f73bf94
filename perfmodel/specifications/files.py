"""Read a TOML or JSON file safely, and write TOML: size, bytes and syntax are checked before any meaning."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli

from perfmodel.errors import SpecificationError, shown
from perfmodel.quoting import toml

_DEEPEST = 60  # parts of a dotted key
# What TOML is made of, as far as keys go: texts of several lines, comments, and runs of dotted parts, of which a long
# one is marked. Each is taken whole, so that any text is read in one pass.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\[^\n])*+"?|'[^'\n]*+'?)"""
_DOTTED = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})"
_TOKENS = (
    r'''"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)|'''
    r"""'''(?:[^']|'(?!''))*+(?:'''|\Z)|"""
    rf"#[^\n]*+|{_DOTTED}{{{_DEEPEST},}}()|{_DOTTED}*+"
)
LARGEST_FILE = 4_000_000  # bytes; the largest config.json seen has 0.1 MB


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder; raise SpecificationError for a path that no file can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise SpecificationError(f"{shown(str(path))}: cannot be read: {getattr(error, 'strerror', error)}") from None


def read_bytes(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Return the bytes of `path`, or raise SpecificationError when it is missing, unreadable, empty or too large.

    largest: bytes that such a file may have.
    """
    try:
        if path.is_dir():
            raise SpecificationError(f"{path}: is a folder, expected a file")
        size = path.stat().st_size
        if size > largest:
            raise SpecificationError(
                f"{path}: has {size:,} bytes, more than any such file ({largest:,}); is it the right one?"
            )
        if not path.is_file():
            raise SpecificationError(f"{path}: is not a regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise SpecificationError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecificationError(f"{path}: cannot be read: {reason}") from None
    if not data.strip():
        raise SpecificationError(f"{path}: is empty")
    return data


def read_text(path: Path, largest: int = LARGEST_FILE) -> str:
    """Return the text of `path`, which must be UTF-8, with or without a mark that says so.

    largest: bytes that such a file may have.
    """
    try:
        return read_bytes(path, largest).removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: is not text: byte {error.start} is not UTF-8") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file."""
    return toml_tables(read_text(path), path)


def toml_tables(text: str, path: Path) -> dict[str, Any]:
    """Return the tables of TOML, `text` or a part of what stands in the file `path`."""
    if _dotted_deeply(text):
        raise SpecificationError(f"{path}: a key has more than {_DEEPEST} parts, more than any specification")
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise SpecificationError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise SpecificationError(f"{path}: is nested too deeply") from None
    except ValueError:
        raise SpecificationError(f"{path}: is not TOML that can be read: a number or a date is out of range") from None


def _dotted_deeply(text: str) -> bool:
    """Whether a dotted key has more parts than any specification: the parser's time grows with their square."""
    if all(line.count(".") < _DEEPEST for line in text.split("\n")):
        return False
    return any(match[1] is not None for match in re.finditer(_TOKENS, text, re.DOTALL))


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds; NaN and infinity are kept as floats for the reader to refuse."""
    import json

    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise SpecificationError(
            f"{path}: is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (RecursionError, ValueError):
        raise SpecificationError(
            f"{path}: is not JSON that can be read: nested too deeply, or a number too long"
        ) from None
    if not isinstance(value, dict):
        raise SpecificationError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def toml_text(content: Mapping[str, Any], inline: Callable[[Mapping[str, Any]], bool] = lambda _: False) -> str:
    """Return `content` as TOML: texts, numbers, truth values, lists, and tables, which come after what is none.

    inline: whether a table stands in one line of the table that holds it.
    """
    import tomlkit

    def item(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        held = tomlkit.inline_table() if inline(value) else tomlkit.table(is_super_table=_only_tables(value))
        for key, entry in sorted(value.items(), key=lambda pair: isinstance(pair[1], dict) and not inline(pair[1])):
            held.append(key, item(entry))
        return held

    def _only_tables(value: Mapping[str, Any]) -> bool:
        return bool(value) and all(isinstance(entry, dict) and not inline(entry) for entry in value.values())

    document = tomlkit.document()
    for key, value in sorted(content.items(), key=lambda pair: isinstance(pair[1], dict)):
        if isinstance(value, dict) and len(document):
            document.add(tomlkit.nl())
        document.append(key, item(value))
    return toml(tomlkit.dumps(document))
