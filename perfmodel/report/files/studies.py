"""Studies: a declared set of sweeps to a folder of CSV files with a summary, the same bytes for the same inputs."""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from perfmodel.errors import PerfModelError, SpecificationError, shown
from perfmodel.estimates.options import OPTION
from perfmodel.report.files.blocks import write_blocks
from perfmodel.report.files.delimited import to_csv, to_json
from perfmodel.report.files.whole import write_whole
from perfmodel.specifications.fields import Fields
from perfmodel.specifications.files import read_toml
from perfmodel.sweeps.columns import Grid, block_columns
from perfmodel.sweeps.grids import block_at, block_count
from perfmodel.sweeps.summaries import assumptions, fingerprint, specification_hashes, summary
from perfmodel.sweeps.sweeps import MAIN_FIGURES, make_grid, work_out

_KEYS = ("name", "models", "hardware", *(name for name in OPTION if name != "parameters"), "columns", "set")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_RESERVED = ("summary",)
_MOST_SWEEPS = 1_000
_MOST_PICTURED = 20_000  # points of a sweep that still gets a picture
_MOST_SHOWN = 100  # rows of a sweep in the page


class StudySweep(msgspec.Struct, frozen=True):
    """One sweep of a study: its name, which its file bears, and the arguments of `perfmodel.sweep`."""

    name: str
    arguments: dict[str, Any]


class Study(msgspec.Struct, frozen=True):
    """A study as its file declares it. digest: SHA-256 of the file."""

    title: str
    path: Path
    digest: str
    sweeps: tuple[StudySweep, ...]


def load_study(path: Path) -> Study:
    """Read a study: a title and tables [[sweep]], each with a name and the keys of a sweep.

    Raises SpecificationError with file, key and what would be right.
    """
    raw = read_toml(path)
    digest = sha256(path.read_bytes()).hexdigest()
    fields = Fields(raw, str(path))
    fields.only(("title", "sweep"), "a study")
    title = fields.text("title", path.stem)
    tables = fields.tables("sweep", _MOST_SWEEPS, "the sweeps [[sweep]] to report")
    sweeps = tuple(_sweep(table, f"{path}: sweep {i}") for i, table in enumerate(tables, 1))
    names = [sweep.name for sweep in sweeps]
    for name in names:
        if names.count(name) > 1:
            raise SpecificationError(f"{path}: two sweeps are named {shown(name)}")
    return Study(title, path, digest, sweeps)


def _sweep(table: object, where: str) -> StudySweep:
    fields = Fields(table, where)
    fields.only(_KEYS, "a sweep")
    for key in ("name", "models", "hardware"):
        if not fields.has(key):
            raise SpecificationError(f"{where}: has no {key}")
    name = fields.text("name")
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise SpecificationError(
            f"{where}: name: {shown(name)} cannot name a file; small letters, digits, dots and dashes are accepted"
        )
    settings = fields.table("set") or {}
    arguments = {key: fields.raw(key) for key in _KEYS if key not in ("name", "set") and fields.has(key)}
    return StudySweep(name, arguments | {"parameters": _flat("", settings)})


def _flat(prefix: str, table: dict[str, Any]) -> dict[str, Any]:
    """Return [sweep.set] with dotted paths, whether they were quoted or nested."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(f"{prefix}{key}.", value) if isinstance(value, dict) else {prefix + key: value}
    return found


def study_page(study: Study, *, command: str, yes: bool = False) -> str:
    """Return a study as one self-contained HTML page.

    Each sweep with its answer in one line, a picture and a table, then the assumptions.
    """
    return _page([(sweep.name, make_grid(**sweep.arguments, yes=yes)) for sweep in study.sweeps], study.title, command)


def _page(grids: Sequence[tuple[str, Grid]], title: str, command: str) -> str:
    from perfmodel._layout import __version__
    from perfmodel.report.pictures.choices import sweep_picture
    from perfmodel.report.studypage import Section, study_html
    from perfmodel.report.tables import sweep_document

    sections, found = [], []
    for name, grid in grids:
        picture = None
        if grid.size <= _MOST_PICTURED:
            worked = work_out(
                msgspec.structs.replace(grid, columns=(*grid.axis_columns, *grid.parameters, *MAIN_FIGURES))
            )
            picture = sweep_picture(worked.to_dict(), worked.axes, worked.shape)
        sections.append(Section(name, f"{name}.csv", sweep_document(grid, _MOST_SHOWN), picture))
        swept = [axis.name for axis in grid.axes if axis.count > 1]
        found += [
            (question["hardware"], assumption)
            for question in assumptions(grid)
            for assumption in question["assumptions"]
            if assumption["name"] not in swept
        ]
    return study_html(title, sections, found, command=command, version=__version__)


def write_study(
    study: Study,
    folder: Path | None = None,
    *,
    resume: bool = False,
    yes: bool = False,
    html: bool = False,
    report: Callable[[str, int, int], None] | None = None,
) -> list[Path]:
    """Work a study out into `folder` and return its files: NAME.csv for each sweep, summary.csv, report.meta.json.

    folder: made where it is missing; None takes one with the name of the study beside it.
    html: write the page of `study_page` there as well, as report.html.
    resume: go on with the file that an interrupted run left unfinished.
    report: is told after each block its sweep, how many blocks are done, and of how many.
    Raises PerfModelError; every grid is checked before the first is worked out.
    """
    from perfmodel._layout import __version__

    folder = study.path.with_suffix("") if folder is None else folder
    grids = [(sweep.name, make_grid(**sweep.arguments, yes=yes)) for sweep in study.sweeps]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PerfModelError(f"{folder}: cannot be made: {error.strerror or error}") from None
    written: list[Path] = []
    lines: list[dict[str, Any]] = []
    hashes: dict[str, str] = {}
    questions: dict[str, Any] = {}
    for name, grid in grids:
        path = folder / f"{name}.csv"

        def block_of(i: int, grid: Any = grid) -> Any:
            return block_columns(grid, block_at(grid.counts, i))

        told = (lambda done, of, name=name: report(name, done, of)) if report is not None else None
        write_blocks(
            path,
            "csv",
            grid.columns,
            block_of,
            block_count(grid.counts),
            fingerprint(grid, "csv"),
            resume=resume,
            report=told,
        )
        lines.append(_line(name, grid, path))
        hashes |= specification_hashes(grid)
        questions[name] = assumptions(grid)
        written.append(path)
    summary_path, meta_path = folder / "summary.csv", folder / "report.meta.json"
    write_whole(summary_path, to_csv(lines, list(lines[0])))
    written.append(summary_path)
    command = f"perfmodel report {study.path.name}{' --html' if html else ''}"
    if html:
        written.append(folder / "report.html")
        write_whole(written[-1], _page(grids, study.title, command))
    meta = {
        "title": study.title,
        "version": __version__,
        "command": command,
        "study": {"file": study.path.name, "sha256": study.digest},
        "files": {path.name: _digest(path) for path in written},
        "sha256": dict(sorted(hashes.items())),
        "questions": questions,
    }
    write_whole(meta_path, to_json(meta))
    return [*written, meta_path]


def _line(name: str, grid: Grid, path: Path) -> dict[str, Any]:
    """Return the line of a sweep in the summary; path: its file, which is written."""
    found = summary(grid)
    return {
        "sweep": name,
        "file": path.name,
        "rows": grid.size,
        "speedup.least": found.least,
        "speedup.largest": found.largest,
        "fastest.tokens_per_second": found.rate,
        "fastest": found.fastest,
        "sha256": _digest(path),
    }


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
