"""One step of one side, from what its machine costs and its workload, for any kind of number."""

from typing import Any

import msgspec

from perfmodel.estimates.counts import CallCounts, counts_at
from perfmodel.estimates.machinerates import Costs
from perfmodel.estimates.plan import Plan
from perfmodel.estimates.terms import Busy, Terms, busy_time, call_times, step_terms, step_time

Number = Any


class Stepped(msgspec.Struct, frozen=True):
    """A step that was worked out: its plan, the machine's costs, what its calls count, and how long they are busy."""

    plan: Plan
    costs: Costs
    counts: list[CallCounts]
    busy: Busy

    def terms(self) -> Terms:
        """Return where the time of the step goes [s]."""
        return step_terms(self.plan, self.busy, self.costs.fixed)

    def time(self) -> Number:
        """Return the time of the step [s]."""
        return step_time(self.plan, call_times(self.busy), self.costs.fixed)


def step_at(plan: Plan, costs: Costs, batch: Number, context: Number) -> Stepped:
    """Return a step of `batch` sequences [-] with `context` tokens [-] each in the cache."""
    return step_of(plan, costs, counts_at(plan, batch, context, costs.further))


def step_of(plan: Plan, costs: Costs, counts: list[CallCounts]) -> Stepped:
    """Return the step whose calls count `counts`."""
    return Stepped(plan, costs, counts, busy_time(counts, costs.rates, costs.chain))
