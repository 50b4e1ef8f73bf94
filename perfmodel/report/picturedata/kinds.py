"""The pictures by their names, and their numbers as rows."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.report.picturedata.axes import over_batch, over_context, scaling, speedup_map
from perfmodel.report.picturedata.measurements import measurements_near, validation
from perfmodel.report.picturedata.records import Curves, Map, Picture, Roofline, Tornado, Waterfall
from perfmodel.report.picturedata.rooflines import roofline
from perfmodel.report.picturedata.steps import tornado, waterfall

KINDS = ("waterfall", "roofline", "scaling", "context", "batch", "map", "tornado", "validation")


def picture_data(kind: str, answer: Estimate) -> Picture:
    """Return the numbers of the picture `kind`, one of KINDS, around `answer`."""
    makers: dict[str, Callable[[Estimate], Picture]] = {
        "waterfall": waterfall,
        "roofline": roofline,
        "scaling": scaling,
        "context": over_context,
        "batch": over_batch,
        "map": speedup_map,
        "tornado": tornado,
        "validation": lambda found: validation(measurements_near(found), f"{found.model} or {found.hardware}"),
    }
    return makers[kind](answer)


def rows_of(data: Picture) -> list[dict[str, Any]]:
    """Return the numbers of a picture as flat rows, in base units."""
    if isinstance(data, Waterfall):
        sides = (("before", data.before), ("after", data.after))
        rows = [{"side": "", "term": "peak", "time": data.peak}]
        for name, side in sides:
            rows += [
                {"side": name, "term": term, "time": time}
                for term, time in zip((*TERM_NAMES, "step"), (*side.terms, side.step), strict=True)
            ]
        return rows
    if isinstance(data, Roofline):
        return [
            {"operations": " ".join(p.names), "intensity": p.intensity, "rate": p.rate, "share": p.share}
            for p in data.points
        ]
    if isinstance(data, Curves):
        bands = {
            "before.tokens_per_second": data.before,
            "after.tokens_per_second": data.after,
            "before.fraction_of_peak": data.before_fraction,
            "after.fraction_of_peak": data.after_fraction,
            "speedup": data.speedup,
        }
        return [
            {data.axis: at, "fits": data.fits[i], "peak.tokens_per_second": data.peak[i]}
            | {
                f"{name}.{end}": getattr(band, field)[i]
                for name, band in bands.items()
                for end, field in (("value", "values"), ("low", "low"), ("high", "high"))
            }
            for i, at in enumerate(data.at)
        ]
    if isinstance(data, Map):
        return [
            {"context": c, "batch": b, "speedup": data.speedup[i][j], "fits": data.fits[i][j]}
            for i, c in enumerate(data.contexts)
            for j, b in enumerate(data.batches)
        ]
    points: Sequence[Any] = data.bars if isinstance(data, Tornado) else data.points
    return [dict(msgspec.to_builtins(point)) for point in points]
