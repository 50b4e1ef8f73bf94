"""The closed form of a question: the equations run on sympy symbols, written out, reduced at a point, taken to limits.

The only room that imports sympy. No formula stands here: terms.py and its equations are run on symbols for
the batch, the context and every parameter in use, so that what is written out is what is estimated. Where
the equations choose (larger, smaller) a book keeps the choice: in the program each gets a line of its own;
at a point each is decided, which leaves a short formula and the conditions under which it holds.
"""

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import msgspec
import sympy
from sympy.printing.pycode import PythonCodePrinter

from perfmodel import equations
from perfmodel.closedforms import Addend, Condition, Definition, Explanation, Limit, SideForm, SymbolUsed
from perfmodel.estimator import LARGEST_BATCH, LONGEST_CONTEXT, ask, whole_number
from perfmodel.figures import costs_at, figure_at, parameters_in_use
from perfmodel.generic import larger
from perfmodel.hardware import Hardware
from perfmodel.model import Model
from perfmodel.questions import PreparedSide, Question
from perfmodel.terms import busy_time, call_times, counts_at, step_time

Expression = Any
Choice = tuple[str, Expression, Expression]  # larger or smaller, the side that won, the other
_WORKLOAD = ("batch", "context")
_LATEX = (
    ("batch", "B"), ("context", "L"), ("memory.bandwidth", r"\beta"), ("memory.latency", r"\tau"), ("memory.bytes_in_flight", "b"), ("units.count", "U"),
    ("memory.sustained.(.*)", r"\eta_{\mathrm{%s}}"), ("arithmetic.sustained", r"\eta_{a}"), ("arithmetic.(.*)", r"\pi_{\mathrm{%s}}"),
    ("link.bandwidth", r"\lambda"), ("link.per_peer", r"\lambda_{1}"), ("network.bandwidth", r"\lambda_{n}"), ("network.latency", r"\alpha_{n}"),
    ("collectives.(.*).latency", r"\alpha_{\mathrm{%s}}"), ("collectives.(.*).hop", r"\delta_{\mathrm{%s}}"), ("collectives.(.*).doubling", r"\kappa_{\mathrm{%s}}"), ("collectives.(.*).sustained", r"\eta_{\mathrm{%s}}"),
    ("modes.(.*).boundary", r"s_{\mathrm{%s}}"), ("modes.(.*).stage", r"\sigma_{\mathrm{%s}}"), ("modes.(.*).prefetch", r"C_{\mathrm{%s}}"),
    ("modes.(.*).overlap", r"\omega_{\mathrm{%s}}"), ("modes.(.*).fill", r"f_{\mathrm{%s}}"), ("modes.(.*).host", r"h_{\mathrm{%s}}"),
    ("modes.(.*).issue", r"t_{\mathrm{%s}}"),
)  # fmt: skip


def explain(
    model: str | Model, hardware: str | Hardware, *, devices: int | None = None, batch: int = 1, context: int = 4096, weights: str | None = None, kv: str | None = None,
    before: str | None = None, after: str = "looped", loop_at_most: int | None = None, parameters: Mapping[str, Any] | None = None, profile: str | None = None, parallel: str | None = None, loop_only: str | None = None, offload: str | None = None,
) -> Explanation:  # fmt: skip
    """Return the closed form of the estimate with these arguments, which are those of `perfmodel.estimate`.

    Raises PerfModelError for a name, file or value that cannot be used.

    >>> answer = explain("llama-3.1-8b", "sn40l", devices=8)
    >>> [addend.formula for addend in answer.before.addends][1:3]
    ['35*modes_layer_fused_boundary', '65*collectives_all_reduce_latency']
    """
    question = ask(model, hardware, devices=devices, weights=weights, kv=kv, before=before, after=after, loop_at_most=loop_at_most, parameters=parameters, profile=profile, parallel=parallel, loop_only=loop_only, offload=offload, workload=(batch, context))
    batch = whole_number(batch, "batch", 1, LARGEST_BATCH)
    context = whole_number(context, "context", 0, LONGEST_CONTEXT)
    symbols = symbols_of(question)
    numbers = numbers_of(question, batch, context)
    units = {a.name: a.unit for a in question.assumptions} | dict.fromkeys(_WORKLOAD, "1")
    used = tuple(SymbolUsed(str(symbol), path, numbers[symbol], units[path]) for path, symbol in symbols.items())
    sides = [_side_form(question, side, name, symbols, numbers, units) for name, side in (("before", question.before), ("after", question.after))]
    return Explanation(question.model.name, question.hardware.name, question.devices, batch, context, used, sides[0], sides[1], sides[0].time_per_step / sides[1].time_per_step)


