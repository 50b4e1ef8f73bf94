"""Axes of a grid from what is given for a key: one value, a sequence, an array, or a text such as 1:64:x2."""

import math
from collections.abc import Mapping
from typing import Any

import numpy

from perfmodel.errors import ValueRangeError, shown
from perfmodel.estimates.devices import AFTER
from perfmodel.estimates.options import AXES, OPTION, Option
from perfmodel.estimates.question import number
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.formats import storage_format
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import check_range, lookup, unknown_key
from perfmodel.specifications.quantities import parse_setting
from perfmodel.specifications.storage import read_weights
from perfmodel.sweeps.grids import Axis, listed, parse_grid, parse_names
from perfmodel.units import read_count, read_quantity_option, whole_number


def objects_axis(given: Any, name: str) -> Axis:
    """Return an axis of names, or of objects, that are given as one, a list, or a comma list."""
    if isinstance(given, str):
        return parse_names(given, name)
    values = [given] if isinstance(given, Model | Hardware) else _sequence(given)
    if values is None:
        raise ValueRangeError(f"{name}: expected names or a list of them, found {shown(given)}")
    return listed(name, values)


def _sequence(given: Any) -> list[Any] | None:
    """Return a list, tuple or array as a list of plain values, None for anything else."""
    if isinstance(given, numpy.ndarray):
        return list(given.ravel().tolist())
    return list(given) if isinstance(given, list | tuple | range) else None


def axes_of(
    models: Any, hardware: Any, given: Mapping[str, Any]
) -> tuple[tuple[Model, ...], tuple[Hardware, ...], list[Axis]]:
    """Return the models and devices that are named, and the axis of each option that may have one, in their order.

    given: every option of a question.
    """
    found_models = tuple(
        model if isinstance(model, Model) else find_model(str(model)) for model in objects_axis(models, "MODELS").values
    )
    found_hardware = tuple(
        device if isinstance(device, Hardware) else find_hardware(str(device))
        for device in objects_axis(hardware, "HARDWARE").values
    )
    axes = {name: option_axis(OPTION[name], given[name]) for name in AXES}
    for name in ("weights", "kv"):
        for value in axes[name].values:
            if value is not None:
                (read_weights if name == "weights" else storage_format)(str(value), f"--{name}")
    return found_models, found_hardware, list(axes.values())


def option_axis(option: Option, given: Any) -> Axis:
    """Return the axis of one option of a question; None for what is usual."""
    if option.kind == "number":
        return Axis(option.name, 1, (None,)) if given is None else _number_axis(given, option)
    if option.kind in ("count", "tokens"):
        if given is None:
            return Axis(option.name, 1, (None,))
        return whole_axis(given, option.name, option.least, option.most, k=1024 if option.kind == "tokens" else 1000)
    return names_axis(given, option.name)


def _number_axis(given: Any, option: Option) -> Axis:
    """Return an axis of numbers in the range of an option."""

    def read(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return math.nan

    if isinstance(given, str):
        axis = parse_grid(given, option.flag, read).renamed(option.name)
    else:
        values = _sequence(given)
        axis = listed(option.name, [given] if values is None else values)
    for value in axis.part(0, axis.count):
        number(value, option.name)
    return axis


def names_axis(given: Any, name: str) -> Axis:
    """Return an axis of names of formats or modes; None for the one that is usual."""
    if isinstance(given, str):
        return parse_names(given, f"--{name}").renamed(name)
    return listed(name, (_sequence(given) or []) if _sequence(given) is not None else [given])


def whole_axis(given: Any, name: str, least: int, most: int, *, k: int = 1000) -> Axis:
    """Return an axis of whole numbers between `least` and `most`."""

    def read(text: str) -> float:
        return read_count(text, f"--{name}", least, most, k=k, ranged=False)

    if isinstance(given, str):
        axis = parse_grid(given, f"--{name}", read, whole=True).renamed(name)
        for value in axis.values or (axis[0], axis[axis.count - 1]):
            whole_number(value, f"--{name}", least, most)
        return axis
    values = _sequence(given)
    return listed(name, [whole_number(value, name, least, most) for value in ([given] if values is None else values)])


def parameter_axis(path: str, given: Any, known: object) -> Axis:
    """Return an axis of values [base units] or, where one has an interval, of Quantities."""
    parameter = lookup(path.removeprefix(AFTER))
    if parameter is None:
        raise unknown_key(path, known, "--set")
    where = f"--set {path}"
    if isinstance(given, str) and ":" in given:
        axis = parse_grid(given, where, lambda text: read_quantity_option(text, parameter.unit, where)).renamed(path)
        for value in axis.values or (axis[0], axis[axis.count - 1]):
            check_range(float(value), parameter, where, given)
        return axis
    if (
        isinstance(given, numpy.ndarray)
        and given.dtype.kind in "fiu"
        and given.size
        and numpy.all(numpy.isfinite(given))
    ):
        for end in (given.min(), given.max()):
            check_range(float(end), parameter, where, float(end))
        return listed(path, given.ravel().astype(float).tolist())
    values = [item.strip() for item in given.split(",")] if isinstance(given, str) else _sequence(given)
    quantities: list[Any] = [
        parse_setting(path.removeprefix(AFTER), value, known) if not hasattr(value, "low") else value
        for value in (values if values is not None else [given])
    ]
    if all(q.low == q.value == q.high for q in quantities):
        return listed(path, [q.value for q in quantities])
    return listed(path, quantities)
