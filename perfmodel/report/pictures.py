"""Pictures: plain data to SVG text. Every mark that stands for a number has its place from a Scale; nothing here computes a time."""

from collections.abc import Callable, Sequence

import msgspec

from perfmodel.picturedata import Band, Caption, Curves, Map, Measured, Picture, Roofline, SideBars, Tornado, TornadoBar, Validated, Waterfall
from perfmodel.report import drawing as d
from perfmodel.report.scales import Scale, digits_of, linear_scale, log_scale, number_label, shortened, text_width, tokens_label, unit_of, wrapped
from perfmodel.terms import TERM_NAMES
from perfmodel.units import format_quantity

WIDTH = 860.0
_MARGIN = 16.0
_LINE = 14.0  # height of a line of small text [px]

# Colour and hatch of each term, the same in every picture.
TERM_PAINTS = {
    "peak": d.Paint(d.GREY), "stream": d.Paint(d.SKY), "compute": d.Paint(d.ORANGE, "dotted"), "boundary": d.Paint(d.VERMILLION, "rising"),
    "collective": d.Paint(d.GREEN, "falling"), "latency": d.Paint(d.PURPLE, "flat"), "host": d.Paint(d.YELLOW, "upright"),
}  # fmt: skip


class _Look(msgspec.Struct, frozen=True):
    """How a curve is drawn: colour, dashes, marker, and the class that a dark scheme brightens."""

    colour: str
    dash: str
    shape: str
    kind: str = ""


_BEFORE = _Look(d.VERMILLION, "6,4", "square")
_AFTER = _Look(d.BLUE, "", "circle", "blue")
_PEAK = _Look(d.INK, "2,3", "", "edge")


class _Frame(msgspec.Struct, frozen=True):
    """The area of a plot [px]."""

    left: float
    top: float
    right: float
    bottom: float


def draw(data: Picture, *, inline: bool = False) -> str:
    """Return the picture of `data` as SVG.

    inline: for a page, which holds the style sheet and writes the caption itself.
    """
    makers: dict[type, Callable[..., str]] = {Waterfall: waterfall, Roofline: roofline, Curves: curves, Map: speedup_map, Tornado: tornado, Validated: validation}
    return makers[type(data)](data, inline=inline)


def title_of(data: Picture) -> str:
    """Return the title of a picture."""
    if isinstance(data, Waterfall):
        return "Where the time of a step goes"
    if isinstance(data, Roofline):
        return f"The operations under the roofs of one {data.hardware}"
    if isinstance(data, Curves):
        return {"devices": "Rate and fraction of peak over devices", "context": "Rate and speed-up over context", "batch": "Rate and speed-up over batch"}[data.axis]
    if isinstance(data, Map):
        return f"Speed-up by {data.modes[1]} over {data.modes[0]}, by batch and context"
    if isinstance(data, Tornado):
        return f"Which assumption moves the {_figure_words(data.figure)} how far"
    return "Predicted against measured time per step"


def waterfall(data: Waterfall, *, inline: bool = False) -> str:
    """Return the terms of both sides as bars, each starting where the one above ends."""
    rows = ("peak", *TERM_NAMES, "step")
    top, height, label, values, gap = 96.0, 27.0, 82.0, 118.0, 22.0
    bars = (WIDTH - 2 * _MARGIN - label - 2 * values - gap) / 2
    unit, factor = unit_of(max(data.before.high, data.after.high), "s")
    bottom = top + height * len(rows)
    parts = _head(data)
    for i, name in enumerate(rows):
        parts.append(d.text(_MARGIN + label - 8, top + height * (i + 0.5) + 4, name, anchor="end", bold=name == "step"))
    for index, (name, side) in enumerate((("before", data.before), ("after", data.after))):
        left = _MARGIN + label + index * (bars + values + gap)
        scale = Scale(0.0, max(data.before.high, data.after.high) * 1.02, left, left + bars)
        frame = _Frame(left, top, left + bars, bottom)
        parts.append(d.text(left, top - 24, f"{name}: {side.mode}", size=13, bold=True))
        parts.append(d.text(left, top - 9, f"{side.kernel_calls:,} kernel calls", size=11, kind="soft"))
        parts += _x_axis(frame, scale, f"time of a step [{unit}]", ticks=_scaled_ticks(scale, factor, 4), factor=factor)
        parts += _waterfall_side(data, name, side, frame, scale, height)
    low, high = data.speedup[1:]
    parts.append(d.text(WIDTH - _MARGIN, 30, f"speed-up {data.speedup[0]:.3g} x ({low:.3g} to {high:.3g})", size=13, anchor="end", bold=True))
    note = "Dotted line: peak, all bytes of the step at the datasheet bandwidth. The thin bar at the end of step is the interval of the whole step."
    return _finish(parts, data, bottom + 46, note, inline=inline)


