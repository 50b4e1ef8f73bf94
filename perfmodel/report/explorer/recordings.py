"""The recordings that the page computes with, each as a short text with its numbers apart.

A step is worked out by two of them: what one side takes from its machine, then how long a plan takes at that. Both know
only structure; the numbers of device, model and question are their arguments. Of an interval each group of parameters
is moved to its ends, and how the times are put together is one more recording.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.estimates.capacity import resident_work
from perfmodel.estimates.coefficients import coefficients, with_coefficients
from perfmodel.estimates.drafting import Draft, redrafted, whole_work, with_drafter
from perfmodel.estimates.intervals import Beyond, ends_of
from perfmodel.estimates.machine import SideParameters
from perfmodel.estimates.machinerates import Costs
from perfmodel.estimates.plan import Plan
from perfmodel.estimates.recording import Group
from perfmodel.estimates.stepping import step_at
from perfmodel.estimates.terms import calls_made
from perfmodel.numbers.choices import larger, smaller
from perfmodel.numbers.compact import CompactRecording, compact
from perfmodel.numbers.recorded import Recorder, needed, operand
from perfmodel.operations import Formats
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.model import Model

Number = Any


class _Time(NamedTuple):
    """The terms of a side where only their sum is looked at."""

    time: Number

    def total(self) -> Number:
        """Return the time of the step [s]."""
        return self.time


class _Known:
    """Stands for a recording whose times are known: at the value, and with each group at its ends."""

    def __init__(self, times: tuple[Any, Any], totals: tuple[Any, Any], ends: Sequence[Any], together: Any) -> None:
        self._times, self._totals, self._together = times, totals, together
        self._ends = {f"g{i}": pair for i, pair in enumerate(ends)}

    def times(self, _known: Any) -> tuple[Any, Any]:
        return self._times

    def terms(self, _known: Any) -> tuple[_Time, _Time]:
        return _Time(self._totals[0]), _Time(self._totals[1])

    def groups(self, _given: Any) -> list[Group]:
        return [Group(name, {name: -1.0}, {name: 1.0}) for name in self._ends]

    def rest_on(self, _moved: Any) -> tuple[bool, bool]:
        return True, True  # a side that does not rest on a group has the same times at both of its ends

    def times_with(self, _known: Any, moved: Mapping[str, float]) -> tuple[Any, Any]:
        if not moved:
            return self._times
        name, end = next(iter(moved.items()))
        slow, fast = self._ends[name] if len(moved) == 1 else self._together
        chosen: tuple[Any, Any] = slow if end < 0 else fast
        return chosen


def costs_script(parameters: SideParameters) -> tuple[CompactRecording, Costs]:
    """Return the function of what one side takes from its machine, and which of it there is: ones where a number is.

    Arguments: drafts and stages of a step [-], then each of `parameters.used` [base units]; results: the numbers of
    `Costs` that are known.
    """
    recorder = Recorder()
    paths = list(parameters.used)
    names = ["drafts", "stages", *(f"p{i}" for i in range(len(paths)))]
    drafts, stages, *numbers = recorder.inputs(names)
    costs = parameters.costs(dict(zip(paths, numbers, strict=True)), drafts, stages)
    found: list[Number] = []
    shape = _with_numbers(costs, lambda number: found.append(number) or 1.0)  # type: ignore[func-returns-value]
    return _compact(recorder, names, found), shape


def step_script(plan: Plan, costs: Costs) -> CompactRecording:
    """Return the function of a step of plans with the structure of `plan`, at costs with that of `costs`.

    Arguments: batch, context, drafts [-], the `coefficients` of a plan, the results of a `costs_script`; results: the
    six terms and the time of the step [s], its kernel calls [-].
    """
    recorder = Recorder()
    many = len(coefficients(plan))
    held: list[Number] = []
    _with_numbers(costs, held.append)
    names = ["batch", "context", "drafts", *(f"c{i}" for i in range(many)), *(f"m{i}" for i in range(len(held)))]
    batch, context, drafts, *numbers = recorder.inputs(names)
    given = iter(numbers)
    general = with_coefficients(plan, lambda _: next(given))
    if plan.drafted:
        general = redrafted(general, drafts)
    step = step_at(general, _with_numbers(costs, lambda _: next(given)), batch, context)
    return _compact(recorder, names, [*step.terms(), step.time(), calls_made(step.plan, step.costs.fixed)])


def counts_script(
    model: Model, formats: Formats, parallel: Parallel, draft: Draft | None, replicates: tuple[str, ...]
) -> CompactRecording:
    """Return the function of what a step counts: bytes, FLOPs, bytes held on a device, time of the peak [s].

    Arguments: batch, context, drafts [-], bandwidth of the memory [B/s], independence of further tokens [-] (D4).
    """
    recorder = Recorder()
    names = ["batch", "context", "drafts", "bandwidth", "independence"]
    batch, context, drafts, bandwidth, independence = recorder.inputs(names)
    if draft is not None:
        draft = msgspec.structs.replace(draft, tokens=drafts)
    whole = whole_work(model, formats, draft, independence)
    resident = resident_work(model, formats, parallel, replicates)
    if draft is not None:
        resident = with_drafter(resident, draft, replicates)
    size = whole.bytes_read(batch, context)
    peak = equations.peak_time(size, parallel.devices, bandwidth)
    found = (size, whole.flops_at(batch, context), resident.bytes_resident(batch, context), peak)
    return _compact(recorder, names, found)


def accepted_script() -> CompactRecording:
    """Return the function of acceptance and drafts [-] that gives the tokens of a sequence in a step [-] (D1, D2)."""
    recorder = Recorder()
    names = ["acceptance", "drafts"]
    acceptance, drafts = recorder.inputs(names)
    return _compact(recorder, names, [equations.tokens_a_step(equations.accepted_drafts(acceptance, drafts))])


def combining_script(groups: int, beyond: int) -> CompactRecording:
    """Return the function that makes intervals of what `groups` groups do, with `beyond` further half-widths.

    Arguments: time of both sides, the sum of their terms, then for each group, and for all at once, both times at the
    slow and at the fast end [s], the half-widths of either side, and that of the ratio [-], the time of the peak [s].
    A group that moves nothing changes nothing.
    Results: slow and fast of both sides [s], low and high of the speed-up [-].
    """
    recorder = Recorder()
    ends = 4 + 4 * (groups + 1)
    names = [*(f"t{i}" for i in range(ends)), *(f"b{i}" for i in range(2 * beyond)), "ratio", "peak"]
    *inputs, ratio, peak = recorder.inputs(names)
    pairs = [((i[0], i[1]), (i[2], i[3])) for i in (inputs[4 + 4 * g : 8 + 4 * g] for g in range(groups + 1))]
    known: Any = _Known((inputs[0], inputs[1]), (inputs[2], inputs[3]), pairs[:-1], pairs[-1])
    widths = tuple(inputs[ends : ends + beyond]), tuple(inputs[ends + beyond :])
    found = ends_of(known, {}, {}, Beyond(*widths, (ratio,) if beyond else ()))
    if beyond:  # as `perfmodel.estimates.columns` has it: no source is faster than the peak
        found = found._replace(high=smaller(found.high, found.before_slow / peak))
        fast = {name: larger(getattr(found, name), peak) for name in ("before_fast", "after_fast")}
        found = found._replace(**fast)
    return _compact(recorder, names, found)


def _compact(recorder: Recorder, names: Sequence[str], found: Sequence[Number]) -> CompactRecording:
    results = [operand(number) for number in found]
    return compact(needed(recorder.lines, results), names, results)


def _with_numbers(record: Any, change: Callable[[Number], Number]) -> Any:
    """Return nested records and tuples with each number replaced by what `change` makes of it; None stays."""
    if isinstance(record, msgspec.Struct):
        return record.__class__(*(_with_numbers(part, change) for part in msgspec.structs.astuple(record)))
    if isinstance(record, tuple):
        changed = [_with_numbers(part, change) for part in record]
        return record.__class__(*changed) if hasattr(record, "_fields") else tuple(changed)
    return None if record is None else change(record)
