"""Calibration: fit what a few measured steps can tell, with the catalogue's intervals as prior.

The time of a step is compared as a logarithm. Fitted are logarithms of sustained shares (weights, each
format below 16 bits, cache), boundary, stage, host times and collective latency, by least squares over the
rows and the priors together; posterior intervals come from the Jacobian. What the rows do not tell stays
where the catalogue has it, and is named.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perfmodel.equations.uncertainty import TO_PERCENTILE
from perfmodel.errors import SpecificationError
from perfmodel.estimates.progress import Report, watched
from perfmodel.measurements.fitting import Prior, largest
from perfmodel.measurements.leastsquares import MeasuredStep, joint_fit, measured_step, priors_of
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import profile_of
from perfmodel.measurements.validation import Predicted, Unasked, Validation, percentile, predict, summary, why_not
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.profiles import Profile, find_profile
from perfmodel.specifications.quantities import Quantity

# Rows narrow a parameter when its posterior spread is below this share of the prior one.
_TOLD = 0.9
_CORRELATED = 0.95


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter before and after the fit, in its base unit. told: share by which the rows narrowed its spread [-]."""

    path: str
    unit: str
    prior: tuple[float, float, float]
    low: float
    value: float
    high: float
    told: float

    @property
    def identified(self) -> bool:
        """Whether the rows say anything of it."""
        return 1 - self.told < _TOLD