def _waterfall_side(data: Waterfall, name: str, side: SideBars, frame: _Frame, scale: Scale, height: float) -> list[str]:
    parts = [d.line(scale.place(data.peak), frame.top, scale.place(data.peak), frame.bottom, kind="edge", colour=d.INK, dash="2,3")]
    start = 0.0
    for i, (term, time) in enumerate([("peak", data.peak), *zip(TERM_NAMES, side.terms, strict=True), ("step", side.step)]):
        y = frame.top + height * i
        from_time = 0.0 if term in ("peak", "step") else start
        x, end = scale.place(from_time), scale.place(from_time + time)
        middle = y + height / 2
        if time > 0:
            paint = TERM_PAINTS.get(term, d.Paint("#8c8c8c"))
            parts.append(d.rectangle(x, y + 4, end - x, height - 8, paint, data={"side": name, "term": term}))
        if term in TERM_NAMES:
            start += time
            parts.append(d.line(end, y + (height - 4 if time > 0 else -4), end, y + height + 4, width=0.8))
        if term == "step":
            low, high = scale.place(side.low), scale.place(side.high)
            parts += [
                d.line(low, middle, high, middle, kind="edge", colour=d.INK, width=1.5),
                *(d.line(e, middle - 5, e, middle + 5, kind="edge", colour=d.INK, width=1.5) for e in (low, high)),
            ]
        right = frame.right + 64
        parts.append(d.text(right, middle + 4, format_quantity(time, "s", 3) if time else "0", anchor="end", bold=term == "step"))
        parts.append(d.text(right + 50, middle + 4, f"{time / side.step:.0%}".replace("%", " %"), anchor="end", kind="soft"))
    return parts


