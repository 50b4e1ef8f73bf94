"""A bar for each assumption: how far it alone moves a figure."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.analysis.sensitivities import Sensitivity, sensitivity
from perfmodel.estimates.answers import Estimate
from perfmodel.report.pictures.axes import dressed, key, limited, numbered, say, say_right
from perfmodel.report.pictures.captions import caption_of, question_line
from perfmodel.report.pictures.paper import INK, MARGIN, ORANGE, SKY, SOFT, WIDTH, Paint, shortened
from perfmodel.report.pictures.picture import Picture, Room
from perfmodel.report.words import digits_of, number_label, percent, unit_of
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOW, _HIGH = Paint(ORANGE, "////"), Paint(SKY)
_ROW, _NAMES = 30.0, 242.0  # height of a bar's row, room for the names [pt]


class TornadoBar(msgspec.Struct, frozen=True):
    """One assumption, its ends as text, and the figure with it alone at either end."""

    name: str
    low: str
    high: str
    at_low: float
    at_high: float
    share: float


class Tornado(Picture, frozen=True):
    """How far each assumption alone moves a figure, the most first; value, low, high of that figure [unit]."""

    figure: str
    unit: str
    value: float
    low: float
    high: float
    bars: tuple[TornadoBar, ...]

    def heading(self) -> str:
        """Return the title."""
        return f"How far each assumption moves the {figure_words(self.figure)}"

    def _scale(self) -> tuple[str, float]:
        """Return the unit of the figure and its factor to the base unit."""
        if self.unit in ("s", "tok/s"):
            return unit_of(max(map(abs, self._ends())), self.unit)
        return ("x" if self.figure.startswith("speedup") else "-", 1.0)

    def _ends(self) -> list[float]:
        return [self.value, self.low, self.high, *(end for b in self.bars for end in (b.at_low, b.at_high))]

    def note(self) -> str:
        """Return what the line is, and the percentages."""
        unit, factor = self._scale()
        digits = digits_of([end / factor for end in (self.low, self.value, self.high)])
        value, low, high = (number_label(end / factor, digits) for end in (self.value, self.low, self.high))
        return (
            f"Line: {value} {unit}, all at their values; all together give {low} to {high}. Right: what the interval"
            " loses when this one is known exactly."
        )

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN + _NAMES + 10, 54.0, WIDTH - MARGIN - 64, 54.0 + _ROW * max(1, len(self.bars)))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each assumption."""
        return [dict(msgspec.to_builtins(bar)) for bar in self.bars]

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw a bar for each assumption: the figure with that one alone at its low and at its high end."""
        from matplotlib.patches import Patch

        unit, factor = self._scale()
        count = max(1, len(self.bars))
        dressed(axes, left=False).grid(visible=False, axis="y")
        limited(axes, "x", [end / factor for end in self._ends()], zero=False, log=False)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_yticks([])
        numbered(axes, "x", f"{figure_words(self.figure)} [{unit}]", count=6)
        entries = [
            Patch(label=words, **paint.style())
            for paint, words in ((_LOW, "assumption at its low end"), (_HIGH, "at its high end"))
        ]
        key(axes, entries, (0, -38) if beside else None, columns=2 if beside else 1, within="lower right")
        if beside:
            say(axes, 64, -8, "of interval", right=True, size=11, color=SOFT, ha="right")
        for row, bar in enumerate(self.bars):
            self._bar(axes, row, bar, factor, beside=beside)
        if not self.bars:
            say(axes, 8, 20, "No assumption has an interval.")
        axes.axvline(self.value / factor, ymax=1.0, color=INK, linewidth=1.4, zorder=4)
        return axes

    def _bar(self, axes: "Axes", row: int, bar: TornadoBar, factor: float, *, beside: bool) -> None:
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}
        size, wide = (12, _NAMES) if beside else (9, _NAMES / 2)
        axes.annotate(shortened(bar.name, wide, size), (0, row), (-10, 1), color=INK, size=size, **place)
        axes.annotate(f"{bar.low} to {bar.high}", (0, row), (-10, -11), color=SOFT, size=0.85 * size, **place)
        say_right(axes, 64 if beside else 34, row, percent(bar.share), size=11, color=SOFT, ha="right")
        # The longer end first, so that two ends on one side both stay visible.
        for value, paint, end in sorted(
            ((bar.at_low, _LOW, "low"), (bar.at_high, _HIGH, "high")), key=lambda each: -abs(each[0] - self.value)
        ):
            if value != self.value:
                wide = (value - self.value) / factor
                axes.barh(row, wide, 0.67, self.value / factor, gid=f"{bar.name} {end}", zorder=2, **paint.style())


def figure_words(figure: str) -> str:
    """Return a figure of an answer in words."""
    side, _, name = figure.partition(".")
    return "speed-up" if side == "speedup" else f"{name.replace('_', ' ')} {side}"


@lru_cache(maxsize=4)
def sensitivity_of(answer: Estimate, figure: str = "speedup") -> Sensitivity:
    """Return how far each assumption moves `figure`; the picture and the words of a page share it."""
    return sensitivity(**answer.asked.arguments, figure=figure)


def tornado(answer: Estimate, figure: str = "speedup", most: int = 12) -> Tornado:
    """Return the assumptions that move `figure`, the most first, at most `most` of them."""
    found = sensitivity_of(answer, figure)
    bars = tuple(
        TornadoBar(
            i.name, format_quantity(i.low, i.unit, 3), format_quantity(i.high, i.unit, 3), i.at_low, i.at_high, i.share
        )
        for i in found.influences
        if i.swing > 0
    )
    return Tornado(
        caption_of(question_line(answer), answer.assumptions),
        found.figure,
        found.unit,
        found.value,
        found.low,
        found.high,
        bars[:most],
    )
