"""Rows to CSV and answers to JSON, the same bytes for the same answer."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from perfmodel import quoting
from perfmodel.errors import UnknownNameError, dotted, nearest, shown

# The axes and the twelve main figures.
DEFAULT_COLUMNS = (
    "model",
    "hardware",
    "devices",
    "batch",
    "context",
    "weight_format",
    "kv_format",
    "before.mode",
    "after.mode",
    "before.time_per_step",
    "before.tokens_per_second",
    "before.fraction_of_peak",
    "before.bound",
    "after.time_per_step",
    "after.tokens_per_second",
    "after.fraction_of_peak",
    "after.bound",
    "speedup.value",
    "speedup.low",
    "speedup.high",
    "fits.fits",
)


def to_json(answer: Any) -> str:
    """Return `answer` as indented JSON with a final newline; NaN and infinity are impossible by construction."""
    return quoting.json_text(answer, indent=2) + "\n"


def choose_columns(wanted: str | None, available: Sequence[str], default: Sequence[str]) -> list[str]:
    """Return the columns that `--columns` asks for: a comma list, 'all', or None for the default.

    Raises UnknownNameError with the nearest name.
    """
    if wanted is None:
        return list(default)
    if wanted.strip() == "all":
        return list(available)
    columns = [name.strip() for name in wanted.split(",")]
    for name in columns:
        if name not in available:
            raise UnknownNameError(
                f"--columns: {shown(name)} is not a column"
                f"{dotted(name, available, 'columns') or nearest(name, available)}; 'all' gives every one"
            )
    return columns


def to_csv(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """Return `rows` as CSV: header first, shortest round-trip floats, true and false, empty for unknown."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([quoting.cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return quoting.cell(value) if isinstance(value, str) else str(value)
