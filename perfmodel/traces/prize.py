"""What a looped or mega kernel could win on a recorded step, as a range.

Gaps only, kernel floors too, all but the bytes.
"""

import msgspec

from perfmodel.errors import ValueRangeError
from perfmodel.numbers.choices import added
from perfmodel.traces.gaps import StepKernel
from perfmodel.traces.steps import TracedStep

_HOST_BOUND = (
    0.05  # share of the step lost to late launches above which the step as a graph is the thing to compare with
)
_HIGHEST_FLOOR = (
    5e-6  # s; no device that was measured takes longer for an empty kernel, however long its shortest lasts
)
_JITTER = 0.02  # share by which a measured step may be longer than the recorded ones before it is told


class Gain(msgspec.Struct, frozen=True):
    """A step after a change: time [s], saved against the reference [s], speedup [-]."""

    time: float
    saved: float
    speedup: float


class Prize(msgspec.Struct, frozen=True):
    """The range of what one kernel a step could win. Times [s].

    recorded: the step as profiled. measured: the unprofiled step if given. reference: the step that gains are
    counted from, and `basis` what it is: 'recorded', 'measured', or 'graph', the step without late launches,
    which needs a graph and no looping. gaps_only: without the gaps between kernels (low). floors: without the
    floor in each kernel too. bandwidth: nothing left but bytes over bandwidth (high), None when not given.
    """

    recorded: float
    measured: float | None
    reference: float
    basis: str
    gaps_only: Gain
    floors: Gain
    bandwidth: Gain | None


def kernel_floor(kernels: tuple[StepKernel, ...]) -> float:
    """Return the time [s] below which hardly a kernel of the step stays, the 5th percentile of their durations."""
    durations = sorted(kernel.duration for kernel in kernels if kernel.kind == "kernel")
    return durations[len(durations) // 20] if durations else 0.0


def price_step(
    step: TracedStep,
    *,
    bandwidth: float | None,
    bytes_per_step: float | None,
    measured: float | None,
    period: float,
    notes: list[str],
) -> Prize:
    """Return the range for `step`; remarks on it are added to `notes`.

    bandwidth [B/s], bytes_per_step [B]: both or none. measured: an unprofiled step [s], from one step to the next, as
    is the recorded `period` [s].
    Raises ValueRangeError when one is not a positive number, or one of the pair is missing.
    """
    check_positive("bandwidth", bandwidth)
    check_positive("bytes_per_step", bytes_per_step)
    check_positive("measured", measured)
    if (bandwidth is None) != (bytes_per_step is None):
        raise ValueRangeError("bandwidth and bytes_per_step belong together: give both or none")
    gaps = {cause: added(k.gap for k in step.kernels if k.cause == cause) for cause in ("host", "kernel")}
    reference, basis = _reference(step, gaps["host"], measured, period, notes)
    # A profiler stretches idle time, all of it alike, and hardly the kernels.
    busy = min(step.busy, reference)
    removable = min(gaps["kernel"], reference - busy)
    if basis == "measured" and period > step.busy:
        removable = min(removable, gaps["kernel"] * (reference - busy) / (period - step.busy))
    floor = min(kernel_floor(step.kernels), _HIGHEST_FLOOR)
    floors = [min(k.duration, floor) for k in step.kernels if k.kind == "kernel" and not k.collective]
    inside = min(max(0.0, added(floors) - floor), busy) * (
        busy / step.busy if step.busy else 1.0
    )  # one kernel, and so one floor, stays
    top = None
    if bandwidth is not None and bytes_per_step is not None:
        ideal = bytes_per_step / bandwidth
        if ideal > reference:
            notes.append(
                f"bytes over bandwidth take {ideal * 1e3:.4g} ms, longer than the step of {reference * 1e3:.4g} ms: one"
                " of them is not of this step"
            )
        else:
            top = _gain(reference, ideal)
    return Prize(
        step.time,
        measured,
        reference,
        basis,
        _gain(reference, reference - removable),
        _gain(reference, reference - removable - inside),
        top,
    )


def _reference(
    step: TracedStep, host: float, measured: float | None, period: float, notes: list[str]
) -> tuple[float, str]:
    graph = step.time - host
    host_bound = host > _HOST_BOUND * step.time
    if measured is None:
        if host_bound:
            notes.append(
                f"{100 * host / step.time:.0f} % of the recorded step waits for launches, which a profiler makes"
                f" longer. So gains count from the step without them ({graph * 1e3:.4g} ms), which a graph reaches."
                " Give the time of a step without the profiler, with --measured"
            )
            return graph, "graph"
        return step.time, "recorded"
    if measured > period * (1 + _JITTER):
        notes.append(
            f"the measured step of {measured * 1e3:.4g} ms is longer than the recorded one of {period * 1e3:.4g} ms"
            " from"
            " start to start: are they the same work?"
        )
    if measured < step.busy:
        notes.append(
            f"the measured step of {measured * 1e3:.4g} ms is shorter than the kernels of the recorded one"
            f" ({step.busy * 1e3:.4g} ms): times of kernels are scaled down"
        )
    if host_bound and graph < measured:
        return graph, "graph"
    return measured, "measured"


def _gain(reference: float, time: float) -> Gain:
    return Gain(time, reference - time, reference / time if time > 0 else 1.0)


def check_positive(name: str, value: float | None) -> None:
    """Raise ValueRangeError unless `value` is None or a positive finite number."""
    if value is not None and not (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    ):
        raise ValueRangeError(f"{name}: {value!r} is not a positive number")
