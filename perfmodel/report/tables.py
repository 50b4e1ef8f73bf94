"""Sweeps and comparisons as documents: what a person reads."""

from typing import TYPE_CHECKING, Any

from perfmodel.report.text import Document, Table, to_plain
from perfmodel.report.words import percent, rate, ratio, term_label

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
    """Return a comparison as a verdict and a table, best first or up the ladder."""
    return Document([_ladder_verdict(found) if found.ladder else _verdict(found), _table(found)])


def _verdict(found: "Comparison") -> str:
    best = found.choices[0]
    text = (
        f"Best of {len(found.choices)}: {label(best)}, {rate(best.tokens_per_second)} tok/s ({rate(best.low)} to"
        f" {rate(best.high)})"
    )
    if len(found.choices) > 1:
        second = found.choices[1]
        text += f", {best.tokens_per_second / second.tokens_per_second:.3g} x the next, {label(second)}"
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


def label(choice: "Choice") -> str:
    """Return a choice in few words."""
    devices = f"{choice.devices} x " if choice.devices > 1 else ""
    return f"{choice.model} on {devices}{choice.hardware}, {choice.mode}"


def _table(found: "Comparison") -> Table:
    from perfmodel.sweeps.summaries import written

    choices = found.choices
    keys = [
        key
        for key in ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format", "mode")
        if key == "mode" or len({getattr(c, key) for c in choices}) > 1
    ]
    sets = [path for path in (choices[0].settings if choices else {}) if len({c.settings[path] for c in choices}) > 1]
    optional = [
        key
        for key in ("per_device", "per_watt", "per_rental")
        if any(getattr(c, key) is not None for c in choices)
        and (key != "per_device" or any(c.devices > 1 for c in choices))
    ]
    titles = {
        "per_device": "a device",
        "per_watt": "a watt",
        "per_rental": "a USD",
        "weight_format": "weights",
        "kv_format": "cache",
    }
    header = (
        *(titles.get(key, key) for key in keys),
        *sets,
        "tok/s (low to high)",
        "a user",
        "of peak",
        "step gain" if found.ladder else "to best",
        *(titles[key] for key in optional),
        "front",
    )
    rows = []
    for c in choices:
        gain = f"{c.gain:.3g} x" if c.mode != c.against else ""
        rows.append(
            (
                *(_cell(getattr(c, key)) for key in keys),
                *(written(path, c.settings[path]) for path in sets),
                f"{rate(c.tokens_per_second)} ({rate(c.low)} to {rate(c.high)})",
                rate(c.tokens_per_second_per_sequence),
                percent(c.fraction_of_peak),
                gain if found.ladder else f"{c.to_best:.2f}",
                *("" if getattr(c, key) is None else _few_digits(getattr(c, key)) for key in optional),
                ("yes" if c.front else "") + ("" if c.fits else " does not fit"),
            )
        )
    return Table(header, rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _few_digits(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
