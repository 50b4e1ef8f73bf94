"""The estimate: specifications, operations, calls and equations put together. The only room that does.

A question is prepared once (operations, calls, parameters) and asked for many workloads: what depends
on the batch and context alone is a few hundred arithmetic operations.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any

from perfmodel import equations
from perfmodel.capacity import bytes_needed, fewest_devices, resident_work
from perfmodel.catalogue import find_hardware, find_model
from perfmodel.errors import SpecificationError, ValueRangeError, shown
from perfmodel.formats import storage_format
from perfmodel.hardware import Hardware, Mode
from perfmodel.model import Model
from perfmodel.operations import Formats, decode_step, total_work
from perfmodel.parameterbox import FAST, SLOW, VALUE, Position, SideParameters
from perfmodel.parameters import Quantity, parse_setting
from perfmodel.results import Asked, Assumption, Estimate, Figures, Fits, LoopFound, Peak, Side, Speedup
from perfmodel.schedule import Schedule, make_schedule
from perfmodel.terms import TERM_NAMES, Busy, CallCounts, Fixed, Plan, busy_time, counts_at, make_plan, plan_kinds, step_terms, step_time

MOST_DEVICES = 65_536
LARGEST_BATCH = 10_000_000
LONGEST_CONTEXT = 1_000_000_000

# Positions of a group tried inside its interval where a larger() may switch there.
_INSIDE = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)


class PreparedSide:
    """One side of a question: its calls, its parameters, and its times at any position of the parameters."""

    def __init__(self, schedule: Schedule, plan: Plan, mode: Mode, parameters: SideParameters) -> None:
        self.schedule, self.plan, self.mode, self.parameters = schedule, plan, mode, parameters
        self.shared: frozenset[str] = frozenset()
        self._costs: dict[tuple[Position, float], tuple[Any, Any, Fixed]] = {}

    def costs(self, position: Position, own: float) -> tuple[Any, Any, Fixed]:
        """Return rates, chain and fixed costs with shared parameters at `position` and this side's own ones at `own`."""
        key = (position, own)
        found = self._costs.get(key)
        if found is None:
            at = self._positions(position, own)
            rates = self.parameters.rates(position.memory, position.collective, position.arithmetic)
            found = self._costs[key] = (rates, self.parameters.chain(at), self.parameters.fixed(at))
        return found

    def _positions(self, position: Position, own: float) -> Callable[[str], float]:
        used = self.parameters.used

        def at(path: str) -> float:
            return float(getattr(position, used[path][0])) if path in self.shared else own

        return at

    def busy(self, counts: list[CallCounts], position: Position, own: float) -> Busy:
        """Return the busy time of `counts` at a position."""
        rates, chain, _ = self.costs(position, own)
        return busy_time(counts, rates, chain, self.plan.devices)

    def total(self, busy: Busy, position: Position, own: float) -> float:
        """Return the time of a step [s] from its busy time."""
        return float(step_time(self.plan, busy, self.costs(position, own)[2]))


class Question:
    """Everything of a question that does not depend on batch and context."""

    def __init__(self, model: Model, hardware: Hardware, devices: int, formats: Formats, before: Mode, after: Mode, loop_at_most: int | None) -> None:
        self.model, self.hardware, self.devices, self.formats = model, hardware, devices, formats
        step = decode_step(model, formats, devices)
        schedules = [make_schedule(step, mode.kernels, loops=mode.loops, loop_at_most=loop_at_most) for mode in (before, after)]
        kinds = plan_kinds(schedules)
        self.before, self.after = (
            PreparedSide(schedule, plan, mode, SideParameters(hardware, mode, plan, formats.activations))
            for schedule, mode in zip(schedules, (before, after), strict=True)
            for plan in (make_plan(schedule, kinds, devices),)
        )
        self._share()
        # The peak counts each byte once, so it comes from the undivided model.
        self.whole = total_work(decode_step(model, formats, 1))
        self.resident = resident_work(model, formats, devices)
        self.assumptions = self._assumptions()
        self.loops = tuple(LoopFound(loop.body, loop.layers, loop.count) for loop in self.after.schedule.loops)

    def _share(self) -> None:
        both = frozenset(self.before.parameters.used) & frozenset(self.after.parameters.used)
        self.before.shared = self.after.shared = both
        groups = {self.before.parameters.used[path][0] for path in both if self.before.parameters.used[path][1].low < self.before.parameters.used[path][1].high}
        self.chain_shared = "chain" in groups
        self.boundary_ends = (-1.0, 1.0) if "boundary" in groups else (0.0,)
        self.host_ends = (-1.0, 1.0) if "host" in groups else (0.0,)
        self.memory_ends = (-1.0, 1.0) if "memory" in groups else (0.0,)
        self.collective_ends = (-1.0, 1.0) if "collective" in groups else (0.0,)

    def _assumptions(self) -> tuple[Assumption, ...]:
        used = {path: quantity for side in (self.before, self.after) for path, (_, quantity) in side.parameters.used.items()}
        return tuple(Assumption(path, q.value, q.low, q.high, q.unit, q.kind, q.source) for path, q in used.items())

    def devices_needed(self, batch: int, context: int) -> int | None:
        """Return the fewest devices that hold weights and cache, or None."""
        available = self.hardware.values["memory.capacity"].value
        return fewest_devices(lambda n: bytes_needed(resident_work(self.model, self.formats, n), batch, context), available)


