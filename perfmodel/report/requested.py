"""A request as a document: a verdict, and the figures of both sides."""

from typing import TYPE_CHECKING

from perfmodel.report.text import Document, Table
from perfmodel.report.words import how_many, ranged, rate
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from perfmodel.estimates.requests import Request, RequestSide


def request_document(found: "Request") -> Document:
    """Return a request as a verdict, its question, and a table of both sides."""
    value, low, high = (f"{x:.3g}" for x in (found.speedup.value, found.speedup.low, found.speedup.high))
    devices = how_many(found.devices, found.hardware)
    cached = f" on {found.context:,} cached" if found.context else ""
    fits = "" if found.fits.fits else "; it does not fit: figures are as if it did"
    question = (
        f"{found.model} on {devices}{found.hardware}, {found.batch:,} at once, prompt {found.prompt:,}{cached},"
        f" {found.generate:,} generated\nweights {found.weight_format}, cache {found.kv_format}"
    )
    verdict = (
        f"A request takes {format_quantity(found.before.time, 's')} before and"
        f" {format_quantity(found.after.time, 's')} after: {value} x ({low} to {high}){fits}."
    )
    return Document(
        [verdict, question, Table(("", f"before: {found.before.mode}", f"after: {found.after.mode}"), _rows(found))]
    )


def _rows(found: "Request") -> list[tuple[str, ...]]:
    sides = (found.before, found.after)

    def time(name: str) -> tuple[str, ...]:
        return tuple(
            ranged(*(format_quantity(getattr(end, name), "s") for end in (side, side.high, side.low))) for side in sides
        )

    def tokens(side: "RequestSide", name: str) -> str:
        return ranged(*(rate(getattr(end, name)) for end in (side, side.low, side.high)))

    rows = [
        ("time to first token", *time("time_to_first_token")),
        ("time per token", *time("time_per_token")),
        ("end to end", *time("time")),
        ("tokens per second", *(tokens(side, "tokens_per_second") for side in sides)),
        ("for each request", *(tokens(side, "tokens_per_second_per_sequence") for side in sides)),
    ]
    if found.energy.before is not None and found.energy.after is not None:
        energy = [format_quantity(one, "J") for one in (found.energy.before, found.energy.after)]
        rows.append(("energy, at most", *energy))
    if found.price.before is not None and found.price.after is not None:
        rows.append(("price", *(f"{one:.3g} USD" for one in (found.price.before, found.price.after))))
    return rows
