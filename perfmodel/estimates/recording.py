"""The equations of one question, run once on recorded numbers: what every answer, sweep and interval of it reads.

The inputs are the batch, the context and each parameter in use, by path; the lines give the terms and the time of
either side. Uncertain parameters stand in groups that move together, and each group knows which lines rest on it.
"""

from collections.abc import Container, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from perfmodel.estimates.devices import AFTER
from perfmodel.estimates.drafting import undrafted
from perfmodel.estimates.positions import kernels_key, moves_with, standing_at
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.stepping import Stepped, step_at
from perfmodel.estimates.terms import Terms, busy_time, call_times, step_time
from perfmodel.numbers.recorded import Line, Recorder, inputs_of, needed, operand, run
from perfmodel.specifications.quantities import Quantity

Number = Any


class Input(msgspec.Struct, frozen=True):
    """A parameter as an input of the recording.

    key: its path, or after:path where the after side has another quantity under the same path.
    """

    key: str
    path: str
    quantity: Quantity
    group: str


class Group(msgspec.Struct, frozen=True):
    """Uncertain parameters that move together: their numbers at the slow and at the fast end, by name in the lines."""

    name: str
    slow: dict[str, float]
    fast: dict[str, float]


# Sequences that decode beside a prompt's tokens, and the context of each.
BESIDE = ("beside", "cached")


class Recording:
    """The lines of a question; those of its prompt have the tokens of a sequence, and what decodes beside, as inputs.

    inputs: each parameter by its name in the lines. values: their numbers where the question stands. lines: all that
    terms and times rest on; time_lines: those that the times rest on, which are time_results, before and after.
    """

    def __init__(self, before: PreparedSide, after: PreparedSide) -> None:
        recorder = Recorder()
        batch, context, tokens, *beside = recorder.inputs(("batch", "context", "tokens", *BESIDE))
        self.inputs: dict[str, Input] = {}
        self._terms: list[list[Any]] = []
        times, drafting = [], []
        for side, names in zip((before, after), self._named(before, after), strict=True):
            numbers = dict(zip(names, recorder.inputs(list(names.values())), strict=True))
            plan = side.plan
            if plan.prompted:
                plan = msgspec.structs.replace(plan, tokens=tokens, beside=tuple(beside))
            step = step_at(plan, side.parameters.costs(numbers), batch, context)
            self._terms.append([operand(term) for term in step.terms()])
            times.append(operand(step.time()))
            if side.plan.drafted:
                drafting.append(operand(drafting_time(side, step, numbers)))
        self.time_results, self._drafting = tuple(times), tuple(drafting)
        self.lines = needed(recorder.lines, [*self._terms[0], *self._terms[1], *times, *drafting])
        self.values = {name: each.quantity.value for name, each in self.inputs.items()} | dict.fromkeys(BESIDE, 0)
        self.time_lines = needed(self.lines, times)
        self._inputs = inputs_of(self.time_lines)
        self._resting: dict[int, list[Line]] = {}

    def _named(self, before: PreparedSide, after: PreparedSide) -> tuple[dict[str, str], dict[str, str]]:
        """Name the inputs; return the name of each path of either side."""
        names: tuple[dict[str, str], dict[str, str]] = ({}, {})
        known: dict[tuple[str, float, float, float], str] = {}
        for side, named in zip((before, after), names, strict=True):
            for path, (_, quantity) in side.parameters.used.items():
                shared = names[0].get(path)
                if shared is not None and path not in side.own:
                    named[path] = shared
                    continue
                named[path] = name = f"p{len(self.inputs)}"
                group = (AFTER if path in side.own else "") + moves_with(path)
                twin = kernels_key(path)
                if twin is not None:  # kernels of one software, launched in two ways
                    group = known.setdefault((twin, quantity.low, quantity.value, quantity.high), group)
                self.inputs[name] = Input(side.key(path), path, quantity, group)
        return names

    def groups(self, given: Container[str]) -> list[Group]:
        """Return the groups of uncertain parameters, without those whose names are in `given`."""
        groups: dict[str, Group] = {}
        for name, each in self.inputs.items():
            if each.quantity.low < each.quantity.high and name not in given:
                ends = groups.setdefault(each.group, Group(each.group, {}, {}))
                ends.slow[name], ends.fast[name] = (standing_at(each.path, each.quantity, end) for end in (-1.0, 1.0))
        return list(groups.values())

    def run(self, numbers: Mapping[str, Number]) -> dict[str, Number]:
        """Return all lines worked out with `numbers` for the inputs, others at their value."""
        return run(self.lines, self.values | dict(numbers))

    def terms(self, known: Mapping[str, Number]) -> tuple[Terms, Terms]:
        """Return the terms [s] of both sides, of lines that were run."""
        before, after = (Terms(*(known[x] if isinstance(x, str) else x for x in terms)) for terms in self._terms)
        return before, after

    def times(self, known: Mapping[str, Number]) -> tuple[Number, Number]:
        """Return the time of the step [s] of both sides, of lines that were run."""
        before, after = (known[x] if isinstance(x, str) else x for x in self.time_results)
        return before, after

    def drafting(self, known: Mapping[str, Number]) -> tuple[Number, ...]:
        """Return the part of the step [s] that drafts take on both sides, of lines that were run; () without drafts."""
        return tuple([known[x] if isinstance(x, str) else x for x in self._drafting])

    def times_with(self, known: Mapping[str, Number], moved: Mapping[str, Number]) -> tuple[Number, Number]:
        """Return the time of the step [s] of both sides with inputs moved away from where the lines were run."""
        inputs = self._set_of(moved)
        lines = self._resting.get(inputs)
        if lines is None:
            lines = self._resting[inputs] = [line for line in self.time_lines if self._inputs[line.target] & inputs]
        return self.times(run(lines, {**known, **moved}))

    def rest_on(self, moved: Mapping[str, Number]) -> tuple[bool, bool]:
        """Return whether the time of either side, before and after, rests on any of the inputs moved."""
        inputs = self._set_of(moved)
        before, after = (self._inputs.get(result, 0) & inputs != 0 for result in self.time_results)
        return before, after

    def _set_of(self, names: Iterable[str]) -> int:
        return reduce(or_, [self._inputs.get(name, 0) for name in names], 0)


def drafting_time(side: PreparedSide, step: Stepped, numbers: Mapping[str, Number]) -> Number:
    """Return the part of a step [s] that its drafts take: what it is longer than if they cost nothing.

    step: with its drafts; numbers: of each parameter in use [base units].
    """
    plan, costs = step.plan, step.costs
    verified = [call for call, planned in zip(step.counts, plan.calls, strict=True) if not planned.draft]
    alone = busy_time(verified, costs.rates, costs.chain)
    plain = step_time(undrafted(plan), call_times(alone), side.parameters.fixed(numbers, drafts=0))
    return step.time() - plain