def roofline(data: Roofline, *, inline: bool = False) -> str:
    """Return the operations on the roofs, lettered, with a key beside them."""
    frame = _Frame(_MARGIN + 62, 86.0, 520.0, 420.0)
    ridge = data.rates[0][1] / data.bandwidth
    intensities = [p.intensity for p in data.points] + [data.step_intensity]
    x = log_scale([*intensities, ridge * 6, 0.3], frame.left, frame.right, room=1.6)
    rates = [p.rate for p in data.points] + list(data.step_rates[:2])
    y = log_scale([*rates, *(rate for _, rate in data.rates if rate < 5 * data.rates[0][1])], frame.bottom, frame.top, room=1.5)
    parts = _head(data)
    parts += _x_axis(frame, x, "arithmetic intensity [FLOP/B]")
    parts += _y_axis(frame, y, "rate on one device [FLOP/s]", lambda value: format_quantity(value, "FLOP/s").removesuffix("FLOP/s").strip())
    lines = [(f"{data.rates[0][0]} datasheet, {format_quantity(data.rates[0][1], 'FLOP/s', 3)}", data.bandwidth, data.rates[0][1], ""),
             ("sustained", data.sustained_bandwidth, data.sustained_rate, "6,4")]  # fmt: skip
    for index, (_, bandwidth, rate, dash) in enumerate(lines):
        corner = rate / bandwidth
        start = max(x.low, y.low / bandwidth)
        path = [(x.place(start), y.place(start * bandwidth)), (x.place(corner), y.place(rate)), (x.place(x.high), y.place(rate))]
        parts.append(d.polyline(path, colour=d.INK if index == 0 else d.BLUE, kind="edge" if index == 0 else "blue", width=2 if index == 0 else 1.6, dash=dash))
    parts += _other_roofs(data, frame, x, y) + _roofline_points(data, x, y)
    key = 544.0
    at = 92.0
    parts += [
        d.line(key, at, key + 26, at, kind="edge", colour=d.INK, width=2),
        d.text(key + 34, at + 4, f"datasheet: {format_quantity(data.bandwidth, 'B/s', 3)}, {format_quantity(data.rates[0][1], 'FLOP/s', 3)} {data.rates[0][0]}", size=11),
    ]
    at += 17
    parts += [
        d.line(key, at, key + 26, at, kind="blue", colour=d.BLUE, width=1.6, dash="6,4"),
        d.text(key + 34, at + 4, f"sustained: {format_quantity(data.sustained_bandwidth, 'B/s', 3)}, {format_quantity(data.sustained_rate, 'FLOP/s', 3)}", size=11),
    ]
    at += 17
    marks = ((f"the whole step, {data.modes[0]}", _BEFORE), (f"the whole step, {data.modes[1]}", _AFTER))
    for label, look in marks:
        parts += [d.marker(key + 13, at, look.shape, colour=look.colour, kind=look.kind, size=5), d.text(key + 34, at + 4, label, size=11)]
        at += 17
    at += 8
    parts.append(d.text(key, at, "operations", size=11, bold=True))
    parts.append(d.text(WIDTH - _MARGIN, at, "FLOP/B", size=11, bold=True, anchor="end"))
    parts.append(d.text(WIDTH - _MARGIN - 56, at, "of bytes", size=11, bold=True, anchor="end"))
    room = int((frame.bottom + 40 - at) // _LINE)
    for letter, point in zip(_LETTERS, data.points, strict=False):
        share = f"{point.share:.1%}" if point.share >= 0.001 else "< 0.1%"
        words_room = WIDTH - _MARGIN - key - 18 - 108
        lines_of = wrapped(", ".join(point.names).replace("_", " "), words_room, 11)
        lines_of = lines_of if len(lines_of) <= 2 else (lines_of[0], shortened(f"{lines_of[1]} {lines_of[2]}", words_room, 11))
        if room < len(lines_of) + 1:
            parts.append(d.text(key + 18, at + _LINE, "and others of few bytes", size=11, kind="soft"))
            break
        parts.append(d.text(key, at + _LINE, letter, size=11, bold=True))
        parts.append(d.text(WIDTH - _MARGIN, at + _LINE, number_label(point.intensity), size=11, anchor="end"))
        parts.append(d.text(WIDTH - _MARGIN - 56, at + _LINE, share.replace("%", " %"), size=11, anchor="end"))
        for words in lines_of:
            at += _LINE
            room -= 1
            parts.append(d.text(key + 18, at, words, size=11))
        at += 2
    note = "Operations lie where the equations put them, under the sustained roofs; the whole step lies lower by what boundaries, collectives and stages cost."
    return _finish(parts, data, frame.bottom + 50, note, inline=inline)


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _other_roofs(data: Roofline, frame: _Frame, x: Scale, y: Scale) -> list[str]:
    """The flat roofs of arithmetic formats that this step does not use, where there is room for their names."""
    parts: list[str] = []
    taken = [y.place(data.rates[0][1]), y.place(data.sustained_rate)]
    for name, rate in data.rates[1:]:
        corner, height = x.place(rate / data.bandwidth), y.place(rate)
        if frame.left < corner < frame.right - 60 and height > frame.top and all(abs(height - other) > 13 for other in taken):
            taken.append(height)
            parts += [d.line(corner, height, frame.right, height, width=0.8, dash="1,3"), d.text(frame.right - 2, height - 3, name, size=10, anchor="end", kind="soft")]
    return parts


def _roofline_points(data: Roofline, x: Scale, y: Scale) -> list[str]:
    parts: list[str] = []
    before, after, peak = data.step_rates
    at = x.place(data.step_intensity)
    parts.append(d.line(at, y.place(before), at, y.place(min(peak, data.rates[0][1])), kind="edge", colour=d.INK, width=1, dash="2,2"))
    spots: list[tuple[float, float]] = []
    for letter, point in zip(_LETTERS, data.points, strict=False):
        px, py = x.place(point.intensity), y.place(point.rate)
        parts.append(d.marker(px, py, "diamond", colour=d.GREEN, hollow=point.share < 0.01, size=4.2, data={"operations": " ".join(point.names)}))
        # Letters stand over the roof, higher up where another is in the way.
        spot = (px - 6.0, py - 10.0)
        while any(abs(spot[0] - ox) < 11 and abs(spot[1] - oy) < 11 for ox, oy in spots):
            spot = (spot[0] - 2.0, spot[1] - 6.0)
        spots.append(spot)
        if spot[1] < py - 18:
            parts.append(d.line(spot[0], spot[1] + 2, px, py - 5, width=0.7))
        parts.append(d.text(*spot, letter, size=11, anchor="middle", bold=True))
    parts.append(d.marker(at, y.place(before), _BEFORE.shape, colour=_BEFORE.colour, size=5, data={"step": "before"}))
    parts.append(d.marker(at, y.place(after), _AFTER.shape, colour=_AFTER.colour, kind=_AFTER.kind, size=5, data={"step": "after"}))
    return parts


def curves(data: Curves, *, inline: bool = False) -> str:
    """Return rates on the left and, on the right, fraction of peak or speed-up, with their intervals as bands."""
    top, bottom = 112.0, 372.0
    left, right = _Frame(_MARGIN + 58, top, 424.0, bottom), _Frame(500.0, top, WIDTH - _MARGIN - 8, bottom)
    parts = _head(data) + _legend(data, 80.0)
    for frame, rates in ((left, True), (right, False)):
        x = log_scale([float(a) for a in data.at], frame.left, frame.right, room=1.25)
        parts += _x_axis(frame, x, _AXIS_WORDS[data.axis], _whole_tokens if data.axis == "context" else None, ticks=[float(a) for a in data.at])
        parts += _rate_curves(data, frame, x) if rates else _share_curves(data, frame, x)
        for words, place in data.marks:
            if x.low < place < x.high:
                spot = x.place(place)
                parts.append(d.line(spot, frame.top, spot, frame.bottom, kind="edge", colour=d.INK, width=1, dash="8,3,2,3"))
                # The words stand where there is room.
                anchor, off = ("end", -5) if spot - frame.left > text_width(words, 11) + 10 else ("start", 5)
                if not rates:
                    parts.append(d.text(spot + off, frame.bottom - 8, words, size=11, anchor=anchor))
    note = "Bands: intervals of the assumptions." + ("" if all(data.fits) else " Hollow markers: weights and cache do not fit into memory there.")
    return _finish(parts, data, bottom + 46, note, inline=inline)


_AXIS_WORDS = {"devices": "devices [-]", "context": "context [tokens in the cache of each sequence; k = 1,024]", "batch": "batch [sequences in a step]"}


def _whole_tokens(value: float) -> str:
    return tokens_label(round(value))


def _rate_curves(data: Curves, frame: _Frame, x: Scale) -> list[str]:
    ends = [*data.before.low, *data.after.high, *data.peak]
    wide = max(ends) / min(ends) > 30
    y = log_scale(ends, frame.bottom, frame.top) if wide else linear_scale(ends, frame.bottom, frame.top)
    parts = _y_axis(frame, y, "rate [tok/s, all sequences]" if data.axis == "batch" else "rate [tok/s]")
    parts.append(d.polyline([(x.place(a), y.place(v)) for a, v in zip(data.at, data.peak, strict=True)], colour=_PEAK.colour, kind=_PEAK.kind, width=1.5, dash=_PEAK.dash))
    return parts + _banded(data, data.before, _BEFORE, x, y, "before.tokens_per_second") + _banded(data, data.after, _AFTER, x, y, "after.tokens_per_second")


def _share_curves(data: Curves, frame: _Frame, x: Scale) -> list[str]:
    if data.axis == "devices":
        y = Scale(0.0, 1.0, frame.bottom, frame.top)
        parts = _y_axis(frame, y, "fraction of peak [%]", lambda value: f"{100 * value:.0f}")
        return parts + _banded(data, data.before_fraction, _BEFORE, x, y, "before.fraction_of_peak") + _banded(data, data.after_fraction, _AFTER, x, y, "after.fraction_of_peak")
    y = linear_scale([0.9, *data.speedup.low, *data.speedup.high], frame.bottom, frame.top, zero=False)
    parts = _y_axis(frame, y, "speed-up [x]")
    parts.append(d.line(frame.left, y.place(1.0), frame.right, y.place(1.0), kind="edge", colour=d.INK, width=1.2, dash="2,3"))
    return parts + _banded(data, data.speedup, _AFTER, x, y, "speedup")


def _banded(data: Curves, band: Band, look: _Look, x: Scale, y: Scale, name: str) -> list[str]:
    at = [x.place(a) for a in data.at]
    low, high = [y.place(v) for v in band.low], [y.place(v) for v in band.high]
    outline = list(zip(at, high, strict=True)) + list(zip(reversed(at), reversed(low), strict=True))
    parts = [d.polygon(outline, colour=look.colour, opacity=0.16)]
    parts += [d.polyline(zip(at, ends, strict=True), colour=look.colour, kind=look.kind or "line", width=0.7, dash=look.dash) for ends in (low, high)]
    middle = [y.place(v) for v in band.values]
    if len(at) == 1:
        # One point has no band, but an interval still.
        parts.append(d.line(at[0], low[0], at[0], high[0], kind=look.kind or "line", colour=look.colour, width=1.2, dash=look.dash))
    parts.append(d.polyline(zip(at, middle, strict=True), colour=look.colour, kind=look.kind or "line", dash=look.dash))
    for i, (px, py) in enumerate(zip(at, middle, strict=True)):
        parts.append(d.marker(px, py, look.shape, colour=look.colour, kind=look.kind, hollow=not data.fits[i], data={"curve": name, "at": str(data.at[i])}))
    return parts


def _legend(data: Curves, y: float) -> list[str]:
    parts: list[str] = []
    x = _MARGIN + 58
    for look, words in ((_PEAK, "peak"), (_BEFORE, f"before: {data.modes[0]}"), (_AFTER, f"after: {data.modes[1]}" + ("" if data.axis == "devices" else ", and its speed-up"))):
        parts.append(d.polyline([(x, y), (x + 34, y)], colour=look.colour, kind=look.kind or "line", dash=look.dash, width=2))
        if look.shape:
            parts.append(d.marker(x + 17, y, look.shape, colour=look.colour, kind=look.kind))
        parts.append(d.text(x + 42, y + 4, words))
        x += 42 + text_width(words, 12) + 26
    return parts


# From paper to a deep blue; a loss is orange with a hatch.
_STEPS = ((1.05, "#f2f2f2", "hardly: 1 to 1.05 x"), (1.2, "#d3e6f5", "to 1.2 x"), (1.5, "#9ecae1", "to 1.5 x"), (2.0, "#5aa2d0", "to 2 x"), (3.0, "#2171b5", "to 3 x"),
          (float("inf"), "#08306b", "over 3 x"))  # fmt: skip
_LOSS = d.Paint("#f5c26b")


def _cell(value: float) -> tuple[d.Paint, str]:
    """The colour of a speed-up and that of the number on it."""
    if value < 1:
        return _LOSS, "#1a1a1a"
    colour = next(colour for end, colour, _ in _STEPS if value < end)
    return d.Paint(colour), "#ffffff" if colour in ("#2171b5", "#08306b") else "#1a1a1a"


def speedup_map(data: Map, *, inline: bool = False) -> str:
    """Return the speed-up as cells over batch and context; each cell holds its number, so colour is never needed to read it."""
    left, top, right = _MARGIN + 66, 82.0, WIDTH - 196
    wide, high = (right - left) / len(data.batches), min(34.0, 330.0 / len(data.contexts))
    bottom = top + high * len(data.contexts)
    parts = _head(data)
    rows = list(reversed(range(len(data.contexts))))
    for line, i in enumerate(rows):
        y = top + line * high
        parts.append(d.text(left - 8, y + high / 2 + 4, tokens_label(data.contexts[i]), size=11, anchor="end"))
        for j, value in enumerate(data.speedup[i]):
            paint, ink = _cell(value)
            x = left + j * wide
            parts.append(
                d.rectangle(x, y, wide, high, paint, edge="#ffffff", kind="cell", data={"batch": str(data.batches[j]), "context": str(data.contexts[i]), "value": repr(value)})
            )
            parts.append(d.text(x + wide / 2, y + high / 2 + 4, f"{value:.2f}", size=11 if wide > 36 else 9, anchor="middle", kind="mark", colour=ink))
            if not data.fits[i][j]:
                parts += [d.line(x + 3, y + high - 3, x + wide - 3, y + high - 3, kind="mark", colour=ink, width=1.6, dash="3,3")]
    for j, batch in enumerate(data.batches):
        parts.append(d.text(left + (j + 0.5) * wide, bottom + 16, number_label(batch), size=11, anchor="middle"))
    parts.append(d.text((left + right) / 2, bottom + 36, "batch [sequences in a step]", anchor="middle"))
    parts.append(d.text(_MARGIN + 12, (top + bottom) / 2, "context [tokens; k = 1,024]", anchor="middle", turned=True))
    key, at = right + 24, top + 4
    parts.append(d.text(key, at + 8, "speed-up [x]", size=12, bold=True))
    for paint, words in [(_LOSS, "loses: under 1 x"), *((d.Paint(colour), words) for _, colour, words in _STEPS)]:
        at += 20
        parts += [d.rectangle(key, at, 22, 14, paint), d.text(key + 30, at + 11, words, size=11)]
    if not all(map(all, data.fits)):
        at += 22
        parts += [d.line(key, at + 8, key + 22, at + 8, kind="edge", colour=d.INK, width=1.6, dash="3,3"), d.text(key + 30, at + 11, "does not fit", size=11)]
    return _finish(parts, data, max(bottom + 46, at + 30), "", inline=inline)


def tornado(data: Tornado, *, inline: bool = False) -> str:
    """Return a bar for each assumption: the figure with that one alone at its low and at its high end."""
    bars = data.bars
    top, height, left, right = 112.0, 30.0, 268.0, WIDTH - _MARGIN - 64
    bottom = top + height * max(1, len(bars))
    ends = [data.value, data.low, data.high, *(e for b in bars for e in (b.at_low, b.at_high))]
    scale = linear_scale(ends, left, right, zero=False)
    unit, factor = unit_of(max(map(abs, ends)), data.unit) if data.unit in ("s", "tok/s") else ("x" if data.figure.startswith("speedup") else "-", 1.0)
    frame = _Frame(left, top, right, bottom)
    parts = _head(data)
    parts += _x_axis(frame, scale, f"{_figure_words(data.figure)} [{unit}]", ticks=_scaled_ticks(scale, factor, 6), factor=factor)
    low, high = d.Paint(d.ORANGE, "rising"), d.Paint(d.SKY)
    parts += [
        d.rectangle(left, 74, 22, 13, low),
        d.text(left + 28, 85, "assumption at its low end"),
        d.rectangle(left + 200, 74, 22, 13, high),
        d.text(left + 228, 85, "at its high end"),
    ]
    parts.append(d.text(WIDTH - _MARGIN, top - 8, "of interval", size=11, anchor="end", kind="soft"))
    base = scale.place(data.value)
    for i, bar in enumerate(bars):
        parts += _tornado_bar(bar, top + i * height, height, scale, base, low, high, left)
    if not bars:
        parts.append(d.text(left + 8, top + 20, "No assumption has an interval."))
    parts.append(d.line(base, top - 6, base, bottom, kind="edge", colour=d.INK, width=1.4))
    value, low_end, high_end = (number_label(v / factor, digits_of([e / factor for e in (data.low, data.value, data.high)])) for v in (data.value, data.low, data.high))
    note = f"Line: {value} {unit}, all at their values; all together give {low_end} to {high_end}. "
    note += "Right: what the interval loses when this one is known exactly."
    return _finish(parts, data, bottom + 46, note, inline=inline)


def _tornado_bar(bar: TornadoBar, y: float, height: float, scale: Scale, base: float, low: d.Paint, high: d.Paint, left: float) -> list[str]:
    parts = [
        d.text(left - 10, y + height / 2 - 1, shortened(bar.name, left - _MARGIN - 10, 12), anchor="end"),
        d.text(left - 10, y + height / 2 + 11, f"{bar.low} to {bar.high}", size=10, anchor="end", kind="soft"),
        d.text(WIDTH - _MARGIN, y + height / 2 + 4, f"{bar.share:.0%}".replace("%", " %"), size=11, anchor="end", kind="soft"),
    ]
    # The longer end first, so that two ends on one side both stay visible.
    for value, paint, end in sorted(((bar.at_low, low, "low"), (bar.at_high, high, "high")), key=lambda e: -abs(scale.place(e[0]) - base)):
        place = scale.place(value)
        if abs(place - base) > 0.01:
            parts.append(d.rectangle(min(place, base), y + 5, abs(place - base), height - 10, paint, data={"assumption": bar.name, "end": end}))
    return parts


def _figure_words(figure: str) -> str:
    side, _, name = figure.partition(".")
    return "speed-up" if side == "speedup" else f"{name.replace('_', ' ')} {side}"


_GROUP_LOOKS = (
    _Look(d.BLUE, "", "circle", "blue"),
    _Look(d.VERMILLION, "", "square"),
    _Look(d.GREEN, "", "triangle"),
    _Look(d.PURPLE, "", "diamond"),
    _Look("#8c8c8c", "", "cross"),
)
_WHISKERS = 60  # more measurements than these would make a thicket


def validation(data: Validated, *, inline: bool = False) -> str:
    """Return predicted over measured time per step, with the line where they are equal and the band of a factor of 1.5."""
    frame = _Frame(_MARGIN + 66, 80.0, 560.0, 500.0)
    few = len(data.points) <= _WHISKERS
    values = [v for p in data.points for v in ((p.measured, p.predicted, p.low, p.high) if few else (p.measured, p.predicted))]
    x, y = log_scale(values, frame.left, frame.right, room=1.4), log_scale(values, frame.bottom, frame.top, room=1.4)
    parts = _head(data)
    shown = lambda value: format_quantity(value, "s", 3)  # noqa: E731
    parts += _x_axis(frame, x, "measured time per step", shown) + _y_axis(frame, y, "predicted time per step", shown)
    for factor, dash, width in ((1.0, "", 1.5), (1.5, "5,4", 1.0), (1 / 1.5, "5,4", 1.0)):
        low, high = max(x.low, x.low / factor), min(x.high, x.high / factor)
        parts.append(d.polyline([(x.place(low), y.place(low * factor)), (x.place(high), y.place(high * factor))], colour=d.INK, kind="edge", width=width, dash=dash))
    groups: dict[str, list[Measured]] = {}
    for point in data.points:
        groups.setdefault(point.group, []).append(point)
    ordered = sorted(groups, key=lambda g: -len(groups[g]))
    looks = {group: _GROUP_LOOKS[min(i, len(_GROUP_LOOKS) - 1)] for i, group in enumerate(ordered)}
    for group in ordered:
        look = looks[group]
        for point in groups[group]:
            px = x.place(point.measured)
            if few:
                parts.append(d.line(px, y.place(point.low), px, y.place(point.high), kind=look.kind or "line", colour=look.colour))
            parts.append(d.marker(px, y.place(point.predicted), look.shape, colour=look.colour, kind=look.kind, hollow=not few, size=3 if few else 2.4, data={"id": point.name}))
    key, at = 590.0, 96.0
    for group in ordered[: len(_GROUP_LOOKS)]:
        look = looks[group]
        count = sum(len(groups[g]) for g in ordered if looks[g] is look)
        name = "others" if len(ordered) > len(_GROUP_LOOKS) and look is _GROUP_LOOKS[-1] else group
        parts += [d.marker(key + 8, at, look.shape, colour=look.colour, kind=look.kind, hollow=not few), d.text(key + 24, at + 4, f"{name.replace('-', ' ')} ({count})", size=12)]
        at += 20
    at += 6
    parts += [d.line(key, at, key + 18, at, kind="edge", colour=d.INK, width=1.5), d.text(key + 24, at + 4, "predicted = measured")]
    parts += [d.line(key, at + 20, key + 18, at + 20, kind="edge", colour=d.INK, dash="5,4"), d.text(key + 24, at + 24, "a factor of 1.5 off")]
    summary = (f"median error {data.median:.0%}", f"{data.inside:.0%} of the measurements", "inside the interval")
    for i, words in enumerate(summary):
        parts.append(d.text(key, at + 54 + 17 * i, words.replace("%", " %")))
    return _finish(parts, data, frame.bottom + 50, "Upright lines: intervals of the predictions." if few else "", inline=inline)


def _head(data: Picture) -> list[str]:
    room = WIDTH - 2 * _MARGIN
    return [d.text(_MARGIN, 30, shortened(title_of(data), room, 17), size=17, bold=True), d.text(_MARGIN, 50, shortened(data.caption.question, room, 12), size=12, kind="soft")]


def _finish(parts: list[str], data: Picture, y: float, note: str, *, inline: bool) -> str:
    """Put the caption under the picture: the note, then every assumption."""
    room = WIDTH - 2 * _MARGIN
    lines = list(wrapped(note, room, 11))
    if data.caption.assumptions and not inline:
        lines += wrapped(f"Assumptions: {'; '.join(data.caption.assumptions)}.", room, 11)
    for line in lines:
        y += _LINE
        parts.append(d.text(_MARGIN, y, line, size=11, kind="soft"))
    return d.picture(WIDTH, y + 14, title_of(data), _description(data.caption), parts, inline=inline)


def _description(caption: Caption) -> str:
    return f"{caption.question}. Assumptions: {'; '.join(caption.assumptions)}." if caption.assumptions else f"{caption.question}."


def _scaled_ticks(scale: Scale, factor: float, count: int) -> tuple[float, ...]:
    """Ticks that are round in the unit of the axis."""
    return tuple(tick * factor for tick in msgspec.structs.replace(scale, low=scale.low / factor, high=scale.high / factor).ticks(count))


def _thinned(values: Sequence[float], scale: Scale, room: Callable[[float], float]) -> tuple[float, ...]:
    """Those of `values` whose labels do not touch."""
    kept: list[float] = []
    for value in values:
        if not kept or scale.place(value) - scale.place(kept[-1]) > (room(value) + room(kept[-1])) / 2:
            kept.append(value)
    return tuple(kept)


def _numbers(ticks: Sequence[float], factor: float) -> Callable[[float], str]:
    """Labels in a unit of `factor` with as many digits as it takes to tell the ticks apart."""
    digits = digits_of([tick / factor for tick in ticks])
    return lambda value: number_label(value / factor, digits)


def _x_axis(frame: _Frame, scale: Scale, words: str, shown: Callable[[float], str] | None = None, *, ticks: Sequence[float] | None = None, factor: float = 1.0) -> list[str]:
    parts = []
    at = scale.ticks() if ticks is None else ticks
    label = shown or _numbers(at, factor)
    for tick in _thinned(at, scale, lambda v: text_width(label(v), 11) + 8):
        x = scale.place(tick)
        parts += [
            d.line(x, frame.top, x, frame.bottom, kind="grid", colour=d.GRID),
            d.line(x, frame.bottom, x, frame.bottom + 4),
            d.text(x, frame.bottom + 17, label(tick), size=11, anchor="middle"),
        ]
    parts.append(d.line(frame.left, frame.bottom, frame.right, frame.bottom))
    parts.append(d.text((frame.left + frame.right) / 2, frame.bottom + 36, words, anchor="middle"))
    return parts


def _y_axis(frame: _Frame, scale: Scale, words: str, shown: Callable[[float], str] | None = None) -> list[str]:
    parts = []
    ticks = scale.ticks(6)
    label = shown or _numbers(ticks, 1.0)
    for tick in ticks:
        y = scale.place(tick)
        parts += [d.line(frame.left, y, frame.right, y, kind="grid", colour=d.GRID), d.text(frame.left - 7, y + 4, label(tick), size=11, anchor="end")]
    parts.append(d.line(frame.left, frame.top, frame.left, frame.bottom))
    widest = max((text_width(label(tick), 11) for tick in ticks), default=20.0)
    parts.append(d.text(max(12.0, frame.left - widest - 16), (frame.top + frame.bottom) / 2, words, anchor="middle", turned=True))
    return parts
