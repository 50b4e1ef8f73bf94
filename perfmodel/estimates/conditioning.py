"""A question whose before side was measured: its parameters, conditioned on the one time that is known.

The measured time moves each uncertain parameter by what it has in the variance, and narrows it. What one number cannot
tell apart stays wide. The mathematics is that of calibration (`perfmodel.estimates.regression`), with one row.
"""

import math
from typing import Unpack

import msgspec

from perfmodel.errors import SpecificationError, UnreadableValueError, UsageError, ValueRangeError, shown
from perfmodel.estimates.figures import peak_at
from perfmodel.estimates.intervals import effects_of
from perfmodel.estimates.known import Known, Seen, as_known, beyond_parts, elsewhere, factor_path, shared_effects
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared, prepare_question
from perfmodel.estimates.question import Question, read_question
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import largest
from perfmodel.specifications.quantities import Quantity
from perfmodel.units import format_quantity, parse_quantity

# A measured step differs from the next of the same machine by this half-width of its logarithm.
NOISE = 0.02
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
    from perfmodel.estimates.regression import MeasuredSide, Regression, spreads_of

    prepared = prepare_question(question)
    time = measured_time(text, question.batch * prepared.tokens_per_step)
    peak = peak_at(prepared, question.batch, question.context, {})
    if time < peak:
        raise ValueRangeError(
            f"--measured: {shown(text)} is a step of {format_quantity(time, 's')}, and its bytes alone take"
            f" {format_quantity(peak, 's')} at the datasheet bandwidth; is it of this question?"
        )
    side = MeasuredSide(prepared.before, question.batch, question.context, time)
    beyond = beyond_parts(question.hardware, question.before) or (0.0, 0.0)
    step = Regression([side], side.quantities, spreads_of(beyond))
    # A host that is late, or kernels that are slow: whichever is nearer to what its kind of software does.
    found = step.explained()
    moved, offs = found.moved, step.offs(step.numbers(found.moved))
    row = step.factor(question.before, offs)
    left = {path: math.sqrt(max(1 - share, 0.0)) for path, share in found.told.items()}
    factor = factor_path(question.before)
    known = Known(
        time=time,
        device=question.hardware.name,
        stack=question.hardware.stack,
        mode=question.before,
        of=prepared.of,
        batch=question.batch,
        context=question.context,
        row=math.exp(row),
        source=math.exp(row * (step.beyond.source / step.beyond.both) ** 2),
        beyond=beyond,
        moved={path: (was, _moved(path, was, moved[path], str(text))) for path, was in step.quantities.items()},
        left=left,
        undetermined=tuple(path for path in left if left[path] > _LEFT),
        distance=math.sqrt(found.distance),
        deviations={factor: row / step.beyond.both, **{path: moved[path] / step.spreads[path] for path in moved}},
        seen=Seen(NOISE, {}),
    )
    again = prepare_question(with_known(question, known))
    lines = again.recording.run({"batch": question.batch, "context": question.context})
    effects = effects_of(again.recording, lines, {}).before
    shared = shared_effects(question.hardware, question.before, known)
    return msgspec.structs.replace(known, seen=Seen(NOISE, {**effects, **shared}))


def with_known(question: Question, known: Known) -> Question:
    """Return a question with its devices as a measured step leaves them."""
    before = as_known(question.hardware, known, question.before)
    after = as_known(question.after_hardware, known, question.after)
    return msgspec.structs.replace(question, hardware=before, after_hardware=after)


def prepared_with(question: Question, known: Known | None) -> Prepared:
    """Return a question made ready with what a measured step tells, of its own or of another question."""
    if known is None:
        return prepare_question(question)
    known = known.origin or known
    if (question.model.name, question.formats.weights) != (known.of[0], known.of[3]):
        known = elsewhere(known)
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


def _moved(path: str, quantity: Quantity, moved: float, text: str) -> Quantity:
    """Return a quantity that was moved, as wide around its new value as before."""
    low, value, high = (
        min(end * math.exp(moved), largest(path)) for end in (quantity.low, quantity.value, quantity.high)
    )
    source = f"{quantity.source}; measured: {text}"
    return msgspec.structs.replace(quantity, low=low, value=value, high=high, kind="derived", source=source)