# --- symbols and numbers


def identifier(path: str) -> str:
    """Return the name a parameter has as a symbol: its dotted path with underscores."""
    name = re.sub(r"\W", "_", path)
    return f"{name}_" if keyword.iskeyword(name) else name


def symbols_of(question: Question) -> dict[str, sympy.Symbol]:
    """Return the symbol of the batch, of the context, and of each parameter in use by its path."""
    return {name: sympy.Symbol(identifier(name), positive=True) for name in (*_WORKLOAD, *parameters_in_use(question))}


def numbers_of(question: Question, batch: float, context: float) -> dict[sympy.Symbol, float]:
    """Return the value of each symbol where the question stands [base units]."""
    values = {a.name: a.value for a in question.assumptions} | {"batch": float(batch), "context": float(context)}
    return {symbol: values[name] for name, symbol in symbols_of(question).items()}


class Symbolic:
    """A sympy expression with its value at a point; choices go to its book, so that no expression holds one.

    `perfmodel.generic` takes it as it takes numbers that note their operations.
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
        # The remainder is that of the point, as every choice is, so that what is left can be derived and taken to a limit.
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
    """Return a figure of `perfmodel.figures` in `symbols_of` the question, each choice decided at a point, and the choices."""
    book = Book()
    named = {name: Symbolic(book, symbol, numbers[symbol]) for name, symbol in symbols_of(question).items()}
    found = figure_at(question, figure, named["batch"], named["context"], {path: named[path] for path in parameters_in_use(question)})
    return (found.expression if isinstance(found, Symbolic) else sympy.sympify(found)), list(book.choices)


def value_of(expression: Expression, numbers: Mapping[sympy.Symbol, float], memo: dict[Expression, float] | None = None) -> float:
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
    """An unknown written out: the formula, its LaTeX, its value [base units], and the conditions under which it holds."""

    formula: str
    latex: str
    value: float
    conditions: tuple[Condition, ...]


def closed_root(question: Question, figure: str, target: float, unknown: str, batch: float, context: float, near: float) -> Root | None:
    """Return the unknown for which `figure` is `target`, solved for by sympy on the branch that holds `near` a known root.

    unknown: batch, context or the path of a parameter in use. None where the figure is no quadratic in it or the branch ends before.
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
    return Root(sympy.sstr(formula, order="none"), rf"{names[x]} = {sympy.latex(formula, symbol_names=names)}", value, _conditions(question, choices, numbers))


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


def _conditions(question: Question, choices: Iterable[Choice], numbers: Mapping[sympy.Symbol, float]) -> tuple[Condition, ...]:
    """Return the choices as conditions, the nearest to switching first; those that no positive number can switch are left out."""
    symbols = symbols_of(question)
    found = []
    for kind, winner, loser in choices:
        ahead = sympy.expand(winner - loser if kind == "larger" else loser - winner)
        if ahead.is_nonnegative:
            continue
        a, b = value_of(winner, numbers), value_of(loser, numbers)
        switches = [_switch(winner - loser, symbols[name], numbers) for name in _WORKLOAD]
        found.append(Condition(kind, _text(winner), _text(loser), a, b, *switches))
    return tuple(sorted(found, key=lambda c: abs(c.winner_value - c.loser_value) / (max(abs(c.winner_value), abs(c.loser_value)) or 1.0)))