class Left(msgspec.Struct, frozen=True):
    """Errors on rows left out [-]: median and largest of |predicted / measured - 1|. what: rows, or models."""

    what: str
    rows: int
    median: float
    largest: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a fit.

    error_before, error_after: median |error| over the rows [-]; noise: scatter of the rows around the fit [-].
    """

    rows: int
    models: tuple[str, ...]
    hardware: tuple[str, ...]
    modes: tuple[str, ...]
    base: str
    parameters: tuple[Fitted, ...]
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
        for one, fitted in zip(answer["parameters"], self.parameters, strict=True):
            one["identified"] = fitted.identified
        return answer


def calibrate(rows: Sequence[Row], base: Profile | None = None, *, leave_out: bool = True) -> Calibration:
    """Fit the parameters that `rows` use.

    base: a profile to start from, for the structure of the stack; its intervals are then the prior.
    leave_out: whether to fit again without each row and each model.
    Raises SpecificationError for no rows, and what estimate raises for a row that cannot be asked.
    """
    if not rows:
        raise SpecificationError(
            "calibrate: there is no row to fit; give at least one line with model, hardware, mode and time_per_step or"
            " tokens_per_second"
        )
    measured = [measured_step(row, base) for row in rows]
    priors = priors_of(measured)
    fit = joint_fit(measured, priors, full=True)
    covariance = fit.covariance
    values = dict(zip(priors, (math.exp(x) for x in fit.logarithms), strict=True))
    before = [
        abs(m.step.time({p: q.quantity.value for p, q in priors.items()}) / m.row.time_per_step - 1) for m in measured
    ]
    after = [abs(m.step.time(values) / m.row.time_per_step - 1) for m in measured]
    spreads = [math.sqrt(covariance[i][i]) for i in range(len(priors))]
    fitted = tuple(
        _fitted(prior, x, 1 - now / then)
        for prior, x, now, then in zip(priors.values(), fit.logarithms, spreads, fit.prior_spreads, strict=True)
    )
    paths = list(priors)
    correlated = tuple(
        (paths[i], paths[j], covariance[i][j] / (spreads[i] * spreads[j]))
        for i in range(len(paths))
        for j in range(i)
        if abs(covariance[i][j]) > _CORRELATED * spreads[i] * spreads[j]
    )
    sources = ", ".join(dict.fromkeys(m.row.source_id or m.row.source or m.row.id for m in measured))
    shown = ", ".join(m.row.id for m in measured[:12]) + (
        f" and {len(measured) - 12} more" if len(measured) > 12 else ""
    )
    return Calibration(
        rows=len(rows),
        models=_distinct(m.row.model for m in measured),
        hardware=_distinct(m.row.hardware for m in measured),
        modes=_distinct(m.step.mode for m in measured),
        base=base.name if base else "",
        parameters=fitted,
        correlated=correlated,
        noise=fit.noise,
        error_before=percentile(before, 0.5),
        error_after=percentile(after, 0.5),
        left_out=tuple(_left_out(measured, priors)) if leave_out else (),
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
    for row in watched(rows, None if report is None else lambda done, of: report(done, 2 * of)):
        reason = why_not(row)
        if reason is not None:
            unasked.append(reason)
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
        predicted += [predict(row, fitted) for row in ordered if row.id not in chosen]
    return summary(f"calibrated on {on} rows of a stack and machine", predicted, unasked)


def as_profile(calibration: Calibration, name: str, base: Profile | None = None) -> Profile:
    """Return what was fitted as a profile that `estimate` takes."""
    return Profile(
        name=name,
        title=f"calibrated on {calibration.fitted_on}"[:200],
        values=(base.values if base else {}) | _quantities(calibration),
        modes=base.modes if base else {},
        replicates=base.replicates if base else (),
        fitted_on=calibration.fitted_on,
        tested_on=_tested(calibration),
        path=name,
    )


def _left_out(measured: Sequence[MeasuredStep], priors: Mapping[str, Prior]) -> list[Left]:
    """Fit again without each row, and without each model, and predict what was left out."""
    found: list[Left] = []
    by_row = [[m] for m in measured]
    by_model = [[m for m in measured if m.row.model == name] for name in _distinct(m.row.model for m in measured)]
    for what, parts in (("rows", by_row), ("models", by_model)):
        if len(parts) < 2:
            continue
        errors: list[float] = []
        # More than thirty fits tell no more than thirty evenly chosen ones.
        for part in parts[:: math.ceil(len(parts) / 30)]:
            rest = [m for m in measured if m not in part]
            values = dict(zip(priors, map(math.exp, joint_fit(rest, priors, full=False).logarithms), strict=True))
            errors += [abs(m.step.time(values) / m.row.time_per_step - 1) for m in part]
        found.append(Left(what, len(errors), percentile(errors, 0.5), max(errors)))
    return found


def _fitted(prior: Prior, logarithm: float, narrowed: float) -> Fitted:
    quantity = prior.quantity
    told = max(0.0, narrowed)
    # A lopsided prior stays lopsided: each side narrows by the same share.
    below, above = (TO_PERCENTILE * side * (1 - told) for side in (prior.below, prior.above))
    low, high = math.exp(logarithm - below), min(math.exp(logarithm + above), largest(prior.path))
    return Fitted(
        path=prior.path,
        unit=quantity.unit,
        prior=(quantity.low, quantity.value, quantity.high),
        low=_deserved(low, high - low),
        value=_deserved(math.exp(logarithm), high - low),
        high=_deserved(high, high - low),
        told=told,
    )


def _deserved(value: float, width: float) -> float:
    """Return `value` to the digits that an interval of this width leaves it: a hundredth of the width.

    >>> _deserved(0.9139160563637969, 0.0835), _deserved(5.035879110683703e-06, 2.06e-06)
    (0.914, 5.04e-06)
    """
    return round(value, 2 - math.floor(math.log10(width))) if width > 0 else value


def _quantities(calibration: Calibration) -> dict[str, Quantity]:
    source = calibration.fitted_on
    return {
        p.path: Quantity(low=p.low, value=p.value, high=p.high, unit=p.unit, kind="derived", source=source)
        for p in calibration.parameters
    }


def _tested(calibration: Calibration) -> str:
    parts = [
        f"each of its {left.what} left out in turn: median error {left.median:.1%}, largest {left.largest:.1%}"
        for left in calibration.left_out
    ]
    return "; ".join(parts) or "nothing: one row leaves none to test on"


def _distinct(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
