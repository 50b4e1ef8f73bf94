"""Words and filters by which the lists of models and devices are cut down."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from perfmodel.errors import UnknownNameError, UnreadableValueError, nearest, shown

Word = Annotated[
    str | None, typer.Argument(metavar="[WORD]", help="Only those with this word in their name, title or aliases.")
]
AtLeast = Annotated[
    list[str] | None,
    typer.Option(
        "--at-least", metavar="KEY=VALUE", help="Only those with at least this: memory.capacity=100GB of a device."
    ),
]
ModelsAtLeast = Annotated[
    list[str] | None,
    typer.Option(
        "--at-least", metavar="COLUMN=N", help="Only those with at least this many: parameters=70B, layers=60."
    ),
]
_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)([kmbt]?)", re.IGNORECASE)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def having(word: str | None, rows: Sequence[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """Return the rows with `word` in their name, title or aliases; raise UnknownNameError where none has it.

    rows: with `name`, `title` and `aliases`; what: devices or models, for the message.
    """
    if word is None:
        return list(rows)
    from perfmodel.specifications.spellings import spelled

    said = spelled(word).replace("-", "")
    found = [
        row
        for row in rows
        if any(said in spelled(text).replace("-", "") for text in (row["name"], row["title"], *row["aliases"]))
    ]
    if not found:
        raise UnknownNameError(
            f"none of the {what} has {shown(word)} in its name{nearest(word, [r['name'] for r in rows])}"
        )
    return found


def chosen(option: str, given: str | None, known: Sequence[str]) -> str:
    """Return the one of `known` that an option names in any case, '' for none; raise UnknownNameError for another."""
    if given is None:
        return ""
    found = {name.lower(): name for name in known}
    if given.lower() not in found:
        raise UnknownNameError(
            f"{option}: {shown(given)} is not known{nearest(given, known)}; there are {', '.join(known)}"
        )
    return found[given.lower()]


def at_least(given: list[str] | None, read: Callable[[str, str], float]) -> dict[str, float]:
    """Return the least value of each key of `--at-least`. read: turns a key and its text into a number, or raises."""
    found = {}
    for text in given or ():
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key or not value:
            raise UnreadableValueError(
                f"--at-least: {shown(text)} is not KEY=VALUE; write something like memory.capacity=100GB"
            )
        found[key] = read(key, value)
    return found


def device_value(key: str, text: str) -> float:
    """Return what `--at-least` asks of a key of a device [base unit]."""
    from perfmodel.specifications.parameters import lookup, unknown_key
    from perfmodel.units import read_quantity_option

    parameter = lookup(key)
    if parameter is None:
        raise unknown_key(key, (), "--at-least")
    return read_quantity_option(text, parameter.unit, f"--at-least {key}")


def model_value(key: str, text: str) -> float:
    """Return what `--at-least` asks of a column of the models [-]; 70B is 70 billion."""
    columns = ("parameters", "active", "layers", "hidden")
    if key not in columns:
        raise UnknownNameError(f"--at-least: {shown(key)} is not one of {', '.join(columns)}{nearest(key, columns)}")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnreadableValueError(f"--at-least {key}: {shown(text)} is not a number; write something like 70B")
    return float(match[1]) * _FACTORS[match[2].lower()]
