"""Record a formula once and replay it as straight-line Python, for many evaluations of the same plan.

The equations are run on `Recorded` numbers, which note every operation; what they noted becomes one
flat function, several times faster than calling the equations again, with the same operations in
the same order and so the same result to the last bit. No formula is written here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Replay = Callable[..., tuple[Any, ...]]


class Recorder:
    """Collects the operations on the numbers it made. Equal operations are noted once."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._known: dict[tuple[str, Any, Any], Recorded] = {}

    def inputs(self, names: Sequence[str]) -> list["Recorded"]:
        """Return one recorded number for each argument name."""
        return [Recorded(self, name) for name in names]

    def note(self, operation: str, left: Any, right: Any) -> Any:
        """Note `left operation right` and return its result."""
        key = (operation, operand(left), operand(right))
        if key not in self._known:
            name = f"v{len(self.lines)}"
            self.lines.append(Line(name, *key))
            self._known[key] = Recorded(self, name)
        return self._known[key]

    def needed(self, results: Iterable[Any]) -> list["Line"]:
        """Return the operations that the results rest on, in order."""
        wanted = {operand(result) for result in results}
        lines = []
        for line in reversed(self.lines):
            if line.target in wanted:
                wanted.update((line.left, line.right))
                lines.append(line)
        return lines[::-1]

    def replay(
        self, arguments: Sequence[str], results: Sequence[Any], *, choices: Mapping[str, Any] | None = None
    ) -> Replay:
        """Return a function of `arguments` that gives `results`, for floats.

        Or for what the functions in `choices` take.
        """
        return replay_of(self.needed(results), arguments, [operand(result) for result in results], choices)


class Line(NamedTuple):
    """An operation on names, numbers, or both."""

    target: str
    operation: str
    left: Any
    right: Any


def replay_of(
    lines: Sequence[Line], arguments: Sequence[str], results: Sequence[Any], choices: Mapping[str, Any] | None = None
) -> Replay:
    """Return a function of `arguments` that does `lines` and gives `results`, each a name or a number.

    choices: functions of two numbers for "maximum", "minimum" and "greater"; None for floats.
    """
    body = [f"    {line.target} = {_operation(line, inline=choices is None)}" for line in lines]
    source = "\n".join(
        [
            f"def replay({', '.join(arguments)}):",
            *body,
            f"    return ({', '.join(map(str, results))}{',' if results else ''})",
        ]
    )
    scope = dict(choices or {})
    exec(compile(source, "<plan>", "exec"), scope)  # noqa: S102 - the text is made above from our own equations
    replay: Replay = scope["replay"]
    return replay


class Recorded:
    """A number whose operations are noted. Only identities that change no bit are simplified."""

    __slots__ = ("_recorder", "name")

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self.name = recorder, name

    def __add__(self, other: object) -> Any:
        return self if _is(other, 0) else self._recorder.note("+", self, other)

    def __radd__(self, other: object) -> Any:
        return self if _is(other, 0) else self._recorder.note("+", other, self)

    def __sub__(self, other: object) -> Any:
        return self if _is(other, 0) else self._recorder.note("-", self, other)

    def __rsub__(self, other: object) -> Any:
        return self._recorder.note("-", other, self)

    def __mul__(self, other: object) -> Any:
        if _is(other, 0):
            return 0.0
        return self if _is(other, 1) else self._recorder.note("*", self, other)

    def __rmul__(self, other: object) -> Any:
        if _is(other, 0):
            return 0.0
        return self if _is(other, 1) else self._recorder.note("*", other, self)

    def __truediv__(self, other: object) -> Any:
        return self if _is(other, 1) else self._recorder.note("/", self, other)

    def __rtruediv__(self, other: object) -> Any:
        return 0.0 if _is(other, 0) else self._recorder.note("/", other, self)

    def __floordiv__(self, other: object) -> Any:
        return self._recorder.note("//", self, other)

    def __neg__(self) -> Any:
        return self._recorder.note("-", 0, self)

    def __pow__(self, other: object) -> Any:
        return self._recorder.note("**", self, other)

    def __rpow__(self, other: object) -> Any:
        return self._recorder.note("**", other, self)

    def noted_choice(self, operation: str, left: object, right: object) -> Any:
        """Note the larger ('maximum') or smaller ('minimum') of two numbers, one of which is this one."""
        return self._recorder.note(operation, left, right)


def _is(value: object, number: int) -> bool:
    return value.__class__ in (int, float) and value == number


def operand(value: Any) -> Any:
    """Return the name of a recorded number, any other number as it is."""
    return value.name if isinstance(value, Recorded) else value


def _operation(line: Line, *, inline: bool) -> str:
    operation, left, right = line[1:]
    if operation not in ("maximum", "minimum", "greater"):
        return f"{left} {operation} {right}"
    if not inline:
        return f"{operation}({left}, {right})"
    if operation == "greater":
        return f"1.0 if {left} > {right} else 0.0"
    return f"{left} if {left} {'>=' if operation == 'maximum' else '<='} {right} else {right}"
