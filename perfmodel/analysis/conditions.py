"""Conditions: which layers of a model run with which probability, read from a text."""

import msgspec

from perfmodel.errors import SpecificationError, ValueRangeError, shown


class Condition(msgspec.Struct, frozen=True):
    """Layers that a token needs with `probability` [-]: each decides for itself, or all of them `together`, once."""

    layers: tuple[int, ...]
    probability: float
    together: bool = False

    def __str__(self) -> str:
        first, last, stride = (
            self.layers[0],
            self.layers[-1],
            self.layers[1] - self.layers[0] if len(self.layers) > 1 else 1,
        )
        return f"{first}{f'-{last}' if last > first else ''}{f':{stride}' if stride > 1 else ''}={self.probability:g}"


def read_conditions(
    text: str, layers: int, *, together: bool = False, where: str = "--run-with"
) -> tuple[Condition, ...]:
    """Return the conditions that `16-31=0.5` or `1-31:2=0.125,40=0.9` says of a model with `layers` layers.

    A probability of 1 is no condition. Raises SpecificationError for what is not of that form, ValueRangeError for a
    layer or probability out of range.
    """
    found: list[Condition] = []
    for part in text.split(","):
        left, equals, right = part.strip().partition("=")
        span, colon, stride = left.partition(":")
        first, dash, last = span.partition("-")
        numbers = [first, last if dash else first, stride if colon else "1"]
        if not equals or not all(n.strip().isascii() and n.strip().isdecimal() and len(n) < 8 for n in numbers):
            raise SpecificationError(
                f"{where}: {shown(part)} is not of the form FIRST-LAST=P or FIRST-LAST:STEP=P, such as 16-31=0.5"
            )
        start, end, step = (int(n) for n in numbers)
        if not (start <= end < layers and step >= 1):
            raise ValueRangeError(
                f"{where}: {shown(part)}: layers are from 0 to {layers - 1}, the first no later than the last"
            )
        try:
            probability = float(right)
        except ValueError:
            probability = -1.0
        if not 0 <= probability <= 1:
            raise ValueRangeError(f"{where}: {shown(right)} is not a probability from 0 to 1")
        if probability < 1:
            found.append(Condition(tuple(range(start, end + 1, step)), probability, together))
    return tuple(found)
