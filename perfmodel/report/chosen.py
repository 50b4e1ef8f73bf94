"""Choices under limits, and changes to one setting, as documents: a verdict, and one row for each."""

from typing import TYPE_CHECKING

from perfmodel.report.text import Document, Table
from perfmodel.report.words import how_many, ratio
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from perfmodel.analysis.advice import AdviceList
    from perfmodel.specifications.quantities import Interval
    from perfmodel.sweeps.choosing import Chosen, ChosenSide, Selection

_MEASURES = {"price": "cheapest a token", "device": "fastest a device", "user": "fastest for a user"}


def selection_document(selection: "Selection") -> Document:
    """Return the choices as a verdict and a table, today's rates beside those with looped layers."""
    if not selection.choices:
        return Document([_nothing(selection)])
    rows = [_row(choice) for choice in selection.choices]
    varied = _varied(selection)
    header = (
        "rank",
        *(name for name, _ in varied),
        "batch",
        "a token",
        "tok/s a device",
        "USD a million",
        "looped",
        "devices then",
        "",
    )
    cells = [
        (str(choice.rank), *(value(choice) for _, value in varied), *row)
        for choice, row in zip(selection.choices, rows, strict=True)
    ]
    right = frozenset({0, *range(1 + len(varied), len(header) - 1)})
    tried = (
        f"{selection.candidates:,} candidates fit into memory, {selection.kept:,} of them keep the limits today,"
        f" {selection.looped:,} with looped layers; the best of each machine, number of devices and formats is listed,"
        " 'front' marks those that no candidate beats in both rate a user and rate a device or dollar."
    )
    # In a narrow terminal the figure goes that says least of the ranks, and then what loops would save.
    spare = ("tok/s a device" if selection.ranked_by == "price" else "USD a million", "devices then")
    return Document([_verdict(selection), Table(header, cells, right, spare=tuple(map(header.index, spare))), tried])


def _verdict(selection: "Selection") -> str:
    best = selection.choices[0]
    side = best.after if best.meets == "after" else best.before
    limit = "" if selection.time_per_token is None else f" within {format_quantity(selection.time_per_token, 's')}"
    price = "" if side.price is None else f", {side.price:.3g} USD a million tokens"
    head = (
        f"{_machine(best)} in {best.weight_format} at batch {best.batch:,} is {_MEASURES[selection.ranked_by]}{limit}:"
        f" {format_quantity(side.time_per_token, 's', 3)} a token, {side.tokens_per_second:,.0f} tok/s{price}"
    )
    if best.meets == "after":
        return f"Only looped layers keep the limit: {head}."
    if best.devices_after is not None and best.devices_after < best.devices:
        return f"{head}; with looped layers {best.devices_after} devices do what {best.devices} do now."
    return f"{head}; looped layers bring {best.speedup:.3g} x there."


def _nothing(selection: "Selection") -> str:
    if not selection.candidates:
        return "Nothing fits: no number of devices that was asked for holds the model; ask for more with --devices."
    limits = ((selection.time_per_token, "a token"), (selection.time_to_first_token, "to the first token"))
    limit = " and ".join(f"{format_quantity(time, 's')} {what}" for time, what in limits if time is not None)
    return (
        f"Nothing keeps the limit of {limit}: {selection.candidates:,} candidates fit into memory, none is fast"
        " enough at that confidence, not with looped layers either."
    )


def _machine(choice: "Chosen") -> str:
    many = how_many(choice.devices, choice.hardware)
    return f"{many}{choice.hardware}" + (f" as {choice.parallel}" if "," in choice.parallel else "")


def _varied(selection: "Selection") -> "list[tuple[str, Callable[[Chosen], str]]]":
    """Return the titles and readers of the columns that tell the choices apart."""
    every: list[tuple[str, Callable[[Chosen], str]]] = [
        ("model", lambda c: c.model),
        ("machine", _machine),
        ("weights", lambda c: c.weight_format),
        ("cache", lambda c: c.kv_format),
        ("context", lambda c: f"{c.context:,}"),
    ]
    several = [(name, read) for name, read in every if len({read(c) for c in selection.choices}) > 1]
    return several or [every[1]]


def _row(choice: "Chosen") -> tuple[str, ...]:
    def shown(side: "ChosenSide") -> tuple[str, str, str]:
        return (
            format_quantity(side.time_per_token, "s", 3),
            f"{side.tokens_per_second_per_device:,.4g}",
            "" if side.price is None else f"{side.price:.3g}",
        )

    time, rate, price = shown(choice.before)
    later = shown(choice.after)
    marks = [*(["front"] if choice.front else []), *(["looped only"] if choice.meets == "after" else [])]
    devices = "" if choice.devices_after is None else str(choice.devices_after)
    return (f"{choice.batch:,}", time, rate, price, later[0], devices, ", ".join(marks))


def advice_document(found: "AdviceList") -> Document:
    """Return the changes to one setting as a verdict and a table, best first."""
    many = how_many(found.devices, found.hardware)
    head = (
        f"{found.model} on {many}{found.hardware}, batch {found.batch:,}, context {found.context:,}: today"
        f" {found.today},"
        f" {format_quantity(found.time_per_step, 's', 4)} a step, {found.tokens_per_second:,.4g} tok/s"
    )
    single = next((a for a in found.advice if a.alone and a.fits and a.gain.value > 1), None)
    verdict = (
        f"Best single change: {single.change} ({single.options}), {_times(single.gain)}."
        if single is not None
        else "No single change that is known here would make this setting faster."
    )
    cells = [
        (
            str(a.rank),
            a.change + ("" if a.fits else ", which does not fit"),
            _times(a.gain),
            format_quantity(a.time_per_step, "s", 4),
            a.options,
        )
        for a in found.advice
    ]
    table = Table(("rank", "change", "gain", "a step then", "options"), cells, frozenset({0, 3}))
    return Document([verdict, head, table, "A gain is tokens a second of all sequences over today's."])


def _times(gain: "Interval") -> str:
    return ratio(gain.value, gain.low, gain.high, " x")
