"""Predicted over measured times."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Measured, Validated
from perfmodel.report.pictures.axes import MARGIN, SERIES, Frame, finish, head, x_axis, y_axis
from perfmodel.report.scales import log_scale
from perfmodel.units import format_quantity

_WHISKERS = 60  # more measurements than these would make a thicket


def validation(data: Validated, *, inline: bool = False) -> str:
    """Return predicted over measured time per step, with the line where they are equal and the band of a factor of 1.5."""
    frame = Frame(MARGIN + 66, 80.0, 560.0, 500.0)
    few = len(data.points) <= _WHISKERS
    values = [
        v for p in data.points for v in ((p.measured, p.predicted, p.low, p.high) if few else (p.measured, p.predicted))
    ]
    x, y = log_scale(values, frame.left, frame.right, room=1.4), log_scale(values, frame.bottom, frame.top, room=1.4)
    parts = head(data)
    shown = lambda value: format_quantity(value, "s", 3)  # noqa: E731
    parts += x_axis(frame, x, "measured time per step", shown) + y_axis(frame, y, "predicted time per step", shown)
    for factor, dash, width in ((1.0, "", 1.5), (1.5, "5,4", 1.0), (1 / 1.5, "5,4", 1.0)):
        low, high = max(x.low, x.low / factor), min(x.high, x.high / factor)
        parts.append(
            d.polyline(
                [(x.place(low), y.place(low * factor)), (x.place(high), y.place(high * factor))],
                colour=d.INK,
                kind="edge",
                width=width,
                dash=dash,
            )
        )
    groups: dict[str, list[Measured]] = {}
    for point in data.points:
        groups.setdefault(point.group, []).append(point)
    ordered = sorted(groups, key=lambda g: -len(groups[g]))
    looks = {group: SERIES[min(i, len(SERIES) - 1)] for i, group in enumerate(ordered)}
    for group in ordered:
        look = looks[group]
        for point in groups[group]:
            px = x.place(point.measured)
            if few:
                parts.append(
                    d.line(
                        px, y.place(point.low), px, y.place(point.high), kind=look.kind or "line", colour=look.colour
                    )
                )
            parts.append(
                d.marker(
                    px,
                    y.place(point.predicted),
                    look.shape,
                    colour=look.colour,
                    kind=look.kind,
                    hollow=not few,
                    size=3 if few else 2.4,
                    data={"id": point.name},
                )
            )
    key, at = 590.0, 96.0
    for group in ordered[: len(SERIES)]:
        look = looks[group]
        count = sum(len(groups[g]) for g in ordered if looks[g] is look)
        name = "others" if len(ordered) > len(SERIES) and look is SERIES[-1] else group
        parts += [
            d.marker(key + 8, at, look.shape, colour=look.colour, kind=look.kind, hollow=not few),
            d.text(key + 24, at + 4, f"{name.replace('-', ' ')} ({count})", size=12),
        ]
        at += 20
    at += 6
    parts += [
        d.line(key, at, key + 18, at, kind="edge", colour=d.INK, width=1.5),
        d.text(key + 24, at + 4, "predicted = measured"),
    ]
    parts += [
        d.line(key, at + 20, key + 18, at + 20, kind="edge", colour=d.INK, dash="5,4"),
        d.text(key + 24, at + 24, "a factor of 1.5 off"),
    ]
    summary = (f"median error {data.median:.0%}", f"{data.inside:.0%} of the measurements", "inside the interval")
    for i, words in enumerate(summary):
        parts.append(d.text(key, at + 54 + 17 * i, words.replace("%", " %")))
    return finish(
        parts, data, frame.bottom + 50, "Upright lines: intervals of the predictions." if few else "", inline=inline
    )
