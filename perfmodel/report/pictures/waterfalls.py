"""The terms of both sides as bars, each starting where the one above ends."""

from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import SideBars, Waterfall
from perfmodel.report.pictures.axes import MARGIN, WIDTH, Frame, finish, head, scaled_ticks, x_axis
from perfmodel.report.scales import Scale, unit_of
from perfmodel.units import format_quantity

# Colour and hatch of each term, the same in every picture.
TERM_PAINTS = {
    "peak": d.Paint(d.GREY),
    "stream": d.Paint(d.SKY),
    "compute": d.Paint(d.ORANGE, "dotted"),
    "boundary": d.Paint(d.VERMILLION, "rising"),
    "collective": d.Paint(d.GREEN, "falling"),
    "latency": d.Paint(d.PURPLE, "flat"),
    "host": d.Paint(d.YELLOW, "upright"),
}


def waterfall(data: Waterfall, *, inline: bool = False) -> str:
    """Return the terms of both sides as bars, each starting where the one above ends."""
    rows = ("peak", *TERM_NAMES, "step")
    top, height, label, values, gap = 96.0, 27.0, 82.0, 118.0, 22.0
    bars = (WIDTH - 2 * MARGIN - label - 2 * values - gap) / 2
    unit, factor = unit_of(max(data.before.high, data.after.high), "s")
    bottom = top + height * len(rows)
    parts = head(data)
    for i, name in enumerate(rows):
        parts.append(d.text(MARGIN + label - 8, top + height * (i + 0.5) + 4, name, anchor="end", bold=name == "step"))
    for index, (name, side) in enumerate((("before", data.before), ("after", data.after))):
        left = MARGIN + label + index * (bars + values + gap)
        scale = Scale(0.0, max(data.before.high, data.after.high) * 1.02, left, left + bars)
        frame = Frame(left, top, left + bars, bottom)
        parts.append(d.text(left, top - 24, f"{name}: {side.mode}", size=13, bold=True))
        parts.append(
            d.text(
                left,
                top - 9,
                f"{side.kernel_calls:,} kernel call{'' if side.kernel_calls == 1 else 's'}",
                size=11,
                kind="soft",
            )
        )
        parts += x_axis(frame, scale, f"time of a step [{unit}]", ticks=scaled_ticks(scale, factor, 4), factor=factor)
        parts += _waterfall_side(data, name, side, frame, scale, height)
    low, high = data.speedup[1:]
    parts.append(
        d.text(
            WIDTH - MARGIN,
            30,
            f"speed-up {data.speedup[0]:.3g} x ({low:.3g} to {high:.3g})",
            size=13,
            anchor="end",
            bold=True,
        )
    )
    note = (
        "Dotted line: peak, all bytes of the step at the datasheet bandwidth. The thin bar at the end of step is the"
        " interval of the whole step."
    )
    return finish(parts, data, bottom + 46, note, inline=inline)


def _waterfall_side(data: Waterfall, name: str, side: SideBars, frame: Frame, scale: Scale, height: float) -> list[str]:
    parts = [
        d.line(
            scale.place(data.peak),
            frame.top,
            scale.place(data.peak),
            frame.bottom,
            kind="edge",
            colour=d.INK,
            dash="2,3",
        )
    ]
    start = 0.0
    for i, (term, time) in enumerate(
        [("peak", data.peak), *zip(TERM_NAMES, side.terms, strict=True), ("step", side.step)]
    ):
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
        parts.append(
            d.text(right, middle + 4, format_quantity(time, "s", 3) if time else "0", anchor="end", bold=term == "step")
        )
        parts.append(
            d.text(right + 50, middle + 4, f"{time / side.step:.0%}".replace("%", " %"), anchor="end", kind="soft")
        )
    return parts
