"""A grid ready to be worked out, and the columns of its blocks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import msgspec
import numpy

from perfmodel.estimates.columns import FIGURES, SIDES, drafts_of
from perfmodel.estimates.conditioning import prepared_with
from perfmodel.estimates.costs import COSTS
from perfmodel.estimates.devices import AFTER
from perfmodel.estimates.evidence import evidence_of
from perfmodel.estimates.known import Known
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.estimates.terms import TERM_NAMES
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.software import software_in_use
from perfmodel.sweeps.cases import PREPARING, Array, Case, Points
from perfmodel.sweeps.columnkinds import AXIS_COLUMNS, FURTHER, KEYS, Column, axis_values, column_of, is_float, kind_of
from perfmodel.sweeps.grids import Axis, block_at, points

_SIDE = (
    "mode",
    "kernel_calls",
    *FIGURES,
    "bound",
    *(f"{end}.{figure}" for end in ("low", "high") for figure in FIGURES),
    *(f"terms.{term}" for term in TERM_NAMES),
    "time_drafting",
    "software",
    "profile",
)
ROW_COLUMNS = (
    *AXIS_COLUMNS[:7],
    "bytes_per_step",
    "flops_per_step",
    "peak.time_per_step",
    "peak.tokens_per_second",
    *(f"{side}.{column}" for side in SIDES for column in _SIDE),
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
    "fits.bytes_needed",
    "fits.bytes_available",
    "fits.devices_needed",
    "parallel",
    "draft.tokens",
    "draft.drafter",
    "draft.accepted",
    "draft.tokens_per_step",
    "software",
    "evidence.rows",
    "evidence.sources",
    "evidence.median_error",
    "evidence.inside",
    "evidence.text",
    *(f"{cost}.{side}" for cost in COSTS for side in SIDES),
)
_WORKLOAD = frozenset({"batch", "context"})
MOST_PREPARED = 4096
# Points of one question from which compiling its kernels takes less time than it saves.
_WORTH_COMPILING = 200_000


class Grid(msgspec.Struct, frozen=True):
    """A grid ready to be worked out: its axes in the order of the rows; same: options that are alike at every point.

    known: what a measured step tells, None where none was.
    """

    axes: tuple[Axis, ...]
    columns: tuple[str, ...]
    models: tuple[Model, ...]
    hardware: tuple[Hardware, ...]
    same: dict[str, Any]
    questions: dict[tuple[Any, ...], Case]
    known: Known | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are swept or set, in the order given."""
        return tuple(axis.name for axis in self.axes[len(KEYS) :])

    @property
    def axis_columns(self) -> tuple[str, ...]:
        """The columns of the axes but for parameters, in their order; of those that say more, only what is asked."""
        further = (FURTHER[axis.name] for axis in self.axes if axis.name in FURTHER and axis[0] is not None)
        return (*AXIS_COLUMNS, *(further if self.same["drafter"] is not None else ()))

    @property
    def varying(self) -> list[str]:
        """The columns of the axes that have more than one value."""
        columns = dict(zip(KEYS, (*AXIS_COLUMNS, *FURTHER.values()), strict=True))
        return [columns.get(axis.name, axis.name) for axis in self.axes if axis.count > 1]

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


def is_array(grid: Grid, axis: Axis) -> bool:
    """Return whether an axis is worked out as an array: batch, context, and parameters without an interval."""
    if axis.name in ("batch", "context"):
        # What does not fit into memory depends on both, so each point is a question of its own.
        return grid.same["offload"] is None
    if axis.name.startswith(AFTER) or axis.name.endswith(".calls"):
        return False
    return axis.name not in KEYS and axis.count > 1 and isinstance(axis[0], float | int)


