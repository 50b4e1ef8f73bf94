"""`plot` of an answer, a sweep and a comparison: matplotlib axes to restyle, to save, or to put among others."""

from typing import TYPE_CHECKING, Any

from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.report.pictures.choices import is_number, sweep_picture
from perfmodel.report.pictures.fronts import chosen_front, pareto
from perfmodel.report.pictures.kinds import KINDS, picture_data, points_given
from perfmodel.report.pictures.paper import axes_of
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.requests import request_bars
from perfmodel.report.pictures.sidebars import comparison_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from perfmodel.estimates.answers import Estimate
    from perfmodel.estimates.requests import Request
    from perfmodel.sweeps.choosing import Selection
    from perfmodel.sweeps.comparisons import Comparison
    from perfmodel.sweeps.sweeps import Sweep


def plot_estimate(
    answer: "Estimate",
    kind: str | None = None,
    ax: "Axes | None" = None,
    *,
    devices: Any = None,
    batch: Any = None,
    context: Any = None,
    figure: str = "speedup",
    title: str | None = None,
    caption: bool = True,
) -> "Axes":
    """Return the axes with a picture of an answer.

    kind: one of KINDS, the waterfall if not given. devices, batch, context: the points of its axes, such as "1:16:x2".
    figure: what a tornado is about. Raises PerfModelError.
    """
    _known(kind, KINDS)
    given = {"devices": devices, "batch": batch, "context": context}
    at = {axis: points_given(axis, value) for axis, value in given.items() if value is not None}
    return axes_of(picture_data(kind or KINDS[0], answer, at=at, figure=figure), ax, title=title, caption=caption)


def plot_sweep(
    found: "Sweep", kind: str | None = None, ax: "Axes | None" = None, *, title: str | None = None, caption: bool = True
) -> "Axes":
    """Return the axes with a sweep: a map over batch and context, lines over an axis of numbers, else bars.

    kind: the axis that lines go along, the longest one if not given.
    """
    _known(kind, tuple(axis for axis in found.axes if is_number(axis)))
    return _drawn(sweep_picture(found.to_dict(), found.axes, found.shape, kind), ax, title=title, caption=caption)


def plot_comparison(
    found: "Comparison",
    kind: str | None = None,
    ax: "Axes | None" = None,
    *,
    title: str | None = None,
    caption: bool = True,
) -> "Axes":
    """Return the axes with a comparison: bars if no kind is given, or pareto."""
    _known(kind, ("bars", "pareto"))
    picture = pareto(found) if kind == "pareto" else comparison_bars(found)
    return _drawn(picture, ax, title=title, caption=caption)


def plot_selection(
    found: "Selection",
    kind: str | None = None,
    ax: "Axes | None" = None,
    *,
    title: str | None = None,
    caption: bool = True,
) -> "Axes":
    """Return the axes with what `choose` listed, by rate per user and rate of a device, today and looped."""
    _known(kind, ("pareto",))
    return _drawn(chosen_front(found), ax, title=title, caption=caption)


def plot_request(
    found: "Request",
    kind: str | None = None,
    ax: "Axes | None" = None,
    *,
    title: str | None = None,
    caption: bool = True,
) -> "Axes":
    """Return the axes with a request: the time to its first token and that of the others, before and after."""
    _known(kind, ("bars",))
    return _drawn(request_bars(found), ax, title=title, caption=caption)


def _known(kind: str | None, kinds: tuple[str, ...]) -> None:
    if kind is not None and kind not in kinds:
        raise UnknownNameError(
            f"plot: {shown(kind)} is not a picture of this{nearest(kind, kinds)}; the pictures are {', '.join(kinds)}"
        )


def _drawn(picture: Picture | None, ax: "Axes | None", *, title: str | None, caption: bool) -> "Axes":
    if picture is None:
        raise ValueRangeError("plot: needs 2 to 100,000 points and the usual columns")
    return axes_of(picture, ax, title=title, caption=caption)
