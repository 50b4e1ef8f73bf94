"""Sweeps and comparisons as documents: what a person reads."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from perfmodel.report.text import Document, Table, to_plain
from perfmodel.report.words import how_many, percent, rate, ratio, term_label

if TYPE_CHECKING:
    from perfmodel.sweeps.columns import Grid
    from perfmodel.sweeps.comparisons import Choice, Comparison

_NAMES = ("model", "hardware", "weight_format", "kv_format", "before.mode", "after.mode")


def sweep_document(grid: "Grid", most: int) -> Document:
    """Return a sweep as a verdict and a table of its first `most` points."""
    from perfmodel.sweeps.summaries import summary, varying, written

    found = summary(grid, most)
    low, high = found.least, found.largest
    verdict = (
        f"{grid.size:,} point{'s' if grid.size > 1 else ''}: looping brings {low:.3g} x"
        + (f" to {high:.3g} x" if f"{low:.3g}" != f"{high:.3g}" else "")
        + f"; fastest {found.fastest}."
    )
    keys = varying(grid)
    header = (
        *(key.removesuffix(".mode") for key in keys),
        "tok/s before",
        "tok/s after",
        "speed-up (low to high)",
        "bound",
    )
    rows = [
        (
            *(written(key, row[key]) for key in keys),
            rate(row["before.tokens_per_second"]),
            rate(row["after.tokens_per_second"]),
            ratio(row["speedup.value"], row["speedup.low"], row["speedup.high"]),
            term_label(row["after.bound"]) + ("" if row["fits.fits"] else ", does not fit"),
        )
        for row in found.rows
    ]
    parts: list[str | Table] = [
        verdict,
        Table(
            header, rows, frozenset(i for i, key in enumerate(keys) if key not in _NAMES) | {len(keys), len(keys) + 1}
        ),
    ]
    if grid.size > len(rows):
        parts.append(f"and {grid.size - len(rows):,} more; --csv or -o FILE gives them all")
    return Document(parts)


def comparison_text(found: "Comparison") -> str:
    """Return a comparison as plain text."""
    return to_plain(comparison_document(found)).rstrip("\n")


def comparison_document(found: "Comparison") -> Document:
    """Return a comparison as verdicts and tables, a table for each workload, best first; or up the ladder."""
    if found.ladder:
        return Document([_ladder_verdict(found), _ladder_table(found)])
    from perfmodel.sweeps.comparisons import workload_of

    groups = [list(group) for _, group in groupby(found.choices, key=workload_of)]
    varied = [key for key in ("batch", "context") if len({getattr(c, key) for c in found.choices}) > 1]
    parts: list[str | Table] = ["\n".join(_verdict(group, varied, found.ranked_by) for group in groups)]
    for group in groups:
        if len(groups) > 1:
            parts.append(_workload(group[0], varied))
        parts.append(_table(group, found))
    return Document(parts)


def _workload(choice: "Choice", varied: Sequence[str]) -> str:
    return ", ".join(f"{key} {getattr(choice, key):,}" for key in varied)


def _verdict(group: "Sequence[Choice]", varied: Sequence[str], ranked_by: str) -> str:
    """Return what is best for one workload: by today's software beside what the mode after brings, or by the latter."""
    best = group[0]
    where = f" at {_workload(best, varied)}" if varied else ""
    if ranked_by == "after":
        ends = (best.tokens_per_second, best.low, best.high)
    else:
        ends = (best.tokens_per_second_before, best.low_before, best.high_before)
    figure, low, high = map(rate, ends)
    text = f"Best of {len(group)}{where}: {label(best, ranked_by)}, {figure} tok/s ({low} to {high})"
    if len(group) > 1:
        second = group[1]
        other = second.tokens_per_second if ranked_by == "after" else second.tokens_per_second_before
        text += f", {ends[0] / other:.3g} x the next, {label(second, ranked_by)}"
    if ranked_by == "before":
        text += f"; {best.mode} would make it {rate(best.tokens_per_second)}"
    return text + "."


def _ladder_verdict(found: "Comparison") -> str:
    steps = [choice for choice in found.choices if choice.mode != choice.against]
    if not steps:
        return f"One mode only: {found.choices[0].mode}."
    largest = max(steps, key=lambda choice: choice.gain)
    first, last = found.choices[0], found.choices[-1]
    whole = (
        f"; {first.mode} to {last.mode} is {last.tokens_per_second / first.tokens_per_second:.3g} x"
        if (first.model, first.hardware, first.devices, first.batch, first.context)
        == (last.model, last.hardware, last.devices, last.batch, last.context)
        else ""
    )
    return (
        f"The largest step is {largest.against} to {largest.mode} on {largest.hardware}: {largest.gain:.3g} x"
        f" ({largest.gain_low:.3g} to {largest.gain_high:.3g}){whole}."
    )


