"""A sweep over one axis: a line for each choice of the others."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Lines
from perfmodel.report.pictures.axes import (
    AXIS_WORDS,
    MARGIN,
    SERIES,
    WIDTH,
    Frame,
    finish,
    head,
    scaled_ticks,
    x_axis,
    y_axis,
)
from perfmodel.report.scales import Scale, linear_scale, log_scale, shortened, text_width, tokens_label, unit_of

_SCARCE = 40  # points of a line that still get a marker each


def lines(data: Lines, *, inline: bool = False) -> str:
    """Return the rates on the left, before dashed and after whole, and on the right the speed-up with its interval."""
    parts, y = head(data), 74.0
    key, y = _key(data, y)
    parts += key
    top = y + 22
    bottom = top + 260
    for left, right, rates in ((MARGIN + 58, 424.0, True), (500.0, WIDTH - MARGIN - 8, False)):
        frame = Frame(left, top, right, bottom)
        x = _x_scale(data, frame)
        parts += _x_axis(data, frame, x) + (_rates(data, frame, x) if rates else _speedups(data, frame, x))
    note = "Dashed: before; whole lines: after; bands: intervals of the speed-up."
    if not all(fits for line in data.lines for fits in line.fits):
        note += " Hollow markers: weights and cache do not fit into memory there."
    if data.left_out:
        note += f" Lines that had no room here: {data.left_out}."
    return finish(parts, data, bottom + 46, note, inline=inline)


def _x_scale(data: Lines, frame: Frame) -> Scale:
    least, most = min(data.at), max(data.at)
    if least > 0 and (data.axis in AXIS_WORDS or most / least > 50):
        return log_scale(data.at, frame.left, frame.right, room=1.15)
    return linear_scale(data.at, frame.left, frame.right, zero=False)


def _x_axis(data: Lines, frame: Frame, scale: Scale) -> list[str]:
    if data.axis in AXIS_WORDS:
        shown = (lambda value: tokens_label(round(value))) if data.axis == "context" else None
        return x_axis(frame, scale, AXIS_WORDS[data.axis], shown, ticks=sorted(data.at))
    unit, factor = unit_of(max(abs(at) for at in data.at), data.unit) if data.unit != "1" else ("-", 1.0)
    words = shortened(f"{data.axis} [{unit}]", frame.right - frame.left, 12)
    return x_axis(frame, scale, words, ticks=scaled_ticks(scale, factor, 5), factor=factor)


def _rates(data: Lines, frame: Frame, x: Scale) -> list[str]:
    ends = [value for line in data.lines for value in (*line.before, *line.after)]
    y = (
        log_scale(ends, frame.bottom, frame.top)
        if max(ends) / min(ends) > 30
        else linear_scale(ends, frame.bottom, frame.top)
    )
    parts = y_axis(frame, y, "rate [tok/s, all sequences]")
    for look, line in zip(SERIES, data.lines, strict=False):
        at = [x.place(a) for a in data.at]
        parts.append(
            d.polyline(
                zip(at, map(y.place, line.before), strict=True),
                colour=look.colour,
                kind=look.kind or "line",
                width=1.4,
                dash="5,4",
            )
        )
        parts.append(
            d.polyline(zip(at, map(y.place, line.after), strict=True), colour=look.colour, kind=look.kind or "line")
        )
        parts += [
            d.marker(
                px,
                y.place(value),
                look.shape,
                colour=look.colour,
                kind=look.kind,
                hollow=not fits,
                data={"line": line.name, "at": repr(a), "value": repr(value)},
            )
            for a, px, value, fits in zip(data.at, at, line.after, line.fits, strict=True)
            if len(at) <= _SCARCE
        ]
    return parts


def _speedups(data: Lines, frame: Frame, x: Scale) -> list[str]:
    y = linear_scale(
        [0.95, *(end for line in data.lines for end in (*line.speedup.low, *line.speedup.high))],
        frame.bottom,
        frame.top,
        zero=False,
    )
    parts = [
        *y_axis(frame, y, "speed-up [x]"),
        d.line(frame.left, y.place(1.0), frame.right, y.place(1.0), kind="edge", colour=d.INK, width=1.2, dash="2,3"),
    ]
    at = [x.place(a) for a in data.at]
    for look, line in zip(SERIES, data.lines, strict=False):
        low, high = ([y.place(value) for value in ends] for ends in (line.speedup.low, line.speedup.high))
        parts.append(
            d.polygon(
                [*zip(at, high, strict=True), *zip(reversed(at), reversed(low), strict=True)],
                colour=look.colour,
                opacity=0.12,
            )
        )
    for look, line in zip(SERIES, data.lines, strict=False):
        parts.append(
            d.polyline(
                zip(at, map(y.place, line.speedup.values), strict=True), colour=look.colour, kind=look.kind or "line"
            )
        )
        parts += [
            d.marker(px, y.place(value), look.shape, colour=look.colour, kind=look.kind, hollow=not fits)
            for px, value, fits in zip(at, line.speedup.values, line.fits, strict=True)
            if len(at) <= _SCARCE
        ]
    return parts


def _key(data: Lines, y: float) -> tuple[list[str], float]:
    """Return the names of the lines with their looks, in as many rows as they need, and where the last row lies [px]."""
    parts: list[str] = []
    if not any(line.name for line in data.lines):
        return parts, y - 12
    x = start = MARGIN + 8
    for look, line in zip(SERIES, data.lines, strict=False):
        words = shortened(line.name, WIDTH - 2 * start - 50, 12)
        room = 42 + text_width(words, 12) + 24
        if x > start and x + room > WIDTH - MARGIN + 24:
            x, y = start, y + 18
        parts.append(d.polyline([(x, y), (x + 34, y)], colour=look.colour, kind=look.kind or "line"))
        parts.append(d.marker(x + 17, y, look.shape, colour=look.colour, kind=look.kind))
        parts.append(d.text(x + 42, y + 4, words))
        x += room
    return parts, y
