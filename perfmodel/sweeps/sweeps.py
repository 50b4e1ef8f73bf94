"""Sweeps: a grid over models, devices, workloads, formats, modes and parameters, as columns of numpy arrays."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

import msgspec
import numpy

from perfmodel._layout import Framed, ShownInNotebooks
from perfmodel.errors import UnknownNameError, ValueRangeError, dotted, nearest, shown
from perfmodel.estimates.conditioning import conditioned
from perfmodel.estimates.devices import check_settings
from perfmodel.estimates.known import Known
from perfmodel.estimates.options import AXES, OPTION, AskedGrid, complete
from perfmodel.estimates.prompting import refuse_prompt
from perfmodel.estimates.question import read_question
from perfmodel.sweeps.axes import axes_of, parameter_axis
from perfmodel.sweeps.cases import Array
from perfmodel.sweeps.columnkinds import is_float, none_for_unknown
from perfmodel.sweeps.columns import MOST_PREPARED, Grid, arguments_at, block_columns, cases, question_of
from perfmodel.sweeps.grids import BLOCK, MOST_POINTS, Axis, blocks
from perfmodel.sweeps.jobs import MOST_JOBS, by_threads, cores
from perfmodel.units import whole_number

# The axes and the twelve main figures; parameters that are swept stand between them.
MAIN_FIGURES = (
    *(
        f"{side}.{figure}"
        for side in ("before", "after")
        for figure in ("time_per_step", "tokens_per_second", "fraction_of_peak", "bound")
    ),
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
)


_MOST_AXES = 60  # of an array
# Most rows of a block of an answer that is kept whole: what is done once a block, at the size of few axes, weighs less.
_LARGE = 4 * BLOCK


class Sweep(msgspec.Struct, ShownInNotebooks, Framed, frozen=True, eq=False):
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

    def _frame(self) -> dict[str, list[Any]]:
        return self.to_dict()


def sweep(
    models: Any,
    hardware: Any,
    *,
    columns: Sequence[str] | str | None = None,
    yes: bool = False,
    jobs: int | None = None,
    **asked: Unpack[AskedGrid],
) -> Sweep:
    """Answer `estimate` at every point of a grid.

    Every key takes one value, a sequence, or a text: "1,2,4", "1:64:x2", "0:8:+2", "1:100:12" (times, steps, even
    points).
    models, hardware: names, paths, or Model and Hardware objects.
    parameters: what-ifs by dotted path, each of which may be a grid as well: {"modes.looped.stage": "0us:4us:+1us"}.
    devices: None takes all of a system, else one. parallel, loop_at_most, loop_only, offload, profile: as in
    `estimate`, the same at every point. measured: the step before at the first point; what it tells of machine and
    software holds at the others too.
    columns: names of `Estimate.rows`, "all", or None for the axes and the main figures.
    yes: work out more points than MOST_POINTS.
    jobs: how many threads work on a large grid [-], None for one on each core; the answer is the same.
    Raises PerfModelError before any work, with one line that says what can.

    >>> found = sweep("llama-3.1-8b", "sn40l", devices="8,16", batch="1:16:x4")
    >>> found["speedup.value"].reshape(2, 3).round(1).tolist()
    [[1.6, 1.5, 1.4], [1.9, 1.8, 1.5]]
    """
    threads = None if jobs is None else whole_number(jobs, "jobs", 1, MOST_JOBS)
    return work_out(make_grid(models, hardware, columns=columns, yes=yes, **asked), threads)


def work_out(grid: Grid, jobs: int | None = None) -> Sweep:
    """Return every point of a grid in memory. jobs: how many threads work on it, None for one on each core."""
    if grid.size <= BLOCK:
        parts = [block_columns(grid, part) for part in blocks(grid.counts)]
        whole = {name: column.array() for name, column in parts[0].items()}
    else:
        whole = _in_memory(grid, jobs or cores())
    return Sweep(whole, tuple(axis.name for axis in grid.axes), grid.counts)


def _in_memory(grid: Grid, jobs: int) -> dict[str, Array]:
    """Return all columns, block by block into arrays made beforehand."""
    whole: dict[str, Array] = {name: numpy.empty(grid.size) for name in grid.columns if is_float(name)}
    floats = dict(whole)

    def others(place: tuple[slice, Sequence[tuple[int, int]]]) -> tuple[slice, dict[str, Array]]:
        """Put the floats of a block where they belong; return its other columns."""
        rows, part = place
        found = block_columns(grid, part, {name: values[rows] for name, values in floats.items()})
        return rows, {name: column.array() for name, column in found.items() if name not in floats}

    for rows, found in by_threads(others, _rows(grid, jobs), jobs):
        for name, values in found.items():
            if name not in whole:
                whole[name] = numpy.empty(grid.size, values.dtype)
            elif whole[name].dtype != values.dtype:
                whole[name] = whole[name].astype(numpy.result_type(whole[name].dtype, values.dtype))
            whole[name][rows] = values
    return {name: none_for_unknown(name, whole[name]) for name in grid.columns}


def _rows(grid: Grid, jobs: int) -> Iterator[tuple[slice, tuple[tuple[int, int], ...]]]:
    """Yield the rows of every block, with the block; there are some for each thread."""
    start = 0
    for part in blocks(grid.counts, max(BLOCK, min(_LARGE, grid.size // (4 * jobs)))):
        stop = start + math.prod(last - first for first, last in part)
        yield slice(start, stop), part
        start = stop


def make_grid(
    models: Any,
    hardware: Any,
    *,
    columns: Sequence[str] | str | None = None,
    yes: bool = False,
    known: Known | None = None,
    **asked: Unpack[AskedGrid],
) -> Grid:
    """Return the grid behind `sweep`, whose arguments these are, with every name, value and combination checked.

    known: what a measured step of another question tells; without it measured is the step of the first point.
    """
    given = complete(asked)
    refuse_prompt(given)
    found_models, found_hardware, options = axes_of(models, hardware, given)
    axes = [
        Axis("model", len(found_models), found_models),
        Axis("hardware", len(found_hardware), found_hardware),
        *options,
    ]
    values = found_hardware[0].values
    check_settings(given["parameters"] or {})
    axes += [parameter_axis(path, given, values) for path, given in (given["parameters"] or {}).items()]
    if len(axes) > _MOST_AXES:
        raise ValueRangeError(
            f"--set: {len(given['parameters'])} what-ifs at once are more than"
            f" {_MOST_AXES - len(axes) + len(given['parameters'])}; write a hardware file"
        )
    same = {name: given[name] for name in OPTION if name not in (*AXES, "parameters")}
    grid = Grid(tuple(axes), (), found_models, found_hardware, same, {})
    if grid.size > MOST_POINTS and not yes:
        raise ValueRangeError(
            f"grid: {grid.size:,} points are more than {MOST_POINTS:,}; make an axis coarser, or say yes to it with"
            " --yes"
        )
    grid = msgspec.structs.replace(grid, columns=tuple(_chosen(columns, grid)), known=known)
    if known is None and given["measured"] is not None:
        first = read_question(**arguments_at(grid, (0,) * len(axes)))
        grid = msgspec.structs.replace(grid, known=conditioned(first))
    for case in cases(grid, tuple((0, count) for count in grid.counts)):
        question_of(grid, case)  # a mode or a value that a device lacks is found before any work
        if len(grid.questions) >= MOST_PREPARED:
            break
    return grid


def _chosen(columns: Sequence[str] | str | None, grid: Grid) -> list[str]:
    if columns is None:
        return [*grid.axis_columns, *grid.parameters, *MAIN_FIGURES]
    if columns == "all":
        return list(grid.available)
    names = columns.split(",") if isinstance(columns, str) else list(columns)
    names = list(dict.fromkeys(name.strip() for name in names))
    for name in names:
        if name not in grid.available:
            raise UnknownNameError(
                f"--columns: {shown(name)} is not a column"
                f"{dotted(name, grid.available, 'columns') or nearest(name, grid.available)}; 'all' gives every one"
            )
    return names
