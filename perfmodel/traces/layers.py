"""Find the repeated layer in a sequence of kernel names: the shortest body, how often it runs, and where.

Names may differ now and then (autotuned variants, every n-th layer of another kind, first and last
layers where norms fuse across the boundary), and a layer may have kernels of its own.
"""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perfmodel.traces.repeats import FEWEST_BODIES, SAME, body_length, like_layers, overlap, stretches, usual_body

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from perfmodel.traces.repeats import Codes

_BODY_MATCHES = 0.6  # share of a body that must equal the usual one for it to count
_POOR = 0.5  # the same for one body before one that does
_FIRM, _MANY = 0.9, 6  # fewer bodies than this prove a layer only if they agree as well as that
_EXTRA, _EXTRA_SHARE = (
    2,
    0.3,
)  # kernels between runs that are extra ones of a layer; share of a body where runs differ in length


class LayerRun(msgspec.Struct, frozen=True):
    """A repeated layer in a sequence: `count` bodies of len(body) items from index `first`.

    body: the usual item at each place. matched: share of the items that are the usual one. layers: layers
    in all bodies, a body may hold several. every: number of bodies after which the sequence repeats exactly
    or nearly (2 when two kinds alternate). odd: bodies of another length, counted in `count`.
    """

    body: tuple[str, ...]
    first: int
    stop: int
    count: int
    layers: int
    matched: float
    every: int = 1
    odd: int = 0


def find_layer_runs(names: Sequence[str], anchors: Sequence[bool], breaks: Sequence[int] = ()) -> tuple[LayerRun, ...]:
    """Return the runs of the repeated layer in `names`, in order; none when nothing repeats.

    anchors: whether the item is one that a layer runs once (attention), parallel to `names`; tells how
    many layers a body holds. breaks: indices where a step is known to begin. A sequence of many steps gives
    one run a step.
    """
    import numpy as np

    numbers: dict[Hashable, int] = {}
    codes = np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), dtype=np.int32, count=len(names))
    marked = np.unique(codes[np.fromiter(anchors, dtype=np.bool_, count=len(names))])
    length = body_length(codes, marked)
    if not length:
        return ()
    aligned = [run for start, stop in stretches(codes, length) if (run := _align(codes, start, stop, length))]
    texts = list(numbers)
    found = [_describe(codes, run, length, texts, anchors) for run in _join(codes, aligned, length, breaks)]
    found = [run for run in found if run.matched >= (_FIRM if run.count < _MANY else SAME)]
    most = max((run.count for run in found), default=0)
    return tuple(run for run in found if run.count >= max(FEWEST_BODIES, 0.2 * most))


def _align(codes: "Codes", start: int, stop: int, length: int) -> tuple[int, int] | None:
    """Return first index and number of the whole bodies in and around [start, stop), as many as match the usual one."""
    import numpy as np

    usual = usual_body(codes, start, stop, length)
    low = max(0, start - 3 * length)
    agrees = np.concatenate(
        ([0], np.cumsum(codes[low:] == usual[(np.arange(low, len(codes)) - start) % length], dtype=np.int64))
    )
    best: tuple[float, int, int] | None = None
    for first in range(low, min(start + length, len(codes) - length + 1)):
        shares = np.diff(agrees[first - low :: length]) / length
        count = _good_ones(shares)
        # One item that differs weighs as much as two that agree: an odd body is worth having, a torn one is not.
        value = length * float(np.sum(1.5 * shares[:count] - 0.5))
        if count >= 2 and (best is None or value > best[0]):
            best = (value, first, count)
    return None if best is None else (best[1], best[2])


def _good_ones(shares: "NDArray[np.float64]") -> int:
    """Return how many bodies from the first on match; a poor one counts between good ones."""
    import numpy as np

    good = shares >= _BODY_MATCHES
    if not len(good) or not good[0]:
        return 0
    held = good | ((shares >= _POOR) & np.concatenate((good[1:], [False])))
    return len(held) if held.all() else int(np.argmin(held))


class _Joined(NamedTuple):
    """Bodies from first to stop, those of another length by their number."""

    first: int
    stop: int
    bodies: int
    odd: tuple[int, ...]


