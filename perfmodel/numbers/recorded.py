"""Numbers that note what is done with them: a formula run on them leaves a list of lines, which other modules read.

The equations are run once on `Recorded` numbers. What they noted is read as straight-line Python
(`perfmodel.numbers.python`), as derivatives (`slopes`), as formulas (`symbols`) and on grids (`arrays`).
No formula is written here, and no other module overloads operators.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from perfmodel.numbers.choices import exp, larger, log, smaller


class Line(NamedTuple):
    """An operation on names, numbers, or both.

    operation: + - * / // **, maximum, minimum, greater (1 where left is more, else 0); log or exp of the left alone; or
    `is` for a left that is given a name.
    """

    target: str
    operation: str
    left: Any
    right: Any


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
        noted = self._known.get(key)
        if noted is None:
            name = f"v{len(self.lines)}"
            self.lines.append(Line(name, *key))
            noted = self._known[key] = Recorded(self, name)
        return noted

    def named(self, name: str, number: Any) -> "Recorded":
        """Return `number` under a name of its own, for a reader that writes names out."""
        self.lines.append(Line(name, "is", operand(number), None))
        return Recorded(self, name)

    def needed(self, results: Iterable[Any]) -> list[Line]:
        """Return the operations that the results rest on, in order."""
        return needed(self.lines, (operand(result) for result in results))


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

    def noted_function(self, name: str) -> Any:
        """Note a function of this number alone ('log', 'exp')."""
        return self._recorder.note(name, self, 0.0)


def run(lines: Iterable[Line], known: dict[str, Any]) -> dict[str, Any]:
    """Return `known` with what `lines` make of it added, numbers by name; of any kind, recorded ones too."""
    for target, operation, left, right in lines:
        a = known[left] if left.__class__ is str else left
        if operation in _FUNCTIONS:
            known[target] = _FUNCTIONS[operation](a)
            continue
        b = known[right] if right.__class__ is str else right
        if operation == "+":
            known[target] = a + b
        elif operation == "*":
            known[target] = a * b
        elif operation == "/":
            known[target] = a / b
        elif operation == "-":
            known[target] = a - b
        elif operation == "maximum":
            known[target] = larger(a, b)
        elif operation == "minimum":
            known[target] = smaller(a, b)
        elif operation == "**":
            known[target] = a**b
        elif operation == "//":
            known[target] = a // b
        else:
            known[target] = greater(a, b)
    return known


def greater(left: Any, right: Any) -> Any:
    """Return 1 where `left` is more than `right`, else 0."""
    for number in (left, right):
        if isinstance(number, Recorded):
            return number.noted_choice("greater", left, right)
    return 1.0 if left > right else 0.0


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"log": log, "exp": exp, "is": lambda a: a}


def needed(lines: Sequence[Line], results: Iterable[Any]) -> list[Line]:
    """Return those of `lines` that the results rest on, which are names or numbers, in order."""
    wanted = set(results)
    kept = []
    for line in reversed(lines):
        if line.target in wanted:
            wanted.update((line.left, line.right))
            kept.append(line)
    return kept[::-1]


def inputs_of(lines: Iterable[Line]) -> dict[Any, int]:
    """Return the inputs that each number of `lines` rests on, an input on itself: a set in the bits of an integer."""
    found: dict[Any, int] = {}
    count = 0
    for line in lines:
        resting = 0
        for name in (line.left, line.right):
            if name.__class__ is str:
                if name not in found:
                    found[name] = 1 << count
                    count += 1
                resting |= found[name]
        found[line.target] = resting
    return found


def operand(value: Any) -> Any:
    """Return the name of a recorded number, any other number as it is."""
    return value.name if isinstance(value, Recorded) else value


def _is(value: object, number: int) -> bool:
    return value.__class__ in (int, float) and value == number
