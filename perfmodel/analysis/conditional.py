"""Layers that run with a probability (early exit, layer skipping, mixture of depths), and three ways to loop over them.

Predicated inside the loop: the loop goes on, the iteration is skipped or done in vain. Ending the loop: calls are split
where the condition is, and the device or the host decides. Prebuilt: one of k loops of different length is chosen at a
switch cost.
"""

from collections.abc import Collection, Sequence
from typing import Any, Unpack

import msgspec

from perfmodel.analysis.conditions import Condition, read_conditions
from perfmodel.analysis.treatments import DEFAULTS, PricedStep, lengths_of, quantity_of
from perfmodel.equations.uncertainty import Effect, combined_spread, end_of, joint_spread, moments, widened
from perfmodel.errors import SpecificationError, ValueRangeError
from perfmodel.estimates.conditioning import ready
from perfmodel.estimates.options import Asked
from perfmodel.estimates.positions import moves_with, standing_at
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.estimates.results import Assumption
from perfmodel.numbers.choices import log
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Interval
from perfmodel.units import whole_number

MOST_KERNELS = 64


class Treatment(msgspec.Struct, frozen=True):
    """One way to run the layers.

    time: expected, of a step [s]; kernel_calls: expected [-]; speedup: over running every layer always [-].
    """

    name: str
    time_per_step: Interval
    kernel_calls: float
    tokens_per_second: float
    speedup: float


class ConditionReport(msgspec.Struct, frozen=True):
    """The treatments side by side. always: every layer, looped, without a condition; kernels: prebuilt ones in all."""

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    mode: str
    conditions: tuple[str, ...]
    kernels: int
    treatments: tuple[Treatment, ...]
    assumptions: tuple[Assumption, ...]

    def fastest(self) -> Treatment:
        """Return the treatment with the least expected time, but for running always."""
        return min(self.treatments[1:], key=lambda t: t.time_per_step.value)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each treatment, in base units."""
        return [
            {
                "treatment": t.name,
                "time_per_step": t.time_per_step.value,
                "low.time_per_step": t.time_per_step.high,
                "high.time_per_step": t.time_per_step.low,
                "tokens_per_second": t.tokens_per_second,
                "kernel_calls": t.kernel_calls,
                "speedup": t.speedup,
            }
            for t in self.treatments
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, numbers and texts, in base units."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def conditional_report(
    model: str | Model,
    hardware: str | Hardware,
    *,
    run_with: str | None = None,
    run_together: str | None = None,
    kernels: int = 2,
    **asked: Unpack[Asked],
) -> ConditionReport:
    """Return the expected time of a step when some layers run with a probability, by each treatment.

    run_with: layers that each decide for themselves, such as "16-31=0.5"; run_together: those decided once, such as an
    exit before layer 16.
    kernels: prebuilt kernels for each stretch of layers [-]. The other arguments are those of `estimate`; the after
    side must loop.
    Raises PerfModelError for a condition, mode or name that cannot be used.
    """
    given = read_question(model, hardware, **asked)
    question, batch, context = ready(given), given.batch, given.context
    kernels = whole_number(kernels, "kernels", 2, MOST_KERNELS)
    count = len(question.model.layers)
    conditions = [
        c
        for text, once in ((run_with, False), (run_together, True))
        if text is not None
        for c in read_conditions(text, count, together=once, where="--run-together" if once else "--run-with")
    ]
    if run_with is None and run_together is None:
        raise SpecificationError(
            "conditions: say which layers run with which probability: --run-with 16-31=0.5, or --run-together 16-31=0.5"
            " where it is decided once"
        )
    listed = [layer for c in conditions for layer in c.layers]
    if len(set(listed)) < len(listed):
        raise ValueRangeError(
            f"conditions: layer {next(layer for layer in listed if listed.count(layer) > 1)} has two probabilities"
        )
    if not question.after.mode.loops or question.after.mode.kernels != "layer":
        raise SpecificationError(f"conditions: {question.after.mode.name} does not loop over layers; looped does")
    if given.loop_only is not None:
        raise SpecificationError("conditions: loop_only is not understood here; every run of equal layers is a loop")
    if question.parallel.pipeline > 1:
        raise SpecificationError("conditions: pipeline stages are not understood here; leave out pp")
    for name, value in (("draft", given.draft), ("prompt", given.prompt)):
        if value is not None:
            raise SpecificationError(f"conditions: a {name} is not understood here; leave out --{name}")
    treatments = _treatments(question, batch, context, given.loop_at_most, conditions, kernels)
    needed = set() if not conditions else DEFAULTS
    assumptions = tuple(
        Assumption(path, q.value, q.low, q.high, q.unit, q.kind, q.source)
        for path, q in ((p, quantity_of(question, p)) for p in needed)
    )
    prebuilt = 1
    for condition in conditions:
        prebuilt *= len(lengths_of(condition, kernels))
    return ConditionReport(
        question.model.name,
        question.hardware.name,
        question.devices,
        batch,
        context,
        question.after.mode.name,
        tuple(map(str, conditions)),
        prebuilt,
        treatments,
        assumptions,
    )


def _treatments(
    question: Prepared,
    batch: int,
    context: int,
    loop_at_most: int | None,
    conditions: Sequence[Condition],
    kernels: int,
) -> tuple[Treatment, ...]:
    """Return the treatments with their intervals, by the rule of every interval."""
    quantities = {path: quantity for path, (_, quantity) in question.after.parameters.used.items()}
    quantities |= {path: quantity_of(question, path) for path in DEFAULTS}
    groups: dict[str, list[str]] = {}
    for path, quantity in quantities.items():
        if quantity.low < quantity.high:
            groups.setdefault(moves_with(path), []).append(path)

    def rows(position: float, moved: Collection[str]) -> list[tuple[str, float, float]]:
        numbers = {path: standing_at(path, q, position if path in moved else 0.0) for path, q in quantities.items()}
        return PricedStep(question, batch, context, loop_at_most, numbers).treatments(conditions, kernels)

    plain = rows(0.0, ())
    alone = [(rows(-1.0, paths), rows(1.0, paths)) for paths in groups.values()]
    together = rows(-1.0, quantities), rows(1.0, quantities)
    always = plain[0][1]
    treatments = []
    for i, (name, value, calls) in enumerate(plain):
        sums = moments([Effect(*(log(row[i][1] / value) for row in ends)) for ends in alone])
        spread = joint_spread(combined_spread(sums), sums, Effect(*(log(row[i][1] / value) for row in together)))
        spread = widened(spread, question.beyond.after)
        time = Interval(end_of(value, spread.below), value, end_of(value, spread.above))
        treatments.append(Treatment(name, time, calls, batch / value, always / value))
    return tuple(treatments)
