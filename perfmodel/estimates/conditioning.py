"""A question whose before side was measured: its parameters, conditioned on the one time that is known.

The logarithm of the step is taken as linear in the logarithms of its uncertain parameters, whose low and high are their
5th and 95th percentile; the measured time moves each by what it has in the variance, and narrows it. What one number
cannot tell apart stays wide. Gaussian conditioning, as in calibration with one row.
"""

import math
from typing import Any, NamedTuple, Unpack

import msgspec

from perfmodel.equations.uncertainty import TO_PERCENTILE
from perfmodel.errors import SpecificationError, UnreadableValueError, UsageError, ValueRangeError, shown
from perfmodel.estimates.figures import peak_at
from perfmodel.estimates.intervals import effects_of
from perfmodel.estimates.known import FACTOR, Known, Seen, as_known, beyond_parts, shared_effects
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import Question, read_question
from perfmodel.estimates.stepping import step_at
from perfmodel.numbers.choices import added
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity
from perfmodel.units import format_quantity, parse_quantity

# A measured step differs from the next of the same machine by this half-width of its logarithm.
NOISE = 0.02
# The time is not linear in what is moved, so that it is moved again from where it came to.
_ROUNDS = 12
# What is left to explain where a device has no software whose sources differ [-].
_MATCHED = 5e-3
# A parameter is undetermined where the measurement leaves this share of its spread.
_LEFT = 0.9


def measured_time(text: object, tokens: float) -> float:
    """Return the time of a step [s] that a time, or a rate, stands for; tokens: of a step, summed over the batch [-].

    Raises UnreadableValueError for a text that is neither.
    """
    try:
        time = _time(text, tokens)
    except ValueRangeError:
        raise
    except SpecificationError:
        raise UnreadableValueError(
            f"--measured: {shown(text)} is neither the time of a step nor a rate over the batch; write 6.4ms or"
            " 150tok/s"
        ) from None
    if not 0 < time < math.inf:
        raise UsageError(f"--measured: {shown(text)} is not a time or a rate above zero; write 6.4ms or 150tok/s")
    return time


def _time(text: object, tokens: float) -> float:
    if isinstance(text, str) and text.strip().endswith("tok/s"):
        rate = parse_quantity(text, "tok/s", "--measured")
        return tokens / rate if rate > 0 else math.inf
    return parse_quantity(text, "s", "--measured")


def conditioned(question: Question) -> Known | None:
    """Return what the measured step of a question tells; None where nothing was measured."""
    text = question.arguments.get("measured")
    if text is None:
        return None
    prepared = prepare_question(question)
    time = measured_time(text, question.batch * prepared.tokens_per_step)
    peak = peak_at(prepared, question.batch, question.context, {})
    if time < peak:
        raise ValueRangeError(
            f"--measured: {shown(text)} is a step of {format_quantity(time, 's')}, and its bytes alone take"
            f" {format_quantity(peak, 's')} at the datasheet bandwidth; is it of this question?"
        )
    step = _Step(prepared, question.batch, question.context)
    spread, noise = (part / TO_PERCENTILE for part in beyond_parts(question.hardware) or (0.0, 0.0))
    # A host that is late, or kernels that are slow: whichever is nearer to what its kind of software does.
    rest = max(math.hypot(spread, noise), _MATCHED)
    found = min(
        (step.explained(math.log(time), start, rest) for start in step.starts(time)), key=lambda one: one.distance
    )
    moved, reached = found.moved, step.time(step.moved_by(found.moved))
    row = time / reached
    left = {path: math.sqrt(max(1 - share, 0.0)) for path, share in found.told.items()}
    known = Known(
        time=time,
        device=question.hardware.name,
        stack=question.hardware.stack,
        mode=question.before,
        of=prepared.of,
        batch=question.batch,
        context=question.context,
        row=row,
        source=row ** (spread**2 / rest**2),
        moved={path: (was, _moved(path, was, moved[path], str(text))) for path, was in step.quantities.items()},
        left=left,
        undetermined=tuple(path for path in left if left[path] > _LEFT),
        distance=math.sqrt(found.distance),
        deviations={FACTOR: math.log(row) / rest, **{path: moved[path] / step.spreads[path] for path in moved}},
        seen=Seen(NOISE, {}),
    )
    again = prepare_question(with_known(question, known))
    lines = again.recording.run({"batch": question.batch, "context": question.context})
    effects = effects_of(again.recording, lines, {}).before
    beyond = shared_effects(question.hardware, question.before, known)
    return msgspec.structs.replace(known, seen=Seen(NOISE, {**effects, **beyond}))


