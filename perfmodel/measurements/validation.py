"""Predictions beside published measurements.

Rows of validation/rows.csv asked one by one, and the errors of the answers.

A row is asked either from first principles (specifications and modes only) or with the profile of its
software stack; the two are never mixed in one result. Errors are of the time per step, relative to the
measured one: +0.1 means that the prediction is a tenth slower than the measurement.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from perfmodel.errors import PerfModelError
from perfmodel.estimates.progress import Report, watched
from perfmodel.measurements.predictions import REASONS, Predicted, Unasked, once_each, plainly, predict
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import profile_of
from perfmodel.specifications.profiles import find_profile


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of some rows [-].

    Median and 90th percentile of |error|, median error, share inside the interval, median width of it, share within a
    factor 1.5.
    """

    name: str
    rows: int
    median: float
    ninetieth: float
    bias: float
    inside: float
    width: float
    within_half: float


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """All rows that were asked for.

    way: first principles or profiles; over_sources: the median of each figure over the sources.
    """

    way: str
    predicted: tuple[Predicted, ...]
    unasked: tuple[Unasked, ...]
    sources: tuple[Errors, ...]
    over_sources: Errors | None
    over_rows: Errors | None

    def worst(self, count: int = 10) -> list[Predicted]:
        """Return the rows with the largest ratio between prediction and measurement, either way."""
        return sorted(self.predicted, key=lambda p: -abs(math.log(p.time / p.row.time_per_step)))[:count]

    def reasons(self) -> dict[str, int]:
        """Return how many rows could not be asked, by reason and what was unknown, most first."""
        found: dict[str, int] = {}
        for one in self.unasked:
            key = f"{one.reason}: {_culprit(one)}"
            found[key] = found.get(key, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def to_dict(self) -> dict[str, Any]:
        """Return figures and rows as plain dicts and lists."""
        return {
            "way": self.way,
            "sources": [msgspec.to_builtins(e) for e in self.sources],
            "over_sources": msgspec.to_builtins(self.over_sources),
            "over_rows": msgspec.to_builtins(self.over_rows),
            "not_asked": self.reasons(),
            "rows": self.rows(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row for each prediction."""
        return [
            {
                "id": p.row.id,
                "source_id": p.row.source_id,
                "trust": p.row.trust,
                "class": p.row.row_class,
                "stack": p.row.stack,
                "profile": p.profile,
                "model": p.row.model,
                "hardware": p.row.hardware,
                "devices": p.row.devices,
                "parallel": p.row.parallel,
                "weight_format": p.row.weight_format,
                "kv_format": p.row.kv_format,
                "batch": p.row.batch,
                "context": p.row.context,
                "mode": p.row.mode,
                "measured": p.row.time_per_step,
                "predicted": p.time,
                "low": p.low,
                "high": p.high,
                "error": p.error,
                "inside": p.inside,
                "width": p.width,
                "kernel_calls": p.kernel_calls,
                **{f"terms.{name}": value for name, value in p.terms.items()},
                "source": p.row.source,
            }
            for p in self.predicted
        ]


def validate(rows: Iterable[Row], *, profiles: bool = False, report: Report | None = None) -> Validation:
    """Predict each of `rows` and summarise the errors.

    profiles: whether to use the profile of a row's software stack; rows of stacks without one are then left to first
    principles and their `profile` is empty.
    report: is told after each row how many are done, and of how many.
    """
    # Rows with the same question but for batch and context stand together, so that it is prepared once.
    ordered = sorted(
        rows, key=lambda r: (r.hardware, r.stack, r.model, r.mode, r.devices, r.weight_format, r.kv_format, r.id)
    )
    found = list(once_each(watched(ordered, report), _with_profile if profiles else plainly))
    return summary(
        "profiles" if profiles else "first principles",
        [one for one in found if isinstance(one, Predicted)],
        [one for one in found if isinstance(one, Unasked)],
    )


def _with_profile(row: Row) -> Predicted | Unasked:
    """Return the prediction for a row with the profile of its stack, where one exists; or why there is none."""
    plain, profile = plainly(row), profile_of(row)
    if profile is None or isinstance(plain, Unasked):
        return plain
    try:
        return predict(row, find_profile(profile))
    except PerfModelError:
        return Unasked(row, REASONS[5])


def summary(way: str, predicted: Sequence[Predicted], unasked: Sequence[Unasked] = ()) -> Validation:
    """Return predictions with their errors by source and over sources."""
    by_source: dict[str, list[Predicted]] = {}
    for one in predicted:
        by_source.setdefault(one.row.source_id, []).append(one)
    sources = tuple(errors_of(name, by_source[name]) for name in sorted(by_source))
    return Validation(
        way=way,
        predicted=tuple(predicted),
        unasked=tuple(unasked),
        sources=sources,
        over_sources=_median_over(sources),
        over_rows=errors_of("all rows", predicted) if predicted else None,
    )


def errors_of(name: str, predicted: Sequence[Predicted]) -> Errors:
    """Return the errors of one or more predictions."""
    absolute = [abs(p.error) for p in predicted]
    return Errors(
        name=name,
        rows=len(predicted),
        median=percentile(absolute, 0.5),
        ninetieth=percentile(absolute, 0.9),
        bias=percentile([p.error for p in predicted], 0.5),
        inside=sum(p.inside for p in predicted) / len(predicted),
        width=percentile([p.width for p in predicted], 0.5),
        within_half=sum(1 / 1.5 <= 1 + p.error <= 1.5 for p in predicted) / len(predicted),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the percentile of one or more values, straight between neighbours; share from 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _median_over(sources: Sequence[Errors]) -> Errors | None:
    if not sources:
        return None
    figures = {
        field: percentile([getattr(e, field) for e in sources], 0.5)
        for field in ("median", "ninetieth", "bias", "inside", "width", "within_half")
    }
    return Errors(name="over sources", rows=sum(e.rows for e in sources), **figures)


def _culprit(one: Unasked) -> str:
    row = one.row
    return {
        "unknown model": row.model,
        "unknown device": row.hardware,
        "unknown format": row.weight_format,
        "mode the device lacks": f"{row.mode} on {row.hardware}",
    }.get(one.reason, row.hardware)
