"""The pictures by their names: those of one answer, and those of several choices side by side."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perfmodel.errors import ValueRangeError
from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.options import OPTION
from perfmodel.report.pictures.choices import MOST_POINTS, sweep_picture
from perfmodel.report.pictures.curves import CURVE_CONTEXT, doubling, over_batch, over_context, scaling
from perfmodel.report.pictures.fronts import pareto
from perfmodel.report.pictures.intensities import roofline
from perfmodel.report.pictures.maps import speedup_map
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.scatters import measurements_near, validation
from perfmodel.report.pictures.sidebars import comparison_bars
from perfmodel.report.pictures.tornados import tornado
from perfmodel.report.pictures.waterfalls import waterfall
from perfmodel.specifications.model import Model

KINDS = ("waterfall", "roofline", "scaling", "context", "batch", "map", "tornado", "validation")
# Pictures of choices: every key of the question takes several values.
CHOICE_KINDS = ("sweep", "compare", "ladder", "pareto")
# Pictures of what other commands answer, with the options of those.
COMMAND_KINDS = ("choose", "request")
# What the curves go over, by the name of their picture.
AXIS_OF = {"scaling": "devices", "context": "context", "batch": "batch"}
_MOST_ON_AN_AXIS = 10_000  # points of one answer's curve, each an estimate of its own
_USUAL = {"devices": doubling(1, 16, 1), "batch": doubling(1, 1024, 1), "context": doubling(128, CURVE_CONTEXT, 128)}


def picture_data(
    kind: str, answer: Estimate, *, at: Mapping[str, Sequence[int]] | None = None, figure: str = "speedup"
) -> Picture:
    """Return the numbers of the picture `kind`, one of KINDS, around `answer`.

    at: the points of the axes devices, batch and context that the picture has, usual ones if not given.
    figure: what a tornado is about.
    """
    at = at or {}
    makers: dict[str, Callable[[Estimate], Picture]] = {
        "waterfall": waterfall,
        "roofline": roofline,
        "scaling": lambda found: scaling(found, at.get("devices")),
        "context": lambda found: over_context(found, at.get("context")),
        "batch": lambda found: over_batch(found, at.get("batch")),
        "map": lambda found: speedup_map(found, at.get("batch"), at.get("context")),
        "tornado": lambda found: tornado(found, figure),
        "validation": lambda found: validation(measurements_near(found), f"{found.model} or {found.hardware}"),
    }
    return makers[kind](answer)


def choices_data(kind: str, models: Any, hardware: Any, asked: Mapping[str, Any]) -> Picture:
    """Return the numbers of a picture of several choices.

    kind: one of CHOICE_KINDS, or of AXIS_OF for curves of several machines, models or settings in one picture.
    models, hardware, asked: as `perfmodel.sweep` takes them. Raises PerfModelError where there is nothing to compare.
    """
    from perfmodel.sweeps.comparisons import compare
    from perfmodel.sweeps.sweeps import make_grid, sweep

    picture: Picture | None
    if kind in ("compare", "ladder", "pareto"):
        found = compare(models, hardware, **asked, modes="all" if kind == "ladder" else None)
        picture = pareto(found) if kind == "pareto" else comparison_bars(found)
    else:
        axis = AXIS_OF.get(kind)
        points = dict(asked)
        if axis is not None and not is_grid(asked.get(axis)):
            points[axis] = list(_usual(axis, models))
        if (many := make_grid(models, hardware, **points).size) > MOST_POINTS:
            raise ValueRangeError(f"plot {kind}: {many:,} points are more than {MOST_POINTS:,}; make an axis coarser")
        swept = sweep(models, hardware, **points)
        picture = sweep_picture(swept.to_dict(), swept.axes, swept.shape, axis)
    if picture is None:
        raise ValueRangeError(
            f"plot {kind}: one choice has nothing beside it; give some devices, models or points, such as --batch"
            " 1:64:x2"
        )
    return picture


def _usual(axis: str, models: Any) -> Sequence[int]:
    """Return the usual points of an axis; contexts only up to what every model was made for."""
    if axis != "context":
        return _USUAL[axis]
    from perfmodel.specifications.catalogue import find_model
    from perfmodel.sweeps.axes import objects_axis

    found = [m if isinstance(m, Model) else find_model(str(m)) for m in objects_axis(models, "MODELS").values]
    shortest = min(model.longest_context or CURVE_CONTEXT for model in found)
    return tuple(c for c in _USUAL[axis] if c <= max(shortest, 4096))


def is_grid(given: Any) -> bool:
    """Return whether what is given for a key is several values: a text such as 1:64:x2 or 1,8, or a sequence."""
    return ("," in given or ":" in given) if isinstance(given, str) else isinstance(given, list | tuple | range)


def points_given(axis: str, given: Any) -> tuple[int, ...]:
    """Return the points that a grid gives an axis: devices, batch or context; raise ValueRangeError."""
    from perfmodel.sweeps.axes import option_axis

    found = option_axis(OPTION[axis], given)
    if found.count > _MOST_ON_AN_AXIS:
        raise ValueRangeError(
            f"--{axis}: {found.count:,} points are more than the {_MOST_ON_AN_AXIS:,} of a picture; make it coarser"
        )
    return tuple(sorted({int(value) for value in found.part(0, found.count)}))
