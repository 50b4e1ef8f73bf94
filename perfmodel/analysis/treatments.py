"""What each way to run conditional layers costs, at one position of the parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perfmodel import equations
from perfmodel.analysis.conditions import Condition
from perfmodel.estimates.counts import counts_at
from perfmodel.estimates.plan import make_plan
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.stepping import step_at
from perfmodel.estimates.terms import busy_time, windows_at
from perfmodel.numbers.choices import added
from perfmodel.operations import Operation, Step, decode_step
from perfmodel.schedule.calls import Cutting, Schedule
from perfmodel.schedule.cutting import make_schedule
from perfmodel.specifications.quantities import Quantity

# What no device file says: each is the same for all devices until one does, and can be set.
_GPU_BENCH = "gpu-benches gpu-small-kernels: 1.2 us a boundary inside a graph"


DEFAULTS = {
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


def quantity_of(question: Prepared, path: str) -> Quantity:
    """Return a cost of conditions: as the device has it, else the default."""
    return question.hardware.values.get(path, DEFAULTS[path])


def lengths_of(condition: Condition, kernels: int) -> list[int]:
    """Return how many of its layers each prebuilt kernel has, shortest first.

    None, all, and evenly between where layers decide for themselves.
    """
    count = len(condition.layers)
    most = 2 if condition.together else min(kernels, count + 1)
    return [-(-count * j // (most - 1)) for j in range(most)]


class PricedStep:
    """The looped step with each parameter in use, and each cost of a condition, at its number [base units]."""

    def __init__(
        self, question: Prepared, batch: int, context: int, loop_at_most: int | None, numbers: Mapping[str, float]
    ) -> None:
        self._question, self._batch, self._context, self._loop_at_most = question, batch, context, loop_at_most
        side = question.after
        self._plan = side.plan
        self._costs = side.parameters.costs(numbers)
        self._rates, self._chain, self._fixed, _ = self._costs
        self._cost = {path.partition(".")[2]: numbers[path] for path in DEFAULTS}
        self._step = decode_step(question.model, question.formats, question.parallel, question.hardware.replicates)
        # Layers of a loop share streaming and chains, so together they take no longer than each alone would.
        self._known: dict[tuple[tuple[Operation, ...], float], float] = {}
        self._share = self._iterations(self._looped(self._step.layers), batch) / added(
            self._alone(layer, batch) for layer in self._step.layers
        )

    def treatments(self, conditions: Sequence[Condition], kernels: int) -> list[tuple[str, float, float]]:
        """Return name, expected time [s] and expected calls [-] of each treatment.

        First of running every layer always.
        """
        always, calls = self._always(), float(self._plan.kernel_calls)
        rest = always - added(self._layer(index, self._batch) for c in conditions for index in c.layers)
        split, split_calls = self._split(conditions)
        decisions = sum(1 if c.together else len(c.layers) for c in conditions)
        prebuilt = rest + added(self._prebuilt(c, kernels) for c in conditions)
        return [
            ("every layer always", always, calls),
            ("predicated, work skipped", rest + added(self._predicated(c) for c in conditions), calls),
            ("predicated, work done anyway", always + decisions * self._cost["predicate"], calls),
            ("loop ends, device decides", split + decisions * self._cost["device"], split_calls),
            ("loop ends, host decides", split + decisions * self._cost["host"], split_calls),
            ("prebuilt kernels", prebuilt, calls),
        ]

    def _always(self) -> float:
        return float(step_at(self._plan, self._costs, self._batch, self._context).time())

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
        """Return the expected time of the step [s] and its calls [-] when loops end at each condition.

        The time of the decisions is not in it.
        """
        layers, looped = self._step.layers, self._looped(self._step.layers)
        time, calls = (
            self._always() - added(self._called(looped, self._batch)),
            float(self._plan.kernel_calls - looped.kernel_calls),
        )
        conditional = {index: c for c in conditions for index in c.layers}
        start = 0
        for index in range(len(layers) + 1):
            if index == len(layers) or index in conditional:
                if index > start:
                    piece = self._looped(layers[start:index])
                    time, calls = time + added(self._called(piece, self._batch)), calls + piece.kernel_calls
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
        lengths, count = lengths_of(condition, kernels), len(condition.layers)
        covered = [
            equations.covered_probability(needed, 0 if length == count else 1 if condition.together else count - length)
            for length in lengths
        ]
        times = [added(self._layer(index, self._batch) for index in condition.layers[:length]) for length in lengths]
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
        streaming = added(equations.streaming_time(stage.known, self._rates.bandwidths) for stage in stages)
        return float(min(streaming, windows_at(stages, self._rates, self._chain.prefetch)[0]))

    def _looped(self, layers: Sequence[tuple[Operation, ...]]) -> Schedule:
        """Return the calls of these layers alone; a single one is a fused call too, as it is inside the loop."""
        step = Step((), tuple(layers), (), ("layer",) * len(layers))
        schedule = make_schedule(
            step, Cutting("layer", loops=True, loop_at_most=self._loop_at_most, room=self._question.after.room)
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
        rates = msgspec.structs.replace(self._rates, collectives=tuple(latencies[kind] for kind in plan.collectives))
        return busy_time(counts_at(plan, tokens, self._context), rates, self._chain)