def limit_form(question: Question, figure: str, unknown: str, numbers: Mapping[sympy.Symbol, float], *, infinite: bool, per_unknown: bool = False) -> Expression:
    """Return what a figure tends to as `unknown` goes to infinity or to zero, in the other symbols; oo where it has no end.

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


class _Line(NamedTuple):
    """A line before it is written: an expression, or the two sides of a choice (larger, smaller)."""

    name: str
    expression: Expression
    meaning: str
    choice: str = ""


class _Writer(Book):
    """Names each choice, and what it is told to, line by line."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix
        self.lines: list[_Line] = []
        self._names: set[str] = set()
        self._chosen: dict[tuple[str, Expression, Expression], Symbolic] = {}

    def define(self, name: str, number: Any, meaning: str, choice: str = "", sides: Expression = None) -> Symbolic:
        """Add a line and return its symbol; a name that is taken gets a number."""
        base = name = f"{self.prefix}_{identifier(name)}"
        count = 2
        while name in self._names:
            name, count = f"{base}_{count}", count + 1
        self._names.add(name)
        known = isinstance(number, Symbolic)
        expression = sides if choice else number.expression if known else sympy.sympify(number)
        self.lines.append(_Line(name, expression, meaning, choice))
        return Symbolic(self, sympy.Symbol(name, positive=True), number.value if known else float(number))

    def choose(self, kind: str, left: Symbolic, right: Symbolic, winner: Symbolic, loser: Symbolic) -> Symbolic:  # noqa: ARG002 - both sides are written
        """Give the choice a line."""
        key = (kind, left.expression, right.expression)
        if key not in self._chosen:
            self._chosen[key] = self.define(f"choice_{len(self._chosen) + 1}", winner, f"the {kind} of two", kind, sympy.Tuple(*key[1:]))
        return self._chosen[key]

    def needed(self) -> list[_Line]:
        """Return the lines that the last one needs, in order."""
        wanted = {self.lines[-1].name}
        kept = []
        for line in reversed(self.lines):
            if line.name in wanted:
                kept.append(line)
                wanted |= {str(symbol) for symbol in line.expression.free_symbols}
        return kept[::-1]


def _written(question: Question, side: PreparedSide, name: str, numbers: Mapping[sympy.Symbol, float]) -> list[_Line]:
    """Return one side line by line: bandwidths, choices, the time of each call, the step."""
    writer = _Writer(name)
    named = {path: Symbolic(writer, symbol, numbers[symbol]) for path, symbol in symbols_of(question).items()}
    rates, chain, fixed = costs_at(question, side, {path: named[path] for path in parameters_in_use(question)})
    bandwidths = tuple(writer.define(f"bandwidth_{kind}", b, f"(R1) bandwidth that {kind} reach, B/s") for kind, b in zip(side.plan.kinds, rates.bandwidths, strict=True))
    links = tuple(
        tuple(tuple(route._replace(bandwidth=writer.define(f"link_{kind}", route.bandwidth, "(C1) bandwidth of the links, B/s")) for route in leg) for leg in legs)
        for (kind, *_), legs in zip(side.plan.collectives, rates.collectives, strict=True)
    )
    rates = rates._replace(bandwidths=bandwidths, collectives=links)
    calls: Any = 0.0
    stages: dict[int, Any] = {}
    in_flight: Any = 1
    for (count, call), counts in zip(side.schedule.calls, counts_at(side.plan, named["batch"], named["context"]), strict=True):
        one = call_times(busy_time([counts._replace(times=1, microbatches=None)], rates, chain))
        label = "(L1, L2) time of a fused call" if call.fused else "(S1) time of a call"
        together = count * writer.define(f"time_{call.name.replace('+', '_')}", one, f"{label}, s; {count} of them")
        calls = calls + together
        if counts.microbatches is not None:
            in_flight = counts.microbatches
            stages[counts.pipeline_stage] = stages.get(counts.pipeline_stage, 0.0) + together / counts.alike
    if stages:
        calls = equations.pipeline_time(calls, reduce(larger, stages.values()), in_flight)
    writer.define("time_per_step", step_time(side.plan, calls, fixed), "(S1, S2, L3) time of a step, s")
    return writer.needed()


def _side_form(question: Question, side: PreparedSide, name: str, symbols: Mapping[str, sympy.Symbol], numbers: Mapping[sympy.Symbol, float], units: Mapping[str, str]) -> SideForm:
    written = _written(question, side, name, numbers)
    form, choices = decided(question, numbers, f"{name}.time_per_step")
    form = sympy.expand(form)
    parts = sorted(sympy.Add.make_args(form), key=lambda part: -abs(value_of(part, numbers)))
    shown = {symbol: _quantity(numbers[symbol], units[path]) for path, symbol in symbols.items()}
    addends = tuple(Addend(_text(part), _with_numbers(part, shown), value_of(part, numbers)) for part in parts if value_of(part, numbers) != 0)
    latex = latex_names(question)
    lines = [_latex_line(line, latex, written) for line in written]
    lines.append(rf"T &= {sympy.latex(sympy.Add(*parts), symbol_names=latex)} \quad \text{{at this point}}")
    return SideForm(
        side.mode.name, side.plan.kernel_calls, value_of(form, numbers), tuple(Definition(line.name, _python(line), line.meaning) for line in written), _text(form), addends,
        _conditions(question, choices, numbers), tuple(_limits(question, side, name, symbols, numbers)), tuple(lines),
    )  # fmt: skip


