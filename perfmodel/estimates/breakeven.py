"""Where looping stops paying: the largest batch at which the after side still gains."""

from collections.abc import Callable

from perfmodel.estimates.columns import columns_of
from perfmodel.estimates.conditioning import ready
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import Question, read_question
from perfmodel.estimates.results import Fits
from perfmodel.units import LARGEST_BATCH

PAYS = 1.05  # a gain below this is within what a re-measurement moves


def last_paying_batch(asked: Question, prepared: Prepared, *, pays: float = PAYS) -> int | None:
    """Return the largest batch at which the speed-up [-] is still at least `pays`.

    None when it does not pay at the asked batch, or pays at every batch up to the largest.
    """
    gain = _gain(asked, prepared)
    if gain(asked.batch) < pays:
        return None
    low, high = asked.batch, asked.batch * 2
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


def breakeven_batch(asked: Question, prepared: Prepared, fits: Fits) -> int | None:
    """Return the largest batch that fits at which the speed-up is still at least `PAYS`, as `last_paying_batch` does.

    fits: whether the asked batch does; where it does not, or a slower memory takes what does not, memory ends nothing.
    None also where it is so at every batch that fits.
    """
    last = last_paying_batch(asked, prepared)
    if last is None or not fits.fits or asked.arguments["offload"] is not None:
        return last
    now, then = (prepared.resident.bytes_resident(batch, asked.context) for batch in (asked.batch, last))
    return last if fits.bytes_needed + then - now <= fits.bytes_available else None


def _gain(asked: Question, prepared: Prepared) -> Callable[[int], float]:
    """Return the speed-up [-] of the same question by its batch, without its interval, which takes far longer."""

    def at(batch: int) -> Prepared:
        if asked.arguments["offload"] is None:
            return prepared
        # What streams from a slower memory may depend on the batch.
        return ready(read_question(**asked.arguments | {"batch": batch}), prepared.known)

    def gain(batch: int) -> float:
        return float(columns_of(at(batch), batch, asked.context, wanted=())["speedup.value"])

    return gain
