"""A request as two bars: the time to its first token, then that of the others, before and after looping."""

from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.estimates.requests import Request, RequestSide
from perfmodel.report.pictures.axes import dressed, key, numbered, say_right
from perfmodel.report.pictures.captions import caption_of, question_line
from perfmodel.report.pictures.paper import INK, MARGIN, ORANGE, SKY, SOFT, WIDTH, Paint, shortened, text_width
from perfmodel.report.pictures.picture import Picture, Room
from perfmodel.report.words import rate, ratio, unit_of
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIRST, _OTHERS = Paint(ORANGE, "xxx"), Paint(SKY)
_ROW, _KEY, _VALUES, _NAMES = 46.0, 34.0, 158.0, 170.0  # height of a bar, of the key; room for figures and names [pt]


class RequestBar(msgspec.Struct, frozen=True):
    """One side of a request. Times [s]: low and high are the ends of that end to end; rate of all requests [tok/s]."""

    side: str
    mode: str
    time_to_first_token: float
    time_per_token: float
    time: float
    low: float
    high: float
    tokens_per_second: float


class RequestBars(Picture, frozen=True):
    """Where the time of a request goes. generate: tokens it generates [-]."""

    bars: tuple[RequestBar, ...]
    generate: int
    speedup: tuple[float, float, float]
    fits: bool = True

    def heading(self) -> str:
        """Return the title."""
        return "Where the time of a request goes"

    def verdict(self) -> str:
        """Return the speed-up with its interval, and whether it is one that can be had."""
        return f"speed-up {ratio(*self.speedup, ' x')}" + ("" if self.fits else ", but does not fit")

    def note(self) -> str:
        """Return how to read the bars."""
        return "Thin bars: intervals of the time end to end. Right: that time, and the rate of all requests together."

    def room(self) -> Room:
        """Return where the axes lie."""
        names = min(_NAMES, max(text_width(self._name(bar)) for bar in self.bars)) + 10
        return Room(MARGIN + names, _KEY, WIDTH - MARGIN - _VALUES, _KEY + _ROW * len(self.bars))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each side."""
        return [dict(msgspec.to_builtins(bar)) for bar in self.bars]

    @staticmethod
    def _name(bar: RequestBar) -> str:
        return f"{bar.side}: {bar.mode}"

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw a bar for each side, before above after, on one scale of time."""
        from matplotlib.patches import Patch

        dressed(axes).grid(visible=False, axis="y")
        largest = max(bar.high for bar in self.bars)
        unit, factor = unit_of(largest, "s")
        axes.set_xlim(0, 1.02 * largest / factor)
        axes.set_ylim(len(self.bars) - 0.5, -0.5)
        names = [shortened(self._name(bar), _NAMES) for bar in self.bars]
        axes.set_yticks(range(len(self.bars)), labels=names, size=12)
        numbered(axes, "x", f"time since the request came [{unit}]")
        said = ((_FIRST, "to the first token"), (_OTHERS, f"{self.generate - 1:,} further tokens"))
        entries = [Patch(label=words, **paint.style()) for paint, words in said]
        key(axes, entries, (0, -24) if beside else None, columns=2 if beside else 1)
        for row, bar in enumerate(self.bars):
            first, time, low, high = (t / factor for t in (bar.time_to_first_token, bar.time, bar.low, bar.high))
            axes.barh(row, first, 0.6, gid=f"{bar.side} first", zorder=2, **_FIRST.style())
            axes.barh(row, time - first, 0.6, first, gid=f"{bar.side} further", zorder=2, **_OTHERS.style())
            spread = [[time - low], [high - time]]
            axes.errorbar(time, row, xerr=spread, color=INK, elinewidth=1.5, capsize=5, capthick=1.5, zorder=3)
            if beside:
                say_right(axes, 64, row, format_quantity(bar.time, "s", 3), ha="right", weight="bold")
                say_right(axes, 150, row, f"{rate(bar.tokens_per_second)} tok/s", ha="right", color=SOFT)
        return axes


def request_bars(found: Request) -> RequestBars:
    """Return the two bars of a request."""

    def bar(name: str, side: RequestSide) -> RequestBar:
        return RequestBar(
            name,
            side.mode,
            side.time_to_first_token,
            side.time_per_token,
            side.time,
            side.high.time,
            side.low.time,
            side.tokens_per_second,
        )

    question = question_line(found.answer, "context")
    cached = f" on {found.context:,} cached" if found.context else ""
    return RequestBars(
        caption_of(
            f"{question}, prompt {found.prompt:,}{cached}, {found.generate:,} generated", found.answer.assumptions
        ),
        (bar("before", found.before), bar("after", found.after)),
        found.generate,
        (found.speedup.value, found.speedup.low, found.speedup.high),
        found.fits.fits,
    )
