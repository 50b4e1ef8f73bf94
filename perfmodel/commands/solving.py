"""solve, sensitivity and explain: inverse questions, what moves the answer, and the formula itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands.application import completed
from perfmodel.commands.delivering import FORMATS, Delivery, reproducing_line, show, warn
from perfmodel.commands.shared import Hardware, Model, asks, delivers
from perfmodel.errors import shown

if TYPE_CHECKING:
    from perfmodel.report.text import Document


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(
        "solve",
        epilog="Example: perfmodel solve llama-3.1-8b sn40l --devices 8 --unknown boundary --target speedup=1.2",
    )(solve_command)
    app.command("sensitivity", epilog="Example: perfmodel sensitivity llama-3.1-8b sn40l --devices 8")(
        sensitivity_command
    )
    app.command("explain", epilog="Example: perfmodel explain llama-3.1-8b sn40l --devices 8 --python")(explain_command)


@asks
@delivers
def solve_command(
    model: Model,
    hardware: Hardware,
    unknown: Annotated[
        str | None,
        typer.Option(
            "--unknown",
            metavar="NAME",
            autocompletion=completed("unknowns"),
            help="A parameter by its path, boundary, batch, context, devices, draft, loop_at_most, layers or hidden.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="FIGURE=VALUE",
            help=(
                "Such as after.fraction_of_peak=0.9, speedup=1.05, before.time_per_step=2ms, gain=5%,"
                " share-of-gain=90% or"
                " compute-bound."
            ),
        ),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(
            "--question",
            metavar="NAME",
            autocompletion=completed("questions"),
            help=(
                "boundary-for-peak, boundaries-that-may-stay, devices-for-rate, compute-bound-batch, last-paying-batch,"
                " cache-passes-weights, bandwidth-for-rate or model-size."
            ),
        ),
    ] = None,
    formula: Annotated[
        bool, typer.Option("--formula", help="Show the unknown written out, where it has a closed form.")
    ] = False,
    *,
    asked: dict[str, Any],
    delivery: Delivery,
) -> None:
    """How large one unknown must be to reach a target, such as the boundary that gives a speed-up of 1.2."""
    from perfmodel.analysis.solver import solve

    chosen = delivery.form()
    found = solve(model, hardware, unknown=unknown, target=target, question=question, **asked)
    if delivery.is_line():
        return
    warn(found.answer, chosen)

    def document() -> "Document":
        from perfmodel.report.solutions import solution_document

        return solution_document(found, formula=formula)

    defaults = tuple(name for name in found.rows()[0] if name in _SOLUTION_COLUMNS)
    delivery.deliver(
        chosen,
        rows=found.rows,
        default_columns=defaults,
        json=found.to_dict,
        document=document,
        sidecar=lambda: _sidecar(found.to_dict()),
    )


@asks
@delivers
def sensitivity_command(
    model: Model,
    hardware: Hardware,
    figure: Annotated[
        str,
        typer.Option(
            "--figure",
            metavar="FIGURE",
            autocompletion=completed("figures"),
            help="What the bars and the shares are of: speedup, after.tokens_per_second, before.fraction_of_peak, ...",
        ),
    ] = "speedup",
    *,
    asked: dict[str, Any],
    delivery: Delivery,
) -> None:
    """How much each parameter moves the rates and the speed-up, and which is worth measuring next."""
    from perfmodel.analysis.sensitivities import sensitivity

    chosen = delivery.form()
    found = sensitivity(model, hardware, figure=figure, **asked)
    if delivery.is_line():
        return
    warn(found.answer, chosen)

    def document() -> "Document":
        from perfmodel.report.solutions import sensitivity_document

        return sensitivity_document(found)

    delivery.deliver(
        chosen, rows=found.rows, json=found.to_dict, document=document, sidecar=lambda: _sidecar(found.to_dict())
    )


@asks
@delivers
def explain_command(
    model: Model,
    hardware: Hardware,
    latex: Annotated[bool, typer.Option("--latex", help="Print the formulas as LaTeX.")] = False,
    python: Annotated[
        bool, typer.Option("--python", help="Print a Python program that computes the answer and needs nothing else.")
    ] = False,
    *,
    asked: dict[str, Any],
    delivery: Delivery,
) -> None:
    """The formula behind this estimate: its terms with numbers, when it holds, and its limits."""
    output, rows = delivery.output, delivery.as_csv or delivery.columns is not None
    if sum((latex, python, delivery.as_json, rows)) > 1:
        raise typer.BadParameter("--latex, --python, --json and --csv exclude each other")
    from perfmodel.analysis.explanations import explain

    if latex or python:
        chosen, ending = "text", Path(output or "").suffix
        if ending in {*FORMATS, ".tex", ".py"} - {".txt", ".tex" if latex else ".py"}:
            raise typer.BadParameter(
                f"{'--latex' if latex else '--python'} and -o {shown(output)} contradict each other; leave one of"
                " them out"
            )
    else:
        chosen = delivery.form()
    found = explain(model, hardware, **asked)
    if delivery.is_line():
        return
    if latex or python:
        text = found.to_latex() if latex else found.to_python()
        if output is None:
            show(text)
            return
        from perfmodel.report.files.whole import write_whole

        write_whole(Path(output), text)
        return

    def document() -> "Document":
        from perfmodel.report.solutions import explanation_document

        return explanation_document(found)

    delivery.deliver(
        chosen, rows=found.rows, json=found.to_dict, document=document, sidecar=lambda: _sidecar(found.to_dict())
    )


_SOLUTION_COLUMNS = (
    "unknown",
    "unit",
    "value",
    "exact",
    "figure",
    "target",
    "reached",
    "method",
    "model",
    "hardware",
    "devices",
    "batch",
    "context",
    "before.tokens_per_second",
    "before.fraction_of_peak",
    "after.tokens_per_second",
    "after.fraction_of_peak",
    "speedup.value",
)


def _sidecar(answer: dict[str, Any]) -> dict[str, Any]:
    from perfmodel._layout import __version__

    return {"version": __version__, "command": reproducing_line(), "answer": answer}
