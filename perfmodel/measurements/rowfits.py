"""Rows as one fit: their parameters and factors, with the catalogue's intervals as prior. Calibration is made of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.estimates.known import alike, beyond_parts, factor_path
from perfmodel.estimates.positions import kernels_key
from perfmodel.estimates.regression import Explained, MeasuredSide, Regression, spreads_of
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import prepared_row, question_of_row
from perfmodel.numbers.choices import added
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.parameters import largest
from perfmodel.specifications.profiles import Profile
from perfmodel.specifications.quantities import Quantity
from perfmodel.specifications.software import Software, find_software

# Rows narrow a parameter when its posterior spread is below this share of the prior one.
_TOLD = 0.9
_CORRELATED = 0.95
# By how much rows of one stack and machine differ before they say so: 2.5 %, with the weight of six of them.
_SCATTER, _SCATTER_ROWS, _SCATTER_ROUNDS, _SAME_SCATTER = 0.025, 6, 3, 1e-3


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


class MeasuredRow(NamedTuple):
    """A row made ready: the side that it measured, its device, and its question, one for all rows that ask the same."""

    row: Row
    side: MeasuredSide
    hardware: Hardware
    question: tuple[Any, ...]

    @property
    def mode(self) -> str:
        """The launch mode."""
        return self.side.side.mode.name


def measured_rows(
    rows: Sequence[Row], base: Profile | None, software_named: Callable[[str], Software] = find_software
) -> list[MeasuredRow]:
    """Return rows made ready to be compared with their steps under a profile, each question once."""
    known: dict[tuple[Any, ...], MeasuredRow] = {}
    found = []
    for row in rows:
        question = question_of_row(row)
        if question not in known:
            prepared = prepared_row(row, base, None, software_named)
            side = MeasuredSide(prepared.before, row.batch, row.context, row.time_per_step)
            known[question] = MeasuredRow(row, side, prepared.hardware, question)
        first = known[question]
        found.append(first._replace(row=row, side=first.side.measured_as(row.time_per_step)))
    return found


class Fit(NamedTuple):
    """Rows explained. regression: of one side for each question; rows: how far each row is from its side [-], by side.

    A row is off by what its side is off by, and that.
    """

    regression: Regression
    found: Explained
    rows: list[list[float]]

    def of_rows(self, offs: Sequence[float]) -> list[float]:
        """Return what each row is off by; offs: the same of each side [-]."""
        return [off + beside for off, rows in zip(offs, self.rows, strict=True) for beside in rows]


def fit_of(measured: Sequence[MeasuredRow], quantities: Mapping[str, Quantity], near: Fit | None = None) -> Fit:
    """Return the rows explained; where their software differs, with the widest of its spreads.

    near: of nearly the same rows, where to begin. Rows of one question tell of parameters what their mean tells. Rows
    scatter as they are found to, with a weight against what is usual. A single one says nothing of that: it is met, as
    a step given with --measured is.
    """
    sides, rows = _joint_sides(measured)
    beyond = spreads_of(max(_beyond(m) for m in measured))
    start = near.found.moved if near else None
    if len(measured) == 1:
        regression = Regression(sides, quantities, beyond)
        return Fit(regression, regression.explained(start), rows)
    scatter = near.regression.beyond.scatter if near else _SCATTER
    for _ in range(_SCATTER_ROUNDS):
        regression = Regression(sides, quantities, beyond._replace(scatter=scatter))
        fit = Fit(regression, regression.explained(start), rows)
        start, last = fit.found.moved, scatter
        left = fit.of_rows(regression.left(regression.numbers(start)))
        # Rows speak of the scatter as far as they are not used up by the parameters that they told.
        kept = scatter**2 * added(fit.found.weights[i][i] / side.times for i, side in enumerate(sides))
        kept += len(measured) - len(sides)
        scatter = math.sqrt((_SCATTER_ROWS * _SCATTER**2 + added(one * one for one in left)) / (_SCATTER_ROWS + kept))
        if abs(scatter / last - 1) < _SAME_SCATTER:
            break
    return fit


def _joint_sides(measured: Sequence[MeasuredRow]) -> tuple[list[MeasuredSide], list[list[float]]]:
    """Return a side for each question, and how far the logarithm of each of its rows is from its own [-]."""
    questions: dict[tuple[Any, ...], list[MeasuredSide]] = {}
    for one in measured:
        questions.setdefault(one.question, []).append(one.side)
    sides = [
        same[0].measured_as(math.exp(added(side.goal for side in same) / len(same)), len(same)) if same[1:] else same[0]
        for same in questions.values()
    ]
    return sides, [[one.goal - side.goal for one in same] for side, same in zip(sides, questions.values(), strict=True)]


def _beyond(row: MeasuredRow) -> tuple[float, float]:
    """Return spread and noise of a row's software; where a profile knows its factor, the spread that it leaves."""
    spread, noise = beyond_parts(row.hardware, row.mode) or (0.0, 0.0)
    known = row.hardware.values.get(factor_path(row.mode))
    return (math.log(known.high / known.low) / 2 if known else spread), noise


