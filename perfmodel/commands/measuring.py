"""What validate, calibrate and explain-gap share: files of measured steps, and what is said beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands.delivering import note
from perfmodel.errors import SpecificationError, UnknownNameError, nearest, shown

if TYPE_CHECKING:
    from perfmodel.measurements.rows import Row

FILES = (
    "CSV with the columns of validation/rows.csv, or a result of llama-bench (CSV, JSON, Markdown), vllm bench or"
    " SGLang"
)
_ENDINGS = (".csv", ".json", ".jsonl", ".md", ".txt")
Fill = Annotated[
    list[str] | None,
    typer.Option(
        "--fill",
        metavar="COLUMN=VALUE",
        help="What the file of measurements does not say, such as hardware=h100-sxm or context=2048.",
    ),
]
Alias = Annotated[
    list[str] | None,
    typer.Option("--alias", metavar="THEIRS=OURS", help="What a name in the file is called in the catalogue."),
]


def measured_rows(
    file: str,
    fill: list[str] | None,
    alias: list[str] | None,
    *,
    said: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> "tuple[Row, ...]":
    """Return the measured steps of a file; said: what the command line says of its rows beside `--fill`."""
    from perfmodel.measurements.measured import read_measurements
    from perfmodel.measurements.tablecolumns import unread_columns

    filled = _pairs(fill, "--fill", "COLUMN=VALUE, such as hardware=h100-sxm") | dict(said or {})
    aliases = _pairs(alias, "--alias", "THEIRS=OURS, such as 'llama 8B=llama-3.1-8b'")
    rows = read_measurements(Path(file), filled, aliases, lenient=lenient)
    if unread := unread_columns(Path(file)):
        note(unread)
    return rows


def names_file(text: str) -> bool:
    """Whether a text names a file of measurements, which need not be there, and not a model, a time or a rate."""
    ending = Path(text).suffix
    return ending.lower() in _ENDINGS or (bool(ending) and Path(text).is_file())


def _pairs(given: list[str] | None, option: str, example: str) -> dict[str, str]:
    """Return what options of the form LEFT=RIGHT say."""
    found = {}
    for text in given or ():
        left, equals, right = text.rpartition("=")
        if not equals or not left.strip() or not right.strip():
            raise UnknownNameError(f"{option}: {shown(text)} is not {example}")
        found[left.strip()] = right.strip()
    return found


def chosen_row(rows: "tuple[Row, ...]", wanted: str | None) -> "Row":
    """Return the one row, or the one whose id is `wanted`; raise with the ids where it is not told."""
    ids = [row.id for row in rows]
    if wanted is not None:
        if wanted not in ids:
            raise UnknownNameError(f"--row: {shown(wanted)} is in no row{nearest(wanted, ids)}")
        return rows[ids.index(wanted)]
    if len(rows) > 1:
        raise SpecificationError(
            f"the file has {len(rows)} measured steps; say which with --row: {', '.join(ids[:8])}"
            + (" and more" if len(ids) > 8 else "")
        )
    return rows[0]


def question_of(row: "Row", options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a question that a row answers; what `options` gives goes before what the row says."""
    says = {
        "devices": row.devices_at_work(),
        "batch": row.batch,
        "context": row.context,
        "weights": row.weight_format or None,
        "kv": row.kv_format or None,
        "before": row.mode or None,
        "calls": row.calls or None,
    }
    return says | {key: value for key, value in options.items() if value is not None}
