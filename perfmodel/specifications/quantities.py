"""Quantities: a value with its interval, its kind and its source; how files and `--set` give one."""

import math

import msgspec

from perfmodel.errors import SpecificationError, UnreadableValueError, ValueRangeError, nearest, shown
from perfmodel.specifications.keys import Parameter
from perfmodel.specifications.parameters import KINDS, check_range, lookup, unknown_key
from perfmodel.units import format_quantity, parse_quantity, within


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """A value in base units with its 5th and 95th percentile, its kind and where it comes from."""

    low: float
    value: float
    high: float
    unit: str
    kind: str
    source: str
    note: str = ""

    def __str__(self) -> str:
        if self.low == self.high:
            return format_quantity(self.value, self.unit)
        return (
            f"{format_quantity(self.value, self.unit)} ({format_quantity(self.low, self.unit)} to"
            f" {format_quantity(self.high, self.unit)})"
        )


class Interval(msgspec.Struct, frozen=True):
    """A number with its 5th and 95th percentile, in the unit that its field states."""

    low: float
    value: float
    high: float


def read_quantity(raw: object, parameter: Parameter, where: str, given: str | None = None) -> Quantity:
    """Turn one entry of a TOML file into a Quantity.

    raw: a table with `value` (or `low`, `value`, `high`), `kind` and `source`, optional `note`.
    given: in a user's own file, the source of what says none: there a plain value is enough, of the kind `given`.
    Raises SpecificationError when a part is missing, unknown or out of order.
    """
    if given is not None:
        raw = _with_given(raw, given)
    if not isinstance(raw, dict):
        raise SpecificationError(
            f"{where}: expected a table like {{ value = ..., kind = ..., source = ... }}, found {shown(raw)}"
        )
    for key in raw:
        if key not in ("low", "value", "high", "kind", "source", "note"):
            raise SpecificationError(
                f"{where}.{key}: unknown key{nearest(key, ('low', 'value', 'high', 'kind', 'source', 'note'))}; a"
                " quantity has low, value, high, kind, source, note"
            )
    if "value" not in raw:
        raise SpecificationError(f"{where}: has no value")
    for key in ("kind", "source"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            raise SpecificationError(f"{where}: has no {key}; every value states where it comes from")
    kinds = KINDS if given is not None else KINDS[:-1]
    if raw["kind"] not in kinds:
        raise SpecificationError(
            f"{where}.kind: {shown(raw['kind'])} is not one of {', '.join(kinds)}{nearest(raw['kind'], kinds)}"
        )
    if ("low" in raw) != ("high" in raw):
        raise SpecificationError(f"{where}: give low and high together")
    numbers = {
        k: check_range(parse_quantity(raw[k], parameter.unit, f"{where}.{k}"), parameter, f"{where}.{k}", raw[k])
        for k in ("low", "value", "high")
        if k in raw
    }
    value = numbers["value"]
    low, high = numbers.get("low", value), numbers.get("high", value)
    if not low <= value <= high:
        raise SpecificationError(
            f"{where}: low, value, high are not in order: {shown(raw['low'])}, {shown(raw['value'])},"
            f" {shown(raw['high'])}"
        )
    return Quantity(
        low=low,
        value=value,
        high=high,
        unit=parameter.unit,
        kind=raw["kind"],
        source=raw["source"],
        note=str(raw.get("note", "")),
    )


def _with_given(raw: object, given: str) -> object:
    """Return an entry of a user's own file with the kind `given`, and with a source, where it says neither."""
    entry = raw if isinstance(raw, dict) else {"value": raw}
    return {"kind": "given", "source": given} | entry if entry.get("kind", "given") == "given" else entry


def parse_setting(path: str, text: object, known: object, where: str = "--set") -> Quantity:
    """Turn what `--set PATH=TEXT` gives into a Quantity: one value closes the interval, `5us..8us` sets low and high.

    Raises UnknownNameError for a path that is no parameter, SpecificationError or ValueRangeError for a bad value.
    """
    parameter = lookup(path)
    if parameter is None:
        raise unknown_key(path, known, where)
    where = f"{where} {path}"
    try:
        return _setting(parameter, text, where)
    except ValueRangeError:
        raise
    except SpecificationError as error:
        raise UnreadableValueError(str(error)) from None


def _setting(parameter: Parameter, text: object, where: str) -> Quantity:
    if isinstance(text, str) and ".." in text:
        low_text, _, high_text = text.partition("..")
        low = check_range(parse_quantity(low_text, parameter.unit, where), parameter, where, text)
        high = check_range(parse_quantity(high_text, parameter.unit, where), parameter, where, text)
        if low > high:
            raise ValueRangeError(f"{where}: {shown(text)} is not in order; write low..high")
        value = (low + high) / 2
    elif not isinstance(text, str) and parameter.unit != "1":
        value = low = high = check_range(_base_number(text, parameter.unit, where), parameter, where, text)
    else:
        value = low = high = check_range(parse_quantity(text, parameter.unit, where), parameter, where, text)
    return Quantity(low=low, value=value, high=high, unit=parameter.unit, kind="assumed", source="set by the caller")


def _base_number(value: object, dimension: str, where: str) -> float:
    """From Python a bare number is in base units; only text needs a unit."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecificationError(f"{where}: {shown(value)} is neither a number nor a text with a unit")
    number = float(value) if isinstance(value, float) or abs(value) < 1 << 1000 else math.inf
    if not math.isfinite(number):
        raise ValueRangeError(f"{where}: {shown(value)} is not a finite number")
    return within(number, dimension, where, value)
