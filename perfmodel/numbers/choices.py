"""larger, smaller, added, ceil_div, log2, log and exp for floats, numpy arrays, sympy expressions and recorded numbers.

The equations use these instead of max, min and -(-a // b), so that one formula serves a query,
a sweep, a derivation and a replay. numpy and sympy are imported only when one of their values comes in.
"""

import math
from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any, TypeVar

# A float, a numpy array or a sympy expression; the equations do not care which.
Number = Any
Kind = TypeVar("Kind")

_PLAIN = frozenset({float, int})


def larger(a: Any, b: Any) -> Any:
    """Return the larger of `a` and `b`, elementwise for arrays, as an unevaluated Max for symbols.

    >>> larger(2.0, 3.0)
    3.0
    """
    if a.__class__ in _PLAIN and b.__class__ in _PLAIN:
        return a if a >= b else b  # type: ignore[operator]
    return _dispatch("Max", "maximum", a, b)


def smaller(a: Any, b: Any) -> Any:
    """Return the smaller of `a` and `b`, elementwise for arrays, as an unevaluated Min for symbols.

    >>> smaller(2.0, 3.0)
    2.0
    """
    if a.__class__ in _PLAIN and b.__class__ in _PLAIN:
        return a if a <= b else b  # type: ignore[operator]
    return _dispatch("Min", "minimum", a, b)


def added(numbers: Iterable[Kind]) -> Kind:
    """Return the sum of numbers, one after the other from the left, each sum rounded to a float.

    `sum` carries what rounding loses from Python 3.12 on, so that its last digit depends on the Python.

    >>> added([1e16, 1.0, 1.0])
    1e+16
    """
    total: Kind = reduce(add, numbers, 0)  # type: ignore[assignment]
    return total


def ceil_div(a: Any, b: Any) -> Any:
    """Return a / b rounded up to a whole number.

    >>> ceil_div(7, 2)
    4
    """
    if _symbolic(a) or _symbolic(b):
        import sympy

        return sympy.ceiling(a / b)
    return -(-a // b)


def log2(a: Any) -> Any:
    """Return the logarithm of `a` to base 2.

    >>> log2(8)
    3.0
    """
    if a.__class__ in _PLAIN:
        return math.log2(a)  # type: ignore[arg-type]
    if _symbolic(a):
        import sympy

        return sympy.log(a, 2)
    import numpy

    return numpy.log2(a)


def log(a: Any) -> Any:
    """Return the natural logarithm of `a`.

    >>> log(1.0)
    0.0
    """
    return _function("log", a)


def exp(a: Any) -> Any:
    """Return e to the power of `a`.

    >>> exp(0.0)
    1.0
    """
    return _function("exp", a)


def _function(name: str, a: Any) -> Any:
    if a.__class__ in _PLAIN:
        return getattr(math, name)(a)
    if hasattr(a, "noted_function"):
        return a.noted_function(name)
    if _symbolic(a):
        import sympy

        return getattr(sympy, name)(a)
    import numpy

    return getattr(numpy, name)(a)


def _symbolic(x: Any) -> bool:
    return hasattr(x, "free_symbols")


def _dispatch(symbolic_name: str, array_name: str, a: Any, b: Any) -> Any:
    if _symbolic(a) or _symbolic(b):
        import sympy

        if a == b:
            return a
        a, b = sympy.sympify(a), sympy.sympify(b)
        # Comparing nested Max and Min is exponential in sympy, so only numbers are decided here.
        if a.is_number and b.is_number:
            return getattr(sympy, symbolic_name)(a, b)
        return getattr(sympy, symbolic_name)(a, b, evaluate=False)
    for number in (a, b):
        if hasattr(number, "noted_choice"):  # a number that notes its operations, see perfmodel.numbers.recorded
            return number.noted_choice(array_name, a, b)
    import numpy

    return getattr(numpy, array_name)(a, b)
