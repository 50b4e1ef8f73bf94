"""Each equation as MathML, made of its function: it is run on symbols, and what comes out is written down."""

import ast
import importlib
import inspect
import pkgutil
import textwrap
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sympy
from sympy.printing.mathml import MathMLPresentationPrinter

from perfmodel import equations

# A formula with more operations is an algorithm: its steps are shown as they stand in the code.
MOST_OPERATIONS = 60


class _Printer(MathMLPresentationPrinter):
    """Writes names as the code has them: whole words, an index where a sequence has one."""

    def _print_Symbol(self, sym: sympy.Symbol, style: str = "plain") -> Any:
        name, _, index = str(sym).partition("@")
        word = self.dom.createElement("mi")
        word.appendChild(self.dom.createTextNode(name.replace("_", " ")))
        if not index:
            return word
        both, below = self.dom.createElement("msub"), self.dom.createElement("mi")
        below.appendChild(self.dom.createTextNode(index))
        both.appendChild(word)
        both.appendChild(below)
        return both


def equation(name: str) -> Callable[..., Any]:
    """Return the equation called `name`."""
    for module in pkgutil.iter_modules(equations.__path__):
        held = vars(importlib.import_module(f"{equations.__name__}.{module.name}")).get(name)
        if inspect.isfunction(held):
            return held
    raise LookupError(name)


def formula(name: str) -> str:
    """Return the HTML of an equation: MathML, or the steps of its function where it is an algorithm."""
    function = equation(name)
    kinds = typing.get_type_hints(function)
    try:
        given = {each: _symbol(each, kinds[each]) for each in inspect.signature(function).parameters}
        found = function(**given)
        fields = {each: getattr(found, each) for each in _fields(found)} or {name: found}
        if all(sympy.sympify(value).count_ops() <= MOST_OPERATIONS for value in fields.values()):
            return "\n".join(_written(each, sympy.sympify(value)) for each, value in fields.items())
    except (TypeError, AttributeError, ValueError, sympy.SympifyError):
        pass
    return _steps(function)


def _symbol(name: str, kind: Any) -> Any:
    """Return a symbol for an argument, two of a sequence, or a record of them."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in parts:
        return _symbol(name, next(part for part in parts if part is not type(None)))
    if origin in (Sequence, Iterable):
        return [_symbol(f"{name}@{index}", parts[0]) for index in (1, 2)]
    if fields := _fields(kind):
        hints = typing.get_type_hints(kind)
        return kind(*(_symbol(f"{field} of {name}", hints[field]) for field in fields))
    return sympy.Symbol(name, positive=True)


def _fields(record: Any) -> tuple[str, ...]:
    """Return the names of the numbers in a record or a kind of record, () for anything else."""
    return getattr(record, "_fields", ()) or getattr(record, "__struct_fields__", ())


def _written(name: str, value: sympy.Expr) -> str:
    printer = _Printer({"mul_symbol": "dot", "order": "rev-lex"})
    sides = [printer._print(side).toxml().replace("&ExponentialE;", "e") for side in (sympy.Symbol(name), value)]
    return (
        '<div class="formula"><math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
        f"<mrow>{sides[0]}<mo>=</mo>{sides[1]}</mrow></math></div>"
    )


def _steps(function: Callable[..., Any]) -> str:
    """Return the body of a function without its docstring, as a block of code."""
    source = textwrap.dedent(inspect.getsource(function))
    (defined,) = ast.parse(source).body
    assert isinstance(defined, ast.FunctionDef)  # noqa: S101 - it was a function
    first = defined.body[1].lineno - 1
    return "Worked out in steps:\n\n```python\n" + textwrap.dedent("\n".join(source.splitlines()[first:])) + "\n```"
