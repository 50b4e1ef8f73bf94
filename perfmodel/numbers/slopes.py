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
        a = values[left] if isinstance(left, str) else left
        b = values[right] if isinstance(right, str) else right
        for name, part in ((left, 0), (right, 1)):
            if isinstance(name, str):
                along = _partial(operation, a, b, values[target])[part]
                if along:
                    slopes[name] = slopes.get(name, 0.0) + slope * along
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
