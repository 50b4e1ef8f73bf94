"""Where a sequence of events is cut into steps: by marks, by layers that repeat, or around whole graphs."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import msgspec

from perfmodel.numbers.choices import added
from perfmodel.traces.events import Kernel
from perfmodel.traces.layers import LayerRun, find_layer_runs
from perfmodel.traces.names import is_attention
from perfmodel.traces.repeats import FEWEST_BODIES

_NEAR = 0.3  # share of a body by which a marked step may begin beside one


_FAR_UNMARKED, _FAR_MARKED = 0.1, 0.5  # gap as a share of the layers' time beyond which an event is not of the step


class Piece(NamedTuple):
    """A stretch of the sequence that is one step: indices, and the layer runs inside."""

    label: str
    first: int
    stop: int
    runs: tuple[LayerRun, ...]


def repeats_in(events: Sequence[Kernel], breaks: Sequence[int]) -> tuple[LayerRun, ...]:
    """Return what repeats in a sequence, of kernels or of graphs; copies and memsets alone are no layer."""
    names = [event.name for event in events]
    anchors = [event.kind == "kernel" and is_attention(event.name) for event in events]
    for _ in range(2):
        runs = find_layer_runs(names, anchors, breaks)
        bare = [run for run in runs if not holds(run, events, ("kernel", "graph"))]
        if not bare:
            return runs
        # Named apart they repeat no longer, and what else repeats is found.
        for run in bare:
            for place in range(run.first, run.stop):
                names[place] = f"{names[place]} at {place}"
    return tuple(run for run in runs if run not in bare)


def holds(run: LayerRun, events: Sequence[Kernel], kinds: tuple[str, ...]) -> bool:
    """Whether a body of the run has an event of these kinds."""
    return any(event.kind in kinds for event in events[run.first : run.first + len(run.body)])


def parted_at_marks(run: LayerRun, families: Sequence[list[tuple[str, int, int]]]) -> list[LayerRun]:
    """Return a run cut where steps are marked to begin: layers of one step may follow those of another at once."""
    length = len(run.body)
    if run.odd:
        return [run]
    for held in families:
        starts = [first for _, first, _ in held if run.first < first < run.stop]
        bodies = [round((first - run.first) / length) for first in starts]
        near = all(
            abs(run.first + count * length - first) <= _NEAR * length
            for count, first in zip(bodies, starts, strict=True)
        )
        edges = [0, *bodies, run.count]
        if starts and near and all(b - a >= FEWEST_BODIES for a, b in pairwise(edges)):
            within = run.layers // run.count
            return [
                msgspec.structs.replace(
                    run, first=run.first + a * length, stop=run.first + b * length, count=b - a, layers=(b - a) * within
                )
                for a, b in pairwise(edges)
            ]
    return [run]


def around_graphs(runs: Sequence[LayerRun], events: Sequence[Kernel]) -> list[Piece]:
    """Return a step for each whole body that has a graph recorded whole, begun at the longest gap of a body."""
    pieces = []
    for run in runs:
        length = len(run.body)
        starts = range(run.first, run.stop - length + 1, length)
        turn = max(range(length), key=lambda turn: added(_gap(events, start + turn) for start in starts))
        edges = range(run.first + turn, run.stop + 1, length)
        pieces += [Piece("", a, b, ()) for a, b in pairwise(edges)]
    return pieces


def pieces_of(
    families: Sequence[list[tuple[str, int, int]]], events: Sequence[Kernel], runs: Sequence[LayerRun], notes: list[str]
) -> list[Piece]:
    """Return the stretches that are steps: marked ones that hold layers, else one a run of the repeated layer.

    families: for each family of marks, label, first index and index after the last of the events that each holds.
    Remarks go to `notes`.
    """
    best: list[tuple[str, int, int]] = []
    best_score = (0, 0)
    for held in families:
        with_layers = [group for group in held if any(_inside(run, group) for run in runs)]
        score = (len(with_layers), sum(stop - first for _, first, stop in held))
        if score > best_score and (with_layers or not runs):
            best, best_score = with_layers or held, score
    if best:
        outside = len(events) - sum(stop - first for _, first, stop in best)
        if outside:
            notes.append(f"{outside:,} events lie outside the annotated steps and are left out")
        pieces = [
            piece
            for label, first, stop in best
            for piece in _split(
                label, first, stop, [run for run in runs if _inside(run, (label, first, stop))], events, marked=True
            )
        ]
    else:
        pieces = _split("", 0, len(events), list(runs), events, marked=False)
        if len(pieces) > 2:
            pieces = _like_the_others(pieces)
    kept = [_without_strays(piece, events, _FAR_MARKED if best else _FAR_UNMARKED) for piece in pieces]
    strays = sum(a.stop - a.first - (b.stop - b.first) for a, b in zip(pieces, kept, strict=True))
    if strays:
        notes.append(f"{strays:,} events far before or after the steps are left out")
    return kept


def _inside(run: LayerRun, group: tuple[str, int, int]) -> bool:
    """Whether the middle of a run lies in a range of events."""
    return group[1] <= (run.first + run.stop) // 2 < group[2]


def _split(
    label: str, first: int, stop: int, runs: list[LayerRun], events: Sequence[Kernel], *, marked: bool
) -> list[Piece]:
    """Cut a stretch with several runs of the layer into steps, between runs, where the gap is longest."""
    counts = [run.count for run in runs]
    together = _runs_in_a_step(counts)
    if len(runs) <= together or (marked and max(counts) - min(counts) > 1 and together == 1):
        return [Piece(label, first, stop, tuple(runs))]
    cuts = [first]
    ends = [(runs[i - 1].stop, runs[i].first) for i in range(together, len(runs), together)]
    cuts += _cuts(ends, events)
    cuts.append(stop)
    return [
        Piece(label, a, b, tuple(runs[i * together : (i + 1) * together])) for i, (a, b) in enumerate(pairwise(cuts))
    ]


def _runs_in_a_step(counts: Sequence[int]) -> int:
    """Return how many runs make a step: more than one when different counts come again in the same order."""
    for period in range(2, len(counts) // 2 + 1):
        if len(set(counts[:period])) > 1 and all(a == b for a, b in zip(counts, counts[period:], strict=False)):
            return period
    return 1


def _cuts(ends: Sequence[tuple[int, int]], events: Sequence[Kernel]) -> list[int]:
    """Return the first index of a step in each stretch between two runs.

    At the longest gap, the same place in all that are alike.
    """
    lengths = Counter(second - first for first, second in ends)
    places: dict[int, int] = {}
    for length in lengths:
        alike = [first for first, second in ends if second - first == length]
        places[length] = max(range(length + 1), key=lambda place: added(_gap(events, first + place) for first in alike))
    return [first + places[second - first] for first, second in ends]


def _gap(events: Sequence[Kernel], index: int) -> float:
    return max(0.0, events[index].start - events[index - 1].stop) if index else 0.0


def _like_the_others(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces with the first and last as long before and after their layers as the others.

    A recording has other things at its ends.
    """
    inner = pieces[1:-1]
    head = round(median(p.runs[0].first - p.first for p in [*inner, pieces[-1]]))
    tail = round(median(p.stop - p.runs[-1].stop for p in [pieces[0], *inner]))
    start, end = pieces[0], pieces[-1]
    return [
        start._replace(first=max(start.first, start.runs[0].first - head)),
        *inner,
        end._replace(stop=min(end.stop, end.runs[-1].stop + tail)),
    ]


def _without_strays(piece: Piece, events: Sequence[Kernel], far: float) -> Piece:
    """Return the piece without the events that a long idle time parts from its layers."""
    if not piece.runs:
        return piece
    low, high = piece.runs[0].first, piece.runs[-1].stop
    limit = far * (events[high - 1].stop - events[low].start)
    first = next((index for index in range(low, piece.first, -1) if _gap(events, index) > limit), piece.first)
    stop = next((index for index in range(high, piece.stop) if _gap(events, index) > limit), piece.stop)
    return piece._replace(first=first, stop=stop)
