"""The number of drafts with the highest rate, for each side of a question."""

from perfmodel import equations
from perfmodel.estimates.drafting import acceptance_of, redrafted
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.stepping import step_at

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
    costs = side.parameters.costs(side.parameters.values(), drafts)
    time = step_at(redrafted(side.plan, drafts), costs, batch, context).time()
    return float(equations.tokens_a_step(equations.accepted_drafts(chance, drafts)) / time)