@lru_cache(maxsize=256)
def prepare(model: Model, hardware: Hardware, devices: int, formats: Formats, before: str, after: str, loop_at_most: int | None) -> Question:
    """Return the prepared question; raise SpecificationError for a mode or parameter the device lacks."""
    return Question(model, hardware, devices, formats, hardware.mode(before, "--before"), hardware.mode(after, "--after"), loop_at_most)


def estimate(
    model: str | Model,
    hardware: str | Hardware,
    *,
    devices: int = 1,
    batch: int = 1,
    context: int = 4096,
    weights: str | None = None,
    kv: str | None = None,
    before: str | None = None,
    after: str = "looped",
    loop_at_most: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Estimate:
    """Estimate how fast `model` generates tokens on `hardware`, before and after looping.

    model: catalogue name, path of a model TOML or config.json, or a Model.
    hardware: catalogue name, path of a hardware TOML, or a Hardware.
    devices: devices that share the work by tensor parallelism [-]
    batch: sequences in a step [-]
    context: tokens in the cache that the step reads, per sequence [-]
    weights, kv: storage formats; None takes those the model is published in.
    before, after: launch modes; None takes the device's own for before.
    loop_at_most: iterations one looped call may hold [-]; None for no limit.
    parameters: what-ifs by dotted path, such as {"modes.graph.boundary": "2us", "memory.bandwidth": 4e12}.
    Raises PerfModelError (a name, file or value that cannot be used), with one line that says what can.

    >>> round(estimate("llama-3.1-8b", "sn40l", devices=8).after.fraction_of_peak, 1)
    0.7
    """
    asked = {
        "model": model, "hardware": hardware, "devices": devices, "batch": batch, "context": context, "weights": weights, "kv": kv,
        "before": before, "after": after, "loop_at_most": loop_at_most, "parameters": parameters,
    }  # fmt: skip
    question = ask(model, hardware, devices=devices, weights=weights, kv=kv, before=before, after=after, loop_at_most=loop_at_most, parameters=parameters)
    batch = whole_number(batch, "batch", 1, LARGEST_BATCH)
    context = whole_number(context, "context", 0, LONGEST_CONTEXT)
    return _answer(question, batch, context, asked)


def ask(
    model: str | Model, hardware: str | Hardware, *, devices: int = 1, weights: str | None = None, kv: str | None = None,
    before: str | None = None, after: str = "looped", loop_at_most: int | None = None, parameters: Mapping[str, Any] | None = None,
) -> Question:  # fmt: skip
    """Return the prepared question behind `estimate`, whose arguments these are."""
    chosen_model = find_model(model) if isinstance(model, str) else model
    device = find_hardware(hardware) if isinstance(hardware, str) else hardware
    if parameters:
        device = _with_settings(device, tuple(sorted(parameters.items())))
    devices = whole_number(devices, "devices", 1, MOST_DEVICES)
    if loop_at_most is not None:
        loop_at_most = whole_number(loop_at_most, "loop_at_most", 1, 10**6)
    formats = _formats(chosen_model, weights, kv)
    return prepare(chosen_model, device, devices, formats, before or device.default_mode, after, loop_at_most)


@lru_cache(maxsize=1024)
def _formats(model: Model, weights: str | None, kv: str | None) -> Formats:
    return Formats(
        storage_format(weights or model.weight_format, "--weights").name, storage_format(kv or model.kv_format, "--kv").name, model.activations
    )


def _with_settings(hardware: Hardware, settings: tuple[tuple[str, Any], ...]) -> Hardware:
    """Return the device with what-ifs set; equal what-ifs on one device give one object, so that a question is prepared once."""
    try:
        return _settings_applied(hardware, settings)
    except TypeError:
        raise SpecificationError(f"parameters: expected texts and numbers, found {shown(dict(settings))}") from None


@lru_cache(maxsize=256)
def _settings_applied(hardware: Hardware, settings: tuple[tuple[str, Any], ...]) -> Hardware:
    return hardware.replace_values({path: value if isinstance(value, Quantity) else parse_setting(path, value, hardware.values) for path, value in settings})


def whole_number(value: object, name: str, least: int, most: int) -> int:
    """Return `value` as an int; raise ValueRangeError unless it is a whole number from `least` to `most`."""
    if value.__class__ is int and least <= value <= most:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    try:
        whole = int(value)  # type: ignore[call-overload]
        exact = whole == value and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        whole, exact = 0, False
    if not exact or not least <= whole <= most:
        raise ValueRangeError(f"{name}: {shown(value)} is not a whole number from {least} to {most:,}")
    return whole


def _answer(question: Question, batch: int, context: int, asked: dict[str, Any]) -> Estimate:
    model, hardware = question.model, question.hardware
    size = question.whole.bytes_read(batch, context)
    bandwidth = hardware.values["memory.bandwidth"].value
    peak = equations.peak_time(size, question.devices, bandwidth)
    counts = counts_at(question.before.plan, batch, context), counts_at(question.after.plan, batch, context)
    before = _side(question.before, counts[0], peak, batch)
    after = _side(question.after, counts[1], peak, batch)
    speedup = _speedup(question, counts, before, after)
    fits = _fits(question, batch, context)
    return Estimate(
        model.name, hardware.name, question.devices, batch, context, question.formats.weights, question.formats.kv,
        round(size), round(question.whole.flops_at(batch, context)), Peak(peak, batch / peak), before, after, speedup, fits,
        question.loops, question.assumptions, _notes(question, fits, speedup, context), Asked(asked),
    )  # fmt: skip


def _figures(time: float, peak: float, batch: int) -> Figures:
    return Figures(time, batch / time, 1 / time, equations.fraction_of_peak(peak, time))


def _side(side: PreparedSide, counts: list[CallCounts], peak: float, batch: int) -> Side:
    terms = step_terms(side.plan, side.busy(counts, VALUE, 0.0), side.costs(VALUE, 0.0)[2])
    # Every parameter moves a time one way only, so its bounds are two corners.
    slow, fast = (side.total(side.busy(counts, corner, own), corner, own) for corner, own in ((SLOW, -1.0), (FAST, 1.0)))
    value = _figures(terms.total(), peak, batch)
    largest = max(range(len(TERM_NAMES)), key=terms.__getitem__)
    return Side(
        side.mode.name, side.plan.kernel_calls, value.time_per_step, value.tokens_per_second, value.tokens_per_second_per_sequence, value.fraction_of_peak,
        TERM_NAMES[largest], _figures(slow, peak, batch), _figures(fast, peak, batch), terms,
    )  # fmt: skip


def _speedup(question: Question, counts: tuple[list[CallCounts], list[CallCounts]], before: Side, after: Side) -> Speedup:
    """(P3) with its interval: parameters that both sides share take one value in both, each side's own its adverse end."""
    value = equations.speedup(before.time_per_step, after.time_per_step)
    low = high = value
    arithmetic_matters = before.terms.compute > 0 or after.terms.compute > 0
    insides = _insides(question, before, after)
    memory = question.memory_ends + (_INSIDE if insides else ())
    arithmetic: tuple[float, ...] = ((-1.0, 1.0) + (_INSIDE if insides else ())) if arithmetic_matters else (0.0,)
    chain = (-1.0, 1.0) if question.chain_shared else (0.0,)
    fixed_ends = tuple(product(question.boundary_ends, question.host_ends))
    same = question.before.mode == question.after.mode
    for corner in product(memory, question.collective_ends, arithmetic, chain):
        for own, keep_lower in ((1.0, True), (-1.0, False)):
            # The side before at one end, the side after at the other: the ratio at its lowest, or highest.
            start = Position(*corner)
            busy_before = question.before.busy(counts[0], start, own)
            busy_after = question.after.busy(counts[1], start, own if same else -own)
            for boundary, host in fixed_ends:
                end = Position(*corner, boundary, host)
                ratio = equations.speedup(question.before.total(busy_before, end, own), question.after.total(busy_after, end, own if same else -own))
                if keep_lower:
                    low = min(low, ratio)
                else:
                    high = max(high, ratio)
    return Speedup(value, low, high)


def _insides(question: Question, before: Side, after: Side) -> bool:
    """Whether a larger() may switch inside the box: arithmetic bounds a part, or streaming and the chain of an iteration are close."""
    if before.terms.compute > 0 or after.terms.compute > 0:
        return True
    exposed = after.terms.latency + after.terms.collective
    return bool(question.after.plan.fused_calls and 0 < exposed < 0.02 * after.time_per_step)


def _fits(question: Question, batch: int, context: int) -> Fits:
    needed = bytes_needed(question.resident, batch, context)
    available = question.hardware.values["memory.capacity"].value
    fits = needed <= available
    return Fits(fits, round(needed), round(available), question.devices if fits and question.devices == 1 else question.devices_needed(batch, context))


def _notes(question: Question, fits: Fits, speedup: Speedup, context: int) -> tuple[str, ...]:
    notes = list(question.model.notes)
    if not fits.fits:
        enough = f"{fits.devices_needed} would do" if fits.devices_needed else "no number of devices would do"
        notes.append(
            f"does not fit: {fits.bytes_needed / 1e9:.1f} GB needed on each of {question.devices} {question.hardware.name}, {fits.bytes_available / 1e9:.1f} GB there; {enough}; figures are as if it fitted"
        )
    longest = question.model.longest_context
    if longest is not None and context > longest:
        notes.append(f"context {context:,} is longer than the {longest:,} tokens {question.model.name} was made for")
    if speedup.value < 1:
        notes.append(f"{question.after.mode.name} is slower than {question.before.mode.name} here: its stages cost more than the boundaries it removes")
    return tuple(notes)
