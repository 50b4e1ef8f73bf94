"""sweep, compare and report: grids and choices to rows."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
