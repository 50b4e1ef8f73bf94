"""schema: what JSON outputs look like, for programs that read them."""

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.commands import delivering


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        "schema",
        epilog="Example: perfmodel schema estimate -o estimate.schema.json",
        short_help="The JSON Schema of what --json prints.",
    )(schema_command)


def schema_command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]",
            help="Such as estimate, or models list; all of them in one schema if none is given.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.json",
            rich_help_panel="Output",
            help="Write to FILE.json, whole or not at all.",
        ),
    ] = None,
) -> None:
    """The JSON Schema of what a command prints with --json.

    Each object that is printed says the version of its schema in `schema`. The second number grows when keys are added.
    """
    from perfmodel.report.files.delimited import to_json
    from perfmodel.report.schemas import every_schema, schema_of

    text = to_json(schema_of(" ".join(words)) if words else every_schema())
    if output is None:
        delivering.show(text)
        return
    asked = delivering.Delivery(as_json=False, as_csv=False, output=output, columns=None, command=False)
    asked.form({".json": "json"})
    from perfmodel.report.files.whole import write_whole

    write_whole(Path(output), text)
