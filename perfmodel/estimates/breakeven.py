"""Where looping stops paying: the largest batch at which the after side still gains."""

from collections.abc import Callable

from perfmodel.estimates.answers import Estimate
from perfmodel.estimates.columns import columns_of
from perfmodel.units import LARGEST_BATCH

PAYS = 1.05  # a gain below this is within what a re-measurement moves


def last_paying_batch(answer: Estimate, *, pays: float = PAYS) -> int | None:
    """Return the largest batch at which the speed-up [-] is still at least `pays`.

    None when it does not pay at the asked batch, or pays at every batch up to the largest.
    """
    gain = _gain(answer)
    if gain(answer.batch) < pays:
        return None
    low, high = answer.batch, answer.batch * 2
    while gain(high) >= pays:
        low, high = high, high * 2
        if high > LARGEST_BATCH:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if gain(middle) >= pays:
            low = middle
        else:
            high = middle
    return low


def _gain(answer: Estimate) -> Callable[[int], float]:
    """Return the speed-up [-] of the same question by its batch, without its interval, which takes far longer."""
    question = answer.prepared
    if answer.asked.arguments["offload"] is not None:  # what streams from a slower memory may depend on the batch
        return lambda batch: answer.replace(batch=batch).speedup.value

    def gain(batch: int) -> float:
        return float(columns_of(question, batch, answer.context, wanted=())["speedup.value"])

    return gain
