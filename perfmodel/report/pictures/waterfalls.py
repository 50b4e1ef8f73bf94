"""Where the time of a step goes: the terms of both sides as bars, each starting where the one above ends."""

from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.results import Side
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report.pictures.axes import numbered, panel, say, say_right, size_of
from perfmodel.report.pictures.captions import caption_of, question_line
from perfmodel.report.pictures.paper import (
    AXIS,
    GREEN,
    GREY,
    INK,
    MARGIN,
    ORANGE,
    PEAK,
    PURPLE,
    SKY,
    SOFT,
    VERMILLION,
    WIDTH,
    YELLOW,
    Paint,
    shortened,
)
from perfmodel.report.pictures.picture import Picture, Room
from perfmodel.report.words import percent, ratio, term_label, unit_of
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colour and hatch of each term, the same in every picture.
TERM_PAINTS = {
    "peak": Paint(GREY),
    "stream": Paint(SKY),
    "compute": Paint(ORANGE, "xxx"),
    "boundary": Paint(VERMILLION, "////"),
    "collective": Paint(GREEN, "\\\\\\\\"),
    "latency": Paint(PURPLE, "---"),
    "host": Paint(YELLOW, "|||"),
}
_STEP = Paint("#8c8c8c")
_ROWS = ("peak", *TERM_NAMES, "step")
_LABEL, _VALUES, _GAP, _HEAD = 82.0, 118.0, 22.0, 38.0  # room for names, times, between panels, over them [pt]


class SideBars(msgspec.Struct, frozen=True):
    """One side of a waterfall: terms [s] in the order of TERM_NAMES, the step and its interval [s]."""

    mode: str
    terms: tuple[float, ...]
    step: float
    low: float
    high: float
    kernel_calls: int

    def bars(self, peak: float) -> list[tuple[str, float, float]]:
        """Return each row's name, where its bar starts and how long it is [s], the peak first and the step last."""
        found, start = [("peak", 0.0, peak)], 0.0
        for name, time in zip(TERM_NAMES, self.terms, strict=True):
            found.append((name, start, time))
            start += time
        return [*found, ("step", 0.0, self.step)]


class Waterfall(Picture, frozen=True):
    """Where the time of a step goes. peak [s]: the step at the datasheet bandwidth."""

    peak: float
    before: SideBars
    after: SideBars
    speedup: tuple[float, float, float]
    fits: bool = True

    def heading(self) -> str:
        """Return the title."""
        return "Where the time of a step goes"

    def verdict(self) -> str:
        """Return the speed-up with its interval, and whether it is one that can be had."""
        return f"speed-up {ratio(*self.speedup, ' x')}" + ("" if self.fits else ", but does not fit")

    def note(self) -> str:
        """Return how to read the lines."""
        return (
            "Dotted line: peak, all bytes of the step at the datasheet bandwidth. The thin bar at the end of step is"
            " the interval of the whole step."
        )

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN, 6.0, WIDTH - MARGIN, 6.0 + _HEAD + 27.0 * len(_ROWS))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each term of each side."""
        rows: list[dict[str, Any]] = [{"side": "", "term": "peak", "time": self.peak}]
        for name, side in (("before", self.before), ("after", self.after)):
            rows += [{"side": name, "term": term, "time": time} for term, _, time in side.bars(self.peak)[1:]]
        return rows

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw before on the left and after on the right, on one scale of time, and return `axes`."""
        axes.set_axis_off()
        wide, high = size_of(axes)
        values = _VALUES if beside else 0.0
        bars = (wide - _LABEL - 2 * values - _GAP) / 2
        for index, (name, side) in enumerate((("before", self.before), ("after", self.after))):
            left = _LABEL + index * (bars + values + _GAP)
            calls = f"{side.kernel_calls:,} kernel call{'' if side.kernel_calls == 1 else 's'}"
            big, small = (13, 11) if beside else (10, 9)
            say(
                axes,
                left,
                14,
                shortened(f"{name}: {side.mode}", bars + values, big, bold=True),
                size=big,
                weight="bold",
            )
            say(axes, left, 29, calls, size=small, color=SOFT)
            self._side(panel(axes, left, _HEAD, left + bars, high), side, named=index == 0, valued=values > 0)
        return axes

    def _side(self, axes: "Axes", side: SideBars, *, named: bool, valued: bool) -> None:
        largest = max(self.before.high, self.after.high)
        unit, factor = unit_of(largest, "s")
        axes.set_ylim(len(_ROWS) - 0.5, -0.5)
        axes.set_xlim(0, 1.02 * largest / factor)
        axes.grid(visible=False, axis="y")
        numbered(axes, "x", f"time of a step [{unit}]", count=4)
        axes.set_yticks(
            range(len(_ROWS)), labels=[term_label(row) for row in _ROWS] if named else [""] * len(_ROWS), size=12
        )
        axes.get_yticklabels()[-1].set_fontweight("bold")
        axes.axvline(self.peak / factor, color=INK, linewidth=1, linestyle=PEAK.dash)
        for row, (name, start, time) in enumerate(side.bars(self.peak)):
            if time > 0:
                paint = TERM_PAINTS.get(name, _STEP)
                axes.barh(row, time / factor, 0.7, start / factor, gid=name, zorder=2, **paint.style())
            if name in TERM_NAMES:
                end = (start + time) / factor
                axes.vlines(end, row + (0.35 if time > 0 else -0.65), row + 0.65, color=AXIS, linewidth=0.8)
            if not valued:
                continue
            weight = "bold" if name == "step" else "normal"
            words = format_quantity(time, "s", 3) if time else "0"
            say_right(axes, 64, row, words, ha="right", weight=weight)
            say_right(axes, 114, row, percent(time / side.step), ha="right", color=SOFT)
        step, low, high = (time / factor for time in (side.step, side.low, side.high))
        axes.errorbar(
            step, len(_ROWS) - 1, xerr=[[step - low], [high - step]], color=INK, elinewidth=1.5, capsize=5, capthick=1.5
        )


def waterfall(answer: Estimate) -> Waterfall:
    """Return the terms of both sides."""

    def bars(side: Side) -> SideBars:
        terms = tuple(float(getattr(side.terms, name)) for name in TERM_NAMES)
        return SideBars(
            side.mode, terms, side.time_per_step, side.high.time_per_step, side.low.time_per_step, side.kernel_calls
        )

    return Waterfall(
        caption_of(question_line(answer), answer.assumptions),
        answer.peak.time_per_step,
        bars(answer.before),
        bars(answer.after),
        (answer.speedup.value, answer.speedup.low, answer.speedup.high),
        answer.fits.fits,
    )
