"""request: a whole request, from its prompt to its last token."""

from typing import Annotated, Any

import typer

from perfmodel.commands import delivering, shared
from perfmodel.units import LONGEST_CONTEXT, read_count

Generate = Annotated[
    str | None,
    typer.Option("--generate", metavar="N", help="Tokens that are generated, the first with the prompt; 4k is 4,096."),
]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        "request",
        epilog="Example: perfmodel request llama-3.1-8b h100-sxm --prompt 1k --generate 512 --batch 8",
        short_help="A whole request: first token, further tokens, end to end.",
    )(request_command)


@shared.asks
@shared.delivers
def request_command(
    model: shared.Model,
    hardware: shared.Hardware,
    asked: dict[str, Any],
    generate: Generate = None,
    *,
    delivery: delivering.Delivery,
) -> None:
    """How long a request takes from its prompt to its last token, before and after looping, all of a batch at once.

    Time per token is the mean over the contexts that the steps read as the cache grows.
    """
    chosen = delivery.form()
    if generate is None:
        raise typer.BadParameter("request needs --generate, the tokens that are generated")
    if asked["prompt"] is None:
        raise typer.BadParameter("request needs --prompt, the tokens of its prompt")
    count = read_count(generate, "--generate", 1, LONGEST_CONTEXT, k=1024)
    if delivery.is_line():
        return
    from perfmodel.estimates.requests import request
    from perfmodel.report.requested import request_document

    found = request(model, hardware, **asked, generate=count)
    delivering.warn(found.answer, chosen)
    delivery.deliver(chosen, rows=found.rows, json=found.to_dict, document=lambda: request_document(found))
