"""plot: an answer as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import completing, shared
from perfmodel.errors import UnknownNameError, nearest, shown

if TYPE_CHECKING:
    from perfmodel.estimates.answers import Estimate
    from perfmodel.report.picturedata.records import Picture
    from perfmodel.report.text import Document

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        autocompletion=completing.pictures,
        help="waterfall, roofline, scaling, context, batch, map, tornado or validation.",
    ),
]
OptionalModel = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", autocompletion=completing.models, help="As in estimate; only validation does without."
    ),
]
OptionalHardware = Annotated[
    str | None,
    typer.Argument(
        metavar="HARDWARE", autocompletion=completing.devices, help="As in estimate; only validation does without."
    ),
]
PlotOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write to FILE, whole or not at all; .svg, .png, .json, .csv or .txt. Without it: bars in the terminal.",
    ),
]
Figure = Annotated[
    str,
    typer.Option(
        "--figure",
        autocompletion=completing.figures,
        help="What a tornado is about, such as speedup or after.tokens_per_second.",
    ),
]

_ENDINGS = {".svg": "svg", ".png": "png", ".json": "json", ".csv": "csv", ".txt": "text"}


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(
        "plot",
        epilog="Example: perfmodel plot waterfall llama-3.1-8b sn40l --devices 8 -o waterfall.svg",
        short_help="One picture of an answer, as SVG, PNG or bars.",
    )(plot_command)


@shared.asks
def plot_command(
    kind: Kind,
    model: OptionalModel = None,
    hardware: OptionalHardware = None,
    *,
    asked: dict[str, Any],
    figure: Figure = "speedup",
    as_json: shared.JsonFlag = False,
    as_csv: shared.CsvFlag = False,
    output: PlotOutput = None,
    columns: shared.Columns = None,
    command: shared.CommandFlag = False,
) -> None:
    """One picture of an answer, as SVG, PNG or bars in the terminal; --json and --csv give its numbers.

    waterfall: where a step's time goes, before and after.
    roofline: the operations under the device's roofs.
    scaling, context, batch: rates over one axis.
    map: speed-up over batch and context.
    tornado: which assumption moves the answer.
    validation: predicted against published measurements, of MODEL and of HARDWARE if given.
    """
    from perfmodel.report.picturedata import KINDS, picture_data, rows_of
    from perfmodel.report.picturedata.steps import tornado

    if kind not in KINDS:
        raise UnknownNameError(
            f"plot: {shown(kind)} is not a picture{nearest(kind, KINDS)}; the pictures are {', '.join(KINDS)}"
        )
    chosen = _form(as_json, as_csv, output, columns)
    if kind != "validation" and (model is None or hardware is None):
        raise typer.BadParameter(f"plot {kind} needs MODEL and HARDWARE")
    if command:
        shared.show(shared.reproducing_line() + "\n")
        return
    data: Picture
    if kind == "validation":
        data = _validation(model, hardware)
    else:
        answer = answer_of(model or "", hardware or "", asked)
        data = tornado(answer, figure) if kind == "tornado" else picture_data(kind, answer)
    if chosen == "svg" and output is not None:
        from perfmodel.report.files.whole import write_whole
        from perfmodel.report.pictures import draw

        write_whole(Path(output), draw(data))
    elif chosen == "png" and output is not None:
        _write_png(data, Path(output))
    else:
        _deliver(data, chosen, output, columns, lambda: rows_of(data))


def _deliver(data: "Picture", chosen: str, output: str | None, columns: str | None, rows: Any) -> None:
    import msgspec

    def bars() -> "Document":
        from perfmodel.report.bars import document

        return document(data)

    shared.deliver(
        chosen,
        output,
        columns,
        rows=rows,
        default_columns=None,
        json=lambda: msgspec.to_builtins(data),
        document=bars,
        sidecar=lambda: msgspec.to_builtins(data.caption),
    )


def _form(as_json: bool, as_csv: bool, output: str | None, columns: str | None) -> str:
    """Return text, json, csv, svg or png."""
    if output is None or as_json or as_csv or columns is not None:
        return shared.chosen_format(as_json, as_csv, output, columns)
    ending = Path(output).suffix
    if ending not in _ENDINGS:
        raise UnknownNameError(
            f"-o: {shown(output)} has an ending I do not know{nearest(ending, _ENDINGS)}; .svg, .png, .json, .csv and"
            " .txt are accepted"
        )
    return _ENDINGS[ending]


def answer_of(model: str, hardware: str, asked: dict[str, Any]) -> "Estimate":
    """Return the estimate that a picture is about, with a note where it does not fit."""
    from perfmodel.estimates.answers import estimate

    answer = estimate(model, hardware, **asked)
    shared.warn(answer, "picture")
    return answer


def _validation(model: str | None, hardware: str | None) -> "Picture":
    """Return the numbers of the validation picture, for all rows or those of a model and a device; - stands for any."""
    from perfmodel.measurements.rows import all_rows
    from perfmodel.report.picturedata.measurements import validation
    from perfmodel.specifications.catalogue import find_hardware, find_model

    model_name = None if model in (None, "-") else find_model(model).name
    hardware_name = None if hardware in (None, "-") else find_hardware(hardware).name
    rows = [row for row in all_rows() if model_name in (None, row.model) and hardware_name in (None, row.hardware)]
    return validation(rows, " on ".join(name for name in (model_name, hardware_name) if name))


def _write_png(data: "Picture", path: Path) -> None:
    """Draw a PNG through whichever renderer of the extra [plot] is installed."""
    from perfmodel.report.files.whole import write_bytes_whole
    from perfmodel.report.pictures import draw
    from perfmodel.report.rendering import to_png

    write_bytes_whole(path, to_png(draw(data)))
