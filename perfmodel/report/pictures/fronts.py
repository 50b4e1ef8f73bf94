"""Choices by rate per user and total rate, and the front of those that no other beats in both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.errors import ValueRangeError
from perfmodel.report.pictures.axes import dressed, key, limited, numbered
from perfmodel.report.pictures.lines import setting
from perfmodel.report.pictures.paper import BLUE, INK, MARGIN, PAPER, SERIES, SOFT, shortened
from perfmodel.report.pictures.picture import Caption, Picture, Room
from perfmodel.report.pictures.sidebars import naming
from perfmodel.sweeps.choosing import Selection
from perfmodel.sweeps.comparisons import Comparison
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMES, _NAME_WIDE, _NEAR = 16, 240.0, 14.0
GREY = SERIES[4].colour
_CHOSEN = ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format")


class FrontPoint(msgspec.Struct, frozen=True):
    """One choice: rate per user and the other rate [tok/s]; front: whether no other beats it in both.

    looped: both rates after looping, None where that is not asked.
    """

    name: str
    rate_per_user: float
    rate: float
    front: bool
    fits: bool
    looped: tuple[float, float] | None = None


class Front(Picture, frozen=True):
    """Choices by rate per user and total rate, or the rate of a device. measure: what that other rate is."""

    points: tuple[FrontPoint, ...]
    measure: str = "rate [tok/s, all sequences]"

    def heading(self) -> str:
        """Return the title."""
        return "Rate per user against rate of " + ("all" if "all" in self.measure else "a device")

    def note(self) -> str:
        """Return what the line and the markers are."""
        if self._ranked():
            return (
                "Numbers are ranks. The line joins the choices that no other candidate beats in both rates. Arrows lead"
                " to the same choice with its layers looped."
            )
        note = (
            "The line joins the choices that no other beats in both rates; their names stand right, from fast per user"
            " on."
        )
        return note + ("" if all(p.fits for p in self.points) else " Hollow markers: weights and cache do not fit.")

    def _ranked(self) -> bool:
        """Return whether these are choices in the order of their ranks, with the rates that looping brings."""
        return any(point.looped for point in self.points)

    def room(self) -> Room:
        """Return where the axes lie."""
        return Room(MARGIN + 62, 18.0, 500.0 if self._ranked() else 540.0, 398.0)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each choice."""
        return [dict(msgspec.to_builtins(point)) for point in self.points]

    def on_front(self) -> list[FrontPoint]:
        """Return the choices of the front that fit, the fastest per user first."""
        return sorted((p for p in self.points if p.front and p.fits), key=lambda point: -point.rate_per_user)

    def draw(self, axes: "Axes", *, beside: bool = True) -> "Axes":
        """Draw a marker for each choice and a stepped line along the front, numbered, with the names beside it."""
        dressed(axes)
        reached = [(p.rate_per_user, p.rate) for p in self.points] + [p.looped for p in self.points if p.looped]
        limited(axes, "x", [x for x, _ in reached], room=1.3)
        limited(axes, "y", [y for _, y in reached], room=1.3)
        numbered(axes, "x", "rate per user [tok/s]")
        numbered(axes, "y", self.measure)
        front = self.on_front()
        axes.step([p.rate_per_user for p in front], [p.rate for p in front], where="pre", color=INK, linewidth=1.4)
        for point in self.points:
            if point.looped is not None:
                arrow = {"arrowstyle": "->", "color": SOFT, "linewidth": 0.9, "shrinkA": 4, "shrinkB": 0}
                axes.annotate("", point.looped, (point.rate_per_user, point.rate), arrowprops=arrow)
            look = SERIES[0] if point.front and point.fits else SERIES[4]
            axes.plot(
                point.rate_per_user,
                point.rate,
                "o" if look is SERIES[0] else "D",
                color=look.colour,
                markerfacecolor=look.colour if point.fits else PAPER,
                markersize=8 if look is SERIES[0] else 5,
                zorder=3,
            )
        entries = []
        named = list(self.points) if self._ranked() else front
        for number, point in enumerate(named[:_MOST_NAMES], 1):
            words = f"{number}  {shortened(point.name, _NAME_WIDE + (40 if self._ranked() else 0), 11)}"
            entries.append(_marker(words, front=point.front))
        _numbers(axes, [(point.rate_per_user, point.rate) for point in named[:_MOST_NAMES]])
        entries.append(_marker("beaten by another", front=False))
        key(axes, entries, (20, 6) if beside else None, right=True, size=11)
        if len(named) > _MOST_NAMES:
            axes.annotate(
                f"and {len(named) - _MOST_NAMES} more" + ("" if self._ranked() else " on the front"),
                (1, 0),
                (20, 4),
                xycoords="axes fraction",
                textcoords="offset points",
                size=11,
                color=SOFT,
                annotation_clip=False,
            )
        return axes


def _numbers(axes: "Axes", places: Sequence[tuple[float, float]]) -> None:
    """Write the number of each place beside it, from 1 on; those of places that touch stand in one label."""
    labels: list[tuple[Any, tuple[float, float], list[str]]] = []
    for number, place in enumerate(places, 1):
        at = axes.transData.transform(place) * 72.0 / axes.figure.dpi
        near = next((words for other, _, words in labels if max(abs(at - other)) < _NEAR), None)
        if near is None:
            labels.append((at, place, [str(number)]))
        else:
            near.append(str(number))
    for _, place, words in labels:
        joined = ", ".join(words)
        axes.annotate(joined, place, (5, 5), textcoords="offset points", size=11, weight="bold", color=INK)


def _marker(words: str, *, front: bool) -> Any:
    """Return the entry of a key for choices on the front, or for others."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"marker": "o", "color": BLUE} if front else {"marker": "D", "color": GREY, "markersize": 5}
    return Line2D([], [], linestyle="none", label=words, **look)


def pareto(found: Comparison) -> Front:
    """Return the choices of a comparison by their two rates; raise ValueRangeError where there is only one."""
    if len(found.choices) < 2:
        raise ValueRangeError("pareto: one choice has no front; give several devices, batches or formats")
    names, said = naming(found.choices)
    points = tuple(
        FrontPoint(name, c.tokens_per_second_per_sequence, c.tokens_per_second, c.front, c.fits)
        for name, c in zip(names, found.choices, strict=True)
    )
    return Front(Caption(said, ()), points)


def chosen_front(found: Selection) -> Front | None:
    """Return what `choose` listed by rate per user and rate of a device, today and looped; None where that is one."""
    if len(found.choices) < 2:
        return None
    differing = [key for key in _CHOSEN if len({getattr(choice, key) for choice in found.choices}) > 1]
    said = [setting(key, getattr(found.choices[0], key)) for key in _CHOSEN if key not in differing]
    limits = ((found.time_per_token, "a token"), (found.time_to_first_token, "to the first token"))
    said += [f"at most {format_quantity(limit, 's', 3)} {what}" for limit, what in limits if limit is not None]
    points = tuple(
        FrontPoint(
            ", ".join(setting(key, getattr(choice, key)) for key in differing),
            choice.before.tokens_per_second_per_sequence,
            choice.before.tokens_per_second_per_device,
            front=choice.front,
            fits=True,
            looped=(choice.after.tokens_per_second_per_sequence, choice.after.tokens_per_second_per_device),
        )
        for choice in found.choices
    )
    return Front(Caption(", ".join(said), ()), points, "rate of a device [tok/s]")
