"""Rates over one axis, with fraction of peak or speed-up beside them, and their intervals as bands."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Band, Curves
from perfmodel.report.pictures.axes import (
    AFTER,
    AXIS_WORDS,
    BEFORE,
    MARGIN,
    PEAK,
    WIDTH,
    Frame,
    Look,
    finish,
    head,
    x_axis,
    y_axis,
)
from perfmodel.report.scales import Scale, linear_scale, log_scale, text_width, tokens_label


def curves(data: Curves, *, inline: bool = False) -> str:
    """Return rates on the left and, on the right, fraction of peak or speed-up, with their intervals as bands."""
    top, bottom = 112.0, 372.0
    left, right = Frame(MARGIN + 58, top, 424.0, bottom), Frame(500.0, top, WIDTH - MARGIN - 8, bottom)
    parts = head(data) + _legend(data, 80.0)
    for frame, rates in ((left, True), (right, False)):
        x = log_scale([float(a) for a in data.at], frame.left, frame.right, room=1.25)
        parts += x_axis(
            frame,
            x,
            AXIS_WORDS[data.axis],
            _whole_tokens if data.axis == "context" else None,
            ticks=[float(a) for a in data.at],
        )
        parts += _rate_curves(data, frame, x) if rates else _share_curves(data, frame, x)
        for words, place in data.marks:
            if x.low < place < x.high:
                spot = x.place(place)
                parts.append(
                    d.line(spot, frame.top, spot, frame.bottom, kind="edge", colour=d.INK, width=1, dash="8,3,2,3")
                )
                # The words stand where there is room.
                anchor, off = ("end", -5) if spot - frame.left > text_width(words, 11) + 10 else ("start", 5)
                if not rates:
                    parts.append(
                        d.text(
                            spot + off,
                            frame.top + 12 if _is_low(data) else frame.bottom - 8,
                            words,
                            size=11,
                            anchor=anchor,
                        )
                    )
    note = "Bands: intervals of the assumptions." + (
        "" if all(data.fits) else " Hollow markers: weights and cache do not fit into memory there."
    )
    return finish(parts, data, bottom + 46, note, inline=inline)


def _is_low(data: Curves) -> bool:
    """Whether the curves on the right end near the bottom of their frame."""
    if data.axis == "devices":
        return data.before_fraction.low[-1] < 0.25 * _highest_share(data)
    return True


def _highest_share(data: Curves) -> float:
    """The upper end of the axis of shares: all of the peak, or less where little of it is reached."""
    highest = max(*data.before_fraction.high, *data.after_fraction.high)
    return 1.0 if highest > 0.4 else 1.3 * highest


def _whole_tokens(value: float) -> str:
    return tokens_label(round(value))


def _rate_curves(data: Curves, frame: Frame, x: Scale) -> list[str]:
    ends = [*data.before.low, *data.after.high, *data.peak]
    wide = max(ends) / min(ends) > 30
    y = log_scale(ends, frame.bottom, frame.top) if wide else linear_scale(ends, frame.bottom, frame.top)
    parts = y_axis(frame, y, f"rate [{data.unit}, all sequences]" if data.axis == "batch" else f"rate [{data.unit}]")
    parts.append(
        d.polyline(
            [(x.place(a), y.place(v)) for a, v in zip(data.at, data.peak, strict=True)],
            colour=PEAK.colour,
            kind=PEAK.kind,
            width=1.5,
            dash=PEAK.dash,
        )
    )
    return (
        parts
        + _banded(data, data.before, BEFORE, x, y, "before.tokens_per_second")
        + _banded(data, data.after, AFTER, x, y, "after.tokens_per_second")
    )


def _share_curves(data: Curves, frame: Frame, x: Scale) -> list[str]:
    if data.axis == "devices":
        y = Scale(0.0, _highest_share(data), frame.bottom, frame.top)
        parts = y_axis(frame, y, "fraction of peak [%]", lambda value: f"{100 * value:.3g}")
        return (
            parts
            + _banded(data, data.before_fraction, BEFORE, x, y, "before.fraction_of_peak")
            + _banded(data, data.after_fraction, AFTER, x, y, "after.fraction_of_peak")
        )
    y = linear_scale([0.9, *data.speedup.low, *data.speedup.high], frame.bottom, frame.top, zero=False)
    parts = y_axis(frame, y, "speed-up [x]")
    parts.append(
        d.line(frame.left, y.place(1.0), frame.right, y.place(1.0), kind="edge", colour=d.INK, width=1.2, dash="2,3")
    )
    return parts + _banded(data, data.speedup, AFTER, x, y, "speedup")


def _banded(data: Curves, band: Band, look: Look, x: Scale, y: Scale, name: str) -> list[str]:
    at = [x.place(a) for a in data.at]
    low, high = [y.place(v) for v in band.low], [y.place(v) for v in band.high]
    outline = list(zip(at, high, strict=True)) + list(zip(reversed(at), reversed(low), strict=True))
    parts = [d.polygon(outline, colour=look.colour, opacity=0.16)]
    parts += [
        d.polyline(zip(at, ends, strict=True), colour=look.colour, kind=look.kind or "line", width=0.7, dash=look.dash)
        for ends in (low, high)
    ]
    middle = [y.place(v) for v in band.values]
    if len(at) == 1:
        # One point has no band, but an interval still.
        parts.append(
            d.line(
                at[0], low[0], at[0], high[0], kind=look.kind or "line", colour=look.colour, width=1.2, dash=look.dash
            )
        )
    parts.append(d.polyline(zip(at, middle, strict=True), colour=look.colour, kind=look.kind or "line", dash=look.dash))
    for i, (px, py) in enumerate(zip(at, middle, strict=True)):
        parts.append(
            d.marker(
                px,
                py,
                look.shape,
                colour=look.colour,
                kind=look.kind,
                hollow=not data.fits[i],
                data={"curve": name, "at": str(data.at[i])},
            )
        )
    return parts


def _legend(data: Curves, y: float) -> list[str]:
    parts: list[str] = []
    x = MARGIN + 58
    for look, words in (
        (PEAK, "peak"),
        (BEFORE, f"before: {data.modes[0]}"),
        (AFTER, f"after: {data.modes[1]}" + ("" if data.axis == "devices" else ", and its speed-up")),
    ):
        parts.append(
            d.polyline([(x, y), (x + 34, y)], colour=look.colour, kind=look.kind or "line", dash=look.dash, width=2)
        )
        if look.shape:
            parts.append(d.marker(x + 17, y, look.shape, colour=look.colour, kind=look.kind))
        parts.append(d.text(x + 42, y + 4, words))
        x += 42 + text_width(words, 12) + 26
    return parts
