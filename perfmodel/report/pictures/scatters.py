"""Published measurements beside their predictions."""

from collections.abc import Iterable
from itertools import cycle
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.estimates.answers import Estimate
from perfmodel.measurements.rows import Row, all_rows
from perfmodel.measurements.validation import validate
from perfmodel.report.pictures.axes import dressed, key, limited, numbered, say
from perfmodel.report.pictures.paper import INK, MARGIN, PAPER, SERIES, Look
from perfmodel.report.pictures.picture import Caption, Picture, Room
from perfmodel.report.words import percent
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHISKERS = 60  # more measurements than these would make a thicket
_FACTOR = 1.5
_DASHES = (0, (5, 4))
# Ways to run that keep a class of their own however few they are: they are what the prediction after looping is for.
_AFTER = ("looped", "megakernel")


class MeasuredPoint(msgspec.Struct, frozen=True):
    """One published measurement beside its prediction and interval [s]; group: its class, or looped or megakernel."""

    name: str
    group: str
    measured: float
    predicted: float
    low: float
    high: float


class Validated(Picture, frozen=True):
    """Predicted against measured. median: of |error| [-]; inside: share of measurements inside the interval [-]."""

    points: tuple[MeasuredPoint, ...]
    median: float
    inside: float

    def heading(self) -> str:
        """Return the title."""
        return "Predicted against measured time per step"

    def _few(self) -> bool:
        return len(self.points) <= _WHISKERS

    def note(self) -> str:
        """Return what the upright lines are."""
        return "Upright lines: intervals of the predictions." if self._few() else ""

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN + 66, 22.0, 560.0, 442.0, 50.0)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each measurement."""
        return [dict(msgspec.to_builtins(point)) for point in self.points]

    def groups(self) -> list[tuple[str, list[MeasuredPoint], Look]]:
        """Return classes with their measurements and looks, the largest first."""
        found: dict[str, list[MeasuredPoint]] = {}
        for point in self.points:
            found.setdefault(point.group, []).append(point)
        ordered = sorted(found, key=lambda group: -len(found[group]))
        return [(name, found[name], look) for name, look in zip(ordered, cycle(SERIES), strict=False)]

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw predicted over measured time, with the line where they are equal and the band of a factor of 1.5."""
        dressed(axes)
        few = self._few()
        values = [v for p in self.points for v in ((p.measured, p.predicted, p.low, p.high)[: 4 if few else 2])]
        for which, words in (("x", "measured time per step"), ("y", "predicted time per step")):
            limited(axes, which, values, room=1.4, log=True)
            numbered(axes, which, words, written=_time_words)
        low, high = axes.get_xlim()
        for factor, dash, wide in ((1.0, "-", 1.5), (_FACTOR, _DASHES, 1.0), (1 / _FACTOR, _DASHES, 1.0)):
            axes.plot([low, high], [low * factor, high * factor], color=INK, linestyle=dash, linewidth=wide)
        for _, points, look in self.groups():
            measured = [point.measured for point in points]
            if few:
                axes.vlines(measured, [p.low for p in points], [p.high for p in points], color=look.colour, linewidth=1)
            axes.plot(
                measured,
                [point.predicted for point in points],
                linestyle="none",
                color=look.colour,
                zorder=3,
                **_marker(look, few=few),
            )
        self._key(axes, few=few, beside=beside)
        return axes

    def _key(self, axes: "Axes", *, few: bool, beside: bool) -> None:
        from matplotlib.lines import Line2D

        entries = [
            Line2D(
                [],
                [],
                linestyle="none",
                color=look.colour,
                label=f"{name.replace('-', ' ')} ({len(points)})",
                **_marker(look, few=few),
            )
            for name, points, look in self.groups()
        ]
        entries += [
            Line2D([], [], color=INK, linewidth=1.5, label="predicted = measured"),
            Line2D([], [], color=INK, linewidth=1, linestyle=_DASHES, label="a factor of 1.5 off"),
        ]
        key(axes, entries, (30, 6) if beside else None, right=True)
        if not beside:
            return
        summary = (
            f"median error {percent(self.median)}",
            f"{percent(self.inside)} of the measurements",
            "inside the interval",
        )
        for i, words in enumerate(summary):
            say(axes, 30, 42 + 20 * len(entries) + 17 * i, words, right=True)


def _marker(look: Look, *, few: bool) -> dict[str, Any]:
    face = look.colour if few else PAPER
    return {"marker": look.marker, "markersize": 6 if few else 4.8, "markerfacecolor": face, "markeredgewidth": 1.5}


def _time_words(seconds: float) -> str:
    return format_quantity(seconds, "s", 3)


def measurements_near(answer: Estimate) -> tuple[Row, ...]:
    """Return the published measurements of the same model on any device, and of the same device with any model."""
    model, hardware = answer.prepared.model.name, answer.prepared.hardware.name
    return tuple(row for row in all_rows() if row.model == model or row.hardware == hardware)


def validation(rows: Iterable[Row], what: str = "") -> Validated:
    """Return predictions from first principles beside the measurements of `rows`.

    Raises SpecificationError where none of them can be predicted.
    """
    result = validate(rows)
    if result.over_rows is None:
        raise SpecificationError(
            "validation: no published measurement of these that could be predicted; `perfmodel validate` lists all"
        )
    points = tuple(
        MeasuredPoint(p.row.id, _group_of(p.row), p.row.time_per_step, p.time, p.low, p.high) for p in result.predicted
    )
    sources = len(result.sources)
    question = (
        f"{len(points):,} measurements from {sources}"
        f" source{'s' if sources != 1 else ''}{f' of {what}' if what else ''}, predicted from specifications and launch"
        " modes, without profiles"
    )
    return Validated(Caption(question, ()), points, result.over_rows.median, result.over_rows.inside)


def _group_of(row: Row) -> str:
    return row.mode if row.mode in _AFTER else row.row_class or "other"
