"""The application of commands, with usage lines that name arguments as they are typed."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperOption

_Function = TypeVar("_Function", bound=Callable[..., Any])


# What an option is about, where its own declaration does not say; of the question if it is not here.
_SOFTWARE = ("--profiles", "--calibrated")
_OUTPUT = (
    "--output",
    "--resume",
    "--yes",
    "--dask",
    "--front",
    "--sort",
    "--html",
    "--latex",
    "--python",
    "--formula",
    "--title",
    "--no-caption",
    "--save",
    "--name",
    "--most",
)


class _Command(TyperCommand):
    """A command whose usage says MODEL, not {MODEL}, and whose help groups every option."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make a command; options without a group get one."""
        super().__init__(*arguments, **options)
        for option in self.params:
            if isinstance(option, TyperOption) and not option.rich_help_panel:
                name = option.opts[-1]
                group = "Output" if name in _OUTPUT else "Software" if name in _SOFTWARE else "Question"
                option.rich_help_panel = group

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line."""
        return [
            piece[1:-1] if piece.startswith("{") and piece.endswith("}") else piece
            for piece in super().collect_usage_pieces(ctx)
        ]


class Application(typer.Typer):
    """Commands, or a group of them."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """Return a decorator that makes a function the command `name`."""
        return super().command(name, **({"cls": _Command} | options))


def completed(name: str) -> Callable[..., list[str]] | None:
    """Return what offers words after the tab key, the function `name` of `completing`; None where no shell asks.

    Typer looks at each such function at length.
    """
    if "_PERFMODEL_COMPLETE" not in os.environ:
        return None
    from perfmodel.commands import completing

    offering: Callable[..., list[str]] = getattr(completing, name)
    return offering
