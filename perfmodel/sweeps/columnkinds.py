"""Columns: their names, what kind of value each holds, and the arrays of one block."""

from typing import Any

import msgspec
import numpy

from perfmodel.estimates.columns import SIDES
from perfmodel.estimates.costs import COSTS
from perfmodel.estimates.options import AXES
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.sweeps.cases import Array
from perfmodel.sweeps.grids import Axis

# Names and options in the order of the rows, first slowest; then come the parameters as given.
KEYS = ("model", "hardware", *AXES)


AXIS_COLUMNS = (
    "model",
    "hardware",
    "devices",
    "batch",
    "context",
    "weight_format",
    "kv_format",
    "before.mode",
    "after.mode",
)


# The columns of options that are usual where they are not given, by option.
FURTHER = {"draft": "draft.tokens", "accepted": "draft.accepted"}


COUNTS = frozenset(
    {
        "bytes_per_step",
        "flops_per_step",
        "fits.bytes_needed",
        "fits.bytes_available",
        "before.kernel_calls",
        "after.kernel_calls",
        "devices",
        "batch",
        "context",
        "draft.tokens",
    }
)


COUNTS_OR_NONE = frozenset({"fits.devices_needed"})
# Figures that are unknown where the device's file says too little; in arrays of floats that is no number.
MAY_BE_UNKNOWN = frozenset(f"{cost}.{side}" for cost in COSTS for side in SIDES)


_LARGEST_INTEGER = float(2**62)


class Column(msgspec.Struct, frozen=True):
    """One column of some rows.

    names: what the integer codes in `values` stand for; without names the values speak for themselves.
    """

    values: Array
    names: tuple[str, ...] | None = None

    def to_list(self) -> list[Any]:
        """Return the values as plain Python objects, None for unknown."""
        plain: list[Any] = self.values.tolist()
        if self.names is not None:
            return [self.names[code] for code in plain]
        return plain

    def at(self, row: int) -> Any:
        """Return the value of one row as a plain Python object."""
        value = self.values[row]
        return self.names[int(value)] if self.names is not None else value.item() if hasattr(value, "item") else value

    def array(self) -> Array:
        """Return the values as an array, texts as objects."""
        return self.values if self.names is None else numpy.array(self.names, dtype=object)[self.values]


def axis_values(axis: Axis, start: int, stop: int) -> Array:
    """Return the values of an axis from `start` up to `stop`, to the last bit those of `Axis.part`."""
    if axis.values or axis.factor:
        return numpy.array(axis.values[start:stop] if axis.values else axis.part(start, stop), dtype=float)
    places = numpy.arange(start, stop)
    if axis.last is None or isinstance(axis.step, int):
        return axis.start + places * float(axis.step)
    values = axis.start + (axis.last - axis.start) * places / (axis.count - 1)
    values[places == axis.count - 1] = axis.last
    return values


def is_float(name: str) -> bool:
    """Return whether a column holds floats: neither counts nor texts."""
    return not (
        name in AXIS_COLUMNS
        or name in ("parallel", "draft.drafter", "software", "evidence.text")
        or name in COUNTS
        or name in COUNTS_OR_NONE
        or name.endswith((".bound", ".software", ".profile"))
        or name == "fits.fits"
    )


def kind_of(name: str) -> type:
    """Return the kind of number that the array of a column holds."""
    if name == "fits.fits":
        return bool
    return numpy.int8 if name.endswith(".bound") else float


def column_of(name: str, whole: dict[str, Array], labels: dict[str, tuple[list[str], Array]]) -> Column:
    """Return a column of a block from its arrays; labels: of texts their names, and the code of each row."""
    if name in labels:
        return Column(labels[name][1].reshape(-1), tuple(labels[name][0]))
    values = whole[name].reshape(-1)
    if name.endswith(".bound"):
        return Column(values, TERM_NAMES)
    if name in COUNTS_OR_NONE:
        known = values.astype(numpy.int64)
        return Column(known if known.min() >= 0 else numpy.where(known < 0, None, known.astype(object)))
    if name in COUNTS:
        if values.max() < _LARGEST_INTEGER:
            return Column(values.astype(numpy.int64))
        return Column(numpy.array([int(value) for value in values.tolist()], dtype=object))
    return Column(none_for_unknown(name, values))


def none_for_unknown(name: str, values: Array) -> Array:
    """Return the floats of a column, as objects with None where they are no numbers, which stands for unknown."""
    if name in MAY_BE_UNKNOWN and numpy.isnan(values).any():
        return numpy.where(numpy.isnan(values), None, values.astype(object))
    return values
