"""The numbers of a picture as small bars of characters, for a terminal or a pipe."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report.pictures.curves import Curves
from perfmodel.report.pictures.fronts import Front
from perfmodel.report.pictures.lines import Lines
from perfmodel.report.pictures.maps import Map
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.requests import RequestBars
from perfmodel.report.pictures.rooflines import Roofline
from perfmodel.report.pictures.scatters import Validated
from perfmodel.report.pictures.sidebars import Bars
from perfmodel.report.pictures.tornados import Tornado
from perfmodel.report.pictures.waterfalls import Waterfall
from perfmodel.report.text import Document, Table
from perfmodel.report.words import number_label, percent, rate, term_label, time, tokens_label
from perfmodel.units import format_quantity

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_WIDTH = 24
_LONGEST_NAMES = 34


def bar(start: float, end: float, largest: float, width: int = _WIDTH) -> str:
    """Return a bar from `start` to `end` where `largest` is `width` characters long; any length over zero shows.

    >>> bar(0, 1.5, 4, 8)
    '███'
    >>> bar(2, 3, 4, 8)
    '    ██'
    """
    if end <= start or largest <= 0:
        return ""
    # A bar that does not begin at zero begins at a whole character: there is no character filled from the right.
    first = int(width * start / largest)
    eighths = max(1, round(8 * (width * end / largest - first)))
    return " " * first + "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def document(data: Picture, *, title: str | None = None, caption: bool = True) -> Document:
    """Return the picture as a title, the question, and a table with bars.

    title: in place of the usual one; '' leaves it out. caption: whether the question is said.
    """
    return Document(
        [
            part
            for part in (title if title is not None else data.heading(), data.caption.question if caption else "")
            if part
        ]
        + [picture_table(data)]
    )


def picture_table(data: Picture) -> Table:
    """Return the table with bars alone."""
    makers: dict[type, Callable[..., Table]] = {
        Waterfall: _waterfall,
        Roofline: _roofline,
        Curves: _curves,
        Map: _map,
        Tornado: _tornado,
        Validated: _validated,
        Lines: _lines,
        Bars: _choices,
        Front: _front,
        RequestBars: _request,
    }
    return makers[type(data)](data)


def _roofline(data: Roofline) -> Table:
    groups = [
        (
            _names(p.names),
            f"{p.intensity:.3g}",
            format_quantity(p.rate, "FLOP/s", 3),
            percent(p.share, 1),
            bar(0, p.share, 1.0, 16),
        )
        for p in data.points
    ]
    return Table(("operations", "FLOP/B", "rate", "of the bytes", ""), groups, frozenset({1, 2, 3}), frozenset({4}))


def _map(data: Map) -> Table:
    head = ("context \\ batch", *(number_label(b) for b in data.batches))
    cells = [
        (
            tokens_label(c),
            *(f"{v:.2f}" + ("" if fits else "*") for v, fits in zip(data.speedup[i], data.fits[i], strict=True)),
        )
        for i, c in enumerate(data.contexts)
    ]
    return Table(head, cells, frozenset(range(1, len(head))))


def _tornado(data: Tornado) -> Table:
    longest = max((abs(b.at_high - b.at_low) for b in data.bars), default=1.0)
    rows = [
        (
            b.name,
            f"{b.low} to {b.high}",
            f"{b.at_low:.4g} to {b.at_high:.4g}",
            bar(0, abs(b.at_high - b.at_low), longest, 12),
        )
        for b in data.bars
    ]
    return Table(("assumption", "interval", data.figure, "swing"), rows, bars=frozenset({3}))


def _lines(data: Lines) -> Table:
    largest = max(value for line in data.lines for value in line.after)
    shown = (lambda at: tokens_label(round(at))) if data.axis == "context" else number_label
    rows = [
        (
            line.name,
            shown(at) if data.unit == "1" else format_quantity(at, data.unit, 3),
            rate(line.after[i]) + ("" if line.fits[i] else "*"),
            bar(0, line.after[i], largest, 14),
            f"{line.speedup.values[i]:.2f} x",
        )
        for line in data.lines
        for i, at in enumerate(data.at)
    ]
    return Table(("", data.axis, "after tok/s", "", "speed-up"), rows, frozenset({1, 2, 4}), frozenset({3}))


def _choices(data: Bars) -> Table:
    largest = max(b.rate for b in data.bars)
    rows = [
        (
            b.name,
            rate(b.rate) + ("" if b.fits else "*"),
            bar(0, b.rate, largest),
            "" if b.gain is None else f"{b.gain:.2f} x",
        )
        for b in data.bars
    ]
    gain = "gain" if any(b.gain is not None for b in data.bars) else ""
    return Table(("", "tok/s", "", gain), rows, frozenset({1, 3}), frozenset({2}))


def _front(data: Front) -> Table:
    largest = max(point.rate for point in data.points)
    ranked = any(point.looped for point in data.points)
    rows = [
        (point.name, rate(point.rate_per_user), rate(point.rate), bar(0, point.rate, largest, 16))
        for point in (data.points if ranked else data.on_front())
    ]
    return Table(
        ("best first, today" if ranked else "on the front", "tok/s per user", "tok/s", ""),
        rows,
        frozenset({1, 2}),
        frozenset({3}),
    )


def _request(data: RequestBars) -> Table:
    largest = max(side.time for side in data.bars)
    rows = [
        (f"{side.side}: {side.mode}", words, format_quantity(end - start, "s", 3), bar(start, end, largest))
        for side in data.bars
        for words, start, end in (
            ("first token", 0.0, side.time_to_first_token),
            ("further tokens", side.time_to_first_token, side.time),
            ("end to end", 0.0, side.time),
        )
    ]
    return Table(("", "", "time", ""), rows, frozenset({2}), frozenset({3}))


def _names(names: Sequence[str]) -> str:
    """The first names, as many as one line takes."""
    words = [name.replace("_", " ") for name in names]
    lines = [
        ", ".join(words[:count]) + (f" and {len(words) - count} more" if count < len(words) else "")
        for count in range(len(words), 0, -1)
    ]
    return next((line for line in lines if len(line) <= _LONGEST_NAMES), lines[-1])


def _waterfall(data: Waterfall) -> Table:
    largest = max(data.before.step, data.after.step)
    rows: list[tuple[str, ...]] = [
        (
            "peak",
            format_quantity(data.peak, "s", 3),
            bar(0, data.peak, largest),
            format_quantity(data.peak, "s", 3),
            bar(0, data.peak, largest),
        )
    ]
    starts = [0.0, 0.0]
    for i, term in enumerate(TERM_NAMES):
        cells: list[str] = [term_label(term)]
        for j, side in enumerate((data.before, data.after)):
            cells += [time(side.terms[i], 3), bar(starts[j], starts[j] + side.terms[i], largest)]
            starts[j] += side.terms[i]
        if data.before.terms[i] or data.after.terms[i]:
            rows.append(tuple(cells))
    steps = [
        cell
        for side in (data.before, data.after)
        for cell in (format_quantity(side.step, "s", 3), bar(0, side.step, largest))
    ]
    rows.append(("step", *steps))
    return Table(("", "before", data.before.mode, "after", data.after.mode), rows, frozenset({1, 3}), frozenset({2, 4}))


def _curves(data: Curves) -> Table:
    largest = max(data.after.values + data.before.values)
    shown = tokens_label if data.axis == "context" else number_label
    rows = []
    for i, at in enumerate(data.at):
        before, after = data.before.values[i], data.after.values[i]
        rows.append(
            (
                shown(at) + ("" if data.fits[i] else "*"),
                f"{before:,.4g}",
                bar(0, before, largest, 14),
                f"{after:,.4g}",
                bar(0, after, largest, 14),
                f"{data.speedup.values[i]:.2f} x",
            )
        )
    return Table(
        (data.axis, "before", data.unit, "after", data.unit, "speed-up"),
        rows,
        frozenset({0, 1, 3, 5}),
        frozenset({2, 4}),
    )


def _validated(data: Validated) -> Table:
    """A histogram of predicted over measured time."""
    edges = (0.0, 0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, float("inf"))
    ratios = [p.predicted / p.measured for p in data.points]
    counts = [sum(low <= r < high for r in ratios) for low, high in pairwise(edges)]
    names = [
        f"under {edges[1]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges[1:-1])),
        f"over {edges[-2]:g}",
    ]
    rows = [(name, str(count), bar(0, count, max(counts), 40)) for name, count in zip(names, counts, strict=True)]
    return Table(("predicted / measured", "rows", ""), rows, frozenset({1}), frozenset({2}))