def with_known(question: Question, known: Known) -> Question:
    """Return a question with its devices as a measured step leaves them."""
    before = as_known(question.hardware, known, question.before)
    after = as_known(question.after_hardware, known, question.after)
    return msgspec.structs.replace(question, hardware=before, after_hardware=after)


def prepared_with(question: Question, known: Known | None) -> Prepared:
    """Return a question made ready with what a measured step tells, of its own or of another question."""
    if known is None:
        return prepare_question(question)
    prepared = prepare_question(with_known(question, known))
    if prepared.known is not known:
        prepared.learn(known)
    return prepared


def ready(question: Question, known: Known | None = None) -> Prepared:
    """Return a question made ready with what its measured step tells; known: that of another question, in its place."""
    return prepared_with(question, known or conditioned(question))


def ask(model: str | Model, hardware: str | Hardware, **asked: Unpack[Asked]) -> Prepared:
    """Return the prepared question behind `estimate`, whose arguments these are."""
    return ready(read_question(model, hardware, **asked))


class _Explained(NamedTuple):
    """How parameters move.

    moved: logarithms of factors; told: share of their variance [-]; distance: from what is usual, as a sum of squares
    of standard deviations.
    """

    moved: dict[str, float]
    told: dict[str, float]
    distance: float


class _Step:
    """The before side at its workload, with the parameters that are uncertain."""

    def __init__(self, prepared: Prepared, batch: int, context: int) -> None:
        self._side, self._batch, self._context = prepared.before, batch, context
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
        costs = self._side.parameters.costs(self.values | numbers)
        return float(step_at(self._side.plan, costs, self._batch, self._context).time())

    def moved_by(self, moved: dict[str, float]) -> dict[str, float]:
        """Return the numbers of the parameters moved by the logarithms of factors."""
        return {path: self.values[path] * math.exp(moved[path]) for path in moved}

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

    def explained(self, goal: float, start: dict[str, float], rest_spread: float) -> "_Explained":
        """Return how the parameters move so that the logarithm of the time is `goal`, by Gaussian conditioning.

        rest_spread: standard deviation of what they leave to the machine and its software as a whole [-].
        """
        spreads = self.spreads
        moved, felt, variance = start, dict.fromkeys(spreads, 0.0), 1.0
        for _ in range(_ROUNDS):
            logarithm, slopes = self.slopes(self.moved_by(moved))
            felt = {path: slopes[path] * spreads[path] ** 2 for path in spreads}
            # What is left to explain, seen from the values before anything was moved.
            rest = goal - logarithm + added(slopes[path] * moved[path] for path in spreads)
            held: dict[str, float] = {}
            for _ in spreads:  # a share that would be more than all stays there, and the others explain the rest
                free = [path for path in spreads if path not in held]
                variance = added(slopes[path] * felt[path] for path in free) + rest_spread**2
                left = rest - added(slopes[path] * held[path] for path in held)
                wanted = {path: felt[path] / variance * left for path in free}
                beyond = {path: self._most(path) for path in free if wanted[path] > self._most(path)}
                if not beyond:
                    break
                held |= beyond
            # Far from where the slopes were taken a step of a factor of e at a time.
            moved = {path: _near(moved[path], (wanted | held)[path]) for path in spreads}
        told = {path: felt[path] ** 2 / variance / spreads[path] ** 2 for path in spreads}
        off = (goal - math.log(self.time(self.moved_by(moved)))) / rest_spread
        return _Explained(moved, told, off**2 + added((moved[path] / spreads[path]) ** 2 for path in spreads))

    def _most(self, path: str) -> float:
        """Return how far the logarithm of a parameter may rise: no share beyond one."""
        parameter = lookup(path)
        return math.log(parameter.most / self.values[path]) if parameter is not None else math.inf


def _near(now: float, wanted: float) -> float:
    return min(max(wanted, now - 1.0), now + 1.0)


def _moved(path: str, quantity: Quantity, moved: float, text: str) -> Quantity:
    """Return a quantity that was moved, as wide around its new value as before."""
    parameter = lookup(path)
    most = parameter.most if parameter is not None else math.inf
    low, value, high = (min(end * math.exp(moved), most) for end in (quantity.low, quantity.value, quantity.high))
    source = f"{quantity.source}; measured: {text}"
    return msgspec.structs.replace(quantity, low=low, value=value, high=high, kind="derived", source=source)
