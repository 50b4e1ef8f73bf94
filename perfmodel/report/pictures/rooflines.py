"""The operations of a step under the roofs of one device, lettered, with a key beside them."""

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Roofline
from perfmodel.report.pictures.axes import AFTER, BEFORE, LINE, MARGIN, WIDTH, Frame, finish, head, x_axis, y_axis
from perfmodel.report.scales import Scale, log_scale, number_label, shortened, wrapped
from perfmodel.units import format_quantity

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def roofline(data: Roofline, *, inline: bool = False) -> str:
    """Return the operations on the roofs, lettered, with a key beside them."""
    frame = Frame(MARGIN + 62, 86.0, 520.0, 420.0)
    ridge = data.rates[0][1] / data.bandwidth
    intensities = [p.intensity for p in data.points] + [data.step_intensity]
    x = log_scale([*intensities, ridge * 6, 0.3], frame.left, frame.right, room=1.6)
    rates = [p.rate for p in data.points] + list(data.step_rates[:2])
    y = log_scale(
        [*rates, *(rate for _, rate in data.rates if rate < 5 * data.rates[0][1])], frame.bottom, frame.top, room=1.5
    )
    parts = head(data)
    parts += x_axis(frame, x, "arithmetic intensity [FLOP/B]")
    parts += y_axis(
        frame,
        y,
        "rate on one device [FLOP/s]",
        lambda value: format_quantity(value, "FLOP/s").removesuffix("FLOP/s").strip(),
    )
    lines = [
        (
            f"{data.rates[0][0]} datasheet, {format_quantity(data.rates[0][1], 'FLOP/s', 3)}",
            data.bandwidth,
            data.rates[0][1],
            "",
        ),
        ("sustained", data.sustained_bandwidth, data.sustained_rate, "6,4"),
    ]
    for index, (_, bandwidth, rate, dash) in enumerate(lines):
        corner = rate / bandwidth
        start = max(x.low, y.low / bandwidth)
        path = [
            (x.place(start), y.place(start * bandwidth)),
            (x.place(corner), y.place(rate)),
            (x.place(x.high), y.place(rate)),
        ]
        parts.append(
            d.polyline(
                path,
                colour=d.INK if index == 0 else d.BLUE,
                kind="edge" if index == 0 else "blue",
                width=2 if index == 0 else 1.6,
                dash=dash,
            )
        )
    parts += _other_roofs(data, frame, x, y) + _roofline_points(data, x, y)
    key = 544.0
    at = 92.0
    parts += [
        d.line(key, at, key + 26, at, kind="edge", colour=d.INK, width=2),
        d.text(
            key + 34,
            at + 4,
            f"datasheet: {format_quantity(data.bandwidth, 'B/s', 3)}, {format_quantity(data.rates[0][1], 'FLOP/s', 3)}"
            f" {data.rates[0][0]}",
            size=11,
        ),
    ]
    at += 17
    parts += [
        d.line(key, at, key + 26, at, kind="blue", colour=d.BLUE, width=1.6, dash="6,4"),
        d.text(
            key + 34,
            at + 4,
            f"sustained: {format_quantity(data.sustained_bandwidth, 'B/s', 3)},"
            f" {format_quantity(data.sustained_rate, 'FLOP/s', 3)}",
            size=11,
        ),
    ]
    at += 17
    marks = ((f"the whole step, {data.modes[0]}", BEFORE), (f"the whole step, {data.modes[1]}", AFTER))
    for label, look in marks:
        parts += [
            d.marker(key + 13, at, look.shape, colour=look.colour, kind=look.kind, size=5),
            d.text(key + 34, at + 4, label, size=11),
        ]
        at += 17
    at += 8
    parts.append(d.text(key, at, "operations", size=11, bold=True))
    parts.append(d.text(WIDTH - MARGIN, at, "FLOP/B", size=11, bold=True, anchor="end"))
    parts.append(d.text(WIDTH - MARGIN - 56, at, "of bytes", size=11, bold=True, anchor="end"))
    room = int((frame.bottom + 40 - at) // LINE)
    for letter, point in zip(_LETTERS, data.points, strict=False):
        share = f"{point.share:.1%}" if point.share >= 0.001 else "< 0.1%"
        words_room = WIDTH - MARGIN - key - 18 - 108
        lines_of = wrapped(", ".join(point.names).replace("_", " "), words_room, 11)
        lines_of = (
            lines_of if len(lines_of) <= 2 else (lines_of[0], shortened(f"{lines_of[1]} {lines_of[2]}", words_room, 11))
        )
        if room < len(lines_of) + 1:
            parts.append(d.text(key + 18, at + LINE, "and others of few bytes", size=11, kind="soft"))
            break
        parts.append(d.text(key, at + LINE, letter, size=11, bold=True))
        parts.append(d.text(WIDTH - MARGIN, at + LINE, number_label(point.intensity), size=11, anchor="end"))
        parts.append(d.text(WIDTH - MARGIN - 56, at + LINE, share.replace("%", " %"), size=11, anchor="end"))
        for words in lines_of:
            at += LINE
            room -= 1
            parts.append(d.text(key + 18, at, words, size=11))
        at += 2
    note = (
        "Operations lie where the equations put them, under the sustained roofs; the whole step lies lower by what"
        " boundaries, collectives and stages cost."
    )
    return finish(parts, data, frame.bottom + 50, note, inline=inline)


def _other_roofs(data: Roofline, frame: Frame, x: Scale, y: Scale) -> list[str]:
    """The flat roofs of arithmetic formats that this step does not use, where there is room for their names."""
    parts: list[str] = []
    taken = [y.place(data.rates[0][1]), y.place(data.sustained_rate)]
    for name, rate in data.rates[1:]:
        corner, height = x.place(rate / data.bandwidth), y.place(rate)
        if (
            frame.left < corner < frame.right - 60
            and height > frame.top
            and all(abs(height - other) > 13 for other in taken)
        ):
            taken.append(height)
            parts += [
                d.line(corner, height, frame.right, height, width=0.8, dash="1,3"),
                d.text(frame.right - 2, height - 3, name, size=10, anchor="end", kind="soft"),
            ]
    return parts


def _roofline_points(data: Roofline, x: Scale, y: Scale) -> list[str]:
    parts: list[str] = []
    before, after, peak = data.step_rates
    at = x.place(data.step_intensity)
    parts.append(
        d.line(
            at,
            y.place(before),
            at,
            y.place(min(peak, data.rates[0][1])),
            kind="edge",
            colour=d.INK,
            width=1,
            dash="2,2",
        )
    )
    spots: list[tuple[float, float]] = []
    markers = [(x.place(point.intensity), y.place(point.rate)) for point in data.points]
    for letter, point in zip(_LETTERS, data.points, strict=False):
        px, py = x.place(point.intensity), y.place(point.rate)
        parts.append(
            d.marker(
                px,
                py,
                "diamond",
                colour=d.GREEN,
                hollow=point.share < 0.01,
                size=4.2,
                data={"operations": " ".join(point.names)},
            )
        )
        # Letters stand over the roof, higher up where another is in the way.
        spot = (px - 6.0, py - 10.0)
        while any(abs(spot[0] - ox) < 11 and abs(spot[1] - oy) < 11 for ox, oy in spots) or any(
            abs(spot[0] - ox) < 9 and -4 < spot[1] - oy < 15 for ox, oy in markers if (ox, oy) != (px, py)
        ):
            spot = (spot[0] - 2.0, spot[1] - 6.0)
        spots.append(spot)
        if spot[1] < py - 18:
            parts.append(d.line(spot[0], spot[1] + 2, px, py - 5, width=0.7))
        parts.append(d.text(*spot, letter, size=11, anchor="middle", bold=True))
    parts.append(d.marker(at, y.place(before), BEFORE.shape, colour=BEFORE.colour, size=5, data={"step": "before"}))
    parts.append(
        d.marker(at, y.place(after), AFTER.shape, colour=AFTER.colour, kind=AFTER.kind, size=5, data={"step": "after"})
    )
    return parts
