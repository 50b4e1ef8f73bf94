"""Choices side by side: the points of a sweep as lines or as a map, those of a comparison as bars."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from perfmodel.report.picturedata.records import Band, Bar, Bars, Caption, Drawn, Line, Lines, Map
from perfmodel.specifications.parameters import lookup
from perfmodel.sweeps.comparisons import Choice, Comparison
from perfmodel.sweeps.summaries import written

# The columns that the axes of a sweep have, and how each is written in words.
COLUMN_OF = {"weights": "weight_format", "kv": "kv_format", "before": "before.mode", "after": "after.mode"}
_NUMBERS = ("devices", "batch", "context")
_NEEDED = (
    "before.tokens_per_second",
    "after.tokens_per_second",
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
)
_MOST_LINES, _MOST_BARS, _MOST_CELLS, _MOST_POINTS = 5, 24, 200, 100_000


def sweep_picture(columns: Mapping[str, Sequence[Any]], axes: Sequence[str], shape: Sequence[int]) -> Drawn | None:
    """Return the picture of a sweep: a map over batch and context, lines over one axis of numbers, else bars.

    columns: plain lists by name, rows with the first axis slowest; axes, shape: as in `perfmodel.sweeps.sweeps.Sweep`.
    None where columns are missing, the points are too many, or there is only one.
    """
    names = [COLUMN_OF.get(axis, axis) for axis in axes]
    if not 1 < prod(shape) <= _MOST_POINTS or any(name not in columns for name in (*names, *_NEEDED)):
        return None
    varying = [i for i, count in enumerate(shape) if count > 1]
    said = ", ".join(
        setting(name, columns[name][0])
        for i, name in enumerate(names)
        if i not in varying and len(set(columns[name])) == 1
    )
    numbers = sorted(
        (i for i in varying if names[i] in _NUMBERS or lookup(names[i]) is not None), key=lambda i: -shape[i]
    )
    caption = Caption(said, ())
    if (
        sorted(names[i] for i in varying) == ["batch", "context"]
        and min(shape[i] for i in varying) > 2
        and prod(shape) <= _MOST_CELLS
    ):
        return _map(columns, names, shape, caption)
    if not numbers:
        return _sweep_bars(columns, [names[i] for i in varying], caption)
    return _lines(columns, names, shape, numbers[0], caption)


def setting(name: str, value: Any) -> str:
    """Return one choice of a sweep in words, such as `batch 16`.

    >>> setting("batch", 1024), setting("memory.bandwidth", 2e12), setting("after.mode", "looped")
    ('batch 1,024', 'memory.bandwidth 2 TB/s', 'after looped')
    """
    if name == "devices":
        return f"{value:,} device{'' if value == 1 else 's'}"
    words = {
        "weight_format": "weights ",
        "kv_format": "cache ",
        "before.mode": "before ",
        "after.mode": "after ",
        "model": "",
        "hardware": "",
    }.get(name, f"{name} ")
    return f"{words}{written(name, value)}"


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


def _lines(
    columns: Mapping[str, Sequence[Any]], names: Sequence[str], shape: Sequence[int], along: int, caption: Caption
) -> Lines:
    others = [i for i, count in enumerate(shape) if count > 1 and i != along]
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
    combinations = list(product(*(range(shape[i]) for i in others)))
    # Evenly chosen where there are too many, the first and the last among them.
    few = min(len(combinations), _MOST_LINES)
    kept = [combinations[round(i * (len(combinations) - 1) / max(1, few - 1))] for i in range(few)]
    lines = []
    for combination in kept:
        first = sum(place * strides[i] for i, place in zip(others, combination, strict=True))
        points = range(first, first + shape[along] * strides[along], strides[along])

        def column(name: str, points: range = points) -> tuple[Any, ...]:
            return tuple(columns[name][i] for i in points)

        lines.append(
            Line(
                ", ".join(setting(names[i], columns[names[i]][first]) for i in others),
                column("before.tokens_per_second"),
                column("after.tokens_per_second"),
                Band(column("speedup.value"), column("speedup.low"), column("speedup.high")),
                column("fits.fits"),
            )
        )
    parameter = lookup(names[along])
    at = tuple(float(columns[names[along]][i * strides[along]]) for i in range(shape[along]))
    return Lines(
        caption,
        f"Rate and speed-up over {names[along]}",
        names[along],
        parameter.unit if parameter else "1",
        at,
        tuple(lines),
        len(combinations) - few,
    )


def _sweep_bars(columns: Mapping[str, Sequence[Any]], varying: Sequence[str], caption: Caption) -> Bars:
    count = len(columns["fits.fits"])
    bars = tuple(
        Bar(
            ", ".join(setting(name, columns[name][i]) for name in varying),
            columns["after.tokens_per_second"][i],
            None,
            None,
            columns["before.tokens_per_second"][i],
            columns["fits.fits"][i],
        )
        for i in range(min(count, _MOST_BARS))
    )
    return Bars(caption, "Rate before and after", bars, count - len(bars))


def comparison_picture(found: Comparison) -> Bars | None:
    """Return the choices of a comparison as bars, in its order; None where there is only one."""
    if len(found.choices) < 2:
        return None
    keys = ("model", "hardware", "devices", "batch", "context", "weight_format", "kv_format", "mode")
    same = [key for key in keys if len({getattr(choice, key) for choice in found.choices}) == 1]

    def words(choice: Choice, names: Sequence[str]) -> str:
        return ", ".join(
            setting("after.mode" if name == "mode" else name, getattr(choice, name)).removeprefix("after ")
            for name in names
        )

    first = found.choices[0]
    swept = [path for path in first.settings if len({choice.settings[path] for choice in found.choices}) > 1]
    bars = tuple(
        Bar(
            ", ".join(
                filter(
                    None,
                    (
                        words(c, [key for key in keys if key not in same]),
                        *(setting(path, c.settings[path]) for path in swept),
                    ),
                )
            )
            or c.mode,
            c.tokens_per_second,
            c.low,
            c.high,
            None,
            c.fits,
        )
        for c in found.choices[:_MOST_BARS]
    )
    title = "Up the ladder of modes" if found.ladder else "Choices, best first"
    return Bars(Caption(words(first, same), ()), title, bars, len(found.choices) - len(bars))
