"""Grids in few words: hashes of all that they rest on, assumptions, least and largest answers, the first rows."""

import math
from typing import Any

import msgspec

from perfmodel.estimates.splits import obstacle
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model
from perfmodel.specifications.parameters import lookup
from perfmodel.sweeps.columnkinds import AXIS_COLUMNS
from perfmodel.sweeps.columns import Grid, block_columns, texts_of
from perfmodel.sweeps.grids import blocks
from perfmodel.units import format_quantity


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

    from perfmodel._layout import __version__

    axes = [
        (
            axis.name,
            axis.count,
            axis.values[:] if axis.name not in ("model", "hardware") else (),
            axis.start,
            axis.step,
            axis.factor,
            axis.last,
        )
        for axis in grid.axes
    ]
    whole = (
        __version__,
        axes,
        grid.columns,
        {name: str(value) for name, value in grid.same.items()},
        specification_hashes(grid),
        more,
    )
    return sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()


def assumptions(grid: Grid, most: int = 64) -> list[dict[str, Any]]:
    """Return loops and assumptions of the first `most` questions of a grid: what its rows leave out."""
    questions = [case.question for case in list(grid.questions.values())[:most]]
    return [
        texts_of(question)
        | {
            "devices": question.devices,
            "loops": msgspec.to_builtins(question.loops),
            "assumptions": msgspec.to_builtins(question.assumptions),
        }
        for question in questions
    ]


class GridSummary(msgspec.Struct, frozen=True):
    """A grid in few words. least, largest: speed-up [-]; rate: of the fastest point [tok/s]; rows: the first ones."""

    least: float
    largest: float
    rate: float
    fastest: str
    rows: list[dict[str, Any]]


_SUMMARY_COLUMNS = (
    *AXIS_COLUMNS,
    "before.tokens_per_second",
    "after.tokens_per_second",
    "after.bound",
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
)


def varying(grid: Grid) -> list[str]:
    """Return the columns of the axes that have more than one value; model and hardware where none has."""
    return grid.varying or ["model", "hardware"]


def grid_notes(grid: Grid) -> list[str]:
    """Return what is said of points that mislead: splits that cannot be built, contexts beyond the model's."""
    questions = [case.question for case in grid.questions.values()]
    ways = {(q.model.name, q.parallel): obstacle(q.model, q.parallel) for q in questions}
    notes = [f"{name}, {parallel}: cannot be built: {why}" for (name, parallel), why in ways.items() if why]
    longest = max((axis.ends()[1] or 0 for axis in grid.axes if axis.name == "context"), default=0)
    return notes + [
        f"context {longest:,} is longer than the {model.longest_context:,} tokens {model.name} was made for"
        for model in grid.models
        if model.longest_context is not None and longest > model.longest_context
    ]


def summary(grid: Grid, most: int = 0) -> GridSummary:
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
            fastest = ", ".join(
                f"{name} {written(name, column.at(place))}"
                for name, column in found.items()
                if name in few.columns[:-2]
            )
            fastest += f" at {rate:,.4g} tok/s" if rate < 1e4 else f" at {rate:,.0f} tok/s"
        if i == 0:
            plain = {name: column.to_list()[:most] for name, column in found.items()}
            rows = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    return GridSummary(least, largest, rate, fastest, rows)


def written(column: str, value: Any) -> str:
    """Return a value of an axis as a person reads it, that of a parameter with its unit.

    >>> written("batch", 1024), written("memory.bandwidth", 2e12), written("after.mode", "looped")
    ('1,024', '2 TB/s', 'looped')
    """
    parameter = lookup(column)
    if parameter is not None and isinstance(value, float | int):
        return format_quantity(value, parameter.unit)
    return f"{value:,}" if isinstance(value, int) else str(value)
