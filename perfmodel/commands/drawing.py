"""plot: an answer, or choices side by side, as a picture."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import delivering, shared
from perfmodel.commands.application import completed
from perfmodel.commands.choosing import Confidence, Most, Rank, Tpot, Ttft, selection_of
from perfmodel.commands.requesting import Generate
from perfmodel.errors import UnknownNameError, ValueRangeError, nearest, shown
from perfmodel.estimates.options import OPTION
from perfmodel.units import LONGEST_CONTEXT, read_count

if TYPE_CHECKING:
    from perfmodel.estimates.answers import Estimate
    from perfmodel.report.pictures.picture import Picture
    from perfmodel.report.text import Document

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        autocompletion=completed("pictures"),
        help=(
            "waterfall, roofline, scaling, context, batch, map, tornado, validation; sweep, compare, ladder, pareto;"
            " choose or request."
        ),
    ),
]
OptionalModel = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completed("models"),
        help="As in estimate; curves and choices take several. Only validation does without.",
    ),
]
OptionalHardware = Annotated[
    str | None,
    typer.Argument(
        metavar="HARDWARE",
        autocompletion=completed("devices"),
        help="As in estimate; curves and choices take several. Only validation does without.",
    ),
]
PlotOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help=(
            "Write to FILE, whole or not at all; .svg, .png, .pdf, .json, .csv or .txt. Without it: bars in the"
            " terminal."
        ),
    ),
]
Figure = Annotated[
    str,
    typer.Option(
        "--figure",
        autocompletion=completed("figures"),
        help="What a tornado is about, such as speedup or after.tokens_per_second.",
    ),
]
Title = Annotated[
    str | None, typer.Option("--title", metavar="TEXT", help="In place of the usual title; '' leaves it out.")
]
NoCaption = Annotated[
    bool, typer.Option("--no-caption", help="Without question, reading help and assumptions: the picture alone.")
]

_ENDINGS = {".svg": "svg", ".png": "png", ".pdf": "pdf"} | delivering.FORMATS
_NUMBERS = ("devices", "batch", "context", "draft")
# The axes of the question that a picture itself goes over.
_OWN_AXES = {"scaling": ("devices",), "context": ("context",), "batch": ("batch",), "map": ("batch", "context")}


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(
        "plot",
        epilog="Example: perfmodel plot waterfall llama-3.1-8b sn40l --devices 8 -o waterfall.svg",
        short_help="One picture of an answer or of choices, as SVG, PNG, PDF or bars.",
    )(plot_command)


@partial(shared.asks_grid, left_open=("batch",))
@partial(shared.delivers, output=PlotOutput)
def plot_command(
    kind: Kind,
    model: OptionalModel = None,
    hardware: OptionalHardware = None,
    *,
    asked: dict[str, Any],
    figure: Figure = "speedup",
    title: Title = None,
    no_caption: NoCaption = False,
    tpot: Tpot = None,
    ttft: Ttft = None,
    confidence: Confidence = None,
    rank: Rank = None,
    most: Most = None,
    generate: Generate = None,
    delivery: delivering.Delivery,
) -> None:
    """One picture, as SVG, PNG, PDF or bars in the terminal; --json and --csv give its numbers.

    waterfall: where a step's time goes, before and after.
    roofline: the operations under the device's roofs.
    scaling, context, batch: rates over one axis, of one answer or of several machines, models or settings.
    map: speed-up over batch and context.
    tornado: which assumption moves the answer.
    validation: predicted against published measurements, of MODEL and of HARDWARE if given.
    sweep, compare: choices as lines, map or bars; ladder: the launch modes; pareto: rate per user against all.

    choose: what choose lists, today and looped; request: a request from its prompt to its last token.

    An axis takes its points: plot scaling MODEL HARDWARE --devices 1:16:x2, plot context ... --context 1k:16k:x2.
    """
    from perfmodel.report.pictures.kinds import CHOICE_KINDS, COMMAND_KINDS, KINDS

    kinds = (*KINDS, *CHOICE_KINDS, *COMMAND_KINDS)
    if kind not in kinds:
        if hardware is None and model is not None:
            raise typer.BadParameter(f"plot needs the picture first: perfmodel plot waterfall {kind} {model}")
        raise UnknownNameError(
            f"plot: {shown(kind)} is not a picture{nearest(kind, kinds)}; the pictures are {', '.join(kinds)}"
        )
    chosen, output = delivery.form(_ENDINGS), delivery.output
    if kind != "validation" and (model is None or hardware is None):
        raise typer.BadParameter(f"plot {kind} needs MODEL and HARDWARE")
    limits = {"tpot": tpot, "ttft": ttft, "confidence": confidence, "rank": rank, "most": most}
    _check_own(kind, limits, generate, asked)
    if delivery.is_line():
        return
    data = (
        _validation(model, hardware)
        if kind == "validation"
        else _choices(model or "", hardware or "", asked, limits)
        if kind == "choose"
        else _picture(kind, model or "", hardware or "", asked, figure, generate)
    )
    if chosen in ("svg", "png", "pdf") and output is not None:
        from perfmodel.report.files.whole import write_bytes_whole
        from perfmodel.report.pictures.paper import to_pdf, to_png, to_svg

        if chosen == "svg":
            made = to_svg(data, title=title, caption=not no_caption).encode()
        else:
            made = (to_png if chosen == "png" else to_pdf)(data, title=title, caption=not no_caption)
        write_bytes_whole(Path(output), made)
        return
    _deliver(data, chosen, delivery, title, caption=not no_caption)


def _check_own(kind: str, limits: dict[str, str | None], generate: str | None, asked: dict[str, Any]) -> None:
    """Raise BadParameter for an option that the picture has no use for, or lacks."""
    given = [name for name, text in limits.items() if text is not None]
    if given and kind != "choose":
        raise typer.BadParameter(f"plot {kind} has no --{given[0]}; plot choose has")
    if generate is not None and kind != "request":
        raise typer.BadParameter(f"plot {kind} has no --generate; plot request has")
    if kind == "request" and (generate is None or asked["prompt"] is None):
        raise typer.BadParameter("plot request needs --prompt and --generate, the tokens of both")


def _choices(model: str, hardware: str, asked: dict[str, Any], limits: dict[str, str | None]) -> "Picture":
    """Return the numbers of the picture of what `choose` lists."""
    from perfmodel.report.pictures.fronts import chosen_front

    # Many devices and batches are tried where nothing is said.
    known = {name: value for name, value in asked.items() if name not in ("devices", "batch") or value is not None}
    found = selection_of(model, hardware, known, limits)
    picture = chosen_front(found)
    if picture is None:
        many = "one choice keeps" if found.choices else "no choice keeps"
        raise ValueRangeError(
            f"plot choose: {many} the limits, which makes no front; give more machines or wider limits"
        )
    return picture


def _picture(
    kind: str, model: str, hardware: str, asked: dict[str, Any], figure: str, generate: str | None
) -> "Picture":
    """Return the numbers of a picture of one answer, or of several where the question has several."""
    from perfmodel.report.pictures.kinds import AXIS_OF, CHOICE_KINDS, choices_data, is_grid, picture_data, points_given

    asked = asked | {"batch": asked["batch"] or str(OPTION["batch"].default)}
    own = _OWN_AXES.get(kind, ())
    parameters = asked.get("parameters") or {}
    several = [
        name
        for name, given in {"MODEL": model, "HARDWARE": hardware, **asked}.items()
        if name not in own and (name not in OPTION or OPTION[name].axis) and is_grid(given)
    ] + [f"--set {path}" for path, given in parameters.items() if is_grid(given)]
    if kind in CHOICE_KINDS or (several and kind in AXIS_OF):
        return choices_data(kind, model, hardware, asked)
    if several:
        raise typer.BadParameter(
            f"plot {kind} shows one answer, so {several[0]} takes one value; {', '.join((*AXIS_OF, *CHOICE_KINDS))}"
            " take several"
        )
    at = {axis: points_given(axis, asked[axis]) for axis in own if is_grid(asked[axis])}
    point = {axis: str(at[axis][0]) if axis in at else asked[axis] for axis in _NUMBERS}
    one = asked | {axis: shared.count(text, axis) for axis, text in point.items()}
    if kind == "request":
        return _request(model, hardware, one, generate)
    answer = answer_of(model, hardware, one)
    return picture_data(kind, answer, at=at, figure=figure)


def _request(model: str, hardware: str, asked: dict[str, Any], generate: str | None) -> "Picture":
    """Return the numbers of the picture of a request."""
    from perfmodel.estimates.requests import request
    from perfmodel.report.pictures.requests import request_bars

    found = request(
        model, hardware, **asked, generate=read_count(generate or "", "--generate", 1, LONGEST_CONTEXT, k=1024)
    )
    delivering.warn(found.answer, "picture")
    return request_bars(found)


def _deliver(data: "Picture", chosen: str, delivery: delivering.Delivery, title: str | None, *, caption: bool) -> None:
    import msgspec

    def bars() -> "Document":
        from perfmodel.report.bars import document

        return document(data, title=title, caption=caption)

    delivery.deliver(
        chosen,
        rows=data.rows,
        json=lambda: msgspec.to_builtins(data),
        document=bars,
        sidecar=lambda: msgspec.to_builtins(data.caption),
    )


def answer_of(model: str, hardware: str, asked: dict[str, Any]) -> "Estimate":
    """Return the estimate that a picture is about, with a note where it does not fit."""
    from perfmodel.estimates.answers import estimate

    answer = estimate(model, hardware, **asked)
    delivering.warn(answer, "picture")
    return answer


def _validation(model: str | None, hardware: str | None) -> "Picture":
    """Return the numbers of the validation picture, for all rows or those of a model and a device; - stands for any."""
    from perfmodel.measurements.rows import all_rows
    from perfmodel.report.pictures.scatters import validation
    from perfmodel.specifications.catalogue import find_hardware, find_model

    model_name = None if model in (None, "-") else find_model(model).name
    hardware_name = None if hardware in (None, "-") else find_hardware(hardware).name
    rows = [row for row in all_rows() if model_name in (None, row.model) and hardware_name in (None, row.hardware)]
    return validation(rows, " on ".join(name for name in (model_name, hardware_name) if name))