def _join(codes: "Codes", runs: list[tuple[int, int]], length: int, breaks: Sequence[int]) -> list[_Joined]:
    """Return the runs, joined where layers of another length or some extra kernels part them."""
    joined: list[_Joined] = []
    counts = {count for _, count in runs}
    few = _EXTRA if len(counts) == 1 else max(_EXTRA, int(_EXTRA_SHARE * length))
    for first, count in runs:
        before = joined[-1] if joined else None
        if before is not None and first < before.stop:
            continue
        if before is not None and not any(before.stop - length < place <= first + length for place in breaks):
            start, more = _turned(codes, before.first, (first, count), length)
            body, between = codes[before.first : before.first + length], codes[before.stop : start]
            stop = start + more * length
            if more and len(between) <= few:
                joined[-1] = _Joined(
                    before.first,
                    stop,
                    before.bodies + more,
                    (*before.odd, before.bodies - 1) if len(between) else before.odd,
                )
                continue
            if more and like_layers(between, body):
                odd = max(1, round(len(between) / length))
                joined[-1] = _Joined(
                    before.first,
                    stop,
                    before.bodies + odd + more,
                    (*before.odd, *range(before.bodies, before.bodies + odd)),
                )
                continue
        joined.append(_Joined(first, first + count * length, count, ()))
    return joined


def _turned(codes: "Codes", pattern: int, run: tuple[int, int], length: int) -> tuple[int, int]:
    """Return first index and number of the bodies of a run when they begin with the kernel of the body at `pattern`."""
    import numpy as np

    first, count = run
    body = codes[pattern : pattern + length]
    agrees = [
        np.count_nonzero(codes[first + turn : first + turn + length] == body)
        for turn in range(length if count > 1 else 1)
    ]
    start = first + int(np.argmax(agrees))
    more = 0
    while (
        start + (more + 1) * length <= len(codes)
        and np.count_nonzero(codes[start + more * length : start + (more + 1) * length] == body)
        >= _BODY_MATCHES * length
    ):
        more += 1
    return start, more


def _describe(codes: "Codes", run: _Joined, length: int, texts: list[Hashable], anchors: Sequence[bool]) -> LayerRun:
    import numpy as np

    first, stop, count, odd = run
    if odd:
        usual, matched = codes[first : first + length], 1.0 - len(odd) / count
        steps = set(np.diff(odd).tolist())
        every = steps.pop() if len(steps) == 1 else 1
    else:
        usual = usual_body(codes, first, stop, length)
        whole = codes[first:stop].reshape(count, length)
        matched = float(np.mean(whole == usual))
        every = _every(whole, matched)
    body = tuple(str(texts[code]) for code in usual.tolist())
    known = {codes[place]: anchor for place, anchor in enumerate(anchors[first:stop], start=first)}
    within = _layers_in_body(usual, [known.get(code, False) for code in usual])
    return LayerRun(body, first, stop, count, count * within, matched, every, len(odd))


def _every(whole: "NDArray[np.int32]", matched: float) -> int:
    """Return after how many bodies they repeat clearly better than from one to the next."""
    import numpy as np

    count = len(whole)
    single = float(np.mean(whole[1:] == whole[:-1]))
    for step in range(2, min(count // 2, 16) + 1):
        share = float(np.mean(whole[step:] == whole[:-step]))
        if matched < 0.999 and 1 - share < 0.25 * (1 - single):
            return step
    return 1


def _layers_in_body(body: "Codes", anchors: list[bool]) -> int:
    """Return how many layers a body holds: its anchors, if the parts between them are alike."""
    import numpy as np

    places = [place for place, anchor in enumerate(anchors) if anchor]
    if len(places) < 2:
        return 1
    turned = np.concatenate((body, body))
    parts = [turned[a:b] for a, b in zip(places, [*places[1:], places[0] + len(body)], strict=True)]
    shortest, longest = min(map(len, parts)), max(map(len, parts))
    alike = all(overlap(part, parts[0]) >= 0.5 for part in parts[1:])
    return len(places) if shortest >= 0.5 * longest and alike else 1
