"""A recording as a Python function: straight-line source, several times as fast as the equations, to the last bit.

A number that is used once is written where it is used, and a variable whose number is no longer needed is used again: a
function with few variables is compiled and called much faster.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from perfmodel.numbers.recorded import Line

Replay = Callable[..., tuple[Any, ...]]
_CHOICES = frozenset({"maximum", "minimum", "greater"})
# How deep expressions are nested, at most; Python's parser has a limit.
_DEEPEST = 30
# Below it every whole number is a float exactly.
_WHOLE = 2**53


def function_of(
    lines: Sequence[Line], arguments: Sequence[str], results: Sequence[Any], choices: Mapping[str, Any] | None = None
) -> Replay:
    """Return a function of `arguments` that does `lines` and gives `results`, each a name or a number.

    choices: functions for "maximum", "minimum", "greater" and "power" of two numbers, "log" and "exp" of one; None for
    floats.
    """
    source = _Source(lines, arguments, results, inline=choices is None).text()
    scope: dict[str, Any] = {"log": math.log, "exp": math.exp} if choices is None else dict(choices)
    exec(compile(source, "<recording>", "exec"), scope)  # noqa: S102 - the text is made above from our own equations
    replay: Replay = scope["replay"]
    return replay


class _Source:
    """The text of a function."""

    def __init__(
        self, lines: Sequence[Line], arguments: Sequence[str], results: Sequence[Any], *, inline: bool
    ) -> None:
        self._arguments, self._results, self._lines, self._inline = arguments, results, lines, inline
        self._uses = Counter(name for line in lines for name in (line.left, line.right) if isinstance(name, str))
        kept = Counter(name for name in results if isinstance(name, str))
        # What a choice compares is written twice, so it needs a name.
        for line in lines:
            if inline and line.operation in _CHOICES:
                kept.update(name for name in (line.left, line.right) if isinstance(name, str))
        self._uses.update(kept)
        # Expressions that stand in no variable yet, by the name of their number: text, depth, variables they read.
        self._pending: dict[str, _Expression] = {}
        self._variables: dict[str, str] = {name: name for name in arguments}
        self._free: list[str] = []
        self._count = 0
        self._left = Counter(self._uses)
        self._floats: set[str] = set()
        self._as_floats: set[str] = set()  # arguments that are wanted as floats too

    def text(self) -> str:
        """Return the source of the function `replay`."""
        body = []
        for line in self._lines:
            expression = self._expression(line)
            if self._uses[line.target] == 1 and expression.depth < _DEEPEST:
                self._pending[line.target] = expression
                continue
            self._read(expression.reads)
            if not self._free:
                self._free.append(f"r{self._count}")
                self._count += 1
            variable = self._variables[line.target] = self._free.pop()
            body.append(f"    {variable} = {expression.text}")
        results = [self._operand(result).text for result in self._results]
        return "\n".join(
            [
                f"def replay({', '.join(self._arguments)}):",
                *(f"    {name}_ = float({name})" for name in self._arguments if name in self._as_floats),
                *body,
                f"    return ({', '.join(results)}{',' if results else ''})",
            ]
        )

    def _read(self, names: Sequence[str]) -> None:
        """Free the variables of numbers that are needed no more after these were read."""
        for name in names:
            self._left[name] -= 1
            if not self._left[name] and name not in self._arguments:
                self._free.append(self._variables[name])

    def _is_float(self, operand: Any) -> bool:
        return operand in self._floats if isinstance(operand, str) else isinstance(operand, float)

    def _operand(self, operand: Any, *, beside_float: bool = False) -> "_Expression":
        """Return an operand as it is written; what meets a float is one, which Python adds and multiplies faster."""
        if not isinstance(operand, str):
            number = float(operand) if self._inline and beside_float and abs(operand) < _WHOLE else operand
            return _Expression(f"({number})" if number < 0 else str(number), 0, ())
        if self._inline and beside_float and operand in self._arguments:
            self._as_floats.add(operand)
            return _Expression(f"{operand}_", 0, (operand,))
        pending = self._pending.pop(operand, None)
        if pending is not None:
            return _Expression(f"({pending.text})", pending.depth + 1, pending.reads)
        return _Expression(self._variables[operand], 0, (operand,))

    def _expression(self, line: Line) -> "_Expression":
        operation = line.operation
        floats = self._is_float(line.left), self._is_float(line.right)
        if operation in ("/", "log", "exp", "**") or (any(floats) if operation not in _CHOICES else all(floats)):
            self._floats.add(line.target)
        one, other = self._operand(line.left, beside_float=floats[1]), self._operand(line.right, beside_float=floats[0])
        left, right, depth, reads = one.text, other.text, max(one.depth, other.depth), (*one.reads, *other.reads)
        if operation in ("log", "exp"):
            return _Expression(f"{operation}({left})", depth, reads)
        if operation == "**" and not self._inline:
            return _Expression(f"power({left}, {right})", depth, reads)
        if operation not in _CHOICES:
            return _Expression(f"{left} {operation} {right}", depth, reads)
        if not self._inline:
            return _Expression(f"{operation}({left}, {right})", depth, reads)
        if operation == "greater":
            return _Expression(f"1.0 if {left} > {right} else 0.0", depth, (*reads, *reads))
        sign = ">=" if operation == "maximum" else "<="
        return _Expression(f"{left} if {left} {sign} {right} else {right}", depth, (*reads, *reads))


class _Expression(msgspec.Struct, frozen=True, gc=False):
    text: str
    depth: int
    reads: tuple[str, ...]
