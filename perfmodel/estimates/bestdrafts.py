"""The number of drafts with the highest rate, for each side of a question."""

from perfmodel import equations
from perfmodel.estimates.drafting import acceptance_of, redrafted
from perfmodel.estimates.plan import counts_at
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.terms import busy_time, call_times, step_time

# More drafts than these are not looked at: no published chain is longer.
LONGEST_CHAIN = 32


def best_drafts(prepared: Prepared, batch: int, context: int) -> tuple[int, int]:
    """Return how many drafts a step should have before and after [-], each with the chance of the question's drafts.

    Where only a mean number is known, the chance is that at which it would be the mean (D1).
    """
    draft = prepared.draft
    if draft is None:
        return 0, 0
    chance = acceptance_of(draft.accepted, draft.tokens)
    before, after = (
        max(range(LONGEST_CHAIN + 1), key=lambda drafts: _rate(side, chance, drafts, batch, context))
        for side in (prepared.before, prepared.after)
    )
    return before, after


def _rate(side: PreparedSide, chance: float, drafts: int, batch: int, context: int) -> float:
    """Return the tokens a second of a sequence with `drafts` drafts a step."""
    plan, parameters = redrafted(side.plan, drafts), side.parameters
    values = parameters.values()
    busy = busy_time(
        counts_at(plan, batch, context, parameters.further(values)), parameters.rates(values), parameters.chain(values)
    )
    time = step_time(plan, call_times(busy), parameters.fixed(values, drafts))
    return float(equations.tokens_a_step(equations.accepted_drafts(chance, drafts)) / time)