def _limits(question: Question, side: PreparedSide, name: str, symbols: Mapping[str, sympy.Symbol], numbers: Mapping[sympy.Symbol, float]) -> Iterable[Limit]:
    def time(title: str, unknown: str, *, infinite: bool, per_unknown: bool = False) -> Limit:
        form = limit_form(question, f"{name}.time_per_step", unknown, numbers, infinite=infinite, per_unknown=per_unknown)
        endless = form == sympy.oo
        return Limit(title, "grows without end" if endless else _text(form), None if endless else value_of(form, numbers), "s")

    yield time("time per step, infinite bandwidth", "memory.bandwidth", infinite=True)
    boundary = question.hardware.mode_value(side.mode.name, "boundary")
    if boundary and boundary[0] in symbols:
        yield time("time per step, zero boundary", boundary[0], infinite=False)
    yield time("time per step and sequence, large batch", "batch", infinite=True, per_unknown=True)


# --- printing


class _Printer(PythonCodePrinter):  # type: ignore[misc]  # sympy has no types
    """Plain Python without an import: every number so that it reads back the same."""

    def _print_Float(self, expr: Any) -> str:  # noqa: N802 - the name sympy calls
        return repr(float(expr))


_printer = _Printer({"fully_qualified_modules": False})


def _python(definition: _Line) -> str:
    if not definition.choice:
        return str(_printer.doprint(definition.expression))
    return f"{'max' if definition.choice == 'larger' else 'min'}({', '.join(_printer.doprint(side) for side in definition.expression)})"


def _short(number: Any) -> str:
    """Return a coefficient as a person reads it: whole where it is whole and short, else five digits."""
    value = float(number)
    return str(int(value)) if value.is_integer() and abs(value) < 1e7 else f"{value:.5g}"


def _text(expression: Expression) -> str:
    """Return an expression as text, coefficients cut to five digits."""
    rounded = expression.replace(lambda node: node.is_Float or (node.is_Integer and abs(node) >= 1e7), lambda node: sympy.Symbol(_short(node)))
    return str(sympy.sstr(rounded, order="none"))


def _quantity(value: float, unit: str) -> str:
    from perfmodel.units import format_quantity

    return format_quantity(value, unit)


def _with_numbers(part: Expression, shown: Mapping[sympy.Symbol, str]) -> str:
    """Return a product with each symbol replaced by its quantity."""
    above: list[str] = []
    below: list[str] = []
    for factor in sympy.Mul.make_args(part):
        base, exponent = factor.as_base_exp()
        if base not in shown or not exponent.is_Integer:
            named = {symbol: sympy.Symbol(text) for symbol, text in shown.items()}
            above.append(_short(factor) if factor.is_number else f"({_text(factor.xreplace(named))})")
            continue
        (above if exponent > 0 else below).extend([shown[base]] * abs(int(exponent)))
    top = " x ".join(above) or "1"
    if not below:
        return top
    bottom = " x ".join(below)
    return f"{top} / ({bottom})"


def latex_names(question: Question) -> dict[sympy.Symbol, str]:
    """Return how each symbol is written in LaTeX."""
    names: dict[sympy.Symbol, str] = {}
    for path, symbol in symbols_of(question).items():
        for pattern, written in _LATEX:
            match = re.fullmatch(pattern, path)
            if match:
                names[symbol] = written % tuple(group.replace("_", r"\_") for group in match.groups()) if match.groups() else written
                break
        else:
            names[symbol] = rf"\mathrm{{{path}}}".replace("_", r"\_")
    return names


def _latex_line(definition: _Line, names: Mapping[sympy.Symbol, str], lines: Iterable[_Line]) -> str:
    every = dict(names) | {sympy.Symbol(d.name, positive=True): _latex_name(d.name) for d in lines}
    if definition.choice:
        sides = ", ".join(sympy.latex(side, symbol_names=every) for side in definition.expression)
        written = rf"\{'max' if definition.choice == 'larger' else 'min'}\left({sides}\right)"
    else:
        written = sympy.latex(definition.expression, symbol_names=every)
    return f"{_latex_name(definition.name)} &= {written}"


def _latex_name(name: str) -> str:
    _, _, rest = name.partition("_")
    kind, _, of = rest.partition("_")
    letters = {"bandwidth": r"\beta", "link": r"\lambda", "choice": "c", "time": "t"}
    return "T" if rest == "time_per_step" else rf"{letters[kind]}_{{\mathrm{{{of}}}}}".replace("_", r"\_").replace(r"\_{", "_{")
