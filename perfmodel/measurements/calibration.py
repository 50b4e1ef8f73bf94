"""Calibration: fit what a few measured steps can tell, with the catalogue's intervals as prior.

Each uncertain parameter that the rows use moves by what it has in the variance of their times, as one measured step
moves it (`perfmodel.estimates.regression`); what the parameters leave is a factor that stays with the software. What
the rows do not tell stays where the catalogue has it, and is named.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from perfmodel.errors import SpecificationError
from perfmodel.estimates.progress import Report, watched
from perfmodel.measurements.predictions import Predicted, Unasked, once_each, plainly, predict
from perfmodel.measurements.rowfits import (
    Fit,
    Fitted,
    MeasuredRow,
    correlated,
    factors_of,
    fit_of,
    fitted,
    joined,
    measured_rows,
    twins_of,
)
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import profile_of
from perfmodel.measurements.validation import Validation, percentile, summary
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.profiles import Profile, find_profile
from perfmodel.specifications.quantities import Quantity
from perfmodel.specifications.software import Software, find_software, software_in_use


class Left(msgspec.Struct, frozen=True):
    """Errors on rows left out [-]: median and largest of |predicted / measured - 1|. what: rows, or models."""

    what: str
    rows: int
    median: float
    largest: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a fit.

    software: kinds and years of the rows' software; twins: paths of other launch modes whose kernels are as fitted
    under a path. error_before, error_after: median |error| over the rows [-]; noise: scatter of the rows around the
    fit [-].
    """

    rows: int
    models: tuple[str, ...]
    hardware: tuple[str, ...]
    modes: tuple[str, ...]
    base: str
    software: str
    parameters: tuple[Fitted, ...]
    twins: dict[str, str]
    correlated: tuple[tuple[str, str, float], ...]
    noise: float
    error_before: float
    error_after: float
    left_out: tuple[Left, ...]
    fitted_on: str

    def unidentified(self) -> tuple[str, ...]:
        """Return the paths that the rows say nothing of."""
        return tuple(p.path for p in self.parameters if not p.identified)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain dicts and lists, in base units."""
        answer: dict[str, Any] = msgspec.to_builtins(self)
        for one, parameter in zip(answer["parameters"], self.parameters, strict=True):
            one["identified"] = parameter.identified
        return answer


def calibrate(
    rows: Sequence[Row],
    base: Profile | None = None,
    *,
    leave_out: bool = True,
    software_named: Callable[[str], Software] = find_software,
) -> Calibration:
    """Fit the parameters that `rows` use.

    base: a profile to start from, for the structure of the stack; its intervals are then the prior.
    leave_out: whether to fit again without each row and each model; software_named: gives software by kind and year.
    Raises SpecificationError for no rows, and what estimate raises for a row that cannot be asked.
    """
    if not rows:
        raise SpecificationError(
            "calibrate: there is no row to fit; give at least one line with model, hardware, mode and time_per_step or"
            " tokens_per_second"
        )
    measured = measured_rows(rows, base, software_named)
    quantities = joined(measured)
    fit = fit_of(measured, quantities)
    regression, found = fit.regression, fit.found
    parameters = tuple(fitted(path, quantities[path], found.moved[path], found.told[path]) for path in quantities)
    numbers = {one.path: one.value for one in parameters}
    factors = factors_of(measured, regression, found, numbers)
    sources = ", ".join(dict.fromkeys(m.row.source_id or m.row.source or m.row.id for m in measured))
    shown = ", ".join(m.row.id for m in measured[:12]) + (
        f" and {len(measured) - 12} more" if len(measured) > 12 else ""
    )
    left = fit.of_rows(regression.left(numbers))
    return Calibration(
        rows=len(rows),
        models=_distinct(m.row.model for m in measured),
        hardware=_distinct(m.row.hardware for m in measured),
        modes=_distinct(m.mode for m in measured),
        base=base.name if base else "",
        software=", ".join(_distinct(software_in_use(m.hardware) or "" for m in measured)),
        parameters=(*parameters, *factors.values()),
        twins=twins_of(measured, quantities),
        correlated=correlated(regression, found),
        noise=regression.beyond.scatter,
        error_before=percentile([abs(math.expm1(-one)) for one in fit.of_rows(regression.offs({}))], 0.5),
        error_after=percentile([abs(math.expm1(-one)) for one in left], 0.5),
        left_out=tuple(_left_out(measured, quantities, fit)) if leave_out else (),
        fitted_on=f"{len(rows)} rows of {sources}: {shown}",
    )


def validate_calibrated(rows: Sequence[Row], *, on: int = 3, report: Report | None = None) -> Validation:
    """Calibrate each stack on each machine of each source on at most `on` of its rows, and predict its other rows.

    The rows to fit are spread evenly over those of the group in order of their time; the profile of the stack, where
    one exists, is where the fit starts. Groups with no row left over to predict are left out.
    report: is told after each row or group how much is done, and of how much.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    unasked: list[Unasked] = []
    every = watched(rows, None if report is None else lambda done, of: report(done, 2 * of))
    for one in once_each(every, plainly):
        row = one.row
        if isinstance(one, Unasked):
            unasked.append(one)
        else:
            groups.setdefault((row.source_id, row.stack, row.engine, row.hardware, row.mode), []).append(row)
    predicted: list[Predicted] = []
    fits = list(groups.values())
    for members in watched(fits, None if report is None else lambda done, of: report(of + done, 2 * of)):
        ordered = sorted(members, key=lambda row: (row.time_per_step, row.id))
        count = min(on, len(ordered) - 1)
        if count < 1:
            continue
        chosen = {ordered[round((i + 0.5) * len(ordered) / count - 0.5)].id for i in range(count)}
        name = profile_of(ordered[0])
        base = find_profile(name) if name else None
        if base is not None and set(base.modes).isdisjoint(find_hardware(ordered[0].hardware).modes):
            base = None  # the profile is about modes that this device lacks
        fitted = as_profile(
            calibrate([row for row in ordered if row.id in chosen], base, leave_out=False), "calibrated", base
        )
        others = once_each((row for row in ordered if row.id not in chosen), partial(predict, profile=fitted))
        predicted += [one for one in others if isinstance(one, Predicted)]
    return summary(f"calibrated on {on} rows of a stack and machine", predicted, unasked)


