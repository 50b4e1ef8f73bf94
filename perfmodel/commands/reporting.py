"""report: everything about one question, or a declared study, as text, numbers or one HTML page."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from perfmodel.commands import delivering, shared
from perfmodel.commands.application import completed
from perfmodel.commands.drawing import answer_of
from perfmodel.commands.watching import Watched
from perfmodel.errors import shown

What = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|STUDY.toml",
        autocompletion=completed("models"),
        help="A model, followed by a device; or alone, the TOML file of a study.",
    ),
]
OptionalHardware = Annotated[
    str | None,
    typer.Argument(
        metavar="[HARDWARE]", autocompletion=completed("devices"), help="As in estimate; a study does without."
    ),
]
Html = Annotated[
    bool,
    typer.Option(
        "--html",
        help="One HTML page that needs nothing else: answer, pictures, formula, what-ifs, assumptions with sources.",
    ),
]
ReportOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|DIR",
        help=(
            "A question: FILE.html, .txt, .json or .csv. A study: a folder for its CSV files (the study's name if not"
            " given), or FILE.html."
        ),
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="A study: go on with the file that an interrupted run left unfinished.")
]
Yes = Annotated[bool, typer.Option("--yes", help="A study: work out grids of more than a billion points.")]

_PAGES = (".html", ".htm")
_OF_A_STUDY = ("what", "hardware", "output", "html", "resume", "yes", "command")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        "report",
        epilog="Example: perfmodel report llama-3.1-8b sn40l --devices 8 --html -o answer.html",
        short_help="All about one question, or a study, as one HTML page, text or files.",
    )(report_command)


@shared.asks
@partial(shared.delivers, output=ReportOutput)
def report_command(
    context_: typer.Context,
    what: What,
    hardware: OptionalHardware = None,
    *,
    asked: dict[str, Any],
    html: Html = False,
    resume: Resume = False,
    yes: Yes = False,
    delivery: delivering.Delivery,
) -> None:
    """All about one question: answer, pictures, formula, what-ifs and sources.

    Or a study: its sweeps as CSV files, or as a page.

    perfmodel report MODEL HARDWARE takes the options of estimate; --html makes it one page for a browser.
    perfmodel report STUDY.toml takes none of them: its sweeps say what they ask.
    """
    if hardware is None:
        _study(context_, what, delivery, html=html, resume=resume, yes=yes)
        return
    if resume or yes:
        raise typer.BadParameter("--resume and --yes are for a study, which has no HARDWARE beside it")
    chosen = _form(delivery, html=html)
    if delivery.is_line():
        return
    answer = answer_of(what, hardware, asked)
    from perfmodel.report.answerpage import answer_dict, answer_document, answer_page, answer_rows

    if chosen == "html":
        _deliver_page(answer_page(answer, command=delivering.reproducing_line()), delivery.output)
        return
    delivery.deliver(
        chosen,
        rows=lambda: answer_rows(answer),
        json=lambda: answer_dict(answer),
        document=lambda: answer_document(answer),
    )


def _study(
    context: typer.Context, study: str, delivery: delivering.Delivery, *, html: bool, resume: bool, yes: bool
) -> None:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in _OF_A_STUDY and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"{parameter.opts[0]} is for a question, which needs MODEL and HARDWARE; the sweeps of a study say what"
                " they ask"
            )
    if Path(study).suffix != ".toml" and "/" not in study:
        raise typer.BadParameter(
            f"report needs HARDWARE beside the model {shown(study)}, or the TOML file of a study alone"
        )
    if delivery.is_line():
        return
    from perfmodel.report.files.studies import load_study, study_page, write_study

    declared, output = load_study(Path(study)), delivery.output
    if (html and output is None) or (output is not None and Path(output).suffix in _PAGES):
        _deliver_page(study_page(declared, command=delivering.reproducing_line(), yes=yes), output)
        return
    with Watched("blocks") as report:
        written = write_study(
            declared,
            Path(output) if output is not None else None,
            resume=resume,
            yes=yes,
            html=html,
            report=lambda _, done, of: report(done, of),
        )
    delivering.show("".join(f"{path}\n" for path in written))


def _form(delivery: delivering.Delivery, *, html: bool) -> str:
    """Return html, text, json or csv."""
    ending = Path(delivery.output).suffix if delivery.output is not None else ""
    if not html and ending not in _PAGES:
        return delivery.form({".html": "html"} | delivering.FORMATS)
    if delivery.as_json or delivery.as_csv or delivery.columns is not None:
        raise typer.BadParameter("--html excludes --json, --csv and --columns")
    if delivery.output is not None and ending not in _PAGES:
        raise typer.BadParameter(
            f"--html and -o {shown(delivery.output)} contradict each other: a page is a .html file"
        )
    return "html"


def _deliver_page(text: str, output: str | None) -> None:
    if output is None:
        delivering.show(text)
        return
    from perfmodel.report.files.whole import write_whole

    write_whole(Path(output), text)
