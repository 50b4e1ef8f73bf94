"""What the pictures share: their paper, the looks of before and after, titles, captions and axes."""

from collections.abc import Callable, Sequence

import msgspec

from perfmodel.report import drawing as d
from perfmodel.report.picturedata.records import Bars, Caption, Curves, Drawn, Lines, Map, Roofline, Tornado, Waterfall
from perfmodel.report.scales import Scale, digits_of, number_label, shortened, text_width, wrapped

WIDTH = 860.0
MARGIN = 16.0
LINE = 14.0  # height of a line of small text [px]


class Look(msgspec.Struct, frozen=True):
    """How a curve is drawn: colour, dashes, marker, and the class that a dark scheme brightens."""

    colour: str
    dash: str
    shape: str
    kind: str = ""


BEFORE = Look(d.VERMILLION, "6,4", "square")
AFTER = Look(d.BLUE, "", "circle", "blue")
PEAK = Look(d.INK, "2,3", "", "edge")
# Lines and groups of one picture, told apart by colour and by marker.
SERIES = (
    Look(d.BLUE, "", "circle", "blue"),
    Look(d.VERMILLION, "", "square"),
    Look(d.GREEN, "", "triangle"),
    Look(d.PURPLE, "", "diamond"),
    Look("#8c8c8c", "", "cross"),
)
AXIS_WORDS = {
    "devices": "devices [-]",
    "context": "context [tokens in the cache of each sequence; k = 1,024]",
    "batch": "batch [sequences in a step]",
}


class Frame(msgspec.Struct, frozen=True):
    """The area of a plot [px]."""

    left: float
    top: float
    right: float
    bottom: float


def title_of(data: Drawn) -> str:
    """Return the title of a picture."""
    if isinstance(data, Waterfall):
        return "Where the time of a step goes"
    if isinstance(data, Roofline):
        return f"The operations under the roofs of one {data.hardware}"
    if isinstance(data, Curves):
        return {
            "devices": "Rate and fraction of peak over devices",
            "context": "Rate and speed-up over context",
            "batch": "Rate and speed-up over batch",
        }[data.axis]
    if isinstance(data, Map):
        return f"Speed-up by {data.modes[1]} over {data.modes[0]}, by batch and context"
    if isinstance(data, Tornado):
        return f"Which assumption moves the {figure_words(data.figure)} how far"
    return data.title if isinstance(data, Lines | Bars) else "Predicted against measured time per step"


def figure_words(figure: str) -> str:
    """Return a figure of an answer in words."""
    side, _, name = figure.partition(".")
    return "speed-up" if side == "speedup" else f"{name.replace('_', ' ')} {side}"


def head(data: Drawn) -> list[str]:
    """Return the title of a picture and the question under it."""
    room = WIDTH - 2 * MARGIN
    return [
        d.text(MARGIN, 30, shortened(title_of(data), room, 17), size=17, bold=True),
        d.text(MARGIN, 50, shortened(data.caption.question, room, 12), size=12, kind="soft"),
    ]


def finish(parts: list[str], data: Drawn, y: float, note: str, *, inline: bool) -> str:
    """Return the whole SVG with the caption under the picture, from `y` [px] on: the note, then every assumption."""
    room = WIDTH - 2 * MARGIN
    lines = list(wrapped(note, room, 11))
    if data.caption.assumptions and not inline:
        lines += wrapped(f"Assumptions: {'; '.join(data.caption.assumptions)}.", room, 11)
    for line in lines:
        y += LINE
        parts.append(d.text(MARGIN, y, line, size=11, kind="soft"))
    return d.picture(WIDTH, y + 14, title_of(data), _description(data.caption), parts, inline=inline)


def _description(caption: Caption) -> str:
    return (
        f"{caption.question}. Assumptions: {'; '.join(caption.assumptions)}."
        if caption.assumptions
        else f"{caption.question}."
    )


def scaled_ticks(scale: Scale, factor: float, count: int) -> tuple[float, ...]:
    """Ticks that are round in the unit of the axis."""
    return tuple(
        tick * factor
        for tick in msgspec.structs.replace(scale, low=scale.low / factor, high=scale.high / factor).ticks(count)
    )


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


def x_axis(
    frame: Frame,
    scale: Scale,
    words: str,
    shown: Callable[[float], str] | None = None,
    *,
    ticks: Sequence[float] | None = None,
    factor: float = 1.0,
) -> list[str]:
    """Return grid, ticks and words under a frame.

    words: with the unit; shown: how a tick is written, numbers in a unit of `factor` if not given; ticks: where, those
    of the scale if not given.
    """
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


def y_axis(frame: Frame, scale: Scale, words: str, shown: Callable[[float], str] | None = None) -> list[str]:
    """Return grid, ticks and words left of a frame; the words, with the unit, are read from below."""
    parts = []
    ticks = scale.ticks(6)
    label = shown or _numbers(ticks, 1.0)
    for tick in ticks:
        y = scale.place(tick)
        parts += [
            d.line(frame.left, y, frame.right, y, kind="grid", colour=d.GRID),
            d.text(frame.left - 7, y + 4, label(tick), size=11, anchor="end"),
        ]
    parts.append(d.line(frame.left, frame.top, frame.left, frame.bottom))
    widest = max((text_width(label(tick), 11) for tick in ticks), default=20.0)
    parts.append(
        d.text(max(12.0, frame.left - widest - 16), (frame.top + frame.bottom) / 2, words, anchor="middle", turned=True)
    )
    return parts
