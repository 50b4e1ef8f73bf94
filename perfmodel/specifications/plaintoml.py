"""TOML that is written plainly, as the catalogue is, read line by line: four times as quick as by the general parser.

Plain is: a key a line; keys of letters, digits, - and _, or in quotes; texts in double quotes without escapes; tables
and lists in one line, a space around = and after a comma. All else the general parser reads, or refuses.
"""

from typing import Any

import msgspec

_DEEPEST = 8  # parts of a header


def plain_tables(text: str) -> dict[str, Any] | None:
    """Return the tables of TOML, None where it is not written plainly.

    >>> plain_tables('[link]' + chr(10) + 'domain = { value = 8, kind = "datasheet" }')
    {'link': {'domain': {'value': 8, 'kind': 'datasheet'}}}
    >>> plain_tables("x = 0x10")
    """
    if "\\" in text or not text.replace("\n", "").isprintable():
        return None
    tables: dict[str, Any] = {}
    # Headers that were there, and tables that stood in one line, which no header adds to.
    opened: set[str] = set()
    closed: set[str] = set()
    table, header = tables, ""
    try:
        for line in text.split("\n"):
            if not line or line[0] == "#":
                continue
            if line[0] == "[":
                header = line[1:-1]
                if line[-1] != "]" or header in opened:
                    return None
                opened.add(header)
                table = _opened(tables, header.split("."), closed)
                continue
            key, _, value = line.partition(" = ")
            key = _key(key)
            if key in table:
                return None
            table[key] = _value(value)
            if value[0] == "{":
                closed.add(f"{header}.{key}" if header else key)
    except (ValueError, IndexError, RecursionError):
        return None
    return tables


def _key(text: str) -> str:
    """Return a key; raise ValueError for one that is not plain."""
    if text[0] == '"' == text[-1] and text.count('"') == 2:
        return text[1:-1]
    if not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError(text)
    return text


def _opened(tables: dict[str, Any], parts: list[str], closed: set[str]) -> dict[str, Any]:
    """Return the table of a header."""
    table, path = tables, ""
    if len(parts) > _DEEPEST:
        raise ValueError(parts)
    for part in parts:
        if part[0] == '"':
            raise ValueError(part)
        path = f"{path}.{part}" if path else part
        table = table.setdefault(_key(part), {})
        if table.__class__ is not dict or path in closed:
            raise ValueError(path)
    return table


def _value(text: str) -> Any:
    """Return a value: a text, else what is TOML and JSON alike, else a table, whose keys are put in quotes for that."""
    if text[0] == '"' == text[-1] and text.count('"') == 2:
        return text[1:-1]
    if text[0] != "{":
        return _like_json(text)
    pieces, keys, listed = text.split('"'), 0, False
    for place in range(0, len(pieces), 2):  # between texts
        piece = pieces[place]
        done = ""
        if listed:
            if "]" not in piece:
                continue
            done, _, piece = piece.partition("]")
            done += "]"
        listed = piece[-1:] == "["
        keys += piece.count(" = ")
        pieces[place] = done + piece.replace("{ ", '{ "').replace(", ", ', "').replace(" = ", '": ')
    table = _like_json('"'.join(pieces))
    if table.__class__ is not dict or len(table) != keys:
        raise ValueError(text)
    for key, value in table.items():
        if _key(key) != key or value.__class__ is dict:
            raise ValueError(text)
    return table


def _like_json(text: str) -> Any:
    """Return a value that is written in TOML as in JSON."""
    if "null" in text:  # which TOML has not
        raise ValueError(text)
    return msgspec.json.decode(text)
