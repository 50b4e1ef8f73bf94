"""Where a parameter stands between its ends: -1 is its slow end, 0 its value, +1 its fast end."""

from perfmodel.operations.work import CACHE
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity


def at(quantity: Quantity, position: float, slower: int) -> float:
    """Return `quantity` at `position` between its slow and fast ends; straight between value and either end."""
    if position == 0:
        return quantity.value
    # The slow end is the high one when a larger value slows the step.
    end = quantity.high if (position < 0) == (slower > 0) else quantity.low
    return quantity.value + abs(position) * (end - quantity.value)


def standing_at(path: str, quantity: Quantity, position: float) -> float:
    """Return the number of a parameter at `position` between its slow and fast ends [base units]."""
    parameter = lookup(path)
    return at(quantity, position, parameter.slower if parameter else 0)


def moves_with(path: str) -> str:
    """Return the name of the group of parameters that move together, in which an uncertain parameter stands.

    What one memory sustains for weights of several formats, and what one library adds to each kind of collective, comes
    from the same kernels; the factors of all launches are of one source. All else stands alone.
    """
    parts = path.split(".")
    if parts[:2] == ["memory", "sustained"] and parts[2] != CACHE:
        return "memory.sustained"
    if parts[0] == "modes" and parts[2] == "factor":
        return "software.factor"
    return f"collectives.{parts[2]}" if parts[0] == "collectives" else path


# What the kernels of a software, its library and its host cost in every mode in which they are launched.
_KERNELS = ("matrix", "experts", "exchange", "exchange_rise", "host", "sequence")


def kernels_key(path: str) -> str | None:
    """Return what a parameter of a mode says of the software's kernels, however they are launched; None for another."""
    first, _, key = path.rpartition(".")
    return key if first.startswith("modes.") and key in _KERNELS else None
