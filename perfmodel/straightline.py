"""Record a formula once and replay it as straight-line Python, for many evaluations of the same plan.

The equations are run on `Recorded` numbers, which note every operation; what they noted becomes one
flat function, several times faster than calling the equations again, with the same operations in
the same order and so the same result to the last bit. No formula is written here.
"""

from collections.abc import Callable, Sequence
from typing import Any

Replay = Callable[..., tuple[Any, ...]]


class Recorder:
    """Collects the operations on the numbers it made. Equal operations are noted once."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, str]] = []  # target, operation, left, right
        self._known: dict[tuple[str, str, str], Recorded] = {}

    def inputs(self, names: Sequence[str]) -> list["Recorded"]:
        """Return one recorded number for each argument name."""
        return [Recorded(self, name) for name in names]

    def note(self, operation: str, left: object, right: object) -> "Recorded":
        """Note `left operation right` and return its result."""
        key = (operation, _text(left), _text(right))
        if key not in self._known:
            name = f"v{len(self.lines)}"
            self.lines.append((name, *key))
            self._known[key] = Recorded(self, name)
        return self._known[key]

    def _needed(self, results: Sequence[Any]) -> list[tuple[str, str, str, str]]:
        """Return the operations that the results rest on, in order."""
        wanted = {_text(result) for result in results}
        lines = []
        for line in reversed(self.lines):
            if line[0] in wanted:
                wanted.update(line[2:])
                lines.append(line)
        return lines[::-1]

    def replay(self, arguments: Sequence[str], results: Sequence[Any], *, arrays: bool = False) -> Replay:
        """Return a function of `arguments` that gives `results`. arrays: for numpy arrays instead of floats."""
        body = [f"    {name} = {_operation(operation, left, right, arrays)}" for name, operation, left, right in self._needed(results)]
        source = "\n".join([f"def replay({', '.join(arguments)}):", *body, f"    return ({', '.join(_text(result) for result in results)},)"])
        scope: dict[str, Any] = {}
        if arrays:
            import numpy

            scope = {"maximum": numpy.maximum, "minimum": numpy.minimum}
        exec(compile(source, "<plan>", "exec"), scope)  # noqa: S102 - the text is made above from our own equations
        replay: Replay = scope["replay"]
        return replay


class Recorded:
    """A number whose operations are noted. Only identities that change no bit are simplified."""

    __slots__ = ("_recorder", "name")

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self.name = recorder, name

    def __add__(self, other: object) -> "Recorded":
        return self if _is(other, 0) else self._recorder.note("+", self, other)

    def __radd__(self, other: object) -> "Recorded":
        return self if _is(other, 0) else self._recorder.note("+", other, self)

    def __sub__(self, other: object) -> "Recorded":
        return self if _is(other, 0) else self._recorder.note("-", self, other)

    def __rsub__(self, other: object) -> "Recorded":
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

    def __floordiv__(self, other: object) -> "Recorded":
        return self._recorder.note("//", self, other)

    def __neg__(self) -> "Recorded":
        return self._recorder.note("-", 0, self)

    def __pow__(self, other: object) -> "Recorded":
        return self._recorder.note("**", self, other)

    def __rpow__(self, other: object) -> "Recorded":
        return self._recorder.note("**", other, self)

    def noted_choice(self, operation: str, left: object, right: object) -> "Recorded":
        """Note the larger ('maximum') or smaller ('minimum') of two numbers, one of which is this one."""
        return self._recorder.note(operation, left, right)


def _is(value: object, number: int) -> bool:
    return value.__class__ in (int, float) and value == number


def _text(value: object) -> str:
    return value.name if isinstance(value, Recorded) else repr(value)


def _operation(operation: str, left: str, right: str, arrays: bool) -> str:
    if operation not in ("maximum", "minimum"):
        return f"{left} {operation} {right}"
    if arrays:
        return f"{operation}({left}, {right})"
    return f"{left} if {left} {'>=' if operation == 'maximum' else '<='} {right} else {right}"
