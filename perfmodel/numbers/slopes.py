"""Derivatives of a recording that was worked out at a point: backwards over its lines, along all inputs at once.

Exact on the branch that holds; where two branches are equal, the derivative is that of the one that is taken, the left.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfmodel.numbers.recorded import Line


def slopes_of(lines: Sequence[Line], values: Mapping[str, float], result: Any) -> dict[str, float]:
    """Return the derivative of `result`, a name or a number, along every name that it rests on.

    values: of the inputs and the lines, from `perfmodel.numbers.recorded.run`.
    """
    slopes: dict[str, float] = {result: 1.0} if isinstance(result, str) else {}
    for target, operation, left, right in reversed(lines):
        slope = slopes.get(target)
        if not slope:
            continue
        one, other = left.__class__ is str, right.__class__ is str
        along = _partial(operation, values[left] if one else left, values[right] if other else right, values[target])
        if one and along[0]:
            slopes[left] = slopes.get(left, 0.0) + slope * along[0]
        if other and along[1]:
            slopes[right] = slopes.get(right, 0.0) + slope * along[1]
    return slopes


def _partial(operation: str, a: float, b: float, result: float) -> tuple[float, float]:
    """Return the derivatives of `a operation b` along a and along b."""
    if operation in ("+", "is"):
        return 1.0, 1.0
    if operation == "-":
        return 1.0, -1.0
    if operation == "*":
        return b, a
    if operation == "/":
        return 1 / b, -result / b
    if operation == "//":  # a slope of steps is that of the line through them
        return 1 / b, -a / b / b
    if operation in ("maximum", "minimum"):
        left = a >= b if operation == "maximum" else a <= b
        return (1.0, 0.0) if left else (0.0, 1.0)
    if operation == "**":
        return (b * a ** (b - 1) if a or b >= 1 else 0.0), (result * math.log(a) if result else 0.0)
    if operation == "log":
        return 1 / a, 0.0
    if operation == "exp":
        return result, 0.0
    return 0.0, 0.0
