"""Answers as HTML fragments for notebooks: a picture and a table each, readable on light and on dark paper."""

from typing import TYPE_CHECKING, Any

from perfmodel.estimates.answers import Estimate
from perfmodel.quoting import markup
from perfmodel.report.answer import document
from perfmodel.report.chosen import selection_document
from perfmodel.report.html import table
from perfmodel.report.pictures.choices import COLUMN_OF, sweep_picture
from perfmodel.report.pictures.fronts import chosen_front
from perfmodel.report.pictures.lines import setting
from perfmodel.report.pictures.paper import to_svg
from perfmodel.report.pictures.requests import request_bars
from perfmodel.report.pictures.sidebars import comparison_bars
from perfmodel.report.pictures.waterfalls import waterfall
from perfmodel.report.requested import request_document
from perfmodel.report.tables import comparison_document
from perfmodel.report.text import Document, Table
from perfmodel.report.words import rate

if TYPE_CHECKING:
    from perfmodel.estimates.requests import Request
    from perfmodel.sweeps.choosing import Selection
    from perfmodel.sweeps.comparisons import Comparison
    from perfmodel.sweeps.sweeps import Sweep

_MOST_ROWS = 20
_TOLD = (
    "before.tokens_per_second",
    "after.tokens_per_second",
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
)


def estimate_fragment(answer: Estimate) -> str:
    """Return an Estimate: its verdict, where the time goes as a picture, the figures, and the assumptions to unfold."""
    first, *parts = document(answer).parts
    assumptions = next(part for part in parts if isinstance(part, Table) and part.header[0] == "assumption")
    rest = "".join(_part(part) for part in parts if part is not assumptions)
    return (
        f"<p><b>{markup(str(first))}</b></p>{_picture(to_svg(waterfall(answer)))}{rest}"
        f"<details><summary>{len(assumptions.rows)} assumptions</summary>{_part(assumptions)}</details>"
    )


def comparison_fragment(found: "Comparison") -> str:
    """Return a Comparison: its verdict, the choices as bars, and its table."""
    picture = comparison_bars(found)
    return _led(comparison_document(found), "" if picture is None else to_svg(picture))


def selection_fragment(found: "Selection") -> str:
    """Return the choices of `choose`: their verdict, today and looped as a picture, and their table."""
    picture = chosen_front(found)
    return _led(selection_document(found), "" if picture is None else to_svg(picture))


def request_fragment(found: "Request") -> str:
    """Return a Request: its verdict, both sides as bars, and its table."""
    return _led(request_document(found), to_svg(request_bars(found)))


def sweep_fragment(found: "Sweep") -> str:
    """Return a Sweep: what is the same at all points, a picture, and the first rows of what is not."""
    plain = found.to_dict()
    axes = [COLUMN_OF.get(axis, axis) for axis in found.axes]
    picture = sweep_picture(plain, found.axes, found.shape)
    same = [name for name, values in plain.items() if len(set(values)) == 1] if len(found) > 1 else []
    said = ", ".join(setting(name, plain[name][0]) for name in same if name in axes)
    told = [name for name in (*axes, *_TOLD) if name in plain] if set(_TOLD) <= set(plain) else list(plain)
    shown = {name: plain[name][:_MOST_ROWS] for name in told if name not in same}
    rows = [tuple(_cell(value) for value in row) for row in zip(*shown.values(), strict=True)]
    first = Table(
        tuple(shown), rows, frozenset(i for i, values in enumerate(shown.values()) if not isinstance(values[0], str))
    )
    more = [f"and {len(found) - _MOST_ROWS:,} more"] if len(found) > _MOST_ROWS else []
    return _led(
        Document([f"{len(found):,} points" + (f": {said}" if said else ""), first, *more]),
        "" if picture is None else to_svg(picture),
    )


def _led(document: Document, picture: str) -> str:
    first, *parts = document.parts
    return f"<p><b>{markup(str(first))}</b></p>{_picture(picture)}{''.join(_part(part) for part in parts)}"


def _picture(svg: str) -> str:
    return f'<div style="max-width:860px;overflow-x:auto">{svg}</div>' if svg else ""


def _part(part: str | Table) -> str:
    if isinstance(part, str):
        return f"<p>{markup(part)}</p>"
    return table(part.header, part.rows, numbers=part.right, styled=True)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, float | int):
        return str(value)
    return rate(value) if isinstance(value, float) else f"{value:,}"
