"""The reference of the Python interface, made of signatures and docstrings."""

import inspect
import re
from typing import Any

import perfmodel

_ARGUMENT = re.compile(r"^([a-z_]\w*(?:, [a-z_]\w*)*): (.*)$")


def reference() -> str:
    """Return the page of all public names of the package."""
    parts = ["# Python\n", _prose(inspect.getdoc(perfmodel) or "")]
    for name in perfmodel.__all__:
        held = getattr(perfmodel, name)
        if not isinstance(held, str):
            parts.append(_class(name, held) if inspect.isclass(held) else _callable(f"## {name}", name, held))
    return "\n".join(parts)


def _callable(heading: str, name: str, held: Any) -> str:
    return f"{heading}\n\n```python\n{name}{_signature(held)}\n```\n\n{_prose(inspect.getdoc(held) or '')}"


def _signature(held: Any) -> str:
    text = re.sub(r"(?:\w+\.)+(\w+)", r"\1", str(inspect.signature(held)))
    text = re.sub(r"\*<class '(\w+)'>", r"Unpack[\1]", text)
    if len(text) < 90:
        return text
    inside, _, returned = text[1:].rpartition(")")
    arguments = re.split(r", (?![^\[]*\])", inside)
    return "(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returned}"


def _class(name: str, held: type) -> str:
    parts = [f"## {name}\n\n{_prose(inspect.getdoc(held) or '')}"]
    fields = getattr(held, "__struct_fields__", ()) or [
        f.name for f in getattr(held, "__dataclass_fields__", {}).values()
    ]
    if fields:
        parts.append("Fields: " + ", ".join(f"`{field}`" for field in fields) + ".\n")
    for member, value in vars(held).items():
        if member.startswith("_"):
            continue
        if isinstance(value, property) and value.__doc__:
            parts.append(f"### {name}.{member}\n\n{_prose(inspect.getdoc(value) or '')}")
        elif inspect.isfunction(value) or isinstance(value, classmethod):
            parts.append(_callable(f"### {name}.{member}", member, getattr(held, member)))
    return "\n".join(parts)


def _prose(text: str) -> str:
    """Return a docstring as Markdown: its arguments as a list, its examples as code."""
    lines: list[str] = []
    example = False
    for line in text.splitlines():
        if line.startswith(">>>") and not example:
            lines.append("\n```pycon")
            example = True
        if example and not line.strip():
            lines.append("```")
            example = False
        argument = None if example else _ARGUMENT.match(line)
        if argument:
            names = ", ".join(f"`{name}`" for name in argument[1].split(", "))
            lines.append(f"- {names}: {_plain(argument[2])}")
        else:
            lines.append(line if example else _plain(line))
    return "\n".join([*lines, "```" if example else "", ""])


def _plain(line: str) -> str:
    return re.sub(r"(?<!`)([*_<|])(?![^`]*`)", r"\\\1", line)
