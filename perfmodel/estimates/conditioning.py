"""A question whose before side was measured: its parameters, conditioned on the one time that is known.

The logarithm of the step is taken as linear in the logarithms of its uncertain parameters, whose low and high are their
5th and 95th percentile; the measured time moves each by what it has in the variance, and narrows it. What one number
cannot tell apart stays wide. Gaussian conditioning, as in calibration with one row.
"""

import math
from typing import Any, NamedTuple

import msgspec

from perfmodel.errors import UsageError, shown
from perfmodel.estimates.intervals import effects_of
from perfmodel.estimates.known import Known, Seen, as_known
from perfmodel.estimates.plan import counts_at
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import Question
from perfmodel.estimates.terms import busy_time, call_times, step_time
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity
from perfmodel.units import parse_quantity

# Standard deviations from the median to the 95th percentile of a normal distribution.
TO_PERCENTILE = 1.6448536269514722
# A measured step differs from the next of the same machine by this half-width of its logarithm.
NOISE = 0.02
# The time is not linear in what is moved, so that it is moved again from where it came to.
_ROUNDS = 6
# A parameter is undetermined where the measurement leaves this share of its spread.
_LEFT = 0.9


def measured_time(text: object, batch: int) -> float:
    """Return the time of a step [s] that a time, or a rate summed over the batch, stands for.

    Raises SpecificationError for a text that is neither.
    """
    if isinstance(text, str) and text.strip().endswith("tok/s"):
        rate = parse_quantity(text, "tok/s", "--measured")
        time = batch / rate if rate > 0 else math.inf
    else:
        time = parse_quantity(text, "s", "--measured")
    if not 0 < time < math.inf:
        raise UsageError(f"--measured: {shown(text)} is not a time or a rate above zero; write 6.4ms or 150tok/s")
    return time


def conditioned(question: Question) -> Known | None:
    """Return what the measured step of a question tells; None where nothing was measured."""
    text = question.arguments.get("measured")
    if text is None:
        return None
    time = measured_time(text, question.batch)
    step = _Step(prepare_question(question), question.batch, question.context)
    # A host that is late, or kernels that are slow: whichever is nearer to what its kind of software does.
    found = min((step.explained(math.log(time), start) for start in step.starts(time)), key=lambda one: one.distance)
    moved = found.moved
    left = {path: math.sqrt(max(1 - share, 0.0)) for path, share in found.told.items()}
    known = Known(
        time=time,
        moved={path: (was, _moved(path, was, moved[path], str(text))) for path, was in step.quantities.items()},
        left=left,
        undetermined=tuple(path for path in left if left[path] > _LEFT),
        seen=Seen(NOISE, {}),
    )
    again = prepare_question(with_known(question, known))
    lines = again.recording.run({"batch": question.batch, "context": question.context})
    return msgspec.structs.replace(known, seen=Seen(NOISE, effects_of(again.recording, lines, {}).before))


def with_known(question: Question, known: Known) -> Question:
    """Return a question with its devices as a measured step leaves them."""
    before, after = (as_known(device, known) for device in (question.hardware, question.after_hardware))
    return msgspec.structs.replace(question, hardware=before, after_hardware=after)


def prepared_with(question: Question, known: Known | None) -> Prepared:
    """Return a question made ready with what a measured step tells, of its own or of another question."""
    if known is None:
        return prepare_question(question)
    prepared = prepare_question(with_known(question, known))
    if prepared.known is not known:
        prepared.learn(known)
    return prepared


class _Explained(NamedTuple):
    """How parameters move.

    moved: logarithms of factors; told: share of their variance [-]; distance: from what is usual, as a sum of squares of
    standard deviations.
    """

    moved: dict[str, float]
    told: dict[str, float]
    distance: float


class _Step:
    """The before side at its workload, with the parameters that are uncertain."""

    def __init__(self, prepared: Prepared, batch: int, context: int) -> None:
        self._side = prepared.before
        self._counts = counts_at(self._side.plan, batch, context)
        used = self._side.parameters.used
        self.values: dict[str, Any] = self._side.parameters.values()
        self.quantities: dict[str, Quantity] = {
            path: quantity for path, (_, quantity) in used.items() if 0 < quantity.low < quantity.high
        }
        self.spreads = {
            path: (math.log(q.high) - math.log(q.low)) / (2 * TO_PERCENTILE) for path, q in self.quantities.items()
        }

    def time(self, numbers: dict[str, float]) -> float:
        """Return the time of the step [s] with some parameters at these numbers."""
        parameters, every = self._side.parameters, self.values | numbers
        busy = busy_time(self._counts, parameters.rates(every), parameters.chain(every))
        return float(step_time(self._side.plan, call_times(busy), parameters.fixed(every)))

    def slopes(self, numbers: dict[str, float]) -> tuple[float, dict[str, float]]:
        """Return the logarithm of the time, and its slope by the logarithm of each uncertain parameter."""
        here, small = math.log(self.time(numbers)), 1e-4
        return here, {
            path: (math.log(self.time(numbers | {path: numbers[path] * math.exp(small)})) - here) / small
            for path in self.spreads
        }

    def starts(self, time: float) -> list[dict[str, float]]:
        """Return where to begin, as logarithms of factors: where the question stands, and with a host that is late."""
        found = [dict.fromkeys(self.spreads, 0.0)]
        late = next((path for path in self.spreads if path.endswith(".issue")), None)
        if late is not None:
            per_call = time / self._side.kernel_calls
            found.append(found[0] | {late: math.log(per_call / self.values[late])})
        return found

    def explained(self, goal: float, start: dict[str, float]) -> "_Explained":
        """Return how the parameters move so that the logarithm of the time is `goal`, by Gaussian conditioning."""
        spreads, noise = self.spreads, NOISE / TO_PERCENTILE
        moved, told, logarithm = start, dict.fromkeys(spreads, 0.0), 0.0
        for _ in range(_ROUNDS):
            now = {path: self.values[path] * math.exp(moved[path]) for path in spreads}
            logarithm, slopes = self.slopes(now)
            felt = {path: slopes[path] * spreads[path] ** 2 for path in spreads}
            variance = sum(slopes[path] * felt[path] for path in spreads) + noise**2
            # What is left to explain, seen from the values before anything was moved.
            rest = goal - logarithm + sum(slopes[path] * moved[path] for path in spreads)
            moved = {path: self.within(path, felt[path] / variance * rest) for path in spreads}
            told = {path: felt[path] ** 2 / variance / spreads[path] ** 2 for path in spreads}
        off = (
            goal - math.log(self.time({path: self.values[path] * math.exp(moved[path]) for path in spreads}))
        ) / noise
        return _Explained(moved, told, off**2 + sum((moved[path] / spreads[path]) ** 2 for path in spreads))

    def within(self, path: str, moved: float) -> float:
        """Return how far the logarithm of a parameter may move: no share beyond one."""
        parameter = lookup(path)
        most = parameter.most if parameter is not None else math.inf
        return min(moved, math.log(most / self.values[path])) if self.values[path] > 0 else 0.0


def _moved(path: str, quantity: Quantity, moved: float, text: str) -> Quantity:
    """Return a quantity that was moved, as wide around its new value as before."""
    parameter = lookup(path)
    most = parameter.most if parameter is not None else math.inf
    low, value, high = (min(end * math.exp(moved), most) for end in (quantity.low, quantity.value, quantity.high))
    source = f"{quantity.source}; measured: {text}"
    return msgspec.structs.replace(quantity, low=low, value=value, high=high, kind="derived", source=source)