def as_profile(calibration: Calibration, name: str, base: Profile | None = None) -> Profile:
    """Return what was fitted as a profile that `estimate` takes."""
    software = base.software if base else ""
    return Profile(
        name=name,
        title=f"calibrated on {calibration.fitted_on}"[:200],
        values=(base.values if base else {}) | _quantities(calibration),
        modes=base.modes if base else {},
        replicates=base.replicates if base else (),
        fitted_on=calibration.fitted_on,
        tested_on=_tested(calibration),
        path=name,
        software=software or ("" if "," in calibration.software else calibration.software),
    )


def _left_out(measured: Sequence[MeasuredRow], quantities: Mapping[str, Quantity], whole: Fit) -> list[Left]:
    """Return errors on each row, and each model, by a fit without it; whole: the fit of all, near which it begins."""
    found: list[Left] = []
    by_row = [[m] for m in measured]
    by_model = [[m for m in measured if m.row.model == name] for name in _distinct(m.row.model for m in measured)]
    for what, parts in (("rows", by_row), ("models", by_model)):
        if len(parts) < 2:
            continue
        errors: list[float] = []
        # More than thirty fits tell no more than thirty evenly chosen ones.
        for part in parts[:: math.ceil(len(parts) / 30)]:
            gone = set(map(id, part))
            regression, without, _ = fit_of([m for m in measured if id(m) not in gone], quantities, whole)
            numbers = regression.numbers(without.moved)
            offs = regression.offs(numbers)
            factors = {mode: math.exp(regression.factor(mode, offs)) for mode in {m.mode for m in part}}
            errors += [abs(m.side.time(numbers) * factors[m.mode] / m.row.time_per_step - 1) for m in part]
        found.append(Left(what, len(errors), percentile(errors, 0.5), max(errors)))
    return found


def _quantities(calibration: Calibration) -> dict[str, Quantity]:
    source = calibration.fitted_on
    found = {
        p.path: Quantity(low=p.low, value=p.value, high=p.high, unit=p.unit, kind="derived", source=source)
        for p in calibration.parameters
    }
    return found | {other: found[path] for other, path in calibration.twins.items()}


def _tested(calibration: Calibration) -> str:
    parts = [
        f"each of its {left.what} left out in turn: median error {left.median:.1%}, largest {left.largest:.1%}"
        for left in calibration.left_out
    ]
    return "; ".join(parts) or "nothing: one row leaves none to test on"


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