def label(choice: "Choice", side: str = "after") -> str:
    """Return a choice in few words. side: whose mode is named."""
    devices = how_many(choice.devices, choice.hardware)
    return f"{choice.model} on {devices}{choice.hardware}, {choice.mode if side == 'after' else choice.against}"


_TITLES = {"weight_format": "weights", "kv_format": "cache", "against": "before", "mode": "after"}
_KEYS = ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format")


def _columns(choices: "Sequence[Choice]", keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the keys, and the what-ifs, in which choices differ; the device is always named."""
    differing = [key for key in keys if key == "hardware" or len({getattr(c, key) for c in choices}) > 1]
    sets = [path for path in (choices[0].settings if choices else {}) if len({c.settings[path] for c in choices}) > 1]
    return differing, sets


def _table(group: "Sequence[Choice]", found: "Comparison") -> Table:
    """Return the choices of one workload, before and after side by side."""
    from perfmodel.sweeps.summaries import written

    keys, sets = _columns(
        found.choices, [key for key in (*_KEYS, "against", "mode") if key not in ("batch", "context")]
    )
    each_user = group[0].batch > 1
    costs = [
        (f"{unit} a million tokens {side}", f"{kind}_{side}")
        for unit, kind in (("USD", "price"), ("J", "energy"))
        for side in ("before", "after")
        if any(getattr(c, f"{kind}_{side}") is not None for c in found.choices)
    ]
    users = ("tok/s a user before", "tok/s a user after") if each_user else ()
    header = (
        *(_TITLES.get(key, key) for key in keys),
        *sets,
        "tok/s before (low to high)",
        "tok/s after (low to high)",
        "gain",
        *users,
        *(title for title, _ in costs),
        "",
    )
    rows = [
        (
            *(_cell(getattr(c, key)) for key in keys),
            *(written(path, c.settings[path]) for path in sets),
            f"{rate(c.tokens_per_second_before)} ({rate(c.low_before)} to {rate(c.high_before)})",
            f"{rate(c.tokens_per_second)} ({rate(c.low)} to {rate(c.high)})",
            f"{c.gain:.3g} x",
            *((rate(c.tokens_per_second_per_sequence_before), rate(c.tokens_per_second_per_sequence)) if users else ()),
            *("" if getattr(c, name) is None else _few_digits(getattr(c, name)) for _, name in costs),
            "; ".join(words for words, said in (("on the front", c.front), ("does not fit", not c.fits)) if said),
        )
        for c in group
    ]
    first = len(keys) + len(sets)
    last = len(header) - 1
    numbers = frozenset(range(first + 2, last)) | {i for i, key in enumerate(keys) if key == "devices"}
    # Joules go first, then dollars, then rates of a user.
    return Table(header, rows, numbers, spare=tuple(range(last - 1, first + 2, -1)))


def _ladder_table(found: "Comparison") -> Table:
    from perfmodel.sweeps.summaries import written

    choices = found.choices
    keys, sets = _columns(choices, (*_KEYS, "mode"))
    keys = [key for key in keys if key != "hardware" or len({c.hardware for c in choices}) > 1]
    costs = [
        (title, name)
        for title, name in (("USD a million tokens", "price_after"), ("J a million tokens", "energy_after"))
        if any(getattr(c, name) is not None for c in choices)
    ]
    header = (
        *("mode" if key == "mode" else _TITLES.get(key, key) for key in keys),
        *sets,
        "tok/s (low to high)",
        "tok/s a user",
        "of peak",
        "step gain",
        *(title for title, _ in costs),
        "",
    )
    rows = [
        (
            *(_cell(getattr(c, key)) for key in keys),
            *(written(path, c.settings[path]) for path in sets),
            f"{rate(c.tokens_per_second)} ({rate(c.low)} to {rate(c.high)})",
            rate(c.tokens_per_second_per_sequence),
            percent(c.fraction_of_peak),
            f"{c.gain:.3g} x" if c.mode != c.against else "",
            *("" if getattr(c, name) is None else _few_digits(getattr(c, name)) for _, name in costs),
            "" if c.fits else "does not fit",
        )
        for c in choices
    ]
    first, last = len(keys) + len(sets), len(header) - 1
    return Table(header, rows, frozenset(range(first + 1, last)), spare=tuple(range(last - 1, first + 3, -1)))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _few_digits(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
