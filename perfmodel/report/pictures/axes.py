"""What the pictures share on their axes: grids, ticks that are round in their unit, panels and keys."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from perfmodel.report.pictures.paper import AXIS, GRID, INK, Look, text_width
from perfmodel.report.words import digits_of, number_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXIS_WORDS = {
    "devices": "devices [-]",
    "context": "context [tokens in the cache of each sequence; k = 1,024]",
    "batch": "batch [sequences in a step]",
}
_WIDE = 30.0  # largest over smallest from which an axis is logarithmic
_ROOM = 8.0  # between the labels of ticks [pt]


def dressed(axes: "Axes", *, left: bool = True, bottom: bool = True) -> "Axes":
    """Return `axes` with a light grid, quiet ticks and only the lines that carry numbers."""
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=GRID, linewidth=1)
    for side, shown in (("left", left), ("bottom", bottom), ("right", False), ("top", False)):
        axes.spines[side].set_visible(shown)
        axes.spines[side].set_color(AXIS)
        axes.spines[side].set_linewidth(1)
    axes.tick_params(axis="x", color=AXIS, labelcolor=INK, labelsize=11, length=4, width=1, pad=4)
    axes.tick_params(axis="y", color=AXIS, labelcolor=INK, labelsize=11, length=0, pad=6)
    return axes


def size_of(axes: "Axes") -> tuple[float, float]:
    """Return width and height of axes [pt]."""
    box, points = axes.get_window_extent(), 72.0 / axes.figure.dpi
    return box.width * points, box.height * points


def panel(axes: "Axes", left: float, top: float, right: float, bottom: float) -> "Axes":
    """Return new axes within `axes`, from `left` and `top` to `right` and `bottom` [pt] of their upper left corner."""
    wide, high = size_of(axes)
    made: Axes = axes.inset_axes((left / wide, 1 - bottom / high, (right - left) / wide, (bottom - top) / high))
    return dressed(made)


def say(axes: "Axes", x: float, y: float, words: str, **kind: Any) -> None:
    """Write `words` at a place [pt] from the upper left corner of `axes`."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(words, (0, 1), (x, -y), **(place | {"color": INK} | kind))


def say_right(axes: "Axes", x: float, y: float, words: str, **kind: Any) -> None:
    """Write `words` at a place [pt] right of the right edge of `axes`, in the data's height `y`."""
    place: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate(words, (1, y), (x, 0), **(place | {"color": INK, "va": "center"} | kind))


@cache
def _formatter() -> type:
    from matplotlib.ticker import Formatter

    class Numbers(Formatter):
        """Labels with as many digits as it takes to tell the ticks apart, and a sign of the unit where one is given."""

        def __init__(self, written: Callable[[float], str] | None = None) -> None:
            self.written = written

        def __call__(self, value: float, _place: int | None = None) -> str:
            return self.written(value) if self.written is not None else number_label(value)

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            if self.written is not None:
                return [self.written(value) for value in values]
            digits = digits_of(values)
            return [number_label(value, digits) for value in values]

    return Numbers


def numbered(
    axes: "Axes", which: str, words: str, *, count: int = 5, written: Callable[[float], str] | None = None
) -> None:
    """Give the axis `which`, x or y, round ticks, about `count` of them, and `words` with the unit.

    written: how a tick is written, as a number if not given.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    if axis.get_scale() == "log":
        few = high / low < 1e3
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12 if few else count + 2))
    else:
        axis.set_major_locator(MaxNLocator(nbins=count, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(_formatter()(written))
    axis.set_label_text(words, color=INK, size=12)


def placed(axes: "Axes", places: Sequence[float], words: str, written: Callable[[float], str] = number_label) -> None:
    """Give the x axis a tick at each of `places`, as far as their labels do not touch."""
    from matplotlib.ticker import NullLocator

    to_points = 72.0 / axes.figure.dpi
    kept: list[tuple[float, float, float]] = []  # value, place [pt], width of its label [pt]
    for value in sorted(places):
        at = axes.transData.transform((value, 1.0))[0] * to_points
        wide = text_width(written(value), 11) + _ROOM
        if not kept or at - kept[-1][1] > (wide + kept[-1][2]) / 2:
            kept.append((value, at, wide))
    axes.set_xticks([value for value, _, _ in kept], labels=[written(value) for value, _, _ in kept])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(words, color=INK, size=12)


def limited(
    axes: "Axes", which: str, values: Sequence[float], *, zero: bool = True, room: float = 1.15, log: bool | None = None
) -> None:
    """Give the axis `which`, x or y, limits that hold `values`.

    zero: a linear axis begins there. room: the factor that a logarithmic one is wider at both ends.
    log: None where the values tell, which are far apart.
    """
    positive = [value for value in values if value > 0] or [1.0]
    if log is None:
        log = max(positive) / min(positive) > _WIDE
    if log:
        axes.set(**{f"{which}scale": "log", f"{which}lim": (min(positive) / room, max(positive) * room)})
        return
    low, high = (min(0.0, *values) if zero else min(values)), max(values)
    if high <= low:
        high = low + (abs(low) or 1.0)
    wide = 0.04 * (high - low)
    axes.set(**{f"{which}lim": (low if zero and low == 0 else low - wide, high + wide)})


def key_line(look: Look, words: str) -> Any:
    """Return the entry of a key for a curve."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=look.colour, linestyle=look.dash, marker=look.marker or None, label=words)


def key(axes: "Axes", entries: Sequence[Any], at: tuple[float, float], *, columns: int = 1, size: float = 12) -> None:
    """Write a key whose upper left corner is `at` [pt] from the upper left corner of `axes`."""
    wide, high = size_of(axes)
    made = axes.legend(
        handles=list(entries),
        loc="upper left",
        bbox_to_anchor=(at[0] / wide, 1 - at[1] / high),
        ncols=columns,
        frameon=False,
        fontsize=size,
        borderpad=0,
        borderaxespad=0,
        handlelength=2.6,
        columnspacing=2.0,
        labelcolor=INK,
    )
    made.set_in_layout(True)
