"""The prompt of a question: the steps that process it, chunk by chunk, and the time to the first token."""

from perfmodel import equations
from perfmodel.estimates.intervals import ends_of
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.recording import BESIDE
from perfmodel.estimates.results import Decoding, Prompt, PromptFigures, PromptSide, Speedup
from perfmodel.estimates.sums import summed
from perfmodel.estimates.terms import TERM_NAMES, Terms
from perfmodel.numbers.choices import added
from perfmodel.numbers.python import Replay, function_of
from perfmodel.numbers.recorded import Recorder, operand

_TERMS = len(TERM_NAMES)


def prompt_of(
    prepared: Prepared, batch: int, cached: int, tokens: int, chunk: int, decoding: tuple[int, int] | None = None
) -> Prompt:
    """Return how long prompts of `tokens` tokens [-] take where `cached` are in the cache already, before and after.

    batch: sequences that are processed together [-]; chunk: most tokens of each in one step [-].
    decoding: sequences that decode beside each chunk and the context of each [-], None for none.
    """
    beside = decoding or (0, 0)
    whole_step = _step_of(prepared)

    def step(batch: int, context: int, new: int) -> tuple[float, ...]:
        return whole_step(batch, context, new, *beside)

    totals = prompt_terms(step, batch, cached, tokens, chunk)
    stages = prepared.parallel.pipeline
    steps = -(-tokens // chunk)
    overlap = prepared.hardware.values["prompts.overlap"].value
    sides = []
    for terms in (totals[:_TERMS], totals[_TERMS:]):
        one = added(terms) / steps
        time = equations.chunked_time(one, one / stages, steps, overlap)
        sides.append([term * time / added(terms) for term in terms])
    # Uncertain is each chunk as the middle one is.
    recording = prepared.prompting
    middle = {"batch": batch, "context": cached + (tokens - min(chunk, tokens)) // 2, "tokens": min(chunk, tokens)}
    middle |= dict(zip(BESIDE, beside, strict=True))
    known = recording.run(middle)
    ends = ends_of(recording, known, {}, prepared.beyond)
    times = [terms.total() for terms in recording.terms(known)]
    before, after = (
        _side(terms, slow / time, fast / time, batch * tokens)
        for terms, time, slow, fast in zip(
            sides, times, (ends.before_slow, ends.after_slow), (ends.before_fast, ends.after_fast), strict=True
        )
    )
    value = equations.speedup(before.time_to_first_token, after.time_to_first_token)
    ratio = equations.speedup(*times)
    speedup = Speedup(value, value * ends.low / ratio, value * ends.high / ratio)
    others = None
    if decoding is not None:
        others = Decoding(*decoding, *(side.time_to_first_token / steps for side in (before, after)))
    return Prompt(tokens, chunk, steps, before, after, speedup, others)


def prompt_terms(step: Replay, batch: int, cached: int, tokens: int, chunk: int) -> list[float]:
    """Return the terms [s] of both sides, one after the other, of all steps of a prompt."""
    whole, rest = divmod(tokens, chunk)
    totals = [0.0] * (2 * _TERMS)
    if whole:
        totals = summed(lambda context: step(batch, context, chunk), cached, chunk, whole)
    if rest:
        last = step(batch, cached + whole * chunk, rest)
        totals = [total + one for total, one in zip(totals, last, strict=True)]
    return totals


def _side(terms: list[float], slow: float, fast: float, tokens: int) -> PromptSide:
    time = added(terms)
    low, high = (PromptFigures(time * end, tokens / (time * end)) for end in (slow, fast))
    bound = TERM_NAMES[terms.index(max(terms))]
    return PromptSide(time, tokens / time, low, high, bound, Terms(*terms))


def _step_of(prepared: Prepared) -> Replay:
    """Return a function of batch, context, tokens of a sequence and what decodes beside them.

    It gives the terms [s] of a step of both sides.
    """
    if prepared.prompt_step is None:
        recorder = Recorder()
        names = ("batch", "context", "tokens", *BESIDE)
        numbers = dict(zip(names, recorder.inputs(names), strict=True))
        recording = prepared.prompting
        known = recording.run(numbers)
        results = [operand(term) for terms in recording.terms(known) for term in terms]
        prepared.prompt_step = function_of(recorder.needed(results), names, results)
    return prepared.prompt_step
