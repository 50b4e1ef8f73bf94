"""A bar for each assumption: how far it alone moves a figure."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Tornado, TornadoBar
from perfmodel.report.pictures.axes import MARGIN, WIDTH, Frame, figure_words, finish, head, scaled_ticks, x_axis
from perfmodel.report.scales import Scale, digits_of, linear_scale, number_label, shortened, unit_of


def tornado(data: Tornado, *, inline: bool = False) -> str:
    """Return a bar for each assumption: the figure with that one alone at its low and at its high end."""
    bars = data.bars
    top, height, left, right = 112.0, 30.0, 268.0, WIDTH - MARGIN - 64
    bottom = top + height * max(1, len(bars))
    ends = [data.value, data.low, data.high, *(e for b in bars for e in (b.at_low, b.at_high))]
    scale = linear_scale(ends, left, right, zero=False)
    unit, factor = (
        unit_of(max(map(abs, ends)), data.unit)
        if data.unit in ("s", "tok/s")
        else ("x" if data.figure.startswith("speedup") else "-", 1.0)
    )
    frame = Frame(left, top, right, bottom)
    parts = head(data)
    parts += x_axis(
        frame, scale, f"{figure_words(data.figure)} [{unit}]", ticks=scaled_ticks(scale, factor, 6), factor=factor
    )
    low, high = d.Paint(d.ORANGE, "rising"), d.Paint(d.SKY)
    parts += [
        d.rectangle(left, 74, 22, 13, low),
        d.text(left + 28, 85, "assumption at its low end"),
        d.rectangle(left + 200, 74, 22, 13, high),
        d.text(left + 228, 85, "at its high end"),
    ]
    parts.append(d.text(WIDTH - MARGIN, top - 8, "of interval", size=11, anchor="end", kind="soft"))
    base = scale.place(data.value)
    for i, bar in enumerate(bars):
        parts += _tornado_bar(bar, top + i * height, height, scale, base, low, high, left)
    if not bars:
        parts.append(d.text(left + 8, top + 20, "No assumption has an interval."))
    parts.append(d.line(base, top - 6, base, bottom, kind="edge", colour=d.INK, width=1.4))
    value, low_end, high_end = (
        number_label(v / factor, digits_of([e / factor for e in (data.low, data.value, data.high)]))
        for v in (data.value, data.low, data.high)
    )
    note = f"Line: {value} {unit}, all at their values; all together give {low_end} to {high_end}. "
    note += "Right: what the interval loses when this one is known exactly."
    return finish(parts, data, bottom + 46, note, inline=inline)


def _tornado_bar(
    bar: TornadoBar, y: float, height: float, scale: Scale, base: float, low: d.Paint, high: d.Paint, left: float
) -> list[str]:
    parts = [
        d.text(left - 10, y + height / 2 - 1, shortened(bar.name, left - MARGIN - 10, 12), anchor="end"),
        d.text(left - 10, y + height / 2 + 11, f"{bar.low} to {bar.high}", size=10, anchor="end", kind="soft"),
        d.text(
            WIDTH - MARGIN,
            y + height / 2 + 4,
            f"{bar.share:.0%}".replace("%", " %"),
            size=11,
            anchor="end",
            kind="soft",
        ),
    ]
    # The longer end first, so that two ends on one side both stay visible.
    for value, paint, end in sorted(
        ((bar.at_low, low, "low"), (bar.at_high, high, "high")), key=lambda e: -abs(scale.place(e[0]) - base)
    ):
        place = scale.place(value)
        if abs(place - base) > 0.01:
            parts.append(
                d.rectangle(
                    min(place, base),
                    y + 5,
                    abs(place - base),
                    height - 10,
                    paint,
                    data={"assumption": bar.name, "end": end},
                )
            )
    return parts
