"""Which events an annotated range holds: by launch for ranges of the host, by start for ranges of the device."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from perfmodel.traces.events import Kernel, Mark, Trace
from perfmodel.traces.names import family

_STEP = re.compile(
    r"profilerstep|(^|[^a-z])step([^a-z]|$)|decode|iteration|^execute|execute_model|forward_step|model_forward"
    r"|generate",
    re.IGNORECASE,
)


def step_families(trace: Trace) -> list[list[Mark]]:
    """Return the ranges whose names read as a step, one list a family of like names, device ranges first."""
    families: dict[tuple[str, str], list[Mark]] = {}
    for mark in trace.marks:
        if _STEP.search(mark.name):
            families.setdefault((mark.side, family(mark.name)), []).append(mark)
    return [_disjoint(marks) for _, marks in sorted(families.items(), key=lambda item: item[0][0])]


def groups(marks: Sequence[Mark], events: Sequence[Kernel]) -> list[tuple[str, int, int]]:
    """Return label, first index and index after the last of the events that each range holds.

    A launch on the host comes long before its kernels, and one launch may bring a whole graph.
    """
    starts = [mark.start for mark in marks]
    found: list[tuple[str, int, int]] = []
    held: list[int] = []
    for event in events:
        time = event.start if marks[0].side == "device" else event.launched
        place = -1 if time is None else bisect_right(starts, time + 1e-9) - 1
        held.append(place if place >= 0 and time is not None and time <= marks[place].stop else -1)
    index = 0
    while index < len(held):
        stop = index
        while stop < len(held) and held[stop] == held[index]:
            stop += 1
        if held[index] >= 0:
            found.append((marks[held[index]].name, index, stop))
        index = stop
    return found


def _disjoint(marks: Sequence[Mark]) -> list[Mark]:
    """Return `marks` without those inside the one before, as threads and ranks repeat them."""
    kept: list[Mark] = []
    for mark in marks:
        if not kept or mark.start >= kept[-1].stop:
            kept.append(mark)
    return kept
