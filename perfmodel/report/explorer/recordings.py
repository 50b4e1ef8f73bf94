"""What the page computes with: the recording of each side as a short text, its numbers, and the parameters of each device.

Sides are recorded one by one, so that any mode may stand before any other. What intervals are made of, the times with
each group of parameters at its ends, is asked of the same functions; how they are put together is one more recording.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from perfmodel import equations
from perfmodel.errors import PerfModelError
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.intervals import Beyond, ends_of
from perfmodel.estimates.positions import kernels_key, moves_with
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.recording import Group
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.splits import obstacle
from perfmodel.estimates.stepping import step_at
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.numbers.compact import CompactRecording, compact
from perfmodel.numbers.recorded import Recorder, needed, operand
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup
from perfmodel.specifications.quantities import Quantity

DEVICES = (1, 2, 4, 8)


class _Shared:
    """A table of things that many entries share: each is written once and named by its place."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def place(self, thing: Any) -> int:
        """Return the place of a thing, new or known."""
        return self.places.setdefault(thing, len(self.places))

    def listed(self) -> list[Any]:
        """Return the things in the order of their places."""
        return list(self.places)


class _Time(NamedTuple):
    """The terms of a side where only their sum is looked at."""

    time: Any

    def total(self) -> Any:
        """Return the time of the step [s]."""
        return self.time


class _Known:
    """Stands for a recording whose times are known: at the value, and with each group at its ends."""

    def __init__(self, times: tuple[Any, Any], totals: tuple[Any, Any], ends: Sequence[Any], together: Any) -> None:
        self._times, self._totals, self._together = times, totals, together
        self._ends = {f"g{i}": pair for i, pair in enumerate(ends)}

    def times(self, _known: Any) -> tuple[Any, Any]:
        return self._times

    def terms(self, _known: Any) -> tuple[_Time, _Time]:
        return _Time(self._totals[0]), _Time(self._totals[1])

    def groups(self, _given: Any) -> list[Group]:
        return [Group(name, {name: -1.0}, {name: 1.0}) for name in self._ends]

    def times_with(self, _known: Any, moved: Mapping[str, float]) -> tuple[Any, Any]:
        if not moved:
            return self._times
        name, end = next(iter(moved.items()))
        slow, fast = self._ends[name] if len(moved) == 1 else self._together
        chosen: tuple[Any, Any] = slow if end < 0 else fast
        return chosen


def side_script(side: PreparedSide) -> tuple[CompactRecording, list[str]]:
    """Return the function of one side, and the paths of its parameters in the order of its arguments.

    Arguments: batch, context, then the parameters [base units]; results: the six terms and the time of the step [s].
    """
    recorder = Recorder()
    paths = list(side.parameters.used)
    names = ["batch", "context", *(f"p{i}" for i in range(len(paths)))]
    batch, context, *numbers = recorder.inputs(names)
    given = dict(zip(paths, numbers, strict=True))
    step = step_at(side.plan, side.parameters.costs(given), batch, context)
    results = [operand(number) for number in (*step.terms(), step.time())]
    return compact(needed(recorder.lines, results), names, results), paths


def counts_script(prepared: Prepared) -> CompactRecording:
    """Return the function of batch, context and bandwidth: bytes and FLOPs of a step, bytes held, time of the peak."""
    recorder = Recorder()
    names = ["batch", "context", "bandwidth"]
    batch, context, bandwidth = recorder.inputs(names)
    size = prepared.whole.bytes_read(batch, context)
    found = (
        size,
        prepared.whole.flops_at(batch, context),
        prepared.resident.bytes_resident(batch, context),
        equations.peak_time(size, prepared.devices, bandwidth),
    )
    results = [operand(number) for number in found]
    return compact(needed(recorder.lines, results), names, results)


def combining_script(groups: int, beyond: Sequence[float]) -> CompactRecording:
    """Return the function that makes intervals of what `groups` groups do.

    Arguments: time of both sides, the sum of their terms, then for each group, and for all at once, both times at the
    slow and at the fast end. Results: slow and fast of both sides [s], low and high of the speed-up [-].
    """
    recorder = Recorder()
    names = [f"t{i}" for i in range(4 + 4 * (groups + 1))]
    inputs = recorder.inputs(names)
    ends = [((i[0], i[1]), (i[2], i[3])) for i in (inputs[4 + 4 * g : 8 + 4 * g] for g in range(groups + 1))]
    known: Any = _Known((inputs[0], inputs[1]), (inputs[2], inputs[3]), ends[:-1], ends[-1])
    results = [operand(end) for end in ends_of(known, {}, {}, Beyond(tuple(beyond), tuple(beyond)))]
    return compact(needed(recorder.lines, results), names, results)


def explorer_data(models: Sequence[Model], machines: Sequence[Hardware]) -> dict[str, Any]:
    """Return everything that the page computes with, as plain lists and numbers.

    Raises PerfModelError where no model can be asked on any machine.
    """
    scripts, constants, parameters, paths = _Shared(), _Shared(), _Shared(), _Shared()
    # Of each machine, with the software that is its default: quantities by path, and what is uncertain beside them.
    known: dict[str, dict[str, Quantity]] = {device.name: {} for device in machines}
    beside: dict[str, tuple[float, ...]] = {}
    sides: dict[str, list[Any]] = {}
    counts: dict[str, list[Any]] = {}
    most: dict[tuple[float, ...], int] = {}
    for model in models:
        for device in machines:
            for devices in _buildable(model, device):
                for prepared in _prepared(model, device, devices):
                    key = f"{model.name}|{device.name}|{devices}"
                    if key not in counts:  # which modes stand on its sides changes no count
                        counts[key] = scripts_of(counts_script(prepared), scripts, constants)
                    beyond = beside[device.name] = prepared.beyond.before
                    for side in (prepared.before, prepared.after):
                        script, used = side_script(side)
                        sides[f"{key}|{side.mode.name}"] = [
                            *scripts_of(script, scripts, constants),
                            parameters.place(tuple(paths.place(path) for path in used)),
                            side.kernel_calls,
                        ]
                        known[device.name] |= {path: quantity for path, (_, quantity) in side.parameters.used.items()}
                        uncertain = {moves_with(p) for p, (_, q) in side.parameters.used.items() if q.low < q.high}
                        most[beyond] = max(most.get(beyond, 0), 2 * len(uncertain))
    if not sides:
        raise PerfModelError("explore: none of these models can be asked on any of these machines")
    combining = {
        f"{groups}|{','.join(map(repr, beyond))}": scripts_of(combining_script(groups, beyond), scripts, constants)
        for beyond, largest in most.items()
        for groups in range(largest + 1)
    }
    return {
        "terms": list(TERM_NAMES),
        "models": {m.name: {"title": m.title, "longest": m.longest_context} for m in models},
        "machines": {d.name: _machine(d, known[d.name], beside[d.name], paths) for d in machines if d.name in beside},
        "paths": [_path(path) for path in paths.listed()],
        "sides": sides,
        "counts": counts,
        "combining": combining,
        "parameters": [list(places) for places in parameters.listed()],
        "constants": [list(numbers) for numbers in constants.listed()],
        "scripts": scripts.listed(),
    }


def scripts_of(script: CompactRecording, scripts: _Shared, constants: _Shared) -> list[int]:
    """Return the places of a function's text and of its numbers."""
    return [scripts.place(script.text), constants.place(script.constants)]


def _buildable(model: Model, device: Hardware) -> Iterator[int]:
    for devices in sorted({*DEVICES, device.devices}) if device.devices > 1 else DEVICES:
        linked = devices == 1 or "link.bandwidth" in device.values
        if linked and not obstacle(model, Parallel(tensor=devices)):
            yield devices


def _prepared(model: Model, device: Hardware, devices: int) -> Iterator[Prepared]:
    """Yield prepared questions whose two sides are all modes of the device."""
    modes = list(device.modes)
    for before, after in zip(modes[::2], [*modes[1::2], modes[-1]], strict=False):
        try:
            yield ask(model, device, devices=devices, before=before, after=after)
        except PerfModelError:
            continue


def _machine(
    device: Hardware, known: Mapping[str, Quantity], beside: tuple[float, ...], paths: _Shared
) -> dict[str, Any]:
    return {
        "title": device.title,
        "before": device.default_mode,
        "modes": list(device.modes),
        "values": {paths.places[path]: [q.low, q.value, q.high] for path, q in known.items()},
        "bandwidth": device.values["memory.bandwidth"].value,
        "capacity": device.values["memory.capacity"].value,
        "beyond": ",".join(map(repr, beside)),
    }


def _path(path: str) -> list[Any]:
    parameter = lookup(path)
    unit, slower = (parameter.unit, parameter.slower) if parameter else ("1", 0)
    return [path, unit, moves_with(path), slower, kernels_key(path) or ""]