def cases(grid: Grid, part: Sequence[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """Yield the combinations of the axes that need a question of their own, as positions; 0 on axes that are arrays."""
    ranges = [range(1) if is_array(grid, axis) else range(*ends) for axis, ends in zip(grid.axes, part, strict=True)]
    yield from product(*ranges)


def arguments_at(grid: Grid, case: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of `estimate` at one combination of the axes, as positions."""
    value = {axis.name: axis[i] for axis, i in zip(grid.axes, case, strict=True)}
    settings = {path: value.pop(path) for path in grid.parameters}
    return {name: given for name, given in value.items() if given is not None} | grid.same | {"parameters": settings}


def question_of(grid: Grid, case: tuple[int, ...]) -> Case:
    """Return the prepared question of one combination of the axes that are no arrays."""
    found = grid.questions.get(case)
    if found is None:
        value = arguments_at(grid, case)
        prepared = prepared_with(read_question(**value), grid.known)
        ranges = {axis.name: axis.ends() for axis in grid.axes if is_array(grid, axis)}
        ranges |= {name: (float(value[name]),) * 2 for name in ("batch", "context") if name not in ranges}
        found = Case(
            prepared,
            ranges,
            large=math.prod(axis.count for axis in grid.axes if is_array(grid, axis)) >= _WORTH_COMPILING,
        )
        if len(grid.questions) >= MOST_PREPARED:
            grid.questions.clear()
        grid.questions[case] = found
    return found


def block_columns(
    grid: Grid, part: Sequence[tuple[int, int]], into: Mapping[str, Array] | None = None
) -> dict[str, Column]:
    """Return the columns of one part of a grid (see `perfmodel.sweeps.grids.blocks`), one flat array each.

    into: arrays for some of the columns of floats, which are put there.
    """
    shape = tuple(stop - start for start, stop in part)
    vectors = [i for i, axis in enumerate(grid.axes) if is_array(grid, axis)]
    inner = tuple(shape[i] for i in vectors)
    arrays = {}
    for place, i in enumerate(vectors):
        values = axis_values(grid.axes[i], *part[i])
        arrays[grid.axes[i].name] = values.reshape([-1 if p == place else 1 for p in range(len(vectors))])
    counts = tuple(grid.axes[i].count for i in vectors)
    asked = Points(arrays, {grid.axes[i].name: 1 << place for place, i in enumerate(vectors)}, counts, inner)
    wanted = frozenset(grid.columns)
    whole: dict[str, Array] = {name: values.reshape(shape) for name, values in (into or {}).items()}
    labels: dict[str, tuple[list[str], Array]] = {}
    for case in cases(grid, part):
        here = tuple(slice(None) if i in vectors else case[i] - part[i][0] for i in range(len(shape)))
        workload = {name: grid.axes[i][case[i]] for i, name in enumerate(KEYS) if name in _WORKLOAD - set(arrays)}
        with PREPARING:
            question = question_of(grid, case)
        _put_case(question, asked.at(workload), grid, here, shape, whole, labels)
        for name, value in workload.items():
            if name in wanted:
                whole.setdefault(name, numpy.empty(shape))[here] = value
    for name, values in arrays.items():
        if name in wanted:
            at = [1] * len(shape)
            i = next(i for i in vectors if grid.axes[i].name == name)
            at[i] = -1
            if name in whole:
                whole[name][...] = values.reshape(at)
            else:
                whole[name] = numpy.broadcast_to(values.reshape(at), shape)
    return {name: column_of(name, whole, labels) for name in grid.columns}


def numbered_block(grid: Grid, i: int) -> dict[str, Column]:
    """Return the columns of block `i` of a grid, in the order of its rows."""
    return block_columns(grid, block_at(grid.counts, i))


def _put_case(
    prepared: Case,
    asked: Points,
    grid: Grid,
    here: tuple[Any, ...],
    shape: tuple[int, ...],
    whole: dict[str, Array],
    labels: dict[str, tuple[list[str], Array]],
) -> None:
    """Put the answers of one question into the columns of a block, at `here`."""
    wanted = frozenset(grid.columns)
    single = all(isinstance(place, int) for place in here)
    views = {} if single else {name: values[here] for name, values in whole.items() if is_float(name)}
    out = {name: view for name, view in views.items() if view.flags.c_contiguous}
    for name, values in prepared.answer(asked, wanted, out).items():
        if name not in whole:
            whole[name] = numpy.empty(shape, kind_of(name))
        if values is not out.get(name):
            whole[name][here] = numpy.reshape(values, ()) if single else values
    for name, text in texts_of(prepared.question).items():
        if name in wanted:
            names, codes = labels.setdefault(name, ([], numpy.empty(shape, numpy.int32)))
            if text not in names:
                names.append(text)
            codes[here] = names.index(text)
    for name, number in _numbers(prepared.question, grid).items():
        if name in wanted:
            whole.setdefault(name, numpy.empty(shape, float))[here] = number


def texts_of(question: Prepared) -> dict[str, str]:
    """Return the texts of an answer that are the same for every workload."""
    return {
        "model": question.model.name,
        "hardware": question.hardware.name,
        "parallel": str(question.parallel),
        "weight_format": question.formats.weights,
        "kv_format": question.formats.kv,
        "before.mode": question.before.mode.name,
        "after.mode": question.after.mode.name,
        **{
            f"{name}.{key}": text
            for name, side in (("before", question.before), ("after", question.after))
            for key, text in (("software", software_in_use(side.hardware) or ""), ("profile", side.hardware.profile))
        },
        "draft.drafter": drafts_of(question)["drafter"],
        "software": software_in_use(question.hardware) or "",
        "evidence.text": evidence_of(question).text,
    }


def _numbers(question: Prepared, grid: Grid) -> dict[str, float]:
    """Return the numbers of an answer that are the same for every workload."""
    found: dict[str, float] = {
        "devices": question.devices,
        "before.kernel_calls": question.before.kernel_calls,
        "after.kernel_calls": question.after.kernel_calls,
    }
    evidence = evidence_of(question)
    found |= {f"evidence.{name}": getattr(evidence, name) for name in ("rows", "sources", "median_error", "inside")}
    found |= {f"draft.{name}": value for name, value in drafts_of(question).items() if name != "drafter"}
    for name, (key, _) in COSTS.items():
        if key not in question.hardware.values:
            found |= {f"{name}.{side}": math.nan for side in SIDES}
    for axis in grid.axes[len(KEYS) :]:
        if not is_array(grid, axis):
            side = question.after if axis.name.startswith(AFTER) else question.before
            found[axis.name] = side.hardware.values[axis.name.removeprefix(AFTER)].value
    return found
