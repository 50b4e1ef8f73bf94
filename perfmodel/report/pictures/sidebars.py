"""Choices side by side as bars: rates with their intervals, the rate before where it is known, the ladder of modes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.report.pictures.axes import dressed, key, limited, numbered, say_right
from perfmodel.report.pictures.lines import setting
from perfmodel.report.pictures.paper import (
    GREY,
    INK,
    MARGIN,
    SKY,
    SOFT,
    VERMILLION,
    WIDTH,
    Paint,
    shortened,
    text_width,
)
from perfmodel.report.pictures.picture import Caption, Picture, Room
from perfmodel.report.words import rate
from perfmodel.sweeps.comparisons import Choice, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AFTER, _BEFORE, _TOO_LARGE = Paint(SKY), Paint(VERMILLION, "////"), Paint(GREY, "---")
_NAMES, _MOST_BARS = 330.0, 24


class Bar(msgspec.Struct, frozen=True):
    """One choice: its rate [tok/s] with the interval, and the rate before; None where not known.

    gain: rate over that of the bar before it on a ladder [-], None where there is no ladder.
    """

    name: str
    rate: float
    low: float | None
    high: float | None
    before: float | None
    fits: bool
    gain: float | None = None


class Bars(Picture, frozen=True):
    """Choices side by side, in the order of `bars`. left_out: choices that had no room."""

    title: str
    bars: tuple[Bar, ...]
    left_out: int

    def heading(self) -> str:
        """Return the title."""
        return self.title

    def note(self) -> str:
        """Return how to read thin bars and grey ones."""
        parts = ["Thin bars: intervals."] if any(bar.low is not None for bar in self.bars) else []
        if any(bar.gain is not None for bar in self.bars):
            parts.append("Right: the gain over the mode below.")
        if not all(bar.fits for bar in self.bars):
            parts.append("Grey: weights and cache do not fit into memory.")
        if self.left_out:
            parts.append(f"Choices that had no room here: {self.left_out}.")
        return " ".join(parts)

    def _paired(self) -> bool:
        return any(bar.before is not None for bar in self.bars)

    def _row(self) -> float:
        return 36.0 if self._paired() else 26.0

    def _names_wide(self) -> float:
        return min(_NAMES, max(text_width(bar.name) for bar in self.bars)) + 10

    def room(self) -> Room:
        """Return where the axes lie."""
        top = 34.0 if self._paired() else 12.0
        wide = 150.0 if any(bar.gain is not None or not bar.fits for bar in self.bars) else 86.0
        return Room(MARGIN + self._names_wide(), top, WIDTH - MARGIN - wide, top + self._row() * len(self.bars))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each choice."""
        return [dict(msgspec.to_builtins(bar)) for bar in self.bars]

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw a bar for each choice, the rate written beside it."""
        from matplotlib.patches import Patch

        dressed(axes).grid(visible=False, axis="y")
        ends = [end for bar in self.bars for end in (bar.rate, bar.high or 0.0, bar.before or 0.0)]
        limited(axes, "x", [0.0, *ends], log=False)
        axes.set_ylim(len(self.bars) - 0.5, -0.5)
        axes.set_yticks(range(len(self.bars)), labels=[shortened(bar.name, _NAMES) for bar in self.bars], size=12)
        numbered(axes, "x", "rate [tok/s, all sequences]")
        if self._paired():
            entries = [Patch(label=words, **p.style()) for p, words in ((_BEFORE, "before"), (_AFTER, "after"))]
            key(axes, entries, (0, -24) if beside else None, columns=2 if beside else 1)
        for row, bar in enumerate(self.bars):
            self._bar(axes, row, bar, beside=beside)
        return axes

    def _bar(self, axes: "Axes", row: int, bar: Bar, *, beside: bool) -> None:
        sides = [(bar.rate, _AFTER if bar.fits else _TOO_LARGE, "after")]
        if bar.before is not None:
            sides.insert(0, (bar.before, _BEFORE, "before"))
        thick = (1 - 8 / self._row()) / len(sides)
        for i, (value, paint, side) in enumerate(sides):
            middle = row + (i - (len(sides) - 1) / 2) * thick
            axes.barh(middle, value, thick, gid=f"{bar.name} {side}", zorder=2, **paint.style())
        if bar.low is not None and bar.high is not None:
            spread = [[bar.rate - bar.low], [bar.high - bar.rate]]
            axes.errorbar(bar.rate, row, xerr=spread, color=INK, elinewidth=1.5, capsize=4, capthick=1.5, zorder=3)
        near = 0 if beside else 28  # how much nearer the columns stand where space is dear [pt]
        say_right(axes, 86 - near, row, rate(bar.rate), ha="right")
        said = "" if bar.fits else "no room"
        if bar.fits and bar.gain is not None:
            said = f"{bar.gain:.2f} x"
        if said:
            say_right(
                axes, 150 - 1.3 * near, row, said, ha="right", color=SOFT, style="normal" if bar.fits else "italic"
            )


def swept_bars(columns: Mapping[str, Sequence[Any]], varying: Sequence[str], caption: Caption) -> Bars:
    """Return the points of a sweep as bars; columns: plain lists by name; varying: those that differ."""
    count = len(columns["fits.fits"])
    bars = tuple(
        Bar(
            ", ".join(setting(name, columns[name][i]) for name in varying),
            columns["after.tokens_per_second"][i],
            None,
            None,
            columns["before.tokens_per_second"][i],
            columns["fits.fits"][i],
        )
        for i in range(min(count, _MOST_BARS))
    )
    return Bars(caption, "Rate before and after", bars, count - len(bars))


_KEYS = ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format", "mode")


def naming(choices: Sequence[Choice]) -> tuple[list[str], str]:
    """Return a name for each choice, of what differs between them, and what is the same for all."""
    same = [key for key in _KEYS if len({getattr(choice, key) for choice in choices}) == 1]
    differing = [key for key in _KEYS if key not in same]
    swept = [path for path in choices[0].settings if len({choice.settings[path] for choice in choices}) > 1]

    def words(choice: Choice, names: Sequence[str]) -> list[str]:
        return [
            setting("after.mode" if name == "mode" else name, getattr(choice, name)).removeprefix("after ")
            for name in names
        ]

    named = [[*words(c, differing), *(setting(path, c.settings[path]) for path in swept)] for c in choices]
    return [", ".join(parts) or c.mode for parts, c in zip(named, choices, strict=True)], ", ".join(
        words(choices[0], same)
    )


def comparison_bars(found: Comparison) -> Bars | None:
    """Return the choices of a comparison as bars, in its order; None where there is only one."""
    if len(found.choices) < 2:
        return None
    names, said = naming(found.choices)
    bars = tuple(
        Bar(
            name,
            c.tokens_per_second,
            c.low,
            c.high,
            None,
            c.fits,
            c.gain if found.ladder and c.mode != c.against else None,
        )
        for name, c in zip(names, found.choices[:_MOST_BARS], strict=False)
    )
    title = "Up the ladder of modes" if found.ladder else "Choices, best first"
    return Bars(Caption(said, ()), title, bars, len(found.choices) - len(bars))
