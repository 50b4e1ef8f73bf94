"""A recording in sympy: formulas whose choices are decided at a point; powers, roots and limits of one unknown.

Where the recording chooses (maximum, minimum), a choice is decided by the numbers of the point, or gets a line of its
own; so that no expression holds one, and what is left can be solved, derived and taken to a limit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sympy

from perfmodel.numbers.recorded import Line

Expression = Any
Choice = tuple[str, Expression, Expression]  # larger or smaller, the side that won, the other


class Valued(NamedTuple):
    """An expression and its value at the point."""

    expression: Expression
    value: float


# Of a choice between left and right: `larger` or `smaller`, left, right, which of them won, and what is told instead.
Told = Callable[[str, Valued, Valued, Valued], Valued]


def expressions_of(
    lines: Sequence[Line],
    inputs: Mapping[str, Valued],
    choose: Told,
    name: Callable[[str, Valued], Valued] | None = None,
) -> dict[str, Valued]:
    """Return each input and each line as an expression of the inputs, with its value.

    choose: what stands for a choice; name: what stands for a number that was given a name.
    """
    known = dict(inputs)
    for target, operation, left, right in lines:
        one = known[left] if isinstance(left, str) else of_number(left)
        if operation == "is":
            known[target] = name(target, one) if name else one
            continue
        other = known[right] if isinstance(right, str) else of_number(right)
        known[target] = _result(operation, one, other, choose)
    return known


def of_number(number: Any) -> Valued:
    """Return a plain number as an expression: whole where it is whole."""
    whole = float(number).is_integer() and abs(number) < 2**53
    return Valued(sympy.Integer(int(number)) if whole else sympy.Float(number), float(number))


def _result(operation: str, a: Valued, b: Valued, choose: Told) -> Valued:
    if operation == "+":
        return Valued(a.expression + b.expression, a.value + b.value)
    if operation == "-":
        return Valued(a.expression - b.expression, a.value - b.value)
    if operation == "*":
        return Valued(a.expression * b.expression, a.value * b.value)
    if operation == "/":
        return Valued(a.expression / b.expression, a.value / b.value)
    if operation == "**":
        return Valued(a.expression**b.expression, a.value**b.value)
    if operation == "//":
        # The remainder is that of the point, as every choice is, so that what is left can be derived and taken to a
        # limit.
        rest = of_number(a.value % b.value)
        return Valued((a.expression - rest.expression) / b.expression, (a.value - rest.value) / b.value)
    if operation in ("log", "exp"):
        return Valued(getattr(sympy, operation)(a.expression), getattr(math, operation)(a.value))
    return _chosen(operation, a, b, choose)


def _chosen(operation: str, a: Valued, b: Valued, choose: Told) -> Valued:
    if a.expression == b.expression:
        return a
    largest = operation == "maximum"
    winner = a if a.value == b.value or (a.value > b.value) == largest else b
    if a.expression.is_number and b.expression.is_number:
        return winner
    return choose("larger" if largest else "smaller", a, b, winner)


def decided(lines: Sequence[Line], inputs: Mapping[str, Valued], result: Any) -> tuple[Expression, list[Choice]]:
    """Return `result`, a name or a number, as an expression in which each choice is decided, and the choices."""
    choices: dict[Choice, None] = {}

    def choose(kind: str, left: Valued, right: Valued, winner: Valued) -> Valued:
        loser = right if winner is left else left
        if not loser.expression.is_number or loser.value == 0:  # not a guard against a division by zero
            choices[kind, winner.expression, loser.expression] = None
        return winner

    known = expressions_of(lines, inputs, choose)
    return (known[result].expression if isinstance(result, str) else sympy.sympify(result)), list(choices)


def value_of(
    expression: Expression, numbers: Mapping[sympy.Symbol, float], memo: dict[Expression, float] | None = None
) -> float:
    """Return the number an expression has at a point, in floats."""
    memo = {} if memo is None else memo
    number = memo.get(expression)
    if number is None:
        args = [value_of(arg, numbers, memo) for arg in expression.args]
        if expression.is_Symbol:
            number = numbers[expression]
        elif expression.is_Add:
            number = math.fsum(args)
        elif expression.is_Mul:
            number = math.prod(args)
        elif expression.is_Pow:
            number = args[0] ** args[1]
        else:
            number = float(expression)
        memo[expression] = number
    return number


def powers(expression: Expression, unknown: sympy.Symbol) -> dict[int, Expression] | None:
    """Return the coefficient of each power of `unknown` in a sum, or None when there are other functions of it."""
    coefficients: dict[int, list[Expression]] = {}
    for addend in sympy.Add.make_args(sympy.expand(expression)):
        coefficient, rest = addend.as_independent(unknown, as_Add=False)
        base, exponent = rest.as_base_exp() if rest != 1 else (unknown, sympy.Integer(0))
        if base != unknown or not exponent.is_Integer:
            return None
        coefficients.setdefault(int(exponent), []).append(coefficient)
    return {power: sympy.Add(*parts) for power, parts in coefficients.items()}


def root_near(
    form: Expression, target: sympy.Symbol, unknown: sympy.Symbol, at: Mapping[sympy.Symbol, float]
) -> tuple[Expression, float] | None:
    """Return the unknown for which `form` is `target`, written out, and its value at the point.

    at: the numbers, with the unknown near the root that is meant. None where the form is no quadratic in the unknown or
    has no such root.
    """
    top, bottom = sympy.fraction(form)
    by_power = powers(top - target * bottom, unknown)
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
    near = at[unknown]
    try:
        values = [_real(r, at) for r in roots]
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    value, formula = min(zip(values, roots, strict=True), key=lambda pair: abs(pair[0] - near))
    if not abs(value - near) <= 1e-6 * abs(near) + 1e-300:
        return None
    if degree == 1:
        formula = sympy.expand(formula) if not b.is_Add else sympy.collect(-c, target) / sympy.collect(b, target)
    return formula, value


def _real(expression: Expression, numbers: Mapping[sympy.Symbol, float]) -> float:
    value = value_of(expression, numbers)
    return math.nan if isinstance(value, complex) else value


def zero_near(difference: Expression, unknown: sympy.Symbol, numbers: Mapping[sympy.Symbol, float]) -> float | None:
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
