"""How a number is written for a person: the one place."""

from collections.abc import Sequence

from perfmodel.errors import PerfModelError
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.units import UNITS, format_quantity


def number_label(value: float, digits: int = 3) -> str:
    """Return a number as a tick shows it: `digits` significant ones, thousands with commas, large ones with a prefix.

    >>> [number_label(x) for x in (0.05, 2.0, 1500.0, 25_000.0, 3e6)]
    ['0.05', '2', '1,500', '25k', '3M']
    """
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= (1e4 if factor == 1e3 else factor):
            return (
                f"{value / factor:.{digits}g}{prefix}"
                if abs(value) / factor < 1000
                else f"{value / factor:,.0f}{prefix}"
            )
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def digits_of(values: Sequence[float]) -> int:
    """Return how many significant digits the labels of `values` need, three or more, so that no two are alike.

    >>> digits_of([1.01, 1.012, 1.014])
    4
    """
    different = len(set(values))
    return next(
        (digits for digits in range(3, 9) if len({number_label(value, digits) for value in values}) == different), 9
    )


def tokens_label(tokens: int) -> str:
    """Return a context as it is written in options, where k is 1,024.

    >>> tokens_label(4096), tokens_label(1000)
    ('4k', '1,000')
    """
    return f"{tokens // 1024:,}k" if tokens and tokens % 1024 == 0 else f"{tokens:,}"


def unit_of(largest: float, dimension: str) -> tuple[str, float]:
    """Return the unit for an axis that reaches to `largest` [base unit], with its factor to the base unit.

    >>> unit_of(0.0024, "s")
    ('ms', 0.001)
    """
    prefixes = {"s": ("s", "ms", "us", "ns"), "tok/s": ("tok/s",), "1": ("",)}.get(dimension)
    spellings = UNITS[dimension]
    names = prefixes or tuple(f"{p}{dimension}" for p in ("P", "T", "G", "M", "k", ""))
    return next(
        ((name, spellings[name]) for name in names if abs(largest) >= spellings[name]),
        (names[-1], spellings[names[-1]]),
    )


def how_many(devices: int, hardware: str) -> str:
    """Return what stands in front of a device's name: `8 x `, or nothing for one, or for a system with as many.

    >>> how_many(8, "h100-sxm"), how_many(8, "dgx-h100"), how_many(4, "dgx-h100"), how_many(16, "dgx-h100")
    ('8 x ', '', '4 devices of ', '2 x ')
    """
    try:
        each = find_hardware(hardware).devices
    except PerfModelError:  # of a file
        each = 1
    if devices % each:
        return f"{devices:,} devices of "
    return f"{devices // each:,} x " if devices > each else ""


def term_label(term: str) -> str:
    """Return how a term is called in tables: `stream` is a launch mode too, so the term reads streaming.

    >>> term_label("stream"), term_label("host")
    ('streaming', 'host')
    """
    return "streaming" if term == "stream" else term


def seconds(time: float, digits: int = 4) -> str:
    """Return a time with its unit; what is less than a nanosecond is not measured, and no figure is given for it.

    >>> seconds(0.0012), seconds(2.64e-10), seconds(0.0)
    ('1.2 ms', '< 1 ns', '0 s')
    """
    return "< 1 ns" if 0 < time < 1e-9 else format_quantity(time, "s", digits)


def percent(share: float, decimals: int = 0, sign: str = "") -> str:
    """Return a share [-] as a percentage; sign: "+" says that a gain is one.

    >>> percent(0.714), percent(0.034, 1), percent(0.12, 1, "+")
    ('71 %', '3.4 %', '+12.0 %')
    """
    return f"{100 * share:{sign}.{decimals}f} %"


def rate(tokens_per_second: float) -> str:
    """Return a rate to four digits, larger ones whole.

    >>> rate(661.53), rate(20_153.2)
    ('661.5', '20,153')
    """
    return f"{tokens_per_second:,.4g}" if tokens_per_second < 1e4 else f"{tokens_per_second:,.0f}"


def time(value: float, digits: int = 4) -> str:
    """Return a time [s] with its unit, and no time at all as 0.

    >>> time(0.0015), time(0.0)
    ('1.5 ms', '0')
    """
    return seconds(value, digits) if value else "0"


def ranged(value: str, low: str, high: str) -> str:
    """Return a value with its interval, all three in words; one unit is enough where they have the same.

    >>> ranged("2.4 ms", "2 ms", "2.9 ms"), ranged("45 %", "45 %", "45 %")
    ('2.4 ms (2 to 2.9)', '45 %')
    """
    if low == high == value:
        return value
    units = {text.rpartition(" ")[2] for text in (value, low, high)} if " " in value else {""}
    if len(units) == 1 and (unit := units.pop()):
        low, high = low.removesuffix(f" {unit}"), high.removesuffix(f" {unit}")
    return f"{value} ({low} to {high})"


def shortened(text: str, most: int) -> str:
    """Return `text`, cut with three dots where it has more than `most` characters.

    >>> shortened("a long name", 8)
    'a lon...'
    """
    return text if len(text) <= most else text[: most - 3] + "..."


def ratio(value: float, low: float, high: float, unit: str = "") -> str:
    """Return a ratio [-] with its interval.

    >>> ratio(1.584, 1.41, 1.83, " x")
    '1.58 x (1.41 to 1.83)'
    """
    return f"{value:.3g}{unit} ({low:.3g} to {high:.3g})"
