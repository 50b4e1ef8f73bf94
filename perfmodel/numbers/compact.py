"""A recording as a short text: the same lines for a reader in another language, their numbers apart.

Questions of one structure have one text. `perfmodel/report/explorer/` has a reader of it in JavaScript.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from perfmodel.numbers.recorded import Line

# One letter for each operation of a line.
LETTERS = {
    "+": "a",
    "-": "s",
    "*": "m",
    "/": "d",
    "//": "f",
    "**": "p",
    "maximum": "x",
    "minimum": "n",
    "greater": "g",
    "log": "l",
    "exp": "e",
    "is": "i",
}
_OF_ONE = frozenset({"log", "exp", "is"})


class CompactRecording(NamedTuple):
    """text: the lines; constants: the numbers in them, in the order in which they are met."""

    text: str
    constants: tuple[float, ...]


def compact(lines: Sequence[Line], arguments: Sequence[str], results: Sequence[Any]) -> CompactRecording:
    """Return `lines` as a text: for each line the letter of its operation and its operands, then `r` and the results.

    An operand is nothing for the next constant, a number n for the result of n lines before, or .n for argument n
    (both in base 36); operands are divided by a comma.

    >>> compact([Line("v0", "*", "batch", 2.0), Line("v1", "+", "v0", "batch")], ["batch"], ["v1"])
    CompactRecording(text='m.0,a1,.0r1', constants=(2.0,))
    """
    places = {name: -1 - i for i, name in enumerate(arguments)}
    constants: list[float] = []
    parts: list[str] = []

    def operand(value: Any, line: int) -> str:
        if not isinstance(value, str):
            constants.append(float(value))
            return ""
        place = places[value]
        return f".{_base36(-1 - place)}" if place < 0 else _base36(line - place)

    for number, (target, operation, left, right) in enumerate(lines):
        written = operand(left, number)
        if operation not in _OF_ONE:
            written += "," + operand(right, number)
        places[target] = number
        parts.append(LETTERS[operation] + written)
    parts.append("r" + ",".join(operand(result, len(lines)) for result in results))
    return CompactRecording("".join(parts), tuple(constants))


def _base36(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
        if not number:
            return text
