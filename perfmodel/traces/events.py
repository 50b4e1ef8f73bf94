"""What a recorded profile holds once read.

Device events in order of time, marks, totals, and how fine the stamps are.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from perfmodel.errors import PerfModelError, shown

LONGEST_EVENT = 86_400_000_000_000  # ns; nothing on a device lasts a day, a broken stamp does
_RESOLUTIONS = (1_000_000, 100_000, 10_000, 1_000, 100, 10)  # ns


class TraceError(PerfModelError):
    """A recorded profile that cannot be read as one."""


class Kernel(msgspec.Struct, frozen=True, gc=False):
    """One event on a device stream. start [s] from the first event of the trace, duration [s].

    kind: 'kernel', 'copy', 'set', or 'graph' for a graph of kernels that was recorded whole. launched: start of the
    host call that launched it [s], None when unknown.
    """

    name: str
    start: float
    duration: float
    device: str
    stream: str
    kind: str = "kernel"
    correlation: int | None = None
    launched: float | None = None

    @property
    def stop(self) -> float:
        """End of the event [s]."""
        return self.start + self.duration


class Mark(msgspec.Struct, frozen=True, gc=False):
    """An annotated range [s]. side: 'host' (holds the launches) or 'device' (holds the kernels)."""

    name: str
    start: float
    stop: float
    side: str


class KernelTotal(msgspec.Struct, frozen=True):
    """All calls of one kernel in a summary without times of day. Times [s]; None where the file does not say."""

    name: str
    count: int
    total: float
    shortest: float | None = None
    median: float | None = None
    longest: float | None = None


class Trace(msgspec.Struct, frozen=True):
    """A recorded profile. kernels are in order of start; a summary file has `totals` and no kernels.

    resolution: the step of the time stamps [s], None where there are none. hardware: device name as recorded, or ''.
    ranks: devices that took part in the run, None when unknown.
    """

    source: str
    format: str
    kernels: tuple[Kernel, ...]
    marks: tuple[Mark, ...]
    totals: tuple[KernelTotal, ...]
    resolution: float | None
    hardware: str
    ranks: int | None
    notes: tuple[str, ...]


class Event(NamedTuple):
    """A device event as a reader finds it, times in whole nanoseconds of the recorder's clock."""

    start: int
    duration: int
    name: str
    device: str
    stream: str
    kind: str
    correlation: int | None
    launched: int | None


class Range(NamedTuple):
    """A mark as a reader finds it, times in whole nanoseconds of the recorder's clock."""

    start: int
    stop: int
    name: str
    side: str


def build_trace(
    source: str,
    form: str,
    events: Sequence[Event],
    ranges: Iterable[Range] = (),
    *,
    hardware: str = "",
    ranks: int | None = None,
    notes: Iterable[str] = (),
) -> Trace:
    """Return the Trace of the events of a file, checked, sorted by time, with times in seconds from the first one.

    Raises TraceError when there is no event, one has a negative or impossible duration, or the same one is listed
    twice.
    """
    if not any(event.kind in ("kernel", "graph") for event in events):
        raise TraceError(
            f"{source}: no GPU kernel in it; record with device activity switched on (ProfilerActivity.CUDA, nsys"
            " --trace cuda, rocprofv3 --kernel-trace)"
        )
    ordered = sorted(events, key=_by_time)
    remarks = list(notes)
    remarks += _check(source, events, ordered)
    zero = ordered[0].start
    resolution = _resolution(ordered)
    if resolution >= 1e-7:
        remarks.append(f"time stamps are multiples of {resolution * 1e6:g} us: shorter gaps cannot be seen")
    names: dict[str, str] = {}  # one object per name, so that a million kernels share it
    kernels = tuple(
        Kernel(
            names.setdefault(e.name, e.name),
            (e.start - zero) / 1e9,
            e.duration / 1e9,
            names.setdefault(e.device, e.device),
            names.setdefault(e.stream, e.stream),
            e.kind,
            e.correlation,
            None if e.launched is None else (e.launched - zero) / 1e9,
        )
        for e in ordered
    )
    marks = sorted(
        (Mark(r.name, (r.start - zero) / 1e9, (r.stop - zero) / 1e9, r.side) for r in ranges if r.stop > r.start),
        key=lambda mark: mark.start,
    )
    return Trace(source, form, kernels, tuple(marks), (), resolution, hardware, ranks, tuple(remarks))


def _by_time(event: Event) -> tuple[int, int]:
    return event.start, event.start + event.duration


def _check(source: str, events: Sequence[Event], ordered: Sequence[Event]) -> list[str]:
    """Return remarks about events that are unusual, raise TraceError for one that cannot be."""
    zero = ordered[0].start
    previous: Event | None = None
    seen: set[Event] = set()
    for event in ordered:
        if event.duration < 0:
            raise TraceError(
                f"{source}: {shown(event.name)} ends {-event.duration} ns before it starts; expected a duration of 0 or"
                " more"
            )
        if event.duration > LONGEST_EVENT or event.start - zero > LONGEST_EVENT:
            raise TraceError(
                f"{source}: {shown(event.name)} lasts or lies more than a day after the first event; the time stamps"
                " are broken"
            )
        if previous is None or event.start != previous.start:
            seen.clear()
        if event in seen and event.duration:
            raise TraceError(
                f"{source}: {shown(event.name)} is listed twice with the same times; was the trace exported or merged"
                " twice?"
            )
        seen.add(event)
        previous = event
    last: dict[tuple[str, str, str], int] = {}
    late = 0
    for event in events:
        stream = event.device, event.stream, event.kind  # a database has a table for each kind
        late += event.start < last.get(stream, event.start)
        last[stream] = event.start
    return [f"{late:,} events of a stream stood out of order of time and were sorted"] if late else []


def _resolution(ordered: Sequence[Event]) -> float:
    """Return the coarsest step [s] of which nearly all stamps and durations are multiples."""
    sample = ordered[:: max(1, len(ordered) // 2_000)]
    stamps = [e.start for e in sample] + [e.duration for e in sample]
    for step in _RESOLUTIONS:
        if len({value // step for value in stamps}) > 2 and sum(value % step == 0 for value in stamps) >= 0.98 * len(
            stamps
        ):
            return step / 1e9
    return 1e-9
