"""Least squares of measured steps and of the priors of their parameters together, in logarithms."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perfmodel.measurements.fitting import AdjustableStep, Prior, largest, prior_of
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import row_formats, row_hardware
from perfmodel.numbers.choices import added
from perfmodel.specifications.catalogue import find_model
from perfmodel.specifications.profiles import Profile

if TYPE_CHECKING:
    import numpy

# What a published rate is taken to be good for before the rows say otherwise: 2.5 %, with the weight of six rows.
_NOISE, _NOISE_ROWS = 0.025, 6


class MeasuredStep(msgspec.Struct, frozen=True):
    """A row made ready: its step, and the logarithm of its time."""

    row: Row
    step: AdjustableStep
    logarithm: float


def measured_step(row: Row, base: Profile | None) -> MeasuredStep:
    """Return a row made ready to be compared with its step under a profile."""
    model, hardware = find_model(row.model), row_hardware(row, base)
    step = AdjustableStep(
        model,
        hardware,
        row.mode or hardware.default_mode,
        row.devices_at_work(),
        row_formats(row, model),
        row.batch,
        row.context,
    )
    return MeasuredStep(row, step, math.log(row.time_per_step))


def priors_of(measured: Sequence[MeasuredStep]) -> dict[str, Prior]:
    """Return the prior of every parameter; where devices differ, from the lowest low to the highest high."""
    found: dict[str, list[Prior]] = {}
    for one in measured:
        for path, prior in one.step.priors().items():
            found.setdefault(path, []).append(prior)
    return {path: _joined(priors) for path, priors in found.items()}


def _joined(priors: Sequence[Prior]) -> Prior:
    quantities = [p.quantity for p in priors]
    first = quantities[0]
    if all(q == first for q in quantities):
        return priors[0]
    value = math.exp(added(math.log(q.value) for q in quantities) / len(quantities))
    return prior_of(
        priors[0].path,
        msgspec.structs.replace(
            first, low=min(q.low for q in quantities), value=value, high=max(q.high for q in quantities)
        ),
    )


class Fit(msgspec.Struct, frozen=True):
    """A fit of rows and priors together.

    logarithms: of the parameters; covariance: of these; prior_spreads: those of the priors where the fit stands; noise:
    scatter of the rows around the fit [-].
    """

    logarithms: list[float]
    covariance: Any
    prior_spreads: list[float]
    noise: float


def joint_fit(measured: Sequence[MeasuredStep], priors: Mapping[str, Prior], *, full: bool) -> Fit:
    """Return the least-squares fit of rows and priors together."""
    import numpy
    from scipy.optimize import least_squares

    paths = list(priors)
    start = numpy.array([math.log(p.quantity.value) for p in priors.values()])
    highest = numpy.array([math.log(largest(path)) for path in paths])
    noise = _NOISE

    def scatter(logarithms: "numpy.ndarray[Any, Any]") -> list[float]:
        values = dict(zip(paths, map(math.exp, logarithms), strict=True))
        return [math.log(one.step.time(values)) - one.logarithm for one in measured]

    def residuals(logarithms: "numpy.ndarray[Any, Any]") -> "numpy.ndarray[Any, Any]":
        deviations = [prior.deviation(float(x)) for prior, x in zip(priors.values(), logarithms, strict=True)]
        return numpy.array([s / noise for s in scatter(logarithms)] + deviations)

    for _ in range(3 if full else 2):
        found = least_squares(
            residuals,
            numpy.minimum(start, highest - 1e-9),
            bounds=(start - 12.0, highest),
            x_scale=0.1,
            xtol=1e-7,
            ftol=1e-7,
        )
        start = found.x
        square = added(s * s for s in scatter(found.x))
        # Rows speak of the noise as far as they are not used up by the parameters they told.
        spent = float(
            numpy.trace(
                numpy.linalg.inv(found.jac.T @ found.jac) @ (found.jac[: len(measured)].T @ found.jac[: len(measured)])
            )
        )
        noise = math.sqrt((_NOISE_ROWS * _NOISE**2 + square) / (_NOISE_ROWS + max(len(measured) - spent, 0.0)))
    # A lopsided prior has two spreads; the Jacobian has the one of the side on which the fit stands.
    prior_spreads = [1 / float(found.jac[len(measured) + i, i]) for i in range(len(paths))]
    return Fit([float(x) for x in found.x], numpy.linalg.inv(found.jac.T @ found.jac), prior_spreads, noise)
