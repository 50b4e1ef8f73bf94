"""The closed form of a question: the equations run on sympy symbols, written out, reduced at a point, taken to limits.

No formula stands here: terms.py and its equations are run on symbols for
the batch, the context and every parameter in use, so that what is written out is what is estimated. Where
the equations choose (larger, smaller) a book keeps the choice: in the program each gets a line of its own;
at a point each is decided, which leaves a short formula and the conditions under which it holds.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sympy

from perfmodel.analysis.closedforms import Condition
from perfmodel.analysis.formulas import WORKLOAD, Expression, latex_names, numbers_of, symbols_of, text_of
from perfmodel.estimates.figures import figure_at, parameters_in_use
from perfmodel.estimates.prepared import Question

Choice = tuple[str, Expression, Expression]  # larger or smaller, the side that won, the other


class Symbolic:
    """A sympy expression with its value at a point; choices go to its book, so that no expression holds one.

    `perfmodel.numbers.choices` takes it as it takes numbers that note their operations.
    """

    __slots__ = ("book", "expression", "value")

    def __init__(self, book: "Book", expression: Expression, value: float) -> None:
        self.book, self.expression, self.value = book, expression, value

    def _of(self, number: Any) -> "Symbolic":
        if isinstance(number, Symbolic):
            return number
        whole = float(number).is_integer() and abs(number) < 2**53
        return Symbolic(self.book, sympy.Integer(int(number)) if whole else sympy.Float(number), float(number))

    def __add__(self, other: Any) -> "Symbolic":
        other = self._of(other)
        return Symbolic(self.book, self.expression + other.expression, self.value + other.value)

    def __sub__(self, other: Any) -> "Symbolic":
        other = self._of(other)
        return Symbolic(self.book, self.expression - other.expression, self.value - other.value)

    def __mul__(self, other: Any) -> "Symbolic":
        other = self._of(other)
        return Symbolic(self.book, self.expression * other.expression, self.value * other.value)

    def __truediv__(self, other: Any) -> "Symbolic":
        other = self._of(other)
        return Symbolic(self.book, self.expression / other.expression, self.value / other.value)

    def __floordiv__(self, other: Any) -> "Symbolic":
        # The remainder is that of the point, as every choice is, so that what is left can be derived and taken to a
        # limit.
        other = self._of(other)
        quotient: Symbolic = (self - self.value % other.value) / other
        return quotient

    def __neg__(self) -> "Symbolic":
        return self * -1

    def __pow__(self, other: Any) -> "Symbolic":
        other = self._of(other)
        return Symbolic(self.book, self.expression**other.expression, self.value**other.value)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> "Symbolic":
        difference: Symbolic = self._of(other) - self
        return difference

    def __rtruediv__(self, other: Any) -> "Symbolic":
        quotient: Symbolic = self._of(other) / self
        return quotient

    def __rpow__(self, other: Any) -> "Symbolic":
        power: Symbolic = self._of(other) ** self
        return power

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > self._of(other).value)

    def noted_choice(self, operation: str, left: Any, right: Any) -> "Symbolic":
        """Return the larger ('maximum') or smaller ('minimum') of two numbers, as the book has it."""
        a, b = self._of(left), self._of(right)
        if a.expression == b.expression:
            return a
        largest = operation == "maximum"
        winner, loser = (a, b) if a.value == b.value or (a.value > b.value) == largest else (b, a)
        if a.expression.is_number and b.expression.is_number:
            return winner
        return self.book.choose("larger" if largest else "smaller", a, b, winner, loser)


class Book:
    """Keeps the choices that were decided: each goes to the side that wins at the point."""

    def __init__(self) -> None:
        self.choices: dict[Choice, None] = {}

    def choose(self, kind: str, left: Symbolic, right: Symbolic, winner: Symbolic, loser: Symbolic) -> Symbolic:  # noqa: ARG002 - another book asks for the order
        """Note the choice and return the winner."""
        if not loser.expression.is_number or loser.value == 0:  # not a guard against a division by zero
            self.choices[kind, winner.expression, loser.expression] = None
        return winner


def decided(question: Question, numbers: Mapping[sympy.Symbol, float], figure: str) -> tuple[Expression, list[Choice]]:
    """Return a figure of `perfmodel.estimates.figures` in `symbols_of` the question, each choice decided at a point, and the choices."""
    book = Book()
    named = {name: Symbolic(book, symbol, numbers[symbol]) for name, symbol in symbols_of(question).items()}
    found = figure_at(
        question, figure, named["batch"], named["context"], {path: named[path] for path in parameters_in_use(question)}
    )
    return (found.expression if isinstance(found, Symbolic) else sympy.sympify(found)), list(book.choices)


def value_of(
    expression: Expression, numbers: Mapping[sympy.Symbol, float], memo: dict[Expression, float] | None = None
) -> float:
    """Return the number an expression has at a point, in floats."""
    memo = {} if memo is None else memo
    found = memo.get(expression)
    if found is None:
        args = [value_of(arg, numbers, memo) for arg in expression.args]
        if expression.is_Symbol:
            found = numbers[expression]
        elif expression.is_Add:
            found = math.fsum(args)
        elif expression.is_Mul:
            found = math.prod(args)
        elif expression.is_Pow:
            found = args[0] ** args[1]
        else:
            found = float(expression)
        memo[expression] = found
    return found


# --- one unknown: powers, roots, limits


def powers(expression: Expression, unknown: sympy.Symbol) -> dict[int, Expression] | None:
    """Return the coefficient of each power of `unknown` in a sum, or None when there are other functions of it."""
    found: dict[int, list[Expression]] = {}
    for addend in sympy.Add.make_args(sympy.expand(expression)):
        coefficient, rest = addend.as_independent(unknown, as_Add=False)
        base, exponent = rest.as_base_exp() if rest != 1 else (unknown, sympy.Integer(0))
        if base != unknown or not exponent.is_Integer:
            return None
        found.setdefault(int(exponent), []).append(coefficient)
    return {power: sympy.Add(*parts) for power, parts in found.items()}


class Root(msgspec.Struct, frozen=True):
    """An unknown written out.

    The formula, its LaTeX, its value [base units], and the conditions under which it holds.
    """

    formula: str
    latex: str
    value: float
    conditions: tuple[Condition, ...]


def closed_root(
    question: Question, figure: str, target: float, unknown: str, batch: float, context: float, near: float
) -> Root | None:
    """Return the unknown for which `figure` is `target`, solved for by sympy on the branch that holds `near` a known root.

    unknown: batch, context or the path of a parameter in use. None where the figure is no quadratic in it or the branch
    ends before.
    """
    symbols, numbers = symbols_of(question), numbers_of(question, batch, context)
    x = symbols[unknown]
    numbers[x] = near
    form, choices = decided(question, numbers, figure)
    top, bottom = sympy.fraction(form)
    goal = sympy.Symbol("target", positive=True)
    by_power = powers(top - goal * bottom, x)
    if not by_power:
        return None
    least = min(by_power)
    degree = max(by_power) - least
    if degree not in (1, 2):
        return None
    c, b, a = (by_power.get(least + i, sympy.Integer(0)) for i in range(3))
    if degree == 1:
        roots = [-c / b]
    else:
        root = sympy.sqrt(b**2 - 4 * a * c)
        roots = [(-b + root) / (2 * a), (-b - root) / (2 * a)]
    at = numbers | {goal: target}
    try:
        values = [_real(r, at) for r in roots]
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    value, formula = min(zip(values, roots, strict=True), key=lambda pair: abs(pair[0] - near))
    if not abs(value - near) <= 1e-6 * abs(near) + 1e-300:
        return None
    if degree == 1:
        formula = sympy.expand(formula) if not b.is_Add else sympy.collect(-c, goal) / sympy.collect(b, goal)
    names = latex_names(question) | {goal: r"y^{\ast}"}
    return Root(
        sympy.sstr(formula, order="none"),
        rf"{names[x]} = {sympy.latex(formula, symbol_names=names)}",
        value,
        conditions_of(question, choices, numbers),
    )


def _real(expression: Expression, numbers: Mapping[sympy.Symbol, float]) -> float:
    value = value_of(expression, numbers)
    return math.nan if isinstance(value, complex) else value


def _switch(difference: Expression, unknown: sympy.Symbol, numbers: Mapping[sympy.Symbol, float]) -> float | None:
    """Return the value of `unknown` nearest to where it stands at which `difference` is zero, or None."""
    by_power = powers(difference, unknown)
    if not by_power or max(by_power) - min(by_power) not in (1, 2):
        return None
    least = min(by_power)
    c, b, a = (value_of(by_power[least + i], numbers) if least + i in by_power else 0.0 for i in range(3))
    if a == 0:
        roots = [-c / b] if b else []
    else:
        inside = b * b - 4 * a * c
        roots = [] if inside < 0 else [(-b + s * math.sqrt(inside)) / (2 * a) for s in (1, -1)]
    return min((r for r in roots if r > 0), key=lambda r: abs(r - numbers[unknown]), default=None)


def conditions_of(
    question: Question, choices: Iterable[Choice], numbers: Mapping[sympy.Symbol, float]
) -> tuple[Condition, ...]:
    """Return the choices as conditions, the nearest to switching first.

    Those that no positive number can switch are left out.
    """
    symbols = symbols_of(question)
    found = []
    for kind, winner, loser in choices:
        ahead = sympy.expand(winner - loser if kind == "larger" else loser - winner)
        if ahead.is_nonnegative:
            continue
        a, b = value_of(winner, numbers), value_of(loser, numbers)
        switches = [_switch(winner - loser, symbols[name], numbers) for name in WORKLOAD]
        found.append(Condition(kind, text_of(winner), text_of(loser), a, b, *switches))
    return tuple(
        sorted(
            found,
            key=lambda c: abs(c.winner_value - c.loser_value) / (max(abs(c.winner_value), abs(c.loser_value)) or 1.0),
        )
    )


def limit_form(
    question: Question,
    figure: str,
    unknown: str,
    numbers: Mapping[sympy.Symbol, float],
    *,
    infinite: bool,
    per_unknown: bool = False,
) -> Expression:
    """Return what a figure tends to as `unknown` goes to infinity or to zero, in the other symbols.

    Oo where it has no end.

    per_unknown: the limit of figure / unknown instead.
    """
    x = symbols_of(question)[unknown]
    form, _ = decided(question, dict(numbers) | {x: max(numbers[x], 1.0) * 1e60 if infinite else 0.0}, figure)
    return limit_of(form / x if per_unknown else form, x, infinite=infinite)


def limit_of(form: Expression, unknown: sympy.Symbol, *, infinite: bool) -> Expression:
    """Return what a sum of powers of `unknown` tends to, at infinity or at zero; oo where it has no end."""
    if infinite:  # (1 - k/E) ** B of (E1) vanishes
        form = form.replace(lambda node: node.is_Pow and unknown in node.exp.free_symbols, lambda _: sympy.Integer(0))
    by_power = powers(form, unknown)
    if by_power is None:
        return sympy.limit(form, unknown, sympy.oo if infinite else 0)
    if any(power > 0 if infinite else power < 0 for power in by_power):
        return sympy.oo
    return by_power.get(0, sympy.Integer(0))


# --- one side written out
