"""Find how long the body is that a sequence repeats, and in which stretches it does.

The search works on lags: with the right body length most items equal the one a body further on.
"""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Codes = NDArray[np.int32]

FEWEST_BODIES = 3
LONGEST_SEARCHED = 40_000  # events looked at to find the body; a step has some thousands
SAME = 0.7  # share of kernels that must equal those a body further on
_LEAST = 0.4  # share of a sequence that a repeat must cover to be one
_WHOLE = 0.85  # the same for a body to be repeats of a part of it
_WORTH = 0.9  # a shorter body is taken when it covers this share of what the best covers
_WINDOW = 12  # items at least over which that share is taken
_MISMATCH = (
    2.0  # what a kernel that differs costs against one that agrees: a run ends where fewer than two in three agree
)
_ALIKE = 0.6  # overlap of names for something to count as a layer like the others


def body_length(codes: "Codes", marked: "Codes") -> int:
    """Return the length of the repeated layer, 0 for none: the strongest repeat may be the step, so look inside it."""
    if len(codes) > LONGEST_SEARCHED:
        middle = (len(codes) - LONGEST_SEARCHED) // 2
        codes = codes[middle : middle + LONGEST_SEARCHED]
    length = _shortest_repeat(codes, marked, len(codes) // FEWEST_BODIES)
    for _ in range(4):
        if not length:
            return 0
        body = _body_at(codes, length)
        length = _primitive(body)
        inner = _inner_repeat(body[:length], marked)
        if not inner:
            return length
        length = inner
    return length


def _shortest_repeat(codes: "Codes", marked: "Codes", longest: int) -> int:
    """Return the shortest lag at which nearly as much of the sequence repeats as at any, 0 when little does.

    Where kernels that a layer runs once are known (`marked`), a body without one is no layer.
    """
    import numpy as np

    anchored = np.isin(codes, marked).sum() >= FEWEST_BODIES
    covered: dict[int, int] = {}
    best = 0
    for lag in _candidates(codes, longest):
        found = _coverage(codes, lag)
        if found:
            covered[lag] = found
            best = max(best, found)
    if not best or best < _LEAST * len(codes):
        return 0
    enough = sorted(lag for lag, found in covered.items() if found >= _WORTH * best)
    return next((lag for lag in enough if not anchored or np.isin(_body_at(codes, lag), marked).any()), enough[0])


def _candidates(codes: "Codes", longest: int) -> list[int]:
    """Return the lags worth trying, in order.

    All of a short sequence, those at which kernels come again of a long one.
    """
    if longest <= 3_000:
        return list(range(1, longest + 1))
    import numpy as np

    counts = np.bincount(codes)
    distances: Counter[int] = Counter()
    places: dict[int, list[int]] = {}
    for place, code in enumerate(codes.tolist()):
        earlier = places.setdefault(code, [])
        if counts[code] >= FEWEST_BODIES:
            for other in earlier[-12:]:
                if place - other <= longest:
                    distances[place - other] += 1
            earlier.append(place)
    return sorted(lag for lag, _ in distances.most_common(1_500))


def _coverage(codes: "Codes", lag: int) -> int:
    """Return how many items equal the one `lag` further on, less those that do not, in long stretches.

    These are at least three bodies long, and most of their items are equal.
    """
    import numpy as np

    same = codes[lag:] == codes[:-lag]
    if np.count_nonzero(same) < _LEAST * SAME * len(codes) - lag:
        return 0
    long = [(start, stop) for start, stop in stretches(codes, lag) if stop - start >= FEWEST_BODIES * lag - lag // 2]
    return sum(lag + int(np.count_nonzero(same[start : stop - lag])) for start, stop in long)


def stretches(codes: "Codes", lag: int) -> list[tuple[int, int]]:
    """Return the stretches [start, stop) of two bodies or more whose items mostly equal the one `lag` on or back."""
    import numpy as np

    same = codes[lag:] == codes[:-lag]
    if not len(same):
        return []
    window = min(max(lag, _WINDOW), len(same))
    sums = np.concatenate(([0], np.cumsum(same, dtype=np.int64)))
    share = (sums[window:] - sums[:-window]) / window  # of same[i : i + window]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (share >= SAME).astype(np.int8), [0]))))
    found: list[tuple[int, int]] = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        start, stop = _trim(same, first, last - 1 + window)
        if found and start < found[-1][1] - lag:  # windows of one stretch that a dip parted
            start = found.pop()[0]
        found.append((start, stop + lag))
    return [(start, stop) for start, stop in found if stop - start >= 2 * lag]


def _trim(same: "NDArray[np.bool_]", first: int, last: int) -> tuple[int, int]:
    """Return the part of same[first:last] with the highest score, +1 for an agreement and minus for a difference."""
    import numpy as np

    score = np.cumsum(np.where(same[first:last], 1.0, -_MISMATCH))
    stop = int(np.argmax(score)) + 1
    before = np.concatenate(([0.0], score[: stop - 1]))
    # the latest of the lowest: a leading difference is left out
    start = stop - 1 - int(np.argmin(before[::-1]))
    return first + start, first + stop


def _primitive(body: "Codes") -> int:
    """Return the length of the shortest part of which `body` is whole repeats, nearly.

    Its own length if there is none.
    """
    import numpy as np

    length = len(body)
    return next(
        (part for part in range(1, length) if length % part == 0 and np.mean(body == np.roll(body, part)) >= _WHOLE),
        length,
    )


def _body_at(codes: "Codes", lag: int) -> "Codes":
    """Return the usual body of the longest stretch that repeats at `lag`."""
    start, stop = max(stretches(codes, lag), key=lambda stretch: stretch[1] - stretch[0])
    return usual_body(codes, start, stop, lag)


def usual_body(codes: "Codes", start: int, stop: int, length: int) -> "Codes":
    """Return the commonest item at each place of the bodies in [start, stop), the first place being that of `start`."""
    import numpy as np

    whole = codes[start:stop]
    return np.array([np.bincount(whole[place::length]).argmax() for place in range(length)], dtype=np.int32)


def _inner_repeat(body: "Codes", marked: "Codes") -> int:
    """Return the length of a layer that repeats inside `body`, which then is a step.

    0 when `body` is a layer, or layers of several kinds.

    What is left of a step beside its layers (embedding, head, sampling) is unlike a layer.
    """
    import numpy as np

    if len(body) < 2 * FEWEST_BODIES:
        return 0
    round_trip = np.concatenate((body, body))  # a body has no first item
    lag = _shortest_repeat(round_trip, marked, len(body) // FEWEST_BODIES)
    if lag and 0 < np.isin(body, marked).sum() < FEWEST_BODIES and not np.isin(_body_at(round_trip, lag), marked).any():
        return 0  # kernels that come several times in one layer, not a step of several
    if lag:
        long = [(start, stop) for start, stop in stretches(round_trip, lag) if stop - start >= FEWEST_BODIES * lag]
        if not long:
            return 0
        start, stop = max(long, key=lambda stretch: stretch[1] - stretch[0])
        inside = min(stop - start, len(body)) // lag
        rest = np.delete(np.arange(len(body)), np.arange(start, start + inside * lag) % len(body))
        if (
            inside >= FEWEST_BODIES
            and inside * lag >= _LEAST * len(body)
            and not (len(rest) and like_layers(body[rest], usual_body(round_trip, start, stop, lag)))
        ):
            return lag
    return 0


def like_layers(rest: "Codes", body: "Codes") -> bool:
    """Whether `rest` reads as one or a few layers like `body`, longer or shorter by some kernels."""
    bodies = max(1, round(len(rest) / len(body)))
    if not 0.6 <= len(rest) / (bodies * len(body)) <= 1.6:
        return False
    return overlap(rest, body, bodies) >= _ALIKE


def overlap(rest: "Codes", body: "Codes", bodies: int = 1) -> float:
    """Return the share of names that `rest` and `bodies` times `body` have in common, counted with repeats."""
    left = Counter(rest.tolist())
    right = Counter({code: count * bodies for code, count in Counter(body.tolist()).items()})
    return (left & right).total() / max(left.total(), right.total())
