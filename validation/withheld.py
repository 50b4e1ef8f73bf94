# ruff: noqa: INP001
"""Software as a fit without one source has it, and questions that rows ask with it. Imported by ratios.py and rungs.py.

A fit takes some ten seconds, so that what it gives is kept in a folder for temporary files, named by what it rests on.
"""

import csv
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from fit import Fit, fold_of, whole, without
from observations import Observations
from writing import write_software

from perfmodel.estimates.question import Question
from perfmodel.measurements.rows import Row, all_rows, read_rows
from perfmodel.measurements.stacks import row_formats, row_hardware, row_parallel
from perfmodel.specifications.catalogue import find_model
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.software import Software, load_software

HERE = Path(__file__).resolve().parent
RESTS_ON = (
    "effects.py",
    "fit.py",
    "observations.py",
    "widths.py",
    "writing.py",
    "rows.csv",
    "pairs.csv",
    "stacks.toml",
    "left_out.csv",
)


@lru_cache(maxsize=1)
def rows_asked() -> tuple[Row, ...]:
    """Return the rows of the validation set and of pairs."""
    return (*all_rows(), *read_rows(HERE / "pairs.csv"))


@lru_cache(maxsize=1)
def _whole() -> Fit:
    return whole(Observations(rows_asked()))


@cache
def _start(*fold: str) -> np.ndarray:
    return without(_whole(), list(fold)).values


def _without(source: str) -> Fit:
    """Return the fit without a source; the whole one for a source of fused kernels alone, which no fit sees."""
    if source not in _whole().seen.source:
        return _whole()
    return without(_whole(), [source], _start(*fold_of(_whole(), source)))


@lru_cache(maxsize=1)
def _kept() -> Path:
    made = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in RESTS_ON)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"perfmodel-withheld-{made}"


def software_without(source: str) -> Callable[[str], Software]:
    """Return what gives software by kind and year as a fit without a source has it."""
    folder = _kept() / source
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_software(_without(source), HERE / "left_out.csv", folder)
        (folder / "whole").touch()
    return lru_cache(maxsize=None)(lambda name: load_software(folder / f"{name}.toml"))


def write_table(name: str, lines: Sequence[Sequence[str]]) -> str:
    """Write a table, its head first, to NAME.csv; return it as it is printed."""
    with (HERE / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    return "\n".join(" | ".join(cells) for cells in lines) + "\n"


def device_of(row: Row, named: Callable[[str], Software]) -> Hardware:
    """Return the device of a row with software from `named`."""
    return row_hardware(row, None, named)


def question_of(row: Row, device: Hardware, after: Row, after_device: Hardware, *, measured: bool) -> Question:
    """Return the question whose before side is `row`, measured or not, its after side in the mode of `after`."""
    model = find_model(row.model)
    return Question(
        model=model,
        hardware=device,
        after_hardware=after_device,
        parallel=row_parallel(row, model),
        batch=row.batch,
        context=row.context,
        formats=row_formats(row, model),
        before=row.mode or device.default_mode,
        after=after.mode or after_device.default_mode,
        loop_at_most=None,
        loop_only=None,
        placement=None,
        draft=None,
        prompt=None,
        decoding=None,
        arguments=_arguments(row, measured=measured),
    )


def _arguments(row: Row, *, measured: bool) -> dict[str, Any]:
    return {"model": row.model, "hardware": row.hardware, "measured": f"{row.time_per_step!r} s" if measured else None}
