"""Layers that run with a probability (early exit, layer skipping, mixture of depths), and three ways to loop over them.

Predicated inside the loop: the loop goes on, the iteration is skipped or done in vain. Ending the loop: calls are split
where the condition is, and the device or the host decides. Prebuilt: one of k loops of different length is chosen at a
switch cost.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack

import msgspec

from perfmodel import equations
from perfmodel.equations.uncertainty import Effect, combined_spread, end_of, joint_spread, moments, widened
from perfmodel.errors import SpecificationError, ValueRangeError, shown
from perfmodel.estimates.machine import moves_with, standing_at
from perfmodel.estimates.options import Asked
from perfmodel.estimates.plan import counts_at, make_plan
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import read_question
from perfmodel.estimates.results import Assumption
from perfmodel.estimates.terms import busy_time, step_time
from perfmodel.numbers.choices import log
from perfmodel.operations import Operation, Step, decode_step
from perfmodel.schedule.cutting import Schedule, make_schedule
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.quantities import Interval, Quantity
from perfmodel.units import whole_number

MOST_KERNELS = 64

# What no device file says: each is the same for all devices until one does, and can be set.
_GPU_BENCH = "gpu-benches gpu-small-kernels: 1.2 us a boundary inside a graph"
_DEFAULTS = {
    "conditions.predicate": Quantity(
        low=0.3e-6,
        value=0.8e-6,
        high=2.2e-6,
        unit="s",
        kind="assumed",
        source="a flag read from the last-level cache, at most a flag barrier as measured on an RTX 5090",
    ),
    "conditions.device": Quantity(
        low=1.2e-6,
        value=3e-6,
        high=6e-6,
        unit="s",
        kind="assumed",
        source=f"one to some boundaries of a conditional node; {_GPU_BENCH}",
    ),
    "conditions.host": Quantity(
        low=15e-6,
        value=30e-6,
        high=50e-6,
        unit="s",
        kind="assumed",
        source=(
            "30 to 50 us for one more device-to-host synchronisation: github.com/sgl-project/sglang-omni issue 564, its"
            " author's estimate; graph replay 15 us: github.com/ahrefs/ocannl issue 488"
        ),
    ),
    "conditions.switch": Quantity(
        low=5e-6,
        value=15e-6,
        high=40e-6,
        unit="s",
        kind="assumed",
        source=(
            "launch of another instantiated graph, 15 us: github.com/ahrefs/ocannl issue 488; loading a program that is"
            " not resident takes longer"
        ),
    ),
}


class Condition(msgspec.Struct, frozen=True):
    """Layers that a token needs with `probability` [-], each deciding for itself, or all of them `together`, decided once."""

    layers: tuple[int, ...]
    probability: float
    together: bool = False

    def __str__(self) -> str:
        first, last, stride = (
            self.layers[0],
            self.layers[-1],
            self.layers[1] - self.layers[0] if len(self.layers) > 1 else 1,
        )
        return f"{first}{f'-{last}' if last > first else ''}{f':{stride}' if stride > 1 else ''}={self.probability:g}"


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


def read_conditions(
    text: str, layers: int, *, together: bool = False, where: str = "--run-with"
) -> tuple[Condition, ...]:
    """Return the conditions that `16-31=0.5` or `1-31:2=0.125,40=0.9` says of a model with `layers` layers.

    A probability of 1 is no condition. Raises SpecificationError for what is not of that form, ValueRangeError for a
    layer or probability out of range.
    """
    found: list[Condition] = []
    for part in text.split(","):
        left, equals, right = part.strip().partition("=")
        span, colon, stride = left.partition(":")
        first, dash, last = span.partition("-")
        numbers = [first, last if dash else first, stride if colon else "1"]
        if not equals or not all(n.strip().isascii() and n.strip().isdecimal() and len(n) < 8 for n in numbers):
            raise SpecificationError(
                f"{where}: {shown(part)} is not of the form FIRST-LAST=P or FIRST-LAST:STEP=P, such as 16-31=0.5"
            )
        start, end, step = (int(n) for n in numbers)
        if not (start <= end < layers and step >= 1):
            raise ValueRangeError(
                f"{where}: {shown(part)}: layers are from 0 to {layers - 1}, the first no later than the last"
            )
        try:
            probability = float(right)
        except ValueError:
            probability = -1.0
        if not 0 <= probability <= 1:
            raise ValueRangeError(f"{where}: {shown(right)} is not a probability from 0 to 1")
        if probability < 1:
            found.append(Condition(tuple(range(start, end + 1, step)), probability, together))
    return tuple(found)


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
    kernels: prebuilt kernels for each stretch of layers [-]. The other arguments are those of `estimate`; the after side
    must loop.
    Raises PerfModelError for a condition, mode or name that cannot be used.
    """
    given = read_question(model, hardware, **asked)
    question, batch, context = prepare_question(given), given.batch, given.context
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
    treatments = _treatments(question, batch, context, given.loop_at_most, conditions, kernels)
    needed = set() if not conditions else _DEFAULTS
    assumptions = tuple(
        Assumption(path, q.value, q.low, q.high, q.unit, q.kind, q.source)
        for path, q in ((p, _quantity(question, p)) for p in needed)
    )
    prebuilt = 1
    for condition in conditions:
        prebuilt *= len(_lengths(condition, kernels))
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
    quantities |= {path: _quantity(question, path) for path in _DEFAULTS}
    groups: dict[str, list[str]] = {}
    for path, quantity in quantities.items():
        if quantity.low < quantity.high:
            groups.setdefault(moves_with(path), []).append(path)

    def rows(position: float, moved: Collection[str]) -> list[tuple[str, float, float]]:
        numbers = {path: standing_at(path, q, position if path in moved else 0.0) for path, q in quantities.items()}
        return _Priced(question, batch, context, loop_at_most, numbers).treatments(conditions, kernels)

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


