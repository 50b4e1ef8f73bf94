"""sweep and compare: grids and choices to rows, tables and files."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import delivering, shared
from perfmodel.commands.application import completed
from perfmodel.commands.watching import Watched
from perfmodel.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from perfmodel.sweeps.columns import Grid

Models = Annotated[
    str, typer.Argument(metavar="MODELS", autocompletion=completed("models"), help="Models, separated by commas.")
]
Hardwares = Annotated[
    str, typer.Argument(metavar="HARDWARES", autocompletion=completed("devices"), help="Devices, separated by commas.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the file that an interrupted run left unfinished.")]
Yes = Annotated[bool, typer.Option("--yes", help="Work out a grid of more than a billion points.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        min=1,
        max=1024,
        help="Processes that write .csv and .jsonl side by side. [default: one on each core]",
    ),
]
AllModes = Annotated[
    str | None,
    typer.Option(
        "--modes",
        metavar="all|A,B",
        autocompletion=completed("modes"),
        help="The ladder of launch modes, each against the one before.",
    ),
]
Rank = Annotated[
    str,
    typer.Option("--rank", metavar="before|after", help="Whose rate ranks: of today's software, or of the mode after."),
]
RatesFlag = Annotated[
    bool, typer.Option("--front", help="Only the choices that no other beats in both rate per user and total rate.")
]
SweepOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write to FILE, whole or not at all; .csv, .jsonl, .parquet, .txt or .md.",
    ),
]

OnDask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS|local",
        help="Work on a Dask cluster, into a folder of Parquet files; local: a worker on each core.",
    ),
]

_SHOWN_ROWS = 24


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(
        "sweep",
        epilog="Example: perfmodel sweep llama-3.1-8b h100-sxm,sn40l --batch 1:64:x4 --csv",
        short_help="Answers at every point of a grid.",
    )(sweep_command)
    app.command(
        "compare",
        epilog="Example: perfmodel compare llama-3.1-8b h100-sxm,h200-sxm --devices 1,8",
        short_help="Choices side by side, best first.",
    )(compare_command)


@partial(shared.asks_grid, prompts=False)
@partial(shared.delivers, output=SweepOutput)
def sweep_command(
    models: Models,
    hardware: Hardwares,
    asked: dict[str, Any],
    resume: Resume = False,
    yes: Yes = False,
    dask: OnDask = None,
    jobs: Jobs = None,
    *,
    delivery: delivering.Delivery,
) -> None:
    """Answers at every point of a grid over models, devices, workloads, formats, modes and parameters.

    Every key takes a grid: 1,4,16 or 1:64:x2 (times 2) or 0:8:+2 (steps of 2) or 1:9:5 (5 even points).
    --json and .jsonl give one object a line. --dask writes a folder of Parquet files.
    """
    output, columns = delivery.output, delivery.columns
    if dask is not None:
        if output is None or Path(output).suffix or delivery.as_json or delivery.as_csv:
            raise typer.BadParameter("--dask needs -o FOLDER, a name without an ending, for its Parquet files")
        if delivery.is_line():
            return
        _on_cluster(models, hardware, asked, Path(output), dask, columns=columns, resume=resume, yes=yes)
        return
    form = _form(delivery)
    if resume and (output is None or form in ("text", "markdown")):
        raise typer.BadParameter("--resume needs -o FILE with the ending .csv, .jsonl or .parquet")
    if delivery.is_line():
        return
    from perfmodel.sweeps.jobs import cores
    from perfmodel.sweeps.summaries import fingerprint, grid_notes
    from perfmodel.sweeps.sweeps import make_grid

    grid = make_grid(models, hardware, **asked, columns=columns, yes=yes)
    for words in grid_notes(grid):
        delivering.note(words)
    if form in ("text", "markdown"):
        from perfmodel.report.tables import sweep_document

        _show_document(form, lambda: sweep_document(grid, _SHOWN_ROWS), delivery)
    elif output is None:
        from perfmodel.report.files.blocks import text_blocks

        try:
            for text in text_blocks(form, grid.columns, *_blocks(grid), jobs or cores()):
                delivering.show(text)
        except KeyboardInterrupt:
            raise StoppedError(
                "the rows so far are whole; with -o FILE.csv a stopped sweep can go on (--resume)"
            ) from None
    else:
        _write(grid, Path(output), form, fingerprint(grid, form), resume=resume, jobs=jobs or cores())


def _on_cluster(
    models: str,
    hardware: str,
    asked: dict[str, Any],
    folder: Path,
    address: str,
    *,
    columns: str | None,
    resume: bool,
    yes: bool,
) -> None:
    """Work a grid out on a Dask cluster."""
    from perfmodel.report.files.clusters import sweep_on_cluster
    from perfmodel.sweeps.sweeps import make_grid

    grid = make_grid(models, hardware, **asked, columns=columns, yes=yes)
    with Watched("rows", grid.size) as report:
        manifest = sweep_on_cluster(
            grid, folder, address, command=delivering.reproducing_line(), resume=resume, report=report
        )
    delivering.show(f"{manifest}\n")


def _blocks(grid: "Grid") -> "tuple[Callable[[int], Any], int]":
    """Return what gives a block of a grid, and how many there are."""
    import msgspec

    from perfmodel.sweeps.columns import numbered_block
    from perfmodel.sweeps.grids import block_count

    # What is prepared stays here; another process prepares its own.
    return partial(numbered_block, msgspec.structs.replace(grid, questions={})), block_count(grid.counts)


def _write(grid: "Grid", path: Path, form: str, question: str, *, resume: bool, jobs: int = 1) -> None:
    """Stream a grid to a file, with its sidecar beside it."""
    from perfmodel._layout import __version__
    from perfmodel.report.files.blocks import write_blocks
    from perfmodel.report.files.delimited import to_json
    from perfmodel.sweeps.summaries import assumptions, specification_hashes

    def beside() -> dict[Path, bytes]:
        meta = {
            "version": __version__,
            "command": delivering.reproducing_line(),
            "rows": grid.size,
            "columns": list(grid.columns),
            "sha256": specification_hashes(grid),
            "questions": assumptions(grid),
        }
        return {Path(f"{path}.meta.json"): to_json(meta).encode()}

    with Watched("rows", grid.size) as report:
        write_blocks(
            path, form, grid.columns, *_blocks(grid), question, resume=resume, report=report, beside=beside, jobs=jobs
        )


def _form(delivery: delivering.Delivery) -> str:
    """Return text, markdown, csv, jsonl or parquet, from the flags or the ending of the file."""
    from perfmodel.report.files.blocks import ENDINGS

    formats = ENDINGS | {".txt": "text", ".md": "markdown"}
    return delivery.form(formats, lines="jsonl")


def _show_document(form: str, document: "Callable[[], Any]", delivery: delivering.Delivery) -> None:
    delivery.deliver(form, rows=list, json=list, document=document)


@partial(shared.asks_grid, prompts=False)
@shared.delivers
def compare_command(
    models: Models,
    hardware: Hardwares,
    asked: dict[str, Any],
    modes: AllModes = None,
    front: RatesFlag = False,
    rank: Rank = "before",
    *,
    delivery: delivering.Delivery,
) -> None:
    """Choices side by side, best first: rates before and after, and USD and J of a million tokens where known.

    Each batch and context is ranked by itself, on the rate of today's software unless --rank says otherwise.

    Every key takes a grid: 1,4,16 or 1:64:x2 (times 2) or 0:8:+2 (steps of 2) or 1:9:5 (5 even points).
    --modes all gives the ladder from eager to megakernel with the gain of each step.
    """
    chosen = delivery.form()
    if delivery.is_line():
        return
    from perfmodel.report.tables import comparison_document
    from perfmodel.sweeps.comparisons import compare

    with Watched("choices") as report:
        found = compare(models, hardware, **asked, modes=modes, rank=rank, report=report)
    for text in found.notes:
        delivering.note(text)
    if front:
        found = found.front()
    delivery.deliver(chosen, rows=found.rows, json=found.to_dict, document=lambda: comparison_document(found))
