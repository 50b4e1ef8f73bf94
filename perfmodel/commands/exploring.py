"""explore: a page that answers in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.commands import delivering
from perfmodel.commands.application import completed
from perfmodel.errors import UnknownNameError, nearest, shown


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command(
        "explore",
        epilog="Example: perfmodel explore llama-3.1-8b,qwen3-8b h100-sxm,sn40l -o explorer.html",
        short_help="A page with sliders that answers in the browser.",
    )(explore_command)


def explore_command(
    models: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODELS]",
            autocompletion=completed("models"),
            show_default=False,
            help="Models to choose from, separated by commas; twenty that people ask about if none is given.",
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Argument(
            metavar="[HARDWARES]",
            autocompletion=completed("devices"),
            show_default=False,
            help="Devices to choose from, separated by commas; twenty if none is given.",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE.html", help="The page, written whole or not at all.")
    ] = "explorer.html",
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="F|PART=F+PART=F", help="Storage format of all models' weights.")
    ] = None,
    kv: Annotated[str | None, typer.Option("--kv", metavar="FORMAT", help="Storage format of all caches.")] = None,
) -> None:
    """One HTML file with sliders that answers by the same equations, without network or server.

    Without names it holds twenty models and twenty machines, which takes some ten seconds.
    """
    from perfmodel.report.explorer.page import MACHINES, MODELS, explorer_page
    from perfmodel.report.files.whole import write_whole
    from perfmodel.specifications.catalogue import find_hardware, find_model

    if Path(output).suffix.lower() not in (".html", ".htm"):
        ending = Path(output).suffix or output
        raise UnknownNameError(f"-o: {shown(output)}: the explorer is an .html file{nearest(ending, ('.html',))}")
    chosen = models.split(",") if models else MODELS
    machines = hardware.split(",") if hardware else MACHINES
    options = {name: value for name, value in (("weights", weights), ("kv", kv)) if value}
    page = explorer_page(
        [find_model(name.strip()) for name in chosen],
        [find_hardware(name.strip()) for name in machines],
        options=options,
    )
    write_whole(Path(output), page)
    delivering.note(f"{output}: {len(page.encode()) / 1e6:.2f} MB, {len(chosen)} models on {len(machines)} machines")
