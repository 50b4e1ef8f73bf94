"""The figures of a question as formulas: symbols, what they are called, roots, conditions and limits."""

import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sympy
from sympy.printing.pycode import PythonCodePrinter

from perfmodel.analysis.closedforms import BranchCondition
from perfmodel.estimates.figures import parameters_in_use, record
from perfmodel.estimates.prepared import Prepared
from perfmodel.numbers import symbols as symbolic
from perfmodel.numbers.symbols import Choice, Valued, value_of, zero_near
from perfmodel.quoting import latex

Expression = Any
WORKLOAD = ("batch", "context")
_LATEX = (
    ("batch", "B"),
    ("context", "L"),
    ("memory.bandwidth", r"\beta"),
    ("memory.latency", r"\tau"),
    ("memory.bytes_in_flight", "b"),
    ("units.count", "U"),
    ("memory.sustained.(.*)", r"\eta_{\mathrm{%s}}"),
    ("arithmetic.sustained", r"\eta_{a}"),
    ("arithmetic.(.*)", r"\pi_{\mathrm{%s}}"),
    ("link.bandwidth", r"\lambda"),
    ("link.per_peer", r"\lambda_{1}"),
    ("network.bandwidth", r"\lambda_{n}"),
    ("network.latency", r"\alpha_{n}"),
    ("collectives.(.*).latency", r"\alpha_{\mathrm{%s}}"),
    ("collectives.(.*).hop", r"\delta_{\mathrm{%s}}"),
    ("collectives.(.*).doubling", r"\kappa_{\mathrm{%s}}"),
    ("collectives.(.*).sustained", r"\eta_{\mathrm{%s}}"),
    ("modes.(.*).boundary", r"s_{\mathrm{%s}}"),
    ("modes.(.*).stage", r"\sigma_{\mathrm{%s}}"),
    ("modes.(.*).prefetch", r"C_{\mathrm{%s}}"),
    ("modes.(.*).overlap", r"\omega_{\mathrm{%s}}"),
    ("modes.(.*).fill", r"f_{\mathrm{%s}}"),
    ("modes.(.*).host", r"h_{\mathrm{%s}}"),
    ("modes.(.*).issue", r"t_{\mathrm{%s}}"),
)


def identifier(path: str) -> str:
    """Return the name a parameter has as a symbol: its dotted path with underscores."""
    name = re.sub(r"\W", "_", path, flags=re.ASCII)
    return f"{name}_" if keyword.iskeyword(name) else name


def symbols_of(question: Prepared) -> dict[str, sympy.Symbol]:
    """Return the symbol of the batch, of the context, and of each parameter in use by its path."""
    return {name: sympy.Symbol(identifier(name), positive=True) for name in (*WORKLOAD, *parameters_in_use(question))}


def numbers_of(question: Prepared, batch: float, context: float) -> dict[sympy.Symbol, float]:
    """Return the value of each symbol where the question stands [base units]."""
    values = {a.name: a.value for a in question.assumptions} | {"batch": float(batch), "context": float(context)}
    return {symbol: values[name] for name, symbol in symbols_of(question).items()}


def short(number: Any) -> str:
    """Return a coefficient as a person reads it: whole where it is whole and short, else five digits."""
    value = float(number)
    return str(int(value)) if value.is_integer() and abs(value) < 1e7 else f"{value:.5g}"


class _Printer(PythonCodePrinter):  # type: ignore[misc]  # sympy has no types
    """Plain Python without an import: every number so that it reads back the same."""

    def _print_Float(self, expr: Any) -> str:  # noqa: N802 - the name sympy calls
        return repr(float(expr))


PRINTER = _Printer({"fully_qualified_modules": False})


def text_of(expression: Expression) -> str:
    """Return an expression as text, coefficients cut to five digits."""
    rounded = expression.replace(
        lambda node: node.is_Float or (node.is_Integer and abs(node) >= 1e7), lambda node: sympy.Symbol(short(node))
    )
    return str(sympy.sstr(rounded, order="none"))


def latex_names(question: Prepared) -> dict[sympy.Symbol, str]:
    """Return how each symbol is written in LaTeX."""
    names: dict[sympy.Symbol, str] = {}
    for path, symbol in symbols_of(question).items():
        for pattern, written in _LATEX:
            match = re.fullmatch(pattern, path)
            if match:
                names[symbol] = written % tuple(latex(group) for group in match.groups()) if match.groups() else written
                break
        else:
            names[symbol] = rf"\mathrm{{{latex(path)}}}"
    return names


def latex_name(name: str) -> str:
    """Return the name of a line, such as before_iteration_2, as LaTeX."""
    _, _, rest = name.partition("_")
    kind, _, of = rest.partition("_")
    letters = {"bandwidth": r"\beta", "link": r"\lambda", "choice": "c", "time": "t"}
    return (
        "T"
        if rest == "time_per_step"
        else rf"{letters[kind]}_{{\mathrm{{{of}}}}}".replace("_", r"\_").replace(r"\_{", "_{")
    )


