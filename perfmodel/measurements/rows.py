"""Published measurements: rows of validation/rows.csv, or of a file with its columns."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.files import read_text

LEAST, MOST = 1e-9, 1e9  # s of a measured step, and tok/s
COLUMNS = (
    "id",
    "source_id",
    "trust",
    "model",
    "hardware",
    "devices",
    "parallel",
    "weight_format",
    "weight_format_source",
    "kv_format",
    "batch",
    "context",
    "engine",
    "mode",
    "stack",
    "time_per_step",
    "class",
    "ladder",
    "settings",
    "source",
    "caveat",
)
FILTERS = ("class", "source", "model", "hardware", "stack", "trust")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement and the question it answers.

    time_per_step [s]; context: mean tokens in the cache, per sequence; weight_format_source: the source's word.

    settings: what else the source says of the question, as `--set` takes it, joined by semicolons; calls: kernel calls
    of a step on one device as counted [-], 0 where nobody did.
    """

    id: str
    source_id: str
    source: str
    trust: str
    model: str
    hardware: str
    devices: int
    parallel: str
    weight_format: str
    weight_format_source: str
    kv_format: str
    batch: int
    context: int
    engine: str
    mode: str
    stack: str
    time_per_step: float
    row_class: str
    ladder: tuple[str, ...]
    settings: str
    caveat: str
    calls: int = 0

    def devices_at_work(self) -> int:
        """Return how many devices work on a step at the same time.

        Where layers are split (`pp=N`) the devices work one after another, so that a step has the bandwidth of one
        over the bytes of the whole model: it is asked as one device, whose capacity is then not looked at.
        """
        if "pp=" not in self.parallel:
            return self.devices
        return next((int(part[3:]) for part in self.parallel.split(",") if part.startswith("tp=")), 1)


@lru_cache(maxsize=1)
def all_rows() -> tuple[Row, ...]:
    """Return the rows of the validation set that comes with the package."""
    return read_rows(data_folder("validation") / "rows.csv")


def read_rows(path: Path) -> tuple[Row, ...]:
    """Return the rows of a CSV file with the columns of validation/rows.csv.

    Needed are model, hardware, mode and time_per_step [s] or tokens_per_second (summed over the batch); devices, batch
    and context are 1, 1 and 4096 where empty, other columns may be missing.
    Raises SpecificationError with line, column and what would be right.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=None))
    known = set(reader.fieldnames or ())
    for needed in ("model", "hardware"):
        if needed not in known:
            raise SpecificationError(f"{path}: has no column {needed}; the columns are those of validation/rows.csv")
    if not known & {"time_per_step", "tokens_per_second"}:
        raise SpecificationError(f"{path}: has neither a column time_per_step [s] nor tokens_per_second")
    return tuple(
        row_of(
            {k: (v or "").strip() for k, v in raw.items() if isinstance(k, str) and isinstance(v, str | None)},
            f"{path}: line {number}",
            number,
        )
        for number, raw in enumerate(reader, 2)
    )


def row_of(raw: Mapping[str, str], where: str, number: int) -> Row:
    """Return the row that texts by column say.

    where: file and line, for messages; number: of the row, for one without id.

    Raises SpecificationError for a value that is no number, or one beyond any step.
    """

    def count(column: str, absent: int) -> int:
        text = raw.get(column, "")
        if not text:
            return absent
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
            raise SpecificationError(f"{where}: {column}: {shown(text)} is not a whole number from 1")
        return int(text)

    def positive(column: str) -> float:
        try:
            value = float(raw[column])
        except ValueError:
            value = math.nan
        if not LEAST <= value <= MOST:
            raise SpecificationError(
                f"{where}: {column}: {shown(raw[column])} is not a positive number ({LEAST:g} to {MOST:g})"
            )
        return value

    batch = count("batch", 1)
    if raw.get("time_per_step"):
        time = positive("time_per_step")
    elif raw.get("tokens_per_second"):
        time = batch / positive("tokens_per_second")
    else:
        raise SpecificationError(f"{where}: has neither time_per_step nor tokens_per_second")
    for needed in ("model", "hardware"):
        if not raw.get(needed):
            raise SpecificationError(f"{where}: has no {needed}")
    text = {
        column: raw.get(column, "")
        for column in (
            "source_id",
            "source",
            "trust",
            "parallel",
            "weight_format",
            "weight_format_source",
            "kv_format",
            "engine",
            "mode",
            "stack",
            "settings",
            "caveat",
        )
    }
    return Row(
        id=raw.get("id") or f"line-{number}",
        model=raw["model"],
        hardware=raw["hardware"],
        devices=count("devices", 1),
        batch=batch,
        context=count("context", 4096),
        time_per_step=time,
        row_class=raw.get("class", ""),
        ladder=tuple(raw.get("ladder", "").split()),
        calls=count("calls", 0),
        **text,
    )


def selected(rows: Iterable[Row], wanted: Mapping[str, str]) -> list[Row]:
    """Return the rows that match every filter; wanted: filter name (see `FILTERS`) to values joined by commas."""
    columns = {"class": "row_class", "source": "source_id"}
    tests = [
        (columns.get(name, name), frozenset(part.strip() for part in text.split(","))) for name, text in wanted.items()
    ]
    return [row for row in rows if all(getattr(row, column) in values for column, values in tests)]
