"""Parse and print quantities. Inside the package every number is in base units: s, B, FLOP, 1/s, W.

Decimal prefixes mean powers of ten, `Ki Mi Gi Ti` powers of two; a bit (`b`) is refused, because a
bandwidth written in bits is the commonest way to be wrong by eight.
"""

import math
import re

from perfmodel.errors import SpecificationError, UnreadableValueError, ValueRangeError, nearest, shown

# Bounds of the counts of a question.
MOST_DEVICES = 65_536
LARGEST_BATCH = 10_000_000
LONGEST_CONTEXT = 1_000_000_000
MOST_ITERATIONS = 1_000_000
MOST_DRAFTS = 256
MOST_CALLS = 10_000_000

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_SUBDIVISIONS = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}

# Dimension -> spelling -> factor to the base unit.
UNITS: dict[str, dict[str, float]] = {
    "B": {p + "B": f for p, f in (_DECIMAL | _BINARY).items()},
    "B/s": {p + "B/s": f for p, f in (_DECIMAL | _BINARY).items()},
    "FLOP": {p + "FLOP": f for p, f in _DECIMAL.items()},
    "FLOP/s": {p + s: f for p, f in _DECIMAL.items() for s in ("FLOP/s", "OP/s")},
    "s": {p + "s": f for p, f in _SUBDIVISIONS.items()},
    "Hz": {p + "Hz": f for p, f in _DECIMAL.items()},
    "W": {p + "W": f for p, f in (_DECIMAL | {"m": 1e-3}).items()},
    "1": {"": 1.0, "1": 1.0, "%": 0.01},
    "tok/s": {"tok/s": 1.0, "ktok/s": 1e3},
    "J": {p + "J": f for p, f in (_DECIMAL | {"m": 1e-3}).items()},
    "USD": {"USD": 1.0, "kUSD": 1e3},
    "USD/h": {"USD/h": 1.0},
}

# What a quantity of each dimension can be at all, but for 0 [base unit]: beyond, it is a slip of the pen, and sums and
# quotients would leave what a float can hold. What is divided by is not next to nothing.
BOUNDS: dict[str, tuple[float, float]] = {
    "B": (1e-3, 1e30),
    "B/s": (1.0, 1e30),
    "FLOP": (0.0, 1e36),
    "FLOP/s": (1.0, 1e30),
    "s": (0.0, 1e12),
    "Hz": (1e-6, 1e18),
    "W": (1e-6, 1e15),
    "1": (1e-12, 1e30),
    "tok/s": (1e-12, 1e18),
    "J": (0.0, 1e18),
    "USD": (1e-12, 1e18),
    "USD/h": (1e-12, 1e18),
}

# Spellings that mean something definite but are not the canonical form.
_ALIASES = {
    "FLOPS": "FLOP/s",
    "kFLOPS": "kFLOP/s",
    "MFLOPS": "MFLOP/s",
    "GFLOPS": "GFLOP/s",
    "TFLOPS": "TFLOP/s",
    "PFLOPS": "PFLOP/s",
    "TOPS": "TOP/s",
    "GOPS": "GOP/s",
    "POPS": "POP/s",
    "Bps": "B/s",
    "kBps": "kB/s",
    "MBps": "MB/s",
    "GBps": "GB/s",
    "TBps": "TB/s",
    "sec": "s",
    "usec": "us",
    "msec": "ms",
    "tokens/s": "tok/s",
}

_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*", re.DOTALL)