# --- figures of a question as formulas


def decided(question: Prepared, numbers: Mapping[sympy.Symbol, float], figure: str) -> tuple[Expression, list[Choice]]:
    """Return a figure in `symbols_of` the question, each choice decided at a point, and the choices.

    figure: one of `perfmodel.estimates.figures`.
    """
    recording, symbols = record(question, (figure,)), symbols_of(question)
    inputs = recording.inputs({name: Valued(symbol, numbers[symbol]) for name, symbol in symbols.items()})
    return symbolic.decided(recording.lines, inputs, recording.results[figure])


class Root(msgspec.Struct, frozen=True):
    """An unknown written out.

    The formula, its LaTeX, its value [base units], and the conditions under which it holds.
    """

    formula: str
    latex: str
    value: float
    conditions: tuple[BranchCondition, ...]


def closed_root(
    question: Prepared, figure: str, target: float, unknown: str, batch: float, context: float, near: float
) -> Root | None:
    """Return the unknown for which `figure` is `target`, solved by sympy on the branch that holds `near` a known root.

    unknown: batch, context or the path of a parameter in use. None where the figure is no quadratic in it or the branch
    ends before.
    """
    symbols, numbers = symbols_of(question), numbers_of(question, batch, context)
    x = symbols[unknown]
    numbers[x] = near
    form, choices = decided(question, numbers, figure)
    goal = sympy.Symbol("target", positive=True)
    root = symbolic.root_near(form, goal, x, numbers | {goal: target})
    if root is None:
        return None
    formula, value = root
    names = latex_names(question) | {goal: r"y^{\ast}"}
    return Root(
        sympy.sstr(formula, order="none"),
        rf"{names[x]} = {sympy.latex(formula, symbol_names=names)}",
        value,
        conditions_of(question, choices, numbers),
    )


def conditions_of(
    question: Prepared, choices: Iterable[Choice], numbers: Mapping[sympy.Symbol, float]
) -> tuple[BranchCondition, ...]:
    """Return the choices as conditions, the nearest to switching first.

    Those that no positive number can switch are left out.
    """
    symbols = symbols_of(question)
    by_path = {assumption.name: assumption.unit for assumption in question.assumptions}
    units = {symbol: by_path.get(path, "1") for path, symbol in symbols.items()}
    found = []
    for kind, winner, loser in choices:
        ahead = sympy.expand(winner - loser if kind == "larger" else loser - winner)
        if ahead.is_nonnegative:
            continue
        a, b = value_of(winner, numbers), value_of(loser, numbers)
        at_batch, at_context = (zero_near(winner - loser, symbols[name], numbers) for name in WORKLOAD)
        unit = unit_of(winner, loser, units)
        found.append(BranchCondition(kind, text_of(winner), text_of(loser), a, b, at_batch, at_context, unit))
    return tuple(
        sorted(
            found,
            key=lambda c: abs(c.winner_value - c.loser_value) / (max(abs(c.winner_value), abs(c.loser_value)) or 1.0),
        )
    )


# What the symbols of an addend multiply to, as powers of (B, FLOP, s), and the unit of the addend: bytes or operations
# are in its coefficient where they are not in a symbol.
_UNITS_OF_ADDENDS = {
    (0, 0, 1): "s",
    (-1, 0, 1): "s",
    (0, -1, 1): "s",
    (1, 0, 0): "B",
    (1, 0, -1): "B/s",
    (0, 1, -1): "FLOP/s",
}
_POWERS = {"s": (0, 0, 1), "B": (1, 0, 0), "B/s": (1, 0, -1), "FLOP": (0, 1, 0), "FLOP/s": (0, 1, -1), "Hz": (0, 0, -1)}


def unit_of(one: Expression, other: Expression, units: Mapping[sympy.Symbol, str]) -> str:
    """Return the unit of two expressions of one dimension, from the first addend that has one; 1 where none has.

    units: of each symbol.
    """
    for addend in (*sympy.Add.make_args(sympy.expand(one)), *sympy.Add.make_args(sympy.expand(other))):
        powers = [0, 0, 0]
        for symbol, exponent in addend.as_powers_dict().items():
            for place, power in enumerate(_POWERS.get(units.get(symbol, "1"), (0, 0, 0))):
                powers[place] += power * int(exponent) if exponent.is_Integer else 0
        if unit := _UNITS_OF_ADDENDS.get((powers[0], powers[1], powers[2])):
            return unit
    return "1"


def limit_form(
    question: Prepared,
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
    return symbolic.limit_of(form / x if per_unknown else form, x, infinite=infinite)
