"""Choices side by side as bars: rates with their intervals, and the rate before where it is known."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Bar, Bars
from perfmodel.report.pictures.axes import MARGIN, WIDTH, Frame, finish, head, x_axis
from perfmodel.report.scales import Scale, linear_scale, shortened, text_width

_AFTER, _BEFORE, _TOO_LARGE = d.Paint(d.SKY), d.Paint(d.VERMILLION, "rising"), d.Paint(d.GREY, "flat")


def bars(data: Bars, *, inline: bool = False) -> str:
    """Return a bar for each choice, the rate written beside it."""
    paired = any(bar.before is not None for bar in data.bars)
    top, height = 92.0 if paired else 70.0, 36.0 if paired else 26.0
    label = min(330.0, max(text_width(bar.name, 12) for bar in data.bars)) + 10
    frame = Frame(MARGIN + label, top, WIDTH - MARGIN - 86, top + height * len(data.bars))
    scale = linear_scale(
        [0.0, *(end for bar in data.bars for end in (bar.rate, bar.high or 0.0, bar.before or 0.0))],
        frame.left,
        frame.right,
    )
    parts = head(data) + x_axis(frame, scale, "rate [tok/s, all sequences]")
    if paired:
        for paint, words, x in ((_BEFORE, "before", frame.left), (_AFTER, "after", frame.left + 100)):
            parts += [d.rectangle(x, 66, 22, 13, paint), d.text(x + 28, 77, words)]
    for i, bar in enumerate(data.bars):
        parts += _bar(bar, top + i * height, height, frame, scale)
    note = "Thin bars: intervals." if any(bar.low is not None for bar in data.bars) else ""
    if not all(bar.fits for bar in data.bars):
        note += " Grey: weights and cache do not fit into memory."
    if data.left_out:
        note += f" Choices that had no room here: {data.left_out}."
    return finish(parts, data, frame.bottom + 46, note.strip(), inline=inline)


def _bar(bar: Bar, y: float, height: float, frame: Frame, scale: Scale) -> list[str]:
    middle = y + height / 2
    parts = [d.text(frame.left - 8, middle + 4, shortened(bar.name, frame.left - MARGIN - 8, 12), anchor="end")]
    rows = [(bar.rate, _AFTER if bar.fits else _TOO_LARGE, "after")]
    if bar.before is not None:
        rows.insert(0, (bar.before, _BEFORE, "before"))
    thick = (height - 8) / len(rows)
    for i, (rate, paint, side) in enumerate(rows):
        parts.append(
            d.rectangle(
                frame.left,
                y + 4 + i * thick,
                scale.place(rate) - frame.left,
                thick,
                paint,
                data={"choice": bar.name, "side": side, "value": repr(rate)},
            )
        )
    if bar.low is not None and bar.high is not None:
        low, high = scale.place(bar.low), scale.place(bar.high)
        parts += [
            d.line(low, middle, high, middle, kind="edge", colour=d.INK, width=1.5),
            *(d.line(e, middle - 4, e, middle + 4, kind="edge", colour=d.INK, width=1.5) for e in (low, high)),
        ]
    parts.append(
        d.text(WIDTH - MARGIN, middle + 4, f"{bar.rate:,.4g}" if bar.rate < 1e4 else f"{bar.rate:,.0f}", anchor="end")
    )
    return parts
