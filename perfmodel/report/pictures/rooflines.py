"""The operations of a step under the roofs of one device, lettered, with a key beside them."""

from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.report.pictures.axes import dressed, key, limited, numbered, say, size_of
from perfmodel.report.pictures.paper import (
    AFTER,
    AXIS,
    BEFORE,
    BLUE,
    GREEN,
    INK,
    LINE,
    MARGIN,
    PAPER,
    SOFT,
    shortened,
    wrapped,
)
from perfmodel.report.pictures.picture import Picture, Room
from perfmodel.report.words import number_label, percent
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_KEY, _KEY_WIDE = 24.0, 300.0  # from the axes to the key, its width [pt]
_SUSTAINED = (0, (5, 3.4))


class RooflinePoint(msgspec.Struct, frozen=True):
    """Operations of alike intensity [FLOP/B], the rate [FLOP/s] they reach, and their share of the bytes [-]."""

    names: tuple[str, ...]
    intensity: float
    rate: float
    share: float


class Roofline(Picture, frozen=True):
    """The roofs of one device and what lies under them.

    bandwidth, sustained_bandwidth [B/s]; rates: arithmetic format and datasheet rate [FLOP/s], the one in use first;
    sustained_rate [FLOP/s]; step: intensity of the whole step, its rate before and after on one device, and at peak.
    """

    hardware: str
    bandwidth: float
    sustained_bandwidth: float
    rates: tuple[tuple[str, float], ...]
    sustained_rate: float
    points: tuple[RooflinePoint, ...]
    step_intensity: float
    step_rates: tuple[float, float, float]
    modes: tuple[str, str]

    def heading(self) -> str:
        """Return the title."""
        return f"The operations under the roofs of one {self.hardware}"

    def note(self) -> str:
        """Return why the step lies under its operations."""
        return (
            "Operations lie where the equations put them, under the sustained roofs; the whole step lies lower by what"
            " boundaries, collectives and stages cost."
        )

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN + 62, 28.0, 520.0, 362.0)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each group of operations."""
        return [
            {"operations": " ".join(p.names), "intensity": p.intensity, "rate": p.rate, "share": p.share}
            for p in self.points
        ]

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw the roofs, the operations under them, and the whole step on both sides."""
        dressed(axes)
        used = self.rates[0][1]
        intensities = [*(p.intensity for p in self.points), self.step_intensity]
        limited(axes, "x", [*intensities, used / self.bandwidth * 6, 0.3], room=1.6, log=True)
        reached = [*(p.rate for p in self.points), *self.step_rates[:2]]
        roofs = [rate for _, rate in self.rates if rate < 5 * used]
        limited(axes, "y", [*reached, *roofs], room=1.5, log=True)
        numbered(axes, "x", "arithmetic intensity [FLOP/B]")
        numbered(axes, "y", "rate on one device [FLOP/s]", written=_rate_words)
        right = axes.get_xlim()[1]
        for bandwidth, rate, colour, dash, wide in (
            (self.bandwidth, used, INK, "-", 2.0),
            (self.sustained_bandwidth, self.sustained_rate, BLUE, _SUSTAINED, 1.6),
        ):
            start = max(axes.get_xlim()[0], axes.get_ylim()[0] / bandwidth)
            path = ([start, rate / bandwidth, right], [start * bandwidth, rate, rate])
            axes.plot(*path, color=colour, linestyle=dash, linewidth=wide)
        self._other_roofs(axes)
        self._points(axes)
        self._key(axes, beside=beside)
        return axes

    def _place(self, axes: "Axes", intensity: float, rate: float) -> tuple[float, float]:
        """Return where a point lies [pt] from the lower left corner of the figure."""
        x, y = axes.transData.transform((intensity, rate)) * (72.0 / axes.figure.dpi)
        return float(x), float(y)

    def _other_roofs(self, axes: "Axes") -> None:
        """Draw the flat roofs of formats that this step does not use, where there is room for their names."""
        right, top = axes.get_xlim()[1], axes.get_ylim()[1]
        edge = self._place(axes, right, top)[0]
        taken = [self._place(axes, 1, rate)[1] for rate in (self.rates[0][1], self.sustained_rate)]
        for name, rate in self.rates[1:]:
            corner = rate / self.bandwidth
            x, y = self._place(axes, corner, rate)
            if axes.get_xlim()[0] < corner and x < edge - 60 and rate < top and all(abs(y - t) > 13 for t in taken):
                taken.append(y)
                axes.plot([corner, right], [rate, rate], color=AXIS, linewidth=0.8, linestyle=(0, (1, 3)))
                axes.annotate(name, (right, rate), (-2, 3), textcoords="offset points", size=10, ha="right", color=SOFT)

    def _points(self, axes: "Axes") -> None:
        before, after, peak = self.step_rates
        axes.vlines(
            self.step_intensity, before, min(peak, self.rates[0][1]), color=INK, linewidth=1, linestyle=(0, (2, 2))
        )
        spots: list[tuple[float, float]] = []
        markers = [self._place(axes, point.intensity, point.rate) for point in self.points]
        for letter, point, (x, y) in zip(_LETTERS, self.points, markers, strict=False):
            face = PAPER if point.share < 0.01 else GREEN
            axes.plot(
                point.intensity, point.rate, "D", color=GREEN, markerfacecolor=face, markersize=7, markeredgewidth=1.5
            )
            # Letters stand over the roof, higher up where another is in the way.
            spot = (x - 6.0, y + 10.0)
            while any(abs(spot[0] - ox) < 11 and abs(spot[1] - oy) < 11 for ox, oy in spots) or any(
                abs(spot[0] - ox) < 9 and -15 < spot[1] - oy < 4 for ox, oy in markers if (ox, oy) != (x, y)
            ):
                spot = (spot[0] - 2.0, spot[1] + 6.0)
            spots.append(spot)
            line = {"arrowstyle": "-", "color": AXIS, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5}
            axes.annotate(
                letter,
                (point.intensity, point.rate),
                (spot[0] - x, spot[1] - y),
                textcoords="offset points",
                size=11,
                weight="bold",
                ha="center",
                color=INK,
                arrowprops=line if spot[1] > y + 18 else None,
            )
        for rate, look, side in ((before, BEFORE, "before"), (after, AFTER, "after")):
            axes.plot(self.step_intensity, rate, look.marker, color=look.colour, markersize=10, gid=side, zorder=4)

    def _key(self, axes: "Axes", *, beside: bool) -> None:
        """Write what lines and markers stand for, and beside the axes what the letters do."""
        from matplotlib.lines import Line2D

        roofs: tuple[tuple[str, float, float, str, Any, str], ...] = (
            ("datasheet", self.bandwidth, self.rates[0][1], INK, "-", f" {self.rates[0][0]}"),
            ("sustained", self.sustained_bandwidth, self.sustained_rate, BLUE, _SUSTAINED, ""),
        )
        entries = [
            Line2D(
                [],
                [],
                color=colour,
                linestyle=dash,
                linewidth=1.8,
                label=f"{name}: {format_quantity(bandwidth, 'B/s', 3)}, {format_quantity(rate, 'FLOP/s', 3)}{ending}",
            )
            for name, bandwidth, rate, colour, dash, ending in roofs
        ] + [
            Line2D(
                [],
                [],
                color=look.colour,
                marker=look.marker,
                markersize=10,
                linestyle="none",
                label=f"the whole step, {mode}",
            )
            for mode, look in zip(self.modes, (BEFORE, AFTER), strict=True)
        ]
        key(axes, entries, (_KEY, 0) if beside else None, right=True, size=11)
        if beside:
            self._names(axes)

    def _names(self, axes: "Axes") -> None:
        """Write which operations each letter stands for, with their share of the bytes and their intensity."""
        left, right, at = _KEY, _KEY + _KEY_WIDE, 82.0
        ends = ((left, "operations", "left"), (right - 56, "of bytes", "right"), (right, "FLOP/B", "right"))
        for x, words, side in ends:
            say(axes, x, at, words, right=True, size=11, weight="bold", ha=side)
        room = int((size_of(axes)[1] + 40 - at) // LINE)
        wide = _KEY_WIDE - 126
        for letter, point in zip(_LETTERS, self.points, strict=False):
            lines = wrapped(", ".join(point.names).replace("_", " "), wide, 11)
            if len(lines) > 2:
                lines = [lines[0], shortened(f"{lines[1]} {lines[2]}", wide, 11)]
            if room < len(lines) + 1:
                say(axes, left + 18, at + LINE, "and others of few bytes", right=True, size=11, color=SOFT)
                break
            share = percent(point.share, 1) if point.share >= 0.001 else "< 0.1 %"
            say(axes, left, at + LINE, letter, right=True, size=11, weight="bold")
            say(axes, right, at + LINE, number_label(point.intensity), right=True, size=11, ha="right")
            say(axes, right - 56, at + LINE, share, right=True, size=11, ha="right")
            for words in lines:
                at += LINE
                room -= 1
                say(axes, left + 18, at, words, right=True, size=11)
            at += 2


def _rate_words(value: float) -> str:
    return format_quantity(value, "FLOP/s").removesuffix("FLOP/s").strip()
