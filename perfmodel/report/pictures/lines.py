"""A sweep over one axis: a line for each choice of the others."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.report.pictures.axes import (
    AXIS_WORDS,
    banded,
    key,
    key_line,
    limited,
    marked,
    numbered,
    panel,
    placed,
    size_of,
    unfitting,
)
from perfmodel.report.pictures.paper import INK, MARGIN, PEAK, SERIES, WIDTH, Look, shortened, text_width
from perfmodel.report.pictures.picture import Band, Caption, Picture, Room
from perfmodel.report.words import number_label, tokens_label, unit_of
from perfmodel.specifications.parameters import lookup
from perfmodel.sweeps.summaries import written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCARCE = 40  # points of a line that still get a marker each
_MOST_LINES = 5
_DASHES = (0, (5, 4))
_ENTRY, _ROW = 62.0, 18.0  # of a key: what an entry takes beside its words, height of a row [pt]
_HIGH = 260.0  # of the panels [pt]


class SweptLine(msgspec.Struct, frozen=True):
    """One line of a sweep: rates before and after [tok/s], speed-up [-], whether each point fits into memory."""

    name: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    speedup: Band
    fits: tuple[bool, ...]


class Lines(Picture, frozen=True):
    """A sweep over one axis, a line for each choice of the others.

    at: the points [unit]; left_out: lines that had no room.
    """

    title: str
    axis: str
    unit: str
    at: tuple[float, ...]
    lines: tuple[SweptLine, ...]
    left_out: int

    def heading(self) -> str:
        """Return the title."""
        return self.title

    def note(self) -> str:
        """Return how to read the lines."""
        note = "Dashed: before; whole lines: after; bands: intervals of the speed-up."
        if not all(fits for line in self.lines for fits in line.fits):
            note += " Hollow markers: weights and cache do not fit into memory there."
        return note + (f" Lines that had no room here: {self.left_out}." if self.left_out else "")

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN, 10.0, WIDTH - MARGIN, 10.0 + self._key_rows(WIDTH - 2 * MARGIN) * _ROW + 14.0 + _HIGH)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each point of each line."""
        return [
            {
                "line": line.name,
                self.axis: at,
                "before.tokens_per_second": line.before[i],
                "after.tokens_per_second": line.after[i],
                "speedup.value": line.speedup.values[i],
                "speedup.low": line.speedup.low[i],
                "speedup.high": line.speedup.high[i],
                "fits": line.fits[i],
            }
            for line in self.lines
            for i, at in enumerate(self.at)
        ]

    def _columns(self, wide: float) -> int:
        """Return in how many columns the names of the lines stand."""
        longest = max(text_width(line.name) for line in self.lines) + _ENTRY
        return max(1, min(len(self.lines), int(wide // longest)))

    def _key_rows(self, wide: float) -> int:
        if not any(line.name for line in self.lines):
            return 0
        return -(-len(self.lines) // self._columns(wide))

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw the rates on the left, before dashed and after whole; on the right the speed-up with its interval."""
        axes.set_axis_off()
        wide, high = size_of(axes)
        top, half = self._key_rows(wide) * _ROW + 14.0 if beside else 0.0, wide / 2
        left, right = panel(axes, 58, top, half - 6, high), panel(axes, half + 70, top, wide - 8, high)
        if self._key_rows(wide):
            entries = [
                key_line(look, shortened(line.name, wide - _ENTRY))
                for look, line in zip(SERIES, self.lines, strict=False)
            ]
            key(
                axes if beside else right,
                entries,
                (8, 0) if beside else None,
                columns=self._columns(wide) if beside else 1,
            )
        for each in (left, right):
            self._along(each, short=not beside)
        self._rates(left)
        self._speedups(right)
        for each in (left, right):
            if len({line.fits for line in self.lines}) == 1:
                unfitting(each, self.at, self.lines[0].fits, named=each is left)
        return axes

    def _along(self, axes: "Axes", *, short: bool) -> None:
        least, most = min(self.at), max(self.at)
        known = self.axis in AXIS_WORDS
        unit, factor = unit_of(max(abs(least), abs(most)), self.unit) if self.unit != "1" else ("-", 1.0)
        limited(axes, "x", self.at, zero=False, log=least > 0 and (known or most / least > 50))
        if known:
            shown = (lambda value: tokens_label(round(value))) if self.axis == "context" else number_label
            placed(axes, self.at, self.axis if short else AXIS_WORDS[self.axis], shown)
            return
        words = shortened(f"{self.axis} [{unit}]", size_of(axes)[0])
        numbered(axes, "x", words, written=None if factor == 1.0 else lambda value: f"{value / factor:.6g}")

    def _rates(self, axes: "Axes") -> None:
        limited(axes, "y", [value for line in self.lines for value in (*line.before, *line.after)])
        numbered(axes, "y", "rate [tok/s, all sequences]", count=6)
        for look, line in zip(SERIES, self.lines, strict=False):
            axes.plot(self.at, line.before, color=look.colour, linestyle=_DASHES, linewidth=1.4)
            marked(axes, self.at, line.after, line.fits, look, scarce=len(self.at) <= _SCARCE)

    def _speedups(self, axes: "Axes") -> None:
        ends = [end for line in self.lines for end in (*line.speedup.low, *line.speedup.high)]
        limited(axes, "y", [0.95, *ends], zero=False, log=False)
        numbered(axes, "y", "speed-up [x]", count=6)
        axes.axhline(1.0, color=INK, linewidth=1.2, linestyle=PEAK.dash)
        for look, line in zip(SERIES, self.lines, strict=False):
            thin = Look(look.colour, ":" if look.hatch else "-", "", look.hatch)
            banded(axes, self.at, line.speedup.low, line.speedup.high, thin)
        for look, line in zip(SERIES, self.lines, strict=False):
            marked(axes, self.at, line.speedup.values, line.fits, look, scarce=len(self.at) <= _SCARCE)


def swept_lines(
    columns: Mapping[str, Sequence[Any]], names: Sequence[str], shape: Sequence[int], along: int, caption: Caption
) -> Lines:
    """Return the lines of a sweep along one of its axes.

    columns: plain lists by name, rows with the first axis slowest; names: the columns of the axes; shape: how many
    values each has; along: which one the lines go along.
    """
    others = [i for i, count in enumerate(shape) if count > 1 and i != along]
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
    combinations = list(product(*(range(shape[i]) for i in others)))
    # Evenly chosen where there are too many, the first and the last among them.
    few = min(len(combinations), _MOST_LINES)
    kept = [combinations[round(i * (len(combinations) - 1) / max(1, few - 1))] for i in range(few)]
    lines = []
    for combination in kept:
        first = sum(place * strides[i] for i, place in zip(others, combination, strict=True))
        points = range(first, first + shape[along] * strides[along], strides[along])

        def column(name: str, points: range = points) -> tuple[Any, ...]:
            return tuple(columns[name][i] for i in points)

        lines.append(
            SweptLine(
                ", ".join(setting(names[i], columns[names[i]][first]) for i in others),
                column("before.tokens_per_second"),
                column("after.tokens_per_second"),
                Band(column("speedup.value"), column("speedup.low"), column("speedup.high")),
                column("fits.fits"),
            )
        )
    parameter = lookup(names[along])
    at = tuple(float(columns[names[along]][i * strides[along]]) for i in range(shape[along]))
    return Lines(
        caption,
        f"Rate and speed-up over {names[along]}",
        names[along],
        parameter.unit if parameter else "1",
        at,
        tuple(lines),
        len(combinations) - few,
    )


def setting(name: str, value: Any) -> str:
    """Return one choice of a sweep in words, such as `batch 16`.

    >>> setting("batch", 1024), setting("memory.bandwidth", 2e12), setting("after.mode", "looped")
    ('batch 1,024', 'memory.bandwidth 2 TB/s', 'after looped')
    """
    if name == "devices":
        return f"{value:,} device{'' if value == 1 else 's'}"
    words = {
        "weight_format": "weights ",
        "kv_format": "cache ",
        "before.mode": "before ",
        "after.mode": "after ",
        "model": "",
        "hardware": "",
    }.get(name, f"{name} ")
    return f"{words}{written(name, value)}"
