"""choose and advise: the best machine, split, formats and batch under limits, and what one setting could change."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import delivering, shared
from perfmodel.commands.sweeping import Hardwares, Models
from perfmodel.commands.watching import Watched
from perfmodel.units import read_count

if TYPE_CHECKING:
    from perfmodel.sweeps.choosing import Selection


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command(
        "choose",
        epilog="Example: perfmodel choose llama-3.1-70b h100-sxm,b200 --tpot 20ms --weights bf16,fp8",
        short_help="The best machine, split, formats and batch under limits.",
    )(choose_command)
    app.command(
        "advise",
        epilog="Example: perfmodel advise llama-3.1-8b h100-sxm --batch 8",
        short_help="The single changes to one setting, each with its gain.",
    )(advise_command)


Tpot = Annotated[
    str | None, typer.Option("--tpot", metavar="TIME", help="Longest time per output token of a user, such as 20ms.")
]
Ttft = Annotated[
    str | None, typer.Option("--ttft", metavar="TIME", help="Longest time to the first token, such as 1s.")
]
Confidence = Annotated[
    str | None,
    typer.Option(
        "--confidence",
        metavar="0.5|0.95",
        show_default="0.5",
        help="Hold the limits at the value (0.5) or at the pessimistic end (0.95).",
    ),
]
Rank = Annotated[
    str | None,
    typer.Option(
        "--rank",
        metavar="price|device|user",
        show_default="price where every machine has one, else device",
        help="Rank by price a token, rate a device or rate a user.",
    ),
]
Most = Annotated[str | None, typer.Option("--most", metavar="N", show_default="20", help="Choices listed at most.")]


def selection_of(models: str, hardware: str, asked: dict[str, Any], limits: dict[str, str | None]) -> "Selection":
    """Return what `choose` finds. limits: what is given for tpot, ttft, confidence, rank and most, by name."""
    from perfmodel.sweeps.choosing import choose
    from perfmodel.units import read_quantity_option

    units = {"tpot": "s", "ttft": "s", "confidence": "1"}
    given = {name: text for name, text in limits.items() if text is not None}
    read: dict[str, Any] = {
        name: read_quantity_option(text, units[name], f"--{name}") for name, text in given.items() if name in units
    }
    if "most" in given:
        read["most"] = read_count(given["most"], "--most", 1, 10_000)
    with Watched("ways to serve") as report:
        return choose(models, hardware, **read, rank=given.get("rank"), report=report, **asked)


@shared.asks_choices
@shared.delivers
def choose_command(
    models: Models,
    hardware: Hardwares,
    asked: dict[str, Any],
    tpot: Tpot = None,
    ttft: Ttft = None,
    confidence: Confidence = None,
    rank: Rank = None,
    most: Most = None,
    *,
    delivery: delivering.Delivery,
) -> None:
    """The best machine, number of devices, split, formats and batch within limits, today and with looped layers.

    Every key takes a grid: 1,4,16 or 1:64:x2 (times 2). Every way to share the model that can be built is tried.
    """
    from perfmodel.report.chosen import selection_document

    chosen = delivery.form()
    if delivery.is_line():
        return
    limits = {"tpot": tpot, "ttft": ttft, "confidence": confidence, "rank": rank, "most": most}
    selection = selection_of(models, hardware, asked, limits)
    delivery.deliver(
        chosen, rows=selection.rows, json=selection.to_dict, document=lambda: selection_document(selection)
    )


@partial(shared.asks, without=("after", "after_software", "after_profile"))
@shared.delivers
def advise_command(
    model: shared.Model, hardware: shared.Hardware, asked: dict[str, Any], *, delivery: delivering.Delivery
) -> None:
    """Which single changes to this setting would help, each with its gain and interval, best first.

    Launch mode, formats, split, batch and exchanges; the best pairs too. The side before is today's setting.
    """
    from perfmodel.analysis.advice import advise
    from perfmodel.report.chosen import advice_document

    chosen = delivery.form()
    if delivery.is_line():
        return
    found = advise(model, hardware, **asked)
    delivery.deliver(chosen, rows=found.rows, json=found.to_dict, document=lambda: advice_document(found))