def _quantity(question: Prepared, path: str) -> Quantity:
    return question.hardware.values.get(path, _DEFAULTS[path])


def _lengths(condition: Condition, kernels: int) -> list[int]:
    """Return how many of its layers each prebuilt kernel has, shortest first.

    None, all, and evenly between where layers decide for themselves.
    """
    count = len(condition.layers)
    most = 2 if condition.together else min(kernels, count + 1)
    return [-(-count * j // (most - 1)) for j in range(most)]


class _Priced:
    """The looped step with each parameter in use, and each cost of a condition, at its number [base units]."""

    def __init__(
        self, question: Prepared, batch: int, context: int, loop_at_most: int | None, numbers: Mapping[str, float]
    ) -> None:
        self._question, self._batch, self._context, self._loop_at_most = question, batch, context, loop_at_most
        side = question.after
        self._plan = side.plan
        self._rates, self._chain = side.parameters.rates(numbers), side.parameters.chain(numbers)
        self._fixed = side.parameters.fixed(numbers)
        self._cost = {path.partition(".")[2]: numbers[path] for path in _DEFAULTS}
        self._step = decode_step(question.model, question.formats, question.parallel, question.hardware.replicates)
        # Layers of a loop share streaming and chains, so together they take no longer than each alone would.
        self._known: dict[tuple[tuple[Operation, ...], float], float] = {}
        self._share = self._iterations(self._looped(self._step.layers), batch) / sum(
            self._alone(layer, batch) for layer in self._step.layers
        )

    def treatments(self, conditions: Sequence[Condition], kernels: int) -> list[tuple[str, float, float]]:
        """Return name, expected time [s] and expected calls [-] of each treatment.

        First of running every layer always.
        """
        always, calls = self._always(), float(self._plan.kernel_calls)
        rest = always - sum(self._layer(index, self._batch) for c in conditions for index in c.layers)
        split, split_calls = self._split(conditions)
        decisions = sum(1 if c.together else len(c.layers) for c in conditions)
        prebuilt = rest + sum(self._prebuilt(c, kernels) for c in conditions)
        return [
            ("every layer always", always, calls),
            ("predicated, work skipped", rest + sum(self._predicated(c) for c in conditions), calls),
            ("predicated, work done anyway", always + decisions * self._cost["predicate"], calls),
            ("loop ends, device decides", split + decisions * self._cost["device"], split_calls),
            ("loop ends, host decides", split + decisions * self._cost["host"], split_calls),
            ("prebuilt kernels", prebuilt, calls),
        ]

    def _always(self) -> float:
        busy = busy_time(counts_at(self._plan, self._batch, self._context), self._rates, self._chain)
        return float(step_time(self._plan, busy.calls, self._fixed))

    def _predicated(self, condition: Condition) -> float:
        needed, tokens = self._needed(condition)
        checked = 1 if condition.together else len(condition.layers)
        total = checked * self._cost["predicate"]
        for index in condition.layers:
            total += equations.predicated_time(
                0.0,
                needed,
                self._layer(index, tokens),
                self._wasted(index) if index == condition.layers[0] or not condition.together else 0.0,
            )
        return total

    def _split(self, conditions: Sequence[Condition]) -> tuple[float, float]:
        """Return the expected time of the step [s] and its calls [-] when loops end at each condition, decisions apart."""
        layers, looped = self._step.layers, self._looped(self._step.layers)
        time, calls = (
            self._always() - sum(self._called(looped, self._batch)),
            float(self._plan.kernel_calls - looped.kernel_calls),
        )
        conditional = {index: c for c in conditions for index in c.layers}
        start = 0
        for index in range(len(layers) + 1):
            if index == len(layers) or index in conditional:
                if index > start:
                    piece = self._looped(layers[start:index])
                    time, calls = time + sum(self._called(piece, self._batch)), calls + piece.kernel_calls
                start = index + 1
        for c in conditions:
            needed, tokens = self._needed(c)
            for stretch in self._stretches(c):
                piece = self._looped([layers[i] for i in stretch])
                time, calls = (
                    time + equations.split_time(0.0, needed, *self._called(piece, tokens)),
                    calls + needed * piece.kernel_calls,
                )
        return time, calls

    def _stretches(self, condition: Condition) -> list[list[int]]:
        """Return the layers of each call or loop.

        One each where they decide for themselves, else neighbours together.
        """
        stretches: list[list[int]] = []
        for index in condition.layers:
            if condition.together and stretches and stretches[-1][-1] == index - 1:
                stretches[-1].append(index)
            else:
                stretches.append([index])
        return stretches

    def _prebuilt(self, condition: Condition, kernels: int) -> float:
        needed, _ = self._needed(condition)
        lengths, count = _lengths(condition, kernels), len(condition.layers)
        covered = [
            equations.covered_probability(needed, 0 if length == count else 1 if condition.together else count - length)
            for length in lengths
        ]
        times = [sum(self._layer(index, self._batch) for index in condition.layers[:length]) for length in lengths]
        return float(equations.prebuilt_time(self._cost["switch"], covered, times))

    def _needed(self, condition: Condition) -> tuple[float, float]:
        """Return the probability that a layer is needed [-], and the tokens that then need it [-]."""
        needed = equations.needed_probability(condition.probability, self._batch)
        return needed, condition.probability * self._batch / needed if needed else 1.0

    def _layer(self, index: int, tokens: float) -> float:
        """Return the time of a layer inside the loop [s]."""
        return self._alone(self._step.layers[index], tokens) * self._share

    def _alone(self, layer: tuple[Operation, ...], tokens: float) -> float:
        """Return the time of an iteration of one layer by itself [s]."""
        if (layer, tokens) not in self._known:
            self._known[layer, tokens] = self._iterations(self._looped([layer]), tokens)
        return self._known[layer, tokens]

    def _wasted(self, index: int) -> float:
        """Return the time [s] of streaming what the window had fetched of a layer that is skipped."""
        schedule = self._looped([self._step.layers[index]])
        plan = make_plan(schedule, self._plan.kinds, self._question.parallel)
        stages = [
            stage
            for call in counts_at(plan, self._batch, self._context)
            for _, stages in call.segments
            for stage in stages
        ]
        streaming = sum(equations.streaming_time(stage.bytes, self._rates.bandwidths) for stage in stages)
        return float(min(streaming, self._chain.prefetch / self._rates.datasheet_bandwidth))

    def _looped(self, layers: Sequence[tuple[Operation, ...]]) -> Schedule:
        """Return the calls of these layers alone; a single one is a fused call too, as it is inside the loop."""
        step = Step((), tuple(layers), (), ("layer",) * len(layers))
        schedule = make_schedule(
            step, "layer", loops=True, loop_at_most=self._loop_at_most, room=self._question.after.room
        )
        return msgspec.structs.replace(
            schedule,
            calls=tuple((count, msgspec.structs.replace(call, fused=not call.split)) for count, call in schedule.calls),
        )

    def _iterations(self, schedule: Schedule, tokens: float) -> float:
        """Return the sum of the iterations of these calls [s]."""
        busy = self._busy(schedule, tokens)
        return float(busy.calls - busy.refill - busy.host)

    def _called(self, schedule: Schedule, tokens: float) -> tuple[float, float]:
        """Return the cost of the boundaries of these calls, and the sum of their times [s]."""
        fused = sum(count for count, call in schedule.calls if call.fused)
        busy = self._busy(schedule, tokens)
        return (
            schedule.kernel_calls * self._fixed.boundary,
            float(busy.calls - busy.host) + fused * self._fixed.first_bytes,
        )

    def _busy(self, schedule: Schedule, tokens: float) -> Any:
        plan = make_plan(schedule, self._plan.kinds, self._question.parallel)
        latencies = dict(zip(self._plan.collectives, self._rates.collectives, strict=True))
        rates = self._rates._replace(collectives=tuple(latencies[kind] for kind in plan.collectives))
        return busy_time(counts_at(plan, tokens, self._context), rates, self._chain)
