"""The command about layers that run with a probability."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands.delivering import Delivery
from perfmodel.commands.shared import Hardware, Model, asks, delivers
from perfmodel.units import read_count

if TYPE_CHECKING:
    from perfmodel.report.text import Document

RunWith = Annotated[
    str | None,
    typer.Option(
        "--run-with",
        metavar="16-31=0.5,...",
        help="Layers that each run with a probability by themselves; 1-31:2=0.125 for every second one.",
    ),
]
RunTogether = Annotated[
    str | None,
    typer.Option(
        "--run-together",
        metavar="16-31=0.5,...",
        help="Layers that run with a probability all together, decided once: an early exit.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command("conditional", epilog="Example: perfmodel conditional llama-3.1-8b h100-sxm --run-together 16-31=0.5")(
        conditional_command
    )


@partial(asks, without=("before", "calls"))
@delivers
def conditional_command(
    model: Model,
    hardware: Hardware,
    asked: dict[str, Any],
    run_with: RunWith = None,
    run_together: RunTogether = None,
    kernels: Annotated[
        str, typer.Option("--kernels", help="Prebuilt kernels for each stretch of layers, none to all of it.")
    ] = "2",
    *,
    delivery: Delivery,
) -> None:
    """Layers that run for some tokens only: what three ways to loop over them cost.

    Skip inside the loop, end the loop, or choose one of k prebuilt kernels, side by side.
    """
    from perfmodel.analysis.conditional import MOST_KERNELS, conditional_report

    chosen = delivery.form()
    report = conditional_report(
        model,
        hardware,
        run_with=run_with,
        run_together=run_together,
        kernels=read_count(kernels, "--kernels", 2, MOST_KERNELS),
        **asked,
    )
    if delivery.is_line():
        return

    def document() -> "Document":
        from perfmodel.report.conditional import conditional_document

        return conditional_document(report)

    delivery.deliver(chosen, rows=report.rows, json=report.to_dict, document=document, sidecar=report.to_dict)
