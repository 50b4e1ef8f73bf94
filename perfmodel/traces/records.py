"""The numbers of a recorded trace as one frozen record."""

from typing import Any

import msgspec

from perfmodel.traces.prize import Prize
from perfmodel.traces.steps import Stream, TracedStep


class GapClass(msgspec.Struct, frozen=True):
    """The gaps of one cause in a step. total [s]; median [s], None below the resolution of the stamps."""

    cause: str
    count: int
    total: float
    median: float | None


class TracedLayer(msgspec.Struct, frozen=True):
    """A repeated layer of the step.

    Names of its body, events and kernels in it, bodies, layers, index of its first event.

    every: bodies after which it repeats exactly; odd: bodies of another length; matched: share of events of the usual
    name.
    """

    body: tuple[str, ...]
    events: int
    kernels: int
    count: int
    layers: int
    first: int
    every: int
    odd: int
    matched: float


class KernelShare(msgspec.Struct, frozen=True):
    """One kernel name in a step: calls, total time [s], share of the step [-]."""

    name: str
    count: int
    total: float
    share: float


class Shares(msgspec.Struct, frozen=True):
    """Where a step goes, shares of its time [-] that add up to 1.

    short: kernels below `TraceSummary.short_below`; graphs: those recorded whole, whose kernels and gaps cannot be
    seen.
    """

    long_kernels: float
    short_kernels: float
    collectives: float
    copies: float
    gaps: float
    host: float
    graphs: float = 0.0


class TraceSummary(msgspec.Struct, frozen=True):
    """What a trace says about decode steps.

    Times [s]; of steps, that of the middle one is `step`, described by all figures below it.

    shortest_step, longest_step: over the complete steps; step_period: from start to start, and between_steps: idle
    time from one to the next, medians, None for one step.
    busy + idle = step_time. gap_median and gap_90 are None where they lie below the resolution of the stamps.
    calls: of kernels in the whole file, on every device.
    A trace that is a summary has totals only: the fields that need times of day are None or empty.
    prize: None without times of day, and where graphs were recorded whole.
    """

    source: str
    format: str
    hardware: str
    device: str
    devices: int
    streams: tuple[Stream, ...]
    resolution: float | None
    calls: int
    steps_found: int
    steps_complete: int
    shortest_step: float | None
    longest_step: float | None
    step_period: float | None
    between_steps: float | None
    step: int | None
    step_label: str
    step_time: float | None
    busy: float
    idle: float | None
    events_per_step: int | None
    kernels_per_step: int | None
    kernels_per_layer: float | None
    layers: int
    repeats: tuple[TracedLayer, ...]
    gap_median: float | None
    gap_90: float | None
    gaps: tuple[GapClass, ...]
    overlap: float | None
    floor: float | None
    short_below: float | None
    shares: Shares | None
    bound: str
    top: tuple[KernelShare, ...]
    prize: Prize | None
    notes: tuple[str, ...]
    steps: tuple[TracedStep, ...]

    def to_dict(self, *, kernels: bool = False) -> dict[str, Any]:
        """Return the answer as plain values in base units; with `kernels` also every step with every kernel in it."""
        answer: dict[str, Any] = msgspec.to_builtins(self)
        if not kernels:
            del answer["steps"]
        return answer
