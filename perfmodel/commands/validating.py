"""validate, calibrate and explain-gap: predictions beside measurements."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from perfmodel.commands.application import completed
from perfmodel.commands.delivering import Delivery, note, reproducing_line
from perfmodel.commands.measuring import FILES, Alias, Fill, chosen_row, measured_rows, names_file, question_of
from perfmodel.commands.shared import Profile, asks, delivers
from perfmodel.commands.watching import Watched
from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.estimates.options import USUAL_CONTEXT

if TYPE_CHECKING:
    from perfmodel.measurements.rows import Row

# What a measured row says of the question itself.
_ROW_OPTIONS = ("devices", "batch", "context", "weights", "kv", "before", "calls")
_VALIDATION_COLUMNS = (
    "id",
    "source_id",
    "class",
    "stack",
    "profile",
    "model",
    "hardware",
    "devices",
    "weight_format",
    "batch",
    "context",
    "mode",
    "measured",
    "predicted",
    "low",
    "high",
    "error",
    "inside",
    "width",
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("validate", epilog="Example: perfmodel validate --class well-made-16-bit")(validate_command)
    app.command("calibrate", epilog="Example: perfmodel calibrate rows.csv -o profile.toml")(calibrate_command)
    app.command(
        "explain-gap",
        epilog="Example: perfmodel explain-gap llama-2-7b a100-sxm-80gb --measured 104.9tok/s --context 105",
    )(explain_gap_command)


def _filter(name: str, what: str) -> Any:
    return typer.Option(f"--{name}", metavar="A,B", help=f"Only rows of these {what}.")


@delivers
def validate_command(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help=f"Measurements of your own: {FILES}.", show_default=False)
    ] = None,
    row_class: Annotated[str | None, _filter("class", "classes")] = None,
    source: Annotated[str | None, _filter("source", "sources")] = None,
    model: Annotated[str | None, _filter("model", "models")] = None,
    hardware: Annotated[str | None, _filter("hardware", "devices")] = None,
    stack: Annotated[str | None, _filter("stack", "software stacks")] = None,
    trust: Annotated[str | None, _filter("trust", "grades of trust: A, B, C")] = None,
    profiles: Annotated[
        bool, typer.Option("--profiles", help="Use the profile of each row's software stack, where one exists.")
    ] = False,
    calibrated: Annotated[
        bool,
        typer.Option(
            "--calibrated", help="Calibrate each stack on each machine on three of its rows and predict the others."
        ),
    ] = False,
    fill: Fill = None,
    alias: Alias = None,
    *,
    delivery: Delivery,
) -> None:
    """Predict every published measurement of the validation set, or those in FILE, and print the errors by source."""
    from perfmodel.measurements.modepairs import mode_pairs
    from perfmodel.measurements.rows import all_rows, selected
    from perfmodel.measurements.validation import validate
    from perfmodel.report.validated import validation_document

    chosen = delivery.form()
    if profiles and calibrated:
        raise typer.BadParameter("--profiles and --calibrated are two ways to predict; give one")
    wanted = {
        name: text
        for name, text in (
            ("class", row_class),
            ("source", source),
            ("model", model),
            ("hardware", hardware),
            ("stack", stack),
            ("trust", trust),
        )
        if text
    }
    if file is None and (fill or alias):
        raise typer.BadParameter("--fill and --alias are about a FILE of measurements; give one")
    everything = all_rows() if file is None else measured_rows(file, fill, alias, lenient=True)
    for name, text in wanted.items():
        _known_values(name, text, everything)
    if delivery.is_line():
        return
    rows = selected(everything, wanted)
    if not rows:
        raise UnknownNameError(
            f"validate: no row has {' and '.join(f'{name} {text}' for name, text in wanted.items())}"
        )
    with Watched("rows", len(rows)) as report:
        if calibrated:
            from perfmodel.measurements.calibration import validate_calibrated

            result = validate_calibrated(rows, report=report)
        else:
            result = validate(rows, profiles=profiles, report=report)
    pairs = [] if file is None else mode_pairs(result.predicted)
    delivery.deliver(
        chosen,
        rows=result.rows,
        default_columns=_VALIDATION_COLUMNS,
        json=lambda: result.to_dict() | ({} if file is None else {"pairs": [pair.to_dict() for pair in pairs]}),
        document=lambda: validation_document(result, pairs),
        sidecar=lambda: {"command": reproducing_line(), "way": result.way, "not_asked": result.reasons()},
    )


ProfileOutput = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write the profile to FILE.toml, whole or not at all."),
]


@partial(delivers, output=ProfileOutput)
def calibrate_command(
    rows: Annotated[str, typer.Argument(metavar="FILE", help=f"Your measurements: {FILES} (docs/validation.md).")],
    profile: Profile = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the profile; the name of the file if not given.")
    ] = None,
    fill: Fill = None,
    alias: Alias = None,
    *,
    delivery: Delivery,
) -> None:
    """Fit sustained bandwidth, boundary, host and collectives to a few measurements; write a profile for --profile."""
    from perfmodel.measurements.calibration import as_profile, calibrate
    from perfmodel.report.validated import calibration_document
    from perfmodel.specifications.profiles import find_profile, profile_text
    from perfmodel.specifications.renamed import still_called

    output, said = delivery.output, msgspec.structs.replace(delivery, output=None)
    chosen = said.form()
    if output is not None and not output.endswith(".toml"):
        raise UnknownNameError(f"-o: {shown(output)}: a profile is a .toml file")
    still_called("--profile", profile or "")
    base = find_profile(profile) if profile else None
    if delivery.is_line():
        return
    result = calibrate(measured_rows(rows, fill, alias), base)
    if output is not None:
        from perfmodel.report.files.whole import write_whole

        write_whole(Path(output), profile_text(as_profile(result, name or Path(output).stem, base)))
    fitted = [
        {
            "parameter": p.path,
            "unit": p.unit,
            "low": p.low,
            "value": p.value,
            "high": p.high,
            "told": p.told,
            "identified": p.identified,
        }
        for p in result.parameters
    ]
    said.deliver(
        chosen, rows=lambda: fitted, json=result.to_dict, document=lambda: calibration_document(result, output)
    )


@partial(asks, bare=True, without=("measured",))
@delivers
def explain_gap_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE",
            autocompletion=completed("models"),
            help="Catalogue name, model TOML, config.json or its folder; or a file of measurements alone.",
        ),
    ],
    hardware: Annotated[
        str | None,
        typer.Argument(
            metavar="[HARDWARE]",
            autocompletion=completed("devices"),
            help="Catalogue name or hardware TOML.",
            show_default=False,
        ),
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option(
            "--measured",
            metavar="RATE|TIME|FILE",
            help="What was measured: 104.9tok/s (summed over the batch), 9.53ms a step, or a benchmark's file.",
        ),
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", metavar="ID", help="Which of the measurements of a file with several.")
    ] = None,
    fill: Fill = None,
    alias: Alias = None,
    *,
    asked: dict[str, Any],
    delivery: Delivery,
) -> None:
    """What boundary, bandwidth or host time would explain a measurement, and what looping would bring from there."""
    from perfmodel.measurements.discrepancies import explain_gap
    from perfmodel.report.validated import gap_document, gap_rows

    chosen = delivery.form()
    file = measured if hardware is not None else model if measured is None else None
    if file is not None and names_file(file):
        said = {} if hardware is None else {"model": model, "hardware": hardware}
        found = chosen_row(measured_rows(file, fill, alias, said=said), row)
        model, hardware = found.model, found.hardware
        step: float | str = found.time_per_step
        asked |= question_of(found, {name: asked[name] for name in _ROW_OPTIONS})
    elif hardware is None or measured is None:
        raise typer.BadParameter("give MODEL, HARDWARE and --measured, or the file of a benchmark")
    else:
        step = measured
    result = explain_gap(model, hardware, step, **{name: value for name, value in asked.items() if value is not None})
    if asked["context"] is None and asked.get("prompt") is None:
        note(f"--context is not given; {USUAL_CONTEXT:,} tokens are assumed")
    if delivery.is_line():
        return
    delivery.deliver(chosen, rows=lambda: gap_rows(result), json=result.to_dict, document=lambda: gap_document(result))


def _known_values(name: str, text: str, rows: "tuple[Row, ...]") -> None:
    column = {"class": "row_class", "source": "source_id"}.get(name, name)
    known = sorted({getattr(row, column) for row in rows})
    for value in text.split(","):
        if value.strip() not in known:
            raise UnknownNameError(
                f"--{name}: {shown(value)} is in no row{nearest(value, known)}"
                + (f"; known are {', '.join(known)}" if len(known) < 12 else "")
            )
