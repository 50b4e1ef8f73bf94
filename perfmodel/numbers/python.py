"""A recording as a Python function: straight-line source, several times as fast as the equations, the same to the last bit."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perfmodel.numbers.recorded import Line

Replay = Callable[..., tuple[Any, ...]]


def function_of(
    lines: Sequence[Line], arguments: Sequence[str], results: Sequence[Any], choices: Mapping[str, Any] | None = None
) -> Replay:
    """Return a function of `arguments` that does `lines` and gives `results`, each a name or a number.

    choices: functions for "maximum", "minimum" and "greater" of two numbers, "log" and "exp" of one; None for floats.
    """
    body = [f"    {line.target} = {_written(line, inline=choices is None)}" for line in lines]
    source = "\n".join(
        [
            f"def replay({', '.join(arguments)}):",
            *body,
            f"    return ({', '.join(map(str, results))}{',' if results else ''})",
        ]
    )
    scope: dict[str, Any] = {"log": math.log, "exp": math.exp} if choices is None else dict(choices)
    exec(compile(source, "<recording>", "exec"), scope)  # noqa: S102 - the text is made above from our own equations
    replay: Replay = scope["replay"]
    return replay


def _written(line: Line, *, inline: bool) -> str:
    operation, left, right = line[1:]
    if operation in ("log", "exp"):
        return f"{operation}({left})"
    if operation not in ("maximum", "minimum", "greater"):
        return f"{left} {operation} {right}"
    if not inline:
        return f"{operation}({left}, {right})"
    if operation == "greater":
        return f"1.0 if {left} > {right} else 0.0"
    return f"{left} if {left} {'>=' if operation == 'maximum' else '<='} {right} else {right}"
