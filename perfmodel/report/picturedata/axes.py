"""Rates and speed-ups over devices, context and batch, each point an estimate of its own."""

from collections.abc import Sequence

from perfmodel.errors import SpecificationError, ValueRangeError
from perfmodel.estimates.answers import LARGEST_BATCH, Estimate
from perfmodel.estimates.breakeven import last_paying_batch
from perfmodel.estimates.capacity import MOST_DEVICES
from perfmodel.report.picturedata.captions import caption_of, question_line, question_of, rate_unit
from perfmodel.report.picturedata.records import Band, Curves, Map

_MOST_CURVE_DEVICES = 16

_CURVE_BATCHES = 1024

_CURVE_CONTEXT = 131_072


def _band(answers: Sequence[Estimate], side: str, figure: str) -> Band:
    sides = [getattr(answer, side) for answer in answers]
    ends = [sorted((getattr(s.low, figure), getattr(s.high, figure))) for s in sides]
    return Band(
        tuple(getattr(s, figure) for s in sides), tuple(low for low, _ in ends), tuple(high for _, high in ends)
    )


def _curves(
    axis: str, at: Sequence[int], answers: Sequence[Estimate], question: str, marks: Sequence[tuple[str, float]] = ()
) -> Curves:
    speedup = Band(
        tuple(a.speedup.value for a in answers),
        tuple(a.speedup.low for a in answers),
        tuple(a.speedup.high for a in answers),
    )
    return Curves(
        caption_of(question, answers),
        axis,
        tuple(at),
        tuple(a.fits.fits for a in answers),
        (answers[0].before.mode, answers[0].after.mode),
        tuple(a.peak.tokens_per_second for a in answers),
        _band(answers, "before", "tokens_per_second"),
        _band(answers, "after", "tokens_per_second"),
        _band(answers, "before", "fraction_of_peak"),
        _band(answers, "after", "fraction_of_peak"),
        speedup,
        tuple(marks),
        rate_unit(answers[0]),
    )


def _doubling(first: int, last: int, asked: int) -> tuple[int, ...]:
    """First, twice, four times and so on up to last, with the asked point among them."""
    found = {asked}
    while first <= last:
        found.add(first)
        first *= 2
    return tuple(sorted(found))


def scaling(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over devices; `at` or powers of two up to sixteen, or twice the asked number.

    Where the device has no figures of a link, or the question says how its devices share the work, only the number
    asked for stays.
    """
    devices = tuple(at or _doubling(1, min(max(_MOST_CURVE_DEVICES, 2 * answer.devices), MOST_DEVICES), answer.devices))
    answers: list[Estimate] = []
    reached: list[int] = []
    for count in devices:
        try:
            answers.append(answer if count == answer.devices else answer.replace(devices=count))
            reached.append(count)
        except (SpecificationError, ValueRangeError):
            # The device has no figures of a link, or --parallel is for another number.
            continue
    domain = question_of(answer).hardware.values.get("link.domain")
    marks = (
        [(f"link domain: {domain.value:g}", domain.value)] if domain is not None and domain.value < reached[-1] else []
    )
    question = question_line(answer, "devices")
    return _curves("devices", reached, answers, question, marks)


def over_context(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over context; `at` or powers of two up to what the model was made for."""
    longest = question_of(answer).model.longest_context or _CURVE_CONTEXT
    contexts = tuple(at or _doubling(128, min(max(longest, 4096), _CURVE_CONTEXT), max(answer.context, 1)))
    question = question_line(answer, "context")
    return _curves("context", contexts, [answer.replace(context=c) for c in contexts], question)


def over_batch(answer: Estimate, at: Sequence[int] | None = None) -> Curves:
    """Return the curves over batch; `at` or powers of two, with the largest batch at which looping pays."""
    batches = tuple(at or _doubling(1, min(max(_CURVE_BATCHES, answer.batch), LARGEST_BATCH), answer.batch))
    question = question_line(answer, "batch")
    last = last_paying_batch(answer.replace(batch=1))
    marks = [(f"pays up to {last:,}", float(last))] if last is not None and last <= batches[-1] else []
    return _curves("batch", batches, [answer.replace(batch=b) for b in batches], question, marks)


def speedup_map(answer: Estimate, batches: Sequence[int] | None = None, contexts: Sequence[int] | None = None) -> Map:
    """Return the speed-up over batch and context."""
    longest = question_of(answer).model.longest_context or _CURVE_CONTEXT
    columns = tuple(batches or _doubling(1, max(512, answer.batch), answer.batch))
    rows = tuple(contexts or _doubling(512, min(max(longest, 4096), _CURVE_CONTEXT), max(answer.context, 1)))
    answers = [[answer.replace(batch=b, context=c) for b in columns] for c in rows]
    question = question_line(answer, "batch", "context")
    return Map(
        caption_of(question, [answer]),
        columns,
        rows,
        tuple(tuple(a.speedup.value for a in row) for row in answers),
        tuple(tuple(a.fits.fits for a in row) for row in answers),
        (answer.before.mode, answer.after.mode),
    )
