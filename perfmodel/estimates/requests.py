"""A whole request: the prompt, then one token after the other while the context grows, before and after looping."""

from typing import Any, Unpack

import msgspec

from perfmodel import equations
from perfmodel._layout import Framed, ShownInNotebooks
from perfmodel.errors import UsageError, ValueRangeError
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.costs import SECONDS_PER_HOUR, power_and_rental
from perfmodel.estimates.intervals import Ends, ends_of
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.estimates.recording import BESIDE
from perfmodel.estimates.results import Fits, PerSide, Prompt, Speedup, flattened
from perfmodel.estimates.sums import summed
from perfmodel.numbers.python import function_of
from perfmodel.numbers.recorded import Recorder, operand
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.units import LONGEST_CONTEXT, whole_number

SIDES = ("before", "after")


class RequestFigures(msgspec.Struct, frozen=True):
    """The figures of a request: times [s] and rates [tok/s], of the whole batch, of one request and of a device."""

    time_to_first_token: float
    time_per_token: float
    time: float
    tokens_per_second: float
    tokens_per_second_per_sequence: float
    tokens_per_second_per_device: float


class RequestSide(RequestFigures, frozen=True):
    """One side of a request. low is the pessimistic end."""

    mode: str
    low: RequestFigures
    high: RequestFigures


class Request(msgspec.Struct, ShownInNotebooks, Framed, frozen=True, eq=False):
    """How long a request takes. context: tokens cached before its prompt [-]; generate: tokens it generates [-].

    time_per_token: the mean over the contexts that its steps read. energy: at the power limit [J], and price at the
    rental [USD], of one request. fits: at the end, with the whole context in the cache. answer: the step at `context`.
    """

    model: str
    hardware: str
    devices: int
    batch: int
    context: int
    weight_format: str
    kv_format: str
    parallel: str
    prompt: int
    chunk: int
    generate: int
    before: RequestSide
    after: RequestSide
    speedup: Speedup
    fits: Fits
    energy: PerSide
    price: PerSide
    answer: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain dicts, numbers and texts, in base units."""
        return {name: msgspec.to_builtins(getattr(self, name)) for name in self.__struct_fields__ if name != "answer"}

    def rows(self) -> list[dict[str, Any]]:
        """Return the answer as one flat row with dotted names."""
        return [dict(flattened(self.to_dict()))]


def request(model: str | Model, hardware: str | Hardware, *, generate: int, **asked: Unpack[Asked]) -> Request:
    """Return how long requests take that bring a prompt and generate tokens, all of a batch at once.

    generate: tokens generated, the first with the prompt [-]; asked: as `estimate` takes it, prompt among it.
    Raises UsageError without a prompt, PerfModelError for what cannot be used.

    >>> found = request("llama-3.1-8b", "h100-sxm", prompt=1024, generate=512, batch=8)
    >>> found.after.time < found.before.time
    True
    """
    generated = whole_number(generate, "generate", 1, LONGEST_CONTEXT)
    if asked.get("prompt") is None:
        raise UsageError("request: needs --prompt, the tokens of its prompt")
    answer = answer_to(read_question(model, hardware, **asked))
    prompt, prepared = answer.prompt, answer.prepared
    assert prompt is not None  # noqa: S101 - it is asked
    first = answer.context + prompt.tokens
    if first + generated > LONGEST_CONTEXT:
        raise ValueRangeError(
            f"request: context, --prompt and --generate make {first + generated:,} tokens; {LONGEST_CONTEXT:,} are the"
            " most"
        )
    means, ends = _time_per_token(prepared, answer.batch, first, max(generated - 1, 1), answer.asked.decoding)
    before, after = (
        _side(answer, prompt, generated, side, mean, slow, fast)
        for side, mean, slow, fast in zip(
            SIDES, means, (ends.before_slow, ends.after_slow), (ends.before_fast, ends.after_fast), strict=True
        )
    )
    power, rental = (None if q is None else q.value * answer.devices for q in power_and_rental(prepared.hardware))
    shares = [side.time / answer.batch for side in (before, after)]
    return Request(
        answer.model,
        answer.hardware,
        answer.devices,
        answer.batch,
        answer.context,
        answer.weight_format,
        answer.kv_format,
        answer.parallel,
        prompt.tokens,
        prompt.chunk,
        generated,
        before,
        after,
        _speedup(prompt, ends, before, after, generated),
        answer.replace(context=first + generated, prompt=1, chunk=None).fits,
        energy=PerSide(*(None if power is None else power * share for share in shares)),
        price=PerSide(*(None if rental is None else rental / SECONDS_PER_HOUR * share for share in shares)),
        answer=answer,
    )


def _time_per_token(
    prepared: Prepared, batch: int, first: int, count: int, decoding: tuple[int, int] | None
) -> tuple[list[float], Ends]:
    """Return the mean time [s] of a token of both sides over `count` contexts from `first`, and its ends as shares.

    decoding: others that decode beside, and the context of each [-]: a step is then that of a chunk of one token.
    """
    recording, recorder = prepared.recording, Recorder()
    beside: dict[str, int] = {}
    if decoding is not None:
        recording, beside = prepared.prompting, {"tokens": 1, **dict(zip(BESIDE, decoding, strict=True))}
    names = ("batch", "context")
    known = recording.run(dict(zip(names, recorder.inputs(names), strict=True)) | beside)
    times = [operand(time) for time in recording.times(known)]
    step = function_of(recorder.needed(times), names, times)
    tokens = prepared.tokens_per_step
    means = [total / count / tokens for total in summed(lambda context: step(batch, context), first, 1, count)]
    # Uncertain is each step as the middle one is.
    middle = recording.run({"batch": batch, "context": first + (count - 1) // 2} | beside)
    ends, (before, after) = ends_of(recording, middle, {}, prepared.beyond), recording.times(middle)
    ratio = before / after
    shares = Ends(
        ends.before_slow / before,
        ends.before_fast / before,
        ends.after_slow / after,
        ends.after_fast / after,
        ends.low / ratio,
        ends.high / ratio,
    )
    return means, shares


def _side(
    answer: Estimate, prompt: Prompt, generated: int, side: str, mean: float, slow: float, fast: float
) -> RequestSide:
    one = getattr(prompt, side)
    low = _figures(answer, generated, one.low.time_to_first_token, mean * slow)
    high = _figures(answer, generated, one.high.time_to_first_token, mean * fast)
    value = _figures(answer, generated, one.time_to_first_token, mean)
    mode: str = getattr(answer, side).mode
    return RequestSide(**msgspec.structs.asdict(value), mode=mode, low=low, high=high)


def _figures(answer: Estimate, generated: int, first: float, token: float) -> RequestFigures:
    time = equations.request_time(first, token, generated)
    rate = answer.batch * generated / time
    return RequestFigures(first, token, time, rate, generated / time, rate / answer.devices)


def _speedup(prompt: Prompt, ends: Ends, before: RequestSide, after: RequestSide, generated: int) -> Speedup:
    """Return how many times faster the request is after: its parts' speed-ups by their shares of the time after."""
    share = after.time_to_first_token / after.time
    token = before.time_per_token / after.time_per_token if generated > 1 else 1.0
    low, high = (
        share * end + (1 - share) * token * factor
        for end, factor in ((prompt.speedup.low, ends.low), (prompt.speedup.high, ends.high))
    )
    return Speedup(equations.speedup(before.time, after.time), low, high)
