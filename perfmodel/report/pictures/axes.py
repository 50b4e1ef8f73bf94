"""What the pictures share on their axes: grids, ticks that are round in their unit, panels and keys."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from perfmodel.report.pictures.paper import AXIS, GRID, INK, PAPER, Look, text_width
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


def say(axes: "Axes", x: float, y: float, words: str, *, right: bool = False, **kind: Any) -> None:
    """Write `words` at a place [pt] from the upper left corner of `axes`, or from the upper right one."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(words, (1 if right else 0, 1), (x, -y), **(place | {"color": INK} | kind))


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


def key(
    axes: "Axes",
    entries: Sequence[Any],
    at: tuple[float, float] | None,
    *,
    right: bool = False,
    columns: int = 1,
    size: float = 12,
    within: str = "best",
) -> None:
    """Write a key whose upper left corner is `at` [pt] from the upper left, or upper right, corner of `axes`.

    at: None puts it within the axes, at the place that matplotlib calls `within`.
    """
    from matplotlib.transforms import ScaledTranslation

    chosen: dict[str, Any] = {"loc": within, "fontsize": 9, "framealpha": 0.8, "edgecolor": "none"}
    if at is not None:
        moved = ScaledTranslation(at[0] / 72, -at[1] / 72, axes.figure.dpi_scale_trans)
        corner = (1.0 if right else 0.0, 1.0)
        chosen = {"loc": "upper left", "bbox_to_anchor": corner, "bbox_transform": axes.transAxes + moved}
        chosen |= {"borderpad": 0, "borderaxespad": 0, "fontsize": size, "frameon": False}
    axes.legend(handles=list(entries), ncols=columns, handlelength=2.6, columnspacing=2.0, labelcolor=INK, **chosen)


def banded(axes: "Axes", at: Sequence[float], low: Sequence[float], high: Sequence[float], look: Look) -> None:
    """Draw an interval: a tint with thin edges, and a hatch that tells it from others without colour."""
    axes.fill_between(at, low, high, color=look.colour, alpha=0.16, linewidth=0)
    if look.hatch:
        axes.fill_between(
            at, low, high, facecolor="none", edgecolor=look.colour, alpha=0.35, hatch=look.hatch[:2], linewidth=0
        )
    for ends in (low, high):
        axes.plot(at, ends, color=look.colour, linewidth=0.7, linestyle=look.dash)


def marked(
    axes: "Axes", at: Sequence[float], values: Sequence[float], fits: Sequence[bool], look: Look, *, scarce: bool = True
) -> None:
    """Draw a curve with a marker at each point, hollow where it does not fit; not scarce: without markers."""
    axes.plot(at, values, color=look.colour, linestyle=look.dash, linewidth=2)
    if scarce:
        for hollow in (False, True):
            points = [(a, v) for a, v, fit in zip(at, values, fits, strict=True) if fit is not hollow]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    linestyle="none",
                    marker=look.marker,
                    markersize=8,
                    markeredgewidth=1.5,
                    color=look.colour,
                    markerfacecolor=PAPER if hollow else look.colour,
                    zorder=3,
                )


def unfitting(axes: "Axes", at: Sequence[float], fits: Sequence[bool], *, named: bool) -> None:
    """Shade where weights and cache do not fit: from the first such point on, or up to the last."""
    if all(fits):
        return
    left, right = axes.get_xlim()
    if not any(fits):
        start, end = left, right
    elif fits[0]:
        start, end = at[list(fits).index(False)], right
        before = at[list(fits).index(False) - 1]
        start = (start * before) ** 0.5 if axes.get_xscale() == "log" else (start + before) / 2
    else:
        last = len(fits) - 1 - list(reversed(fits)).index(False)
        start, end = left, at[last]
        if last + 1 < len(at):
            end = (end * at[last + 1]) ** 0.5 if axes.get_xscale() == "log" else (end + at[last + 1]) / 2
    axes.axvspan(start, end, facecolor="none", edgecolor="#8c8c8c", hatch="\\\\", linewidth=0, alpha=0.4, zorder=0)
    if named:
        axes.annotate(
            "does not fit",
            (end if fits[0] else start, 0.0),
            (-4 if fits[0] else 4, 6),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if fits[0] else "left",
            size=11,
            style="italic",
            color=INK,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )
