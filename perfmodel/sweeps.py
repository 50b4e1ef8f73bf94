# ruff: noqa: PD011 - records here have values of their own; pandas is not in it
"""Sweeps: a grid over models, devices, workloads, formats, modes and parameters, as columns of numpy arrays."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import msgspec
import numpy

from perfmodel.arrays import FIGURES, Array, Case, Points
from perfmodel.catalogue import find_hardware, find_model
from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.estimator import LARGEST_BATCH, LONGEST_CONTEXT, MOST_DEVICES, ask, whole_number
from perfmodel.formats import storage_format
from perfmodel.grids import BLOCK, MOST_POINTS, Axis, blocks, listed, parse_grid, parse_names, points
from perfmodel.hardware import Hardware
from perfmodel.model import Model
from perfmodel.parameters import check_range, lookup, parse_setting, unknown_key
from perfmodel.questions import Question
from perfmodel.terms import TERM_NAMES
from perfmodel.units import format_quantity, parse_quantity

# The names and the nine keys in the order of the rows, first slowest; then come the parameters as given.
KEYS = ("model", "hardware", "devices", "batch", "context", "weights", "kv", "before", "after")
AXIS_COLUMNS = ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format", "before.mode", "after.mode")
_SIDE = (
    "mode", "kernel_calls", *FIGURES, "bound", *(f"{end}.{figure}" for end in ("low", "high") for figure in FIGURES), *(f"terms.{term}" for term in TERM_NAMES),
)  # fmt: skip
ROW_COLUMNS = (
    *AXIS_COLUMNS[:7], "bytes_per_step", "flops_per_step", "peak.time_per_step", "peak.tokens_per_second",
    *(f"{side}.{column}" for side in ("before", "after") for column in _SIDE),
    "speedup.value", "speedup.low", "speedup.high", "fits.fits", "fits.bytes_needed", "fits.bytes_available", "fits.devices_needed", "parallel",
)  # fmt: skip
# The axes and the twelve main figures; parameters that are swept stand between them.
MAIN_FIGURES = (
    *(f"{side}.{figure}" for side in ("before", "after") for figure in ("time_per_step", "tokens_per_second", "fraction_of_peak", "bound")),
    "speedup.value", "speedup.low", "speedup.high", "fits.fits",
)  # fmt: skip
_COUNTS = frozenset({"bytes_per_step", "flops_per_step", "fits.bytes_needed", "fits.bytes_available", "before.kernel_calls", "after.kernel_calls", "devices", "batch", "context"})
_COUNTS_OR_NONE = frozenset({"fits.devices_needed"})
_LARGEST_INTEGER = float(2**62)


class Column(msgspec.Struct, frozen=True):
    """One column of some rows. names: what the integer codes in `values` stand for; without names the values speak for themselves."""

    values: Array
    names: tuple[str, ...] | None = None

    def to_list(self) -> list[Any]:
        """Return the values as plain Python objects, None for unknown."""
        plain: list[Any] = self.values.tolist()
        if self.names is not None:
            return [self.names[code] for code in plain]
        return plain

    def at(self, row: int) -> Any:
        """Return the value of one row as a plain Python object."""
        value = self.values[row]
        return self.names[int(value)] if self.names is not None else value.item() if hasattr(value, "item") else value

    def array(self) -> Array:
        """Return the values as an array, texts as objects."""
        return self.values if self.names is None else numpy.array(self.names, dtype=object)[self.values]


class Grid(msgspec.Struct, frozen=True):
    """A grid ready to be worked out: its axes in the order of the rows, and what is the same at every point."""

    axes: tuple[Axis, ...]
    columns: tuple[str, ...]
    models: tuple[Model, ...]
    hardware: tuple[Hardware, ...]
    loop_at_most: int | None
    profile: str | None
    parallel: Any
    settings: dict[str, Any]
    questions: dict[tuple[Any, ...], Case]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are swept or set, in the order given."""
        return tuple(axis.name for axis in self.axes[len(KEYS) :])

    @property
    def available(self) -> tuple[str, ...]:
        """Every column there is."""
        return (*ROW_COLUMNS[:7], *self.parameters, *ROW_COLUMNS[7:])

    @property
    def counts(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(axis.count for axis in self.axes)

    @property
    def size(self) -> int:
        """The number of rows."""
        return points(self.axes)


class Sweep(msgspec.Struct, frozen=True, eq=False):
    """The answer of `sweep`: one flat array for each column, rows with the first axis slowest.

    columns: arrays by the dotted names of `Estimate.rows`; base units (s, B, FLOP, tok/s). Texts are object arrays.
    shape: how many values each axis has, in the order of `axes`, so that `column.reshape(shape)` is the grid.
    """

    columns: dict[str, Any]
    axes: tuple[str, ...]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(numpy.prod(self.shape))

    def __getitem__(self, column: str) -> Any:
        """Return the array of a column; raise UnknownNameError with the nearest name."""
        if column not in self.columns:
            raise UnknownNameError(f"column: {shown(column)} is not in this sweep{nearest(column, self.columns)}")
        return self.columns[column]

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat dict for each point."""
        plain = self.to_dict()
        return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return plain lists by column."""
        return {name: values.tolist() for name, values in self.columns.items()}

    def to_pandas(self) -> Any:
        """Return the columns as a pandas DataFrame (pandas is not a dependency of this package)."""
        import pandas

        return pandas.DataFrame(self.columns)

    def to_polars(self) -> Any:
        """Return the columns as a polars DataFrame (polars is not a dependency of this package)."""
        import polars

        return polars.DataFrame(self.to_dict())

    def _repr_html_(self) -> str:
        from perfmodel.report.fragments import sweep_fragment

        return sweep_fragment(self)


def sweep(
    models: Any, hardware: Any, *, devices: Any = None, batch: Any = 1, context: Any = 4096, weights: Any = None, kv: Any = None, before: Any = None, after: Any = "looped",
    loop_at_most: int | None = None, profile: str | None = None, parameters: Mapping[str, Any] | None = None, columns: Sequence[str] | str | None = None, yes: bool = False,
    parallel: Any = None,
) -> Sweep:  # fmt: skip
    """Answer `estimate` at every point of a grid.

    Every key takes one value, a sequence, or a text: "1,2,4", "1:64:x2", "0:8:+2", "1:100:12" (times, steps, even points).
    models, hardware: names, paths, or Model and Hardware objects.
    parameters: what-ifs by dotted path, each of which may be a grid as well: {"modes.looped.stage": "0us:4us:+1us"}.
    devices: None takes all of a system, else one; parallel: how they share the work, as in `estimate`, the same at every point.
    columns: names of `Estimate.rows`, "all", or None for the axes and the main figures.
    yes: work out more points than MOST_POINTS.
    Raises PerfModelError before any work, with one line that says what can.

    >>> found = sweep("llama-3.1-8b", "sn40l", devices="8,16", batch="1:16:x4")
    >>> found["speedup.value"].reshape(2, 3).round(1).tolist()
    [[1.6, 1.5, 1.4], [1.9, 1.8, 1.5]]
    """
    grid = make_grid(
        models, hardware, devices=devices, batch=batch, context=context, weights=weights, kv=kv, before=before, after=after, loop_at_most=loop_at_most, profile=profile,
        parameters=parameters, columns=columns, yes=yes, parallel=parallel,
    )  # fmt: skip
    return work_out(grid)


def work_out(grid: Grid) -> Sweep:
    """Return every point of a grid in memory."""
    if grid.size <= BLOCK:
        parts = [block_columns(grid, part) for part in blocks(grid.counts)]
        whole = {name: column.array() for name, column in parts[0].items()}
    else:
        whole = _in_memory(grid)
    return Sweep(whole, tuple(axis.name for axis in grid.axes), grid.counts)


def _in_memory(grid: Grid) -> dict[str, Array]:
    """Return all columns, block by block into arrays made beforehand."""
    whole: dict[str, Array] = {name: numpy.empty(grid.size) for name in grid.columns if _is_float(name)}
    start = 0
    for part in blocks(grid.counts):
        stop = start + math.prod(last - first for first, last in part)
        found = block_columns(grid, part, {name: values[start:stop] for name, values in whole.items() if _is_float(name)})
        for name, column in found.items():
            if _is_float(name):
                continue
            values = column.array()
            if name not in whole:
                whole[name] = numpy.empty(grid.size, values.dtype)
            elif whole[name].dtype != values.dtype:
                whole[name] = whole[name].astype(numpy.result_type(whole[name].dtype, values.dtype))
            whole[name][start:stop] = values
        start = stop
    return {name: whole[name] for name in grid.columns}


def make_grid(
    models: Any, hardware: Any, *, devices: Any = None, batch: Any = 1, context: Any = 4096, weights: Any = None, kv: Any = None, before: Any = None, after: Any = "looped",
    loop_at_most: int | None = None, profile: str | None = None, parameters: Mapping[str, Any] | None = None, columns: Sequence[str] | str | None = None, yes: bool = False,
    parallel: Any = None,
) -> Grid:  # fmt: skip
    """Return the grid behind `sweep`, whose arguments these are, with every name, value and combination checked."""
    found_models = tuple(model if isinstance(model, Model) else find_model(str(model)) for model in _objects(models, "MODELS").values)
    found_hardware = tuple(device if isinstance(device, Hardware) else find_hardware(str(device)) for device in _objects(hardware, "HARDWARE").values)
    axes = [
        Axis("model", len(found_models), found_models), Axis("hardware", len(found_hardware), found_hardware),
        Axis("devices", 1, (None,)) if devices is None else _whole_axis(devices, "devices", 1, MOST_DEVICES), _whole_axis(batch, "batch", 1, LARGEST_BATCH), _whole_axis(context, "context", 0, LONGEST_CONTEXT, k=1024),
        *(_name_axis(given, name) for given, name in ((weights, "weights"), (kv, "kv"), (before, "before"), (after, "after"))),
    ]  # fmt: skip
    for axis in axes[5:7]:
        for name in axis.values:
            if name is not None:
                storage_format(str(name), f"--{axis.name}")
    known = found_hardware[0].values
    axes += [_parameter_axis(path, given, known) for path, given in (parameters or {}).items()]
    settings = {axis.name: axis[0] for axis in axes[len(KEYS) :]}
    grid = Grid(tuple(axes), (), found_models, found_hardware, loop_at_most, profile, parallel, settings, {})
    if grid.size > MOST_POINTS and not yes:
        raise ValueRangeError(f"grid: {grid.size:,} points are more than {MOST_POINTS:,}; make an axis coarser, or say yes to it with --yes")
    grid = msgspec.structs.replace(grid, columns=tuple(_chosen(columns, grid)))
    for case in _cases(grid, tuple((0, count) for count in grid.counts)):
        _question(grid, case)  # a mode or a value that a device lacks is found before any work
        if len(grid.questions) >= _MOST_PREPARED:
            break
    return grid


_MOST_PREPARED = 4096
# Points of one question from which compiling its kernels takes less time than it saves.
_WORTH_COMPILING = 200_000


def _chosen(columns: Sequence[str] | str | None, grid: Grid) -> list[str]:
    if columns is None:
        return [*AXIS_COLUMNS, *grid.parameters, *MAIN_FIGURES]
    if columns == "all":
        return list(grid.available)
    names = columns.split(",") if isinstance(columns, str) else list(columns)
    names = list(dict.fromkeys(name.strip() for name in names))
    for name in names:
        if name not in grid.available:
            raise UnknownNameError(f"--columns: {shown(name)} is not a column{nearest(name, grid.available)}; 'all' gives every one")
    return names


def _objects(given: Any, name: str) -> Axis:
    if isinstance(given, str):
        return parse_names(given, name)
    values = [given] if isinstance(given, Model | Hardware) else _sequence(given)
    if values is None:
        raise ValueRangeError(f"{name}: expected names or a list of them, found {shown(given)}")
    return listed(name, values)


def _sequence(given: Any) -> list[Any] | None:
    """Return a list, tuple or array as a list of plain values, None for anything else."""
    if isinstance(given, numpy.ndarray):
        return list(given.ravel().tolist())
    return list(given) if isinstance(given, list | tuple | range) else None


def _name_axis(given: Any, name: str) -> Axis:
    if isinstance(given, str):
        return parse_names(given, f"--{name}").renamed(name)
    return listed(name, (_sequence(given) or []) if _sequence(given) is not None else [given])


def _whole_axis(given: Any, name: str, least: int, most: int, *, k: int = 1000) -> Axis:
    """Return an axis of whole numbers between `least` and `most`."""

    def read(text: str) -> float:
        cleaned = text.replace("_", "")
        factor = k if cleaned[-1:] in ("k", "K") else 1
        try:
            return float(cleaned[:-1] if factor != 1 else cleaned) * factor
        except ValueError:
            raise ValueRangeError(f"--{name}: {shown(text)} is not a whole number from {least} to {most:,}") from None

    if isinstance(given, str):
        axis = parse_grid(given, f"--{name}", read, whole=True).renamed(name)
        for value in axis.values or (axis[0], axis[axis.count - 1]):
            whole_number(value, f"--{name}", least, most)
        return axis
    values = _sequence(given)
    return listed(name, [whole_number(value, name, least, most) for value in ([given] if values is None else values)])


def _parameter_axis(path: str, given: Any, known: object) -> Axis:
    """Return an axis of values [base units] or, where one has an interval, of Quantities."""
    parameter = lookup(path)
    if parameter is None:
        raise unknown_key(path, known, "--set")
    where = f"--set {path}"
    if isinstance(given, str) and ":" in given:
        axis = parse_grid(given, where, lambda text: parse_quantity(text, parameter.unit, where)).renamed(path)
        for value in axis.values or (axis[0], axis[axis.count - 1]):
            check_range(float(value), parameter, where, given)
        return axis
    if isinstance(given, numpy.ndarray) and given.dtype.kind in "fiu" and given.size and numpy.all(numpy.isfinite(given)):
        for end in (given.min(), given.max()):
            check_range(float(end), parameter, where, float(end))
        return listed(path, given.ravel().astype(float).tolist())
    values = [item.strip() for item in given.split(",")] if isinstance(given, str) else _sequence(given)
    quantities: list[Any] = [parse_setting(path, value, known) if not hasattr(value, "low") else value for value in (values if values is not None else [given])]
    if all(q.low == q.value == q.high for q in quantities):
        return listed(path, [q.value for q in quantities])
    return listed(path, quantities)


def _is_array(axis: Axis) -> bool:
    """Return whether an axis is worked out as an array: batch, context, and parameters without an interval."""
    return axis.name in ("batch", "context") or (axis.name not in KEYS and axis.count > 1 and isinstance(axis[0], float | int))


def _cases(grid: Grid, part: Sequence[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """Yield the combinations of the axes that need a question of their own, as positions; 0 on axes that are arrays."""
    ranges = [range(1) if _is_array(axis) else range(*ends) for axis, ends in zip(grid.axes, part, strict=True)]
    yield from product(*ranges)


def _question(grid: Grid, case: tuple[int, ...]) -> Case:
    found = grid.questions.get(case)
    if found is None:
        value = dict(zip((axis.name for axis in grid.axes), (axis[i] for axis, i in zip(grid.axes, case, strict=True)), strict=True))
        settings = {path: value[path] for path in grid.parameters}
        asked = ask(
            value["model"], value["hardware"], devices=value["devices"], weights=value["weights"], kv=value["kv"], before=value["before"], after=value["after"] or "looped",
            loop_at_most=grid.loop_at_most, profile=grid.profile, parameters=settings, parallel=grid.parallel,
        )  # fmt: skip
        ranges = {axis.name: axis.ends() for axis in grid.axes if _is_array(axis)}
        found = Case(asked, ranges, large=math.prod(axis.count for axis in grid.axes if _is_array(axis)) >= _WORTH_COMPILING)
        if len(grid.questions) >= _MOST_PREPARED:
            grid.questions.clear()
        grid.questions[case] = found
    return found


def block_columns(grid: Grid, part: Sequence[tuple[int, int]], into: Mapping[str, Array] | None = None) -> dict[str, Column]:
    """Return the columns of one part of a grid (see `perfmodel.grids.blocks`), one flat array each.

    into: arrays for some of the columns of floats, which are put there.
    """
    shape = tuple(stop - start for start, stop in part)
    vectors = [i for i, axis in enumerate(grid.axes) if _is_array(axis)]
    inner = tuple(shape[i] for i in vectors)
    arrays = {}
    for place, i in enumerate(vectors):
        values = _axis_values(grid.axes[i], *part[i])
        arrays[grid.axes[i].name] = values.reshape([-1 if p == place else 1 for p in range(len(vectors))])
    counts = tuple(grid.axes[i].count for i in vectors)
    asked = Points(arrays, {grid.axes[i].name: 2 << place for place, i in enumerate(vectors)}, counts, inner)
    wanted = frozenset(grid.columns)
    whole: dict[str, Array] = {name: values.reshape(shape) for name, values in (into or {}).items()}
    labels: dict[str, tuple[list[str], Array]] = {}
    for case in _cases(grid, part):
        here = tuple(slice(None) if i in vectors else case[i] - part[i][0] for i in range(len(shape)))
        _put_case(_question(grid, case), asked, grid, here, shape, whole, labels)
    for name, values in arrays.items():
        if name in wanted:
            at = [1] * len(shape)
            i = next(i for i in vectors if grid.axes[i].name == name)
            at[i] = -1
            if name in whole:
                whole[name][...] = values.reshape(at)
            else:
                whole[name] = numpy.broadcast_to(values.reshape(at), shape)
    return {name: _column(name, whole, labels) for name in grid.columns}


def _put_case(prepared: Case, asked: Points, grid: Grid, here: tuple[Any, ...], shape: tuple[int, ...], whole: dict[str, Array], labels: dict[str, tuple[list[str], Array]]) -> None:
    """Put the answers of one question into the columns of a block, at `here`."""
    wanted = frozenset(grid.columns)
    out = {name: values[here] for name, values in whole.items() if values[here].flags.c_contiguous and _is_float(name)}
    for name, values in prepared.answer(asked, wanted, out).items():
        if name not in whole:
            whole[name] = numpy.empty(shape, _kind_of(name))
        if values is not out.get(name):
            whole[name][here] = values
    for name, text in _texts(prepared.question).items():
        if name in wanted:
            names, codes = labels.setdefault(name, ([], numpy.empty(shape, numpy.int32)))
            if text not in names:
                names.append(text)
            codes[here] = names.index(text)
    for name, number in _numbers(prepared.question, grid).items():
        if name in wanted:
            whole.setdefault(name, numpy.empty(shape, float))[here] = number


def _axis_values(axis: Axis, start: int, stop: int) -> Array:
    """Return the values of an axis from `start` up to `stop`, to the last bit those of `Axis.part`."""
    if axis.values or axis.factor:
        return numpy.array(axis.values[start:stop] if axis.values else axis.part(start, stop), dtype=float)
    places = numpy.arange(start, stop)
    if axis.last is None or isinstance(axis.step, int):
        return axis.start + places * float(axis.step)
    values = axis.start + (axis.last - axis.start) * places / (axis.count - 1)
    values[places == axis.count - 1] = axis.last
    return values


def _is_float(name: str) -> bool:
    """Return whether a column holds floats: neither counts nor texts."""
    return not (name in AXIS_COLUMNS or name == "parallel" or name in _COUNTS or name in _COUNTS_OR_NONE or name.endswith(".bound") or name == "fits.fits")


def _kind_of(name: str) -> type:
    if name == "fits.fits":
        return bool
    return numpy.int8 if name.endswith(".bound") else float


def _texts(question: Question) -> dict[str, str]:
    """Return the texts of an answer that are the same for every workload."""
    weights = question.formats.experts if question.whole.experts else question.formats.weights
    return {
        "model": question.model.name, "hardware": question.hardware.name, "parallel": str(question.parallel), "weight_format": weights, "kv_format": question.formats.kv,
        "before.mode": question.before.mode.name, "after.mode": question.after.mode.name,
    }  # fmt: skip


def _numbers(question: Question, grid: Grid) -> dict[str, float]:
    """Return the numbers of an answer that are the same for every workload."""
    found: dict[str, float] = {"devices": question.devices, "before.kernel_calls": question.before.plan.kernel_calls, "after.kernel_calls": question.after.plan.kernel_calls}
    for axis in grid.axes[len(KEYS) :]:
        if not _is_array(axis):
            found[axis.name] = question.hardware.values[axis.name].value
    return found


def _column(name: str, whole: dict[str, Array], labels: dict[str, tuple[list[str], Array]]) -> Column:
    if name in labels:
        return Column(labels[name][1].reshape(-1), tuple(labels[name][0]))
    values = whole[name].reshape(-1)
    if name.endswith(".bound"):
        return Column(values, TERM_NAMES)
    if name in _COUNTS_OR_NONE:
        known = values.astype(numpy.int64)
        return Column(known if known.min() >= 0 else numpy.where(known < 0, None, known.astype(object)))
    if name in _COUNTS:
        if values.max() < _LARGEST_INTEGER:
            return Column(values.astype(numpy.int64))
        return Column(numpy.array([int(value) for value in values.tolist()], dtype=object))
    return Column(values)


def specification_hashes(grid: Grid) -> dict[str, str]:
    """Return the SHA-256 of every model and device of a grid, as read, with all that they inherit."""
    found = {f"models/{model.name}": specification_hash(model) for model in grid.models}
    return found | {f"hardware/{device.name}": specification_hash(device) for device in grid.hardware}


def specification_hash(specification: Model | Hardware) -> str:
    """Return the SHA-256 of what a specification says, wherever its file is."""
    from hashlib import sha256

    fields = {name: value for name, value in msgspec.structs.asdict(specification).items() if name != "path"}
    return sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


def fingerprint(grid: Grid, *more: str) -> str:
    """Return a text that differs between grids whose rows may differ."""
    from hashlib import sha256

    from perfmodel import __version__

    axes = [(axis.name, axis.count, axis.values[:] if axis.name not in ("model", "hardware") else (), axis.start, axis.step, axis.factor, axis.last) for axis in grid.axes]
    whole = (__version__, axes, grid.columns, grid.loop_at_most, grid.profile, str(grid.parallel), specification_hashes(grid), more)
    return sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()


def assumptions(grid: Grid, most: int = 64) -> list[dict[str, Any]]:
    """Return loops and assumptions of the first `most` questions of a grid: what its rows leave out."""
    questions = [case.question for case in list(grid.questions.values())[:most]]
    return [
        _texts(question) | {"devices": question.devices, "loops": msgspec.to_builtins(question.loops), "assumptions": msgspec.to_builtins(question.assumptions)}
        for question in questions
    ]


class Summary(msgspec.Struct, frozen=True):
    """A grid in few words. least, largest: speed-up [-]; rate: of the fastest point [tok/s]; rows: the first ones."""

    least: float
    largest: float
    rate: float
    fastest: str
    rows: list[dict[str, Any]]


_SUMMARY_COLUMNS = (*AXIS_COLUMNS, "before.tokens_per_second", "after.tokens_per_second", "after.bound", "speedup.value", "speedup.low", "speedup.high", "fits.fits")


def varying(grid: Grid) -> list[str]:
    """Return the columns of the axes that have more than one value; model and hardware where none has."""
    names = [*AXIS_COLUMNS, *grid.parameters]
    return [name for name, axis in zip(names, grid.axes, strict=True) if axis.count > 1] or ["model", "hardware"]


def summary(grid: Grid, most: int = 0) -> Summary:
    """Return least and largest speed-up, the fastest point and the first `most` rows of a grid."""
    least, largest, rate, fastest = math.inf, 0.0, 0.0, ""
    rows: list[dict[str, Any]] = []
    few = msgspec.structs.replace(grid, columns=(*varying(grid), "after.tokens_per_second", "speedup.value"))
    full = msgspec.structs.replace(grid, columns=(*_SUMMARY_COLUMNS, *grid.parameters))
    for i, part in enumerate(blocks(grid.counts)):
        found = block_columns(full if i == 0 else few, part)
        speedup, rates = found["speedup.value"].values, found["after.tokens_per_second"].values
        least, largest = min(least, float(speedup.min())), max(largest, float(speedup.max()))
        place = int(rates.argmax())
        if rates[place] > rate:
            rate = float(rates[place])
            fastest = ", ".join(f"{name} {written(name, column.at(place))}" for name, column in found.items() if name in few.columns[:-2])
            fastest += f" at {rate:,.4g} tok/s" if rate < 1e4 else f" at {rate:,.0f} tok/s"
        if i == 0:
            plain = {name: column.to_list()[:most] for name, column in found.items()}
            rows = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    return Summary(least, largest, rate, fastest, rows)


def written(column: str, value: Any) -> str:
    """Return a value of an axis as a person reads it, that of a parameter with its unit.

    >>> written("batch", 1024), written("memory.bandwidth", 2e12), written("after.mode", "looped")
    ('1,024', '2 TB/s', 'looped')
    """
    parameter = lookup(column)
    if parameter is not None and isinstance(value, float | int):
        return format_quantity(value, parameter.unit)
    return f"{value:,}" if isinstance(value, int) else str(value)
