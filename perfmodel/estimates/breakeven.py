"""Where looping stops paying: the largest batch at which the after side still gains."""

from perfmodel.estimates.answers import LARGEST_BATCH, Estimate

PAYS = 1.05  # a gain below this is within what a re-measurement moves


def last_paying_batch(answer: Estimate, *, pays: float = PAYS) -> int | None:
    """Return the largest batch at which the speed-up [-] is still at least `pays`.

    None when it does not pay at the asked batch, or pays at every batch up to the largest.
    """
    if answer.speedup.value < pays:
        return None
    low, high = answer.batch, answer.batch * 2
    while answer.replace(batch=high).speedup.value >= pays:
        low, high = high, high * 2
        if high > LARGEST_BATCH:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if answer.replace(batch=middle).speedup.value >= pays:
            low = middle
        else:
            high = middle
    return low