def joined(measured: Sequence[MeasuredRow]) -> dict[str, Quantity]:
    """Return the quantity of every uncertain parameter.

    Where devices differ, it goes from the lowest low to the highest high.
    """
    found: dict[str, list[Quantity]] = {}
    for one in measured:
        for path, quantity in one.side.quantities.items():
            if path != factor_path(one.mode):  # which the fit gives anew
                found.setdefault(path, []).append(quantity)
    return {path: _one_of(quantities) for path, quantities in found.items()}


def _one_of(quantities: Sequence[Quantity]) -> Quantity:
    if all(q == quantities[0] for q in quantities):
        return quantities[0]
    value = math.exp(added(math.log(q.value) for q in quantities) / len(quantities))
    low, high = min(q.low for q in quantities), max(q.high for q in quantities)
    return msgspec.structs.replace(quantities[0], low=low, value=value, high=high)


def factors_of(
    measured: Sequence[MeasuredRow], regression: Regression, found: Explained, numbers: Mapping[str, float]
) -> dict[str, Fitted]:
    """Return the factor on a step of each launch mode that shares its kernels with a row."""
    half, offs = NORMAL_PERCENTILE * regression.beyond.both, regression.offs(numbers)
    fitted_factors = {}
    for mode, hardware in {mode: m.hardware for m in measured for mode in m.hardware.modes}.items():
        if any(alike(mode, other) for other in regression.modes):
            path = factor_path(mode)
            before = math.log(hardware.values[path].value) if path in hardware.values else 0.0
            told = regression.factor_told(mode, found)
            ends = (before - half, before, before + half)
            fitted_factors[mode] = _narrowed(path, "1", ends, before + regression.factor(mode, offs), told)
    return fitted_factors


def correlated(regression: Regression, found: Explained) -> tuple[tuple[str, str, float], ...]:
    """Return pairs of parameters whose errors go together, with their correlation."""
    import numpy

    paths = list(regression.spreads)
    felt = numpy.array([[one.get(path, 0.0) for path in paths] for one in found.felt])
    spreads = numpy.array(list(regression.spreads.values()))
    covariance = numpy.diag(spreads**2) - felt.T @ numpy.array(found.weights) @ felt
    scale = numpy.sqrt(numpy.diag(covariance).clip(min=1e-30))
    together = covariance / numpy.outer(scale, scale)
    return tuple(
        (paths[i], paths[j], float(together[i, j]))
        for i in range(len(paths))
        for j in range(i)
        if abs(together[i, j]) > _CORRELATED
    )


def twins_of(measured: Sequence[MeasuredRow], quantities: Mapping[str, Quantity]) -> dict[str, str]:
    """Return paths of other launch modes by which the same kernels, or their host, are as fitted under a path."""
    found: dict[str, str] = {}
    devices = {m.question: m.hardware for m in measured}.values()
    for path in quantities:
        for values in (device.values for device in devices if kernels_key(path) and path in device.values):
            found |= {
                other: path
                for other, quantity in values.items()
                if other not in quantities and kernels_key(other) == kernels_key(path) and quantity == values[path]
            }
    return found


def fitted(path: str, quantity: Quantity, moved: float, told: float) -> Fitted:
    """Return a parameter as rows leave it; moved: logarithm of a factor; told: share of its variance [-]."""
    ends = (math.log(quantity.low), math.log(quantity.value), math.log(quantity.high))
    return _narrowed(path, quantity.unit, ends, ends[1] + moved, told)


def _narrowed(path: str, unit: str, prior: tuple[float, float, float], logarithm: float, told: float) -> Fitted:
    """Return a parameter after the fit; prior, logarithm: in logarithms; told: share of its variance [-].

    A lopsided prior stays lopsided: each side narrows by the same share.
    """
    left = math.sqrt(max(1 - told, 0.0))
    low, value, high = (min(math.exp(logarithm + left * (end - prior[1])), largest(path)) for end in prior)
    before, first, last = (math.exp(end) for end in prior)
    return Fitted(
        path=path,
        unit=unit,
        prior=(before, first, last),
        low=_deserved(low, high - low),
        value=_deserved(value, high - low),
        high=_deserved(high, high - low),
        told=1 - left,
    )


def _deserved(value: float, width: float) -> float:
    """Return `value` to the digits that an interval of this width leaves it: a hundredth of the width.

    >>> _deserved(0.9139160563637969, 0.0835), _deserved(5.035879110683703e-06, 2.06e-06)
    (0.914, 5.04e-06)
    """
    return round(value, 2 - math.floor(math.log10(width))) if width > 0 else value
