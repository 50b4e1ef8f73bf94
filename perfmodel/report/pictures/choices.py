"""Which picture a sweep becomes: a map over batch and context, lines over an axis of numbers, or bars."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from perfmodel.report.pictures.lines import Lines, setting, swept_lines
from perfmodel.report.pictures.maps import Map
from perfmodel.report.pictures.picture import Caption
from perfmodel.report.pictures.sidebars import Bars, swept_bars
from perfmodel.specifications.parameters import lookup

# The columns that the axes of a sweep have, where they bear another name.
COLUMN_OF = {
    "weights": "weight_format",
    "kv": "kv_format",
    "before": "before.mode",
    "after": "after.mode",
    "draft": "draft.tokens",
    "accepted": "draft.accepted",
}
_NUMBERS = ("devices", "batch", "context", "draft.tokens", "draft.accepted")
_NEEDED = (
    "before.tokens_per_second",
    "after.tokens_per_second",
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
)
_MOST_CELLS, MOST_POINTS = 200, 100_000


def sweep_picture(
    columns: Mapping[str, Sequence[Any]], axes: Sequence[str], shape: Sequence[int], along: str | None = None
) -> Map | Lines | Bars | None:
    """Return the picture of a sweep: a map over batch and context, lines over one axis of numbers, else bars.

    columns: plain lists by name, rows with the first axis slowest; axes, shape: as in `perfmodel.sweeps.sweeps.Sweep`.
    along: the axis that lines go along, the longest one of numbers if not given.
    None where columns are missing, the points are too many, or there is only one.
    """
    names = [COLUMN_OF.get(axis, axis) for axis in axes]
    varying = [i for i, count in enumerate(shape) if count > 1]
    needed = (*(names[i] for i in varying), *_NEEDED)
    if not 1 < prod(shape) <= MOST_POINTS or any(name not in columns for name in needed):
        return None
    said = ", ".join(
        setting(name, columns[name][0])
        for i, name in enumerate(names)
        if i not in varying and name in columns and len(set(columns[name])) == 1
    )
    numbers = sorted((i for i in varying if is_number(names[i])), key=lambda i: -shape[i])
    caption = Caption(said, ())
    if along is not None:
        return swept_lines(columns, names, shape, list(axes).index(along), caption)
    if (
        sorted(names[i] for i in varying) == ["batch", "context"]
        and min(shape[i] for i in varying) > 2
        and prod(shape) <= _MOST_CELLS
    ):
        return _map(columns, names, shape, caption)
    if not numbers:
        return swept_bars(columns, [names[i] for i in varying], caption)
    return swept_lines(columns, names, shape, numbers[0], caption)


def is_number(axis: str) -> bool:
    """Return whether an axis of a sweep has numbers, along which a line can go."""
    return COLUMN_OF.get(axis, axis) in _NUMBERS or lookup(axis) is not None


def _map(columns: Mapping[str, Sequence[Any]], names: Sequence[str], shape: Sequence[int], caption: Caption) -> Map:
    batches, contexts = shape[names.index("batch")], shape[names.index("context")]
    # Batch stands before context among the axes, so context changes fastest.
    rows = [range(i, batches * contexts, contexts) for i in range(contexts)]
    return Map(
        caption,
        tuple(columns["batch"][i] for i in rows[0]),
        tuple(columns["context"][:contexts]),
        tuple(tuple(columns["speedup.value"][i] for i in row) for row in rows),
        tuple(tuple(columns["fits.fits"][i] for i in row) for row in rows),
        (columns["before.mode"][0], columns["after.mode"][0]),
    )