def parse_quantity(text: object, dimension: str, where: str) -> float:
    """Return the value of `text`, such as '3.35 TB/s', in base units.

    text: a string with number and unit, or a bare number where `dimension` is '1'.
    dimension: the base unit expected, a key of `UNITS`.
    where: file and key, or option, for the message.
    Raises SpecificationError for no number, no unit, an unknown unit or one of another dimension, ValueRangeError for a
    number beyond `BOUNDS`.

    >>> parse_quantity("3.35 TB/s", "B/s", "example")
    3350000000000.0
    >>> parse_quantity("2 GiB", "B", "example")
    2147483648.0
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise SpecificationError(
            f"{where}: {shown(text)} is not a quantity; write something like {_example(dimension)}"
        )
    if isinstance(text, str):
        match = _NUMBER.fullmatch(text)
        if _comma_in(text):
            raise UnreadableValueError(f"{where}: {_without_comma(text)}")
        if match is None:
            raise SpecificationError(
                f"{where}: {shown(text)} is not a quantity; write something like {_example(dimension)}"
            )
        number, unit = float(match[1].replace("_", "")), match[2]
    else:
        try:
            number, unit = float(text), ""
        except OverflowError:
            number, unit = math.inf, ""
    if not math.isfinite(number):
        raise ValueRangeError(f"{where}: {shown(text)} is not a finite number")
    return within(number * _factor(unit, dimension, text, where), dimension, where, text)


def read_quantity_option(text: str, dimension: str, where: str) -> float:
    """Return the value of an option [base unit] as `parse_quantity` does; raise UnreadableValueError for no value."""
    try:
        return parse_quantity(text, dimension, where)
    except ValueRangeError:
        raise
    except SpecificationError as error:
        raise UnreadableValueError(str(error)) from None


def within(value: float, dimension: str, where: str, text: object = None) -> float:
    """Return `value` [base unit of `dimension`] where it is 0 or inside `BOUNDS`, else raise ValueRangeError.

    text: how it was written, for the message.
    """
    least, most = BOUNDS[dimension]
    if value == 0 or least <= abs(value) <= most:
        return value
    unit = "" if dimension == "1" else f" {dimension}"
    raise ValueRangeError(
        f"{where}: {shown(value if text is None else text)} is out of range; {least:g}{unit} to {most:g}{unit} is"
        " accepted"
    )


def read_count(
    text: str, where: str, least: int, most: int, *, k: int = 1000, ranged: bool = True, several: bool = True
) -> int:
    """Return the whole number that a text gives; `4k` is 4 x k, `1m` k times as much, `1e3` and `4_096` are exact too.

    k: 1,000, or 1,024 where tokens are counted; ranged: whether it must lie between `least` and `most`; several:
    whether a grid takes several values of it.
    Raises UnreadableValueError for what is no number, ValueRangeError for one that is not whole or out of range.

    >>> read_count("1m", "--context", 0, 10**9, k=1024)
    1048576
    """
    wanted = f"is not a whole number from {least} to {most:,}"
    if _comma_in(text):
        raise UnreadableValueError(f"{where}: {_without_comma(text, several=several)}")
    digits, letter = text, ""
    if not (text.isascii() and text.isdecimal()):  # most are plain, and need no pattern
        match = re.fullmatch(_COUNT, text)
        if match is None:
            grid = (
                "; several values are for compare and sweep: 1:64:x2" if several and re.fullmatch(_GRID, text) else ""
            )
            raise UnreadableValueError(f"{where}: {shown(text)} {wanted}{grid}")
        digits, letter = match[1].replace("_", ""), match[2].lower()
    factor = {"": 1, "k": k, "m": k * k}[letter]
    number = float(digits)
    exact = digits.lstrip("+-")
    value = int(digits) * factor if exact.isdecimal() and len(exact) < 40 else 0
    if not value and math.isfinite(number * factor):
        value = int(number * factor)
    if value != number * factor or (ranged and not least <= value <= most):
        raise ValueRangeError(f"{where}: {shown(text)} {wanted}")
    return value


_COUNT = r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([kKmM]?)\s*"
_GRID = r"\s*\d\w*\s*(?::|\.\.|-)\s*\d.*"
_GROUPED = r"\s*[+-]?\d[\d_,.]*"


def _comma_in(text: str) -> bool:
    """Whether a number is written with a comma."""
    match = re.match(_GROUPED, text) if "," in text else None
    return match is not None and "," in match[0]


def _without_comma(text: str, *, several: bool = True) -> str:
    plain = text.strip().replace(",", "")
    more = ", or ask perfmodel compare or perfmodel sweep for several" if several else ""
    return f"{shown(text)} holds a comma, which is never part of one value; write {plain} for one{more}"


def _factor(unit: str, dimension: str, text: object, where: str) -> float:
    spellings = UNITS[dimension]
    unit = _ALIASES.get(unit, unit)
    if unit in spellings:
        return spellings[unit]
    if not unit:
        raise SpecificationError(f"{where}: {shown(text)} has no unit; write something like {_example(dimension)}")
    if unit.endswith(("b/s", "b", "bps")) and dimension in ("B", "B/s"):
        raise SpecificationError(
            f"{where}: {shown(text)} counts bits; write bytes, something like {_example(dimension)}"
        )
    known_elsewhere = [d for d, names in UNITS.items() if unit in names]
    if known_elsewhere:
        raise SpecificationError(
            f"{where}: {shown(text)} is in {known_elsewhere[0]}, expected {dimension}, something like"
            f" {_example(dimension)}"
        )
    raise SpecificationError(
        f"{where}: {shown(text)} has no unit I know{nearest(unit, [*spellings, *_ALIASES])}; expected {dimension},"
        f" something like {_example(dimension)}"
    )


def _example(dimension: str) -> str:
    examples = {
        "B": "80 GB",
        "B/s": "3.35 TB/s",
        "FLOP/s": "989 TFLOP/s",
        "FLOP": "2 GFLOP",
        "s": "5 us",
        "Hz": "1.98 GHz",
        "W": "700 W",
        "1": "0.92",
        "J": "5 J",
        "tok/s": "104.9 tok/s",
        "USD": "30000 USD",
        "USD/h": "2.5 USD/h",
    }
    return repr(examples[dimension])


def format_quantity(value: float | None, dimension: str, digits: int = 4) -> str:
    """Return `value` [base unit of `dimension`] with a prefix and `digits` significant digits; '' for None.

    >>> format_quantity(3.35e12, "B/s")
    '3.35 TB/s'
    >>> format_quantity(5e-6, "s")
    '5 us'
    """
    if value is None:
        return ""
    if dimension == "1":
        return f"{value:.{digits}g}"
    if dimension == "s":
        scale = next(((p, f) for p, f in (("", 1.0), ("m", 1e-3), ("u", 1e-6)) if abs(value) >= f), ("n", 1e-9))
        if value == 0:
            scale = ("", 1.0)
    elif dimension in ("tok/s", "USD", "USD/h"):
        scale = ("", 1.0)
    else:
        scale = next(((p, f) for p, f in reversed(_DECIMAL.items()) if abs(value) >= f), ("", 1.0))
    number = value / scale[1]
    text = f"{number:.0f}" if abs(number) >= 10**digits else f"{number:.{digits}g}"
    return f"{text} {scale[0]}{dimension}"


def whole_number(value: object, name: str, least: int, most: int) -> int:
    """Return `value` as an int; raise ValueRangeError unless it is a whole number from `least` to `most`."""
    whole = value if isinstance(value, int) and not isinstance(value, bool) else _exact(value)
    if whole is None or not least <= whole <= most:
        raise ValueRangeError(f"{name}: {shown(value)} is not a whole number from {least} to {most:,}")
    return whole


def _exact(value: object) -> int | None:
    """The int that a float, a numpy integer or the like stands for, None when it stands for none."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        whole = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return None
    return whole if whole == value else None
