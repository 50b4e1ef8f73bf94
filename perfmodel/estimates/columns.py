"""The numbers of an answer by the names of their columns, for any kind of number: all that the equations give.

One answer walks through the recorded lines. A question that is asked again becomes a function of batch and context that
does the same lines with the parameters folded in, for workloads of that order; a sweep does them on grids. The function
gives the same bits, forty times as fast, and takes as long to make as two dozen walks: a first answer does without.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from perfmodel import equations
from perfmodel.estimates.figures import rates_of
from perfmodel.estimates.intervals import Ends, ends_of
from perfmodel.estimates.placement import bytes_in_tier
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.results import Drafting, Figures, Placed, Side
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.terms import TERM_NAMES, Terms
from perfmodel.numbers.choices import larger, smaller
from perfmodel.numbers.recorded import operand
from perfmodel.specifications.software import software_in_use

if TYPE_CHECKING:
    from perfmodel.numbers.python import Replay

Number = Any
SIDES = ("before", "after")
FIGURES = Figures.__struct_fields__
COUNTS = ("bytes_per_step", "flops_per_step", "fits.bytes_needed", "peak.time_per_step", "peak.tokens_per_second")
ANSWER_OF_SIDE = (*(f"terms.{term}" for term in TERM_NAMES), "time_per_step", "low.time_per_step", "high.time_per_step")
# What an answer takes, in this order; rates and fractions are made of its times when they are read.
ANSWER = (
    *COUNTS,
    *(f"{side}.{name}" for side in SIDES for name in ANSWER_OF_SIDE),
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "before.time_drafting",
    "after.time_drafting",
)


def columns_of(
    prepared: Prepared,
    batch: Number,
    context: Number,
    given: Mapping[str, Number] | None = None,
    *,
    wanted: Collection[str] = ANSWER,
) -> dict[str, Number]:
    """Return the columns of an answer that are numbers.

    given: parameters by path [base units], each known exactly in place of its interval.
    wanted: the columns that are looked at; intervals are left out where none of theirs is among them.
    """
    recording, given = prepared.recording, given or {}
    exactly = {name: given[each.key] for name, each in recording.inputs.items() if each.key in given}
    known = recording.run({"batch": batch, "context": context, **exactly})
    size = prepared.whole.bytes_read(batch, context)
    bandwidth = given.get("memory.bandwidth", prepared.hardware.values["memory.bandwidth"].value)
    peak = equations.peak_time(size, prepared.devices, bandwidth)
    counts = (
        size,
        prepared.whole.flops_at(batch, context),
        prepared.resident.bytes_resident(batch, context),
        peak,
        batch * prepared.tokens_per_step / peak,
    )
    columns: dict[str, Number] = dict(zip(COUNTS, counts, strict=True))
    terms = recording.terms(known)
    times = [side.total() for side in terms]
    for side, parts, time in zip(SIDES, terms, times, strict=True):
        columns |= {f"{side}.terms.{name}": term for name, term in zip(TERM_NAMES, parts, strict=True)}
        columns |= _figures(side, time, peak, batch, prepared.tokens_per_step)
    drafting = recording.drafting(known) or (0.0, 0.0)
    columns |= {f"{side}.time_drafting": time for side, time in zip(SIDES, drafting, strict=True)}
    columns["speedup.value"] = equations.speedup(*times)
    if any(".low" in name or ".high" in name for name in wanted):
        ends = ends_of(recording, known, exactly, prepared.beyond_at(batch, context))
        columns |= _bounds(ends, peak, batch, prepared)
    return columns


def _figures(prefix: str, time: Number, peak: Number, batch: Number, tokens: Number) -> dict[str, Number]:
    figures = rates_of(time, peak, batch, tokens)
    return {f"{prefix}.{name}": getattr(figures, name) for name in FIGURES}


def _bounds(ends: Ends, peak: Number, batch: Number, prepared: Prepared) -> dict[str, Number]:
    beyond, tokens = prepared.beyond, prepared.tokens_per_step
    # No step after is below its peak.
    highest = smaller(ends.high, ends.before_slow / peak) if beyond.after else ends.high
    columns: dict[str, Number] = {"speedup.low": ends.low, "speedup.high": highest}
    sides = ((ends.before_slow, ends.before_fast, beyond.before), (ends.after_slow, ends.after_fast, beyond.after))
    for side, (slow, fast, parts) in zip(SIDES, sides, strict=True):
        # What sources differ by beyond the parameters takes no step below its peak.
        fastest = larger(fast, peak) if parts else fast
        columns |= _figures(f"{side}.low", slow, peak, batch, tokens)
        columns |= _figures(f"{side}.high", fastest, peak, batch, tokens)
    return columns


def answer_numbers(prepared: Prepared, batch: int, context: int) -> tuple[float, ...]:
    """Return the numbers of ANSWER at one workload."""
    place = batch.bit_length() + 3 >> 2, context.bit_length() + 3 >> 2
    function = prepared.further.get(place)
    if function is not None:
        return function(batch, context)
    known = prepared.answered.get(place)
    if known is None:
        columns = columns_of(prepared, batch, context)
        known = prepared.answered[place] = batch, context, tuple([float(columns[name]) for name in ANSWER])
    if known[:2] == (batch, context):
        return known[2]
    function = prepared.further[place] = answering_function(prepared, *(_range(digits) for digits in place))
    return function(batch, context)


def _range(digits: int) -> tuple[int, int]:
    """Return the least and the largest number that has so many digits of four bits."""
    return (16 ** (digits - 1), 16**digits - 1) if digits else (0, 0)


def answering_function(prepared: Prepared, batches: tuple[int, int], contexts: tuple[int, int]) -> "Replay":
    """Return a function of batch and context that gives the numbers of ANSWER.

    batches, contexts: between which it is asked [-]; what always is the larger or the smaller there is not asked again.
    """
    from perfmodel.numbers.python import function_of
    from perfmodel.numbers.ranges import GridRecorder

    recorder = GridRecorder()
    columns = columns_of(prepared, recorder.input("batch", 1, *batches), recorder.input("context", 1, *contexts))
    results = [operand(columns[name]) for name in ANSWER]
    return function_of(recorder.needed(results), ("batch", "context"), results)


def side_of(prepared: Prepared, name: str, batch: int, numbers: tuple[float, ...]) -> Side:
    """Return the side `name` of an answer, made of the numbers of ANSWER."""
    side: PreparedSide = getattr(prepared, name)
    place = SIDES.index(name)
    first, each, peak = len(COUNTS), len(ANSWER_OF_SIDE), numbers[COUNTS.index("peak.time_per_step")]
    *terms, time, slow, fast = numbers[first + place * each : first + (place + 1) * each]
    value, low, high = (rates_of(each, peak, batch, prepared.tokens_per_step) for each in (time, slow, fast))
    return Side(
        side.mode.name,
        side.kernel_calls,
        value.time_per_step,
        value.tokens_per_second,
        value.tokens_per_second_per_sequence,
        value.fraction_of_peak,
        TERM_NAMES[terms.index(max(terms))],
        low,
        high,
        Terms(*terms),
        time_drafting=numbers[place - len(SIDES)] if side.plan.drafted else None,
        software=software_in_use(side.hardware),
        profile=side.hardware.profile or None,
    )


def placed_of(prepared: Prepared) -> Placed | None:
    """Return what a slower memory tier holds, None for nothing."""
    placement = prepared.placement
    if placement is None:
        return None
    return Placed(
        placement.tier,
        placement.weights,
        placement.experts,
        round(max(bytes_in_tier(placement.tier, work) for work in prepared.resident.works)),
        placement.kv,
        placement.compute,
    )


def drafting_of(prepared: Prepared, batch: int, context: int) -> Drafting | None:
    """Return what is drafted and how many drafts are best at a workload, None where nothing is drafted."""
    draft = prepared.draft
    if draft is None:
        return None
    from perfmodel.estimates.bestdrafts import best_drafts

    best = best_drafts(prepared, batch, context)
    return Drafting(draft.tokens, draft.drafter, draft.accepted, draft.tokens_per_step, *best)


def drafts_of(prepared: Prepared) -> dict[str, Any]:
    """Return the columns of a row that say what is drafted, without their common name."""
    draft = prepared.draft
    if draft is None:
        return {"tokens": 0, "drafter": "", "accepted": 0.0, "tokens_per_step": 1.0}
    return {name: getattr(draft, name) for name in ("tokens", "drafter", "accepted", "tokens_per_step")}
