"""Explaining a measurement: which boundary, sustained share or host time would make the prediction what was measured.

One parameter at a time by bracketing, the others at their values; then all together at the most likely point, which is
where `--measured` stands. What looping would bring is asked again from each explanation, since a gap that is boundary
can be looped away and one that is bandwidth cannot.
"""

import math
from collections.abc import Mapping
from typing import Any, Unpack

import msgspec

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE
from perfmodel.errors import ValueRangeError
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.conditioning import measured_time
from perfmodel.estimates.known import factor_path
from perfmodel.estimates.options import Asked
from perfmodel.estimates.question import read_question
from perfmodel.estimates.regression import MeasuredSide
from perfmodel.estimates.results import Speedup
from perfmodel.measurements.fitting import Prior, adjustable, priors_of, weights_path
from perfmodel.measurements.rows import LEAST, MOST
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import largest

# How far a single parameter is followed from its value: a factor.
_FARTHEST = 1e4
_NAMES = {
    "boundary": "boundary of a call",
    "host": "host time of a step",
    "issue": "host time of a call",
    "stage": "cost of a stage",
    "latency": "latency of a collective",
}


class Discrepancy(msgspec.Struct, frozen=True, kw_only=True):
    """One way to explain the measurement.

    values: the parameters that differ, by path, in base units; None where no value of a parameter explains it.
    deviations: how many standard deviations of the catalogue each lies from its value [-].
    after: what the after mode would take from there [s], and the speed-up with its interval.
    """

    what: str
    values: dict[str, float] | None
    deviations: dict[str, float]
    after: float | None
    speedup: Speedup | None

    @property
    def inside(self) -> bool:
        """Whether every parameter stays within the catalogue's 5th to 95th percentile."""
        return bool(self.values) and all(abs(d) <= NORMAL_PERCENTILE for d in self.deviations.values())


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement beside its prediction [s], and what would explain the difference."""

    model: str
    hardware: str
    mode: str
    after_mode: str
    measured: float
    predicted: float
    low: float
    high: float
    alone: tuple[Discrepancy, ...]
    together: Discrepancy
    assumed: dict[str, tuple[float, float, float]]
    units: dict[str, str]
    estimate: Estimate

    @property
    def inside(self) -> bool:
        """Whether the measurement lies inside the interval of the prediction."""
        return self.low <= self.measured <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain dicts and lists, in base units."""
        answer = {
            name: msgspec.to_builtins(getattr(self, name)) for name in self.__struct_fields__ if name != "estimate"
        }
        for part, one in [*zip(answer["alone"], self.alone, strict=True), (answer["together"], self.together)]:
            part["inside"] = one.inside
        return answer | {"inside": self.inside}


def explain_gap(
    model: str | Model, hardware: str | Hardware, measured_step: float | str, **asked: Unpack[Asked]
) -> Gap:
    """Return what explains that a step of the question (see `estimate`) took the time that was measured.

    measured_step: that time [s], or a text as `--measured` takes it: a time, or a rate summed over the batch.
    Raises PerfModelError for what estimate refuses, and for a time that no step takes.
    """
    answer = answer_to(read_question(model, hardware, **asked))
    tokens = answer.batch * answer.prepared.tokens_per_step
    step_time = measured_time(measured_step, tokens) if isinstance(measured_step, str) else measured_step
    if not LEAST <= step_time <= MOST:
        raise ValueRangeError(f"--measured: a step of {step_time:g} s is none; {LEAST:g} s to {MOST:g} s is accepted")
    step = adjustable(answer.asked, step_time)
    priors = priors_of(step.side)

    def explained(what: str, values: dict[str, float] | None) -> Discrepancy:
        if values is None:
            return Discrepancy(what=what, values=None, deviations={}, after=None, speedup=None)
        settings = dict(answer.asked.arguments["parameters"] or {}) | {
            path: str(value) + (f" {priors[path].quantity.unit}" if priors[path].quantity.unit != "1" else "")
            for path, value in values.items()
        }
        again = answer.replace(parameters=settings)
        deviations = {path: priors[path].deviation(math.log(value)) for path, value in values.items()}
        return Discrepancy(
            what=what, values=values, deviations=deviations, after=again.after.time_per_step, speedup=again.speedup
        )

    known = _known(answer, step_time)
    told = {} if known is None or known.prepared.known is None else known.prepared.known.moved
    alone = tuple(explained(_name(path), _alone(step, priors[path])) for path in _candidates(step, priors))
    assumed = {path: prior.quantity for path, prior in priors.items()} | {path: was for path, (was, _) in told.items()}
    factor = factor_path(answer.before.mode)
    return Gap(
        model=answer.model,
        hardware=answer.hardware,
        mode=answer.before.mode,
        after_mode=answer.after.mode,
        measured=step_time,
        predicted=answer.before.time_per_step,
        low=answer.before.high.time_per_step,
        high=answer.before.low.time_per_step,
        alone=alone,
        together=_together(known),
        assumed={path: (q.low, q.value, q.high) for path, q in assumed.items()} | {factor: (1.0, 1.0, 1.0)},
        units={path: q.unit for path, q in assumed.items()} | {factor: "1"},
        estimate=answer,
    )


def _candidates(step: MeasuredSide, priors: Mapping[str, Prior]) -> list[str]:
    """The parameters to try alone.

    Boundary, weights and host always, others where half their value moves the step by a hundredth.
    """
    base = step.time({})
    mode = step.side.mode.name
    always = (weights_path(step.side), f"modes.{mode}.boundary", f"modes.{mode}.host")
    return [
        path
        for path, p in priors.items()
        if path in always or abs(step.time({path: p.quantity.value / 2}) - base) > 1e-2 * base
    ]


def _name(path: str) -> str:
    if path.startswith("memory.sustained."):
        return f"sustained share, {path.rpartition('.')[2]}"
    return _NAMES.get(path.rpartition(".")[2], path)


def _alone(step: MeasuredSide, prior: Prior) -> dict[str, float] | None:
    """The value of one parameter at which the step takes the measured time, or None."""
    path, value = prior.path, prior.quantity.value
    ends = (value / _FARTHEST, min(value * _FARTHEST, largest(path)))
    measured = step.measured
    slow, fast = (step.time({path: end}) for end in ends)
    if not min(slow, fast) <= measured <= max(slow, fast):
        return None
    low, high = (math.log(end) for end in ends)
    rising = fast > slow
    for _ in range(60):
        middle = (low + high) / 2
        if (step.time({path: math.exp(middle)}) < measured) == rising:
            low = middle
        else:
            high = middle
    return {path: math.exp((low + high) / 2)}


def _known(answer: Estimate, measured: float) -> Estimate | None:
    """Return the answer with its before side as measured, None where no values explain that."""
    try:
        return answer.replace(measured=f"{measured!r} s")
    except ValueRangeError:
        return None


def _together(known: Estimate | None) -> Discrepancy:
    """Return the most likely point at which the step takes the measured time, what moved most first."""
    if known is None or known.prepared.known is None:
        return Discrepancy(what="together", values=None, deviations={}, after=None, speedup=None)
    told = known.prepared.known
    paths = sorted(told.deviations, key=lambda path: -abs(told.deviations[path]))
    values = {path: now.value for path, (_, now) in told.moved.items()} | {factor_path(told.mode): told.row}
    return Discrepancy(
        what="together",
        values={path: values[path] for path in paths},
        deviations={path: told.deviations[path] for path in paths},
        after=known.after.time_per_step,
        speedup=known.speedup,
    )
