"""validate, calibrate and explain-gap: predictions beside measurements."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.commands import completing
from perfmodel.commands.measuring import FILES, Alias, Fill, chosen_row, measured_rows, measured_time, question_of
from perfmodel.commands.shared import (
    Columns,
    CommandFlag,
    CsvFlag,
    JsonFlag,
    Output,
    Profile,
    asks,
    chosen_format,
    deliver,
    reproducing_line,
    show,
)
from perfmodel.errors import UnknownNameError, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfmodel.measurements.calibration import Calibration
    from perfmodel.measurements.discrepancies import Explanation, Gap
    from perfmodel.measurements.modepairs import ModePair
    from perfmodel.measurements.rows import Row
    from perfmodel.measurements.validation import Errors, Predicted, Validation
    from perfmodel.report.text import Document

# What a measured row says of the question itself.
_ROW_OPTIONS = ("devices", "batch", "context", "weights", "kv", "before")
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
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """Predict every published measurement of the validation set, or those in FILE, and print the errors by source."""
    from perfmodel.measurements.modepairs import mode_pairs
    from perfmodel.measurements.rows import all_rows, selected
    from perfmodel.measurements.validation import validate

    chosen = chosen_format(as_json, as_csv, output, columns)
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
    if command:
        show(reproducing_line() + "\n")
        return
    rows = selected(everything, wanted)
    if not rows:
        raise UnknownNameError(
            f"validate: no row has {' and '.join(f'{name} {text}' for name, text in wanted.items())}"
        )
    if calibrated:
        from perfmodel.measurements.calibration import validate_calibrated

        result = validate_calibrated(rows)
    else:
        result = validate(rows, profiles=profiles)
    pairs = [] if file is None else mode_pairs(result.predicted)
    deliver(
        chosen,
        output,
        columns,
        rows=result.rows,
        default_columns=_VALIDATION_COLUMNS,
        json=lambda: result.to_dict() | ({} if file is None else {"pairs": [pair.to_dict() for pair in pairs]}),
        document=lambda: _validation_document(result, pairs),
        sidecar=lambda: {"command": reproducing_line(), "way": result.way, "not_asked": result.reasons()},
    )


def calibrate_command(
    rows: Annotated[str, typer.Argument(metavar="FILE", help=f"Your measurements: {FILES} (docs/validation.md).")],
    profile: Profile = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the profile; the name of the file if not given.")
    ] = None,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the profile to FILE.toml, whole or not at all."),
    ] = None,
    fill: Fill = None,
    alias: Alias = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """Fit sustained bandwidth, boundary, host and collectives to a few measurements, and write a profile for --profile."""
    from perfmodel.measurements.calibration import as_profile, calibrate
    from perfmodel.specifications.profiles import find_profile, profile_text

    chosen = chosen_format(as_json, as_csv, None, columns)
    if output is not None and not output.endswith(".toml"):
        raise UnknownNameError(f"-o: {shown(output)}: a profile is a .toml file")
    base = find_profile(profile) if profile else None
    if command:
        show(reproducing_line() + "\n")
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
    deliver(
        chosen,
        None,
        columns,
        rows=lambda: fitted,
        default_columns=None,
        json=result.to_dict,
        document=lambda: _calibration_document(result, output),
        sidecar=None,
    )


@partial(asks, bare=True)
def explain_gap_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE",
            autocompletion=completing.models,
            help="Catalogue name, model TOML, config.json or its folder; or a file of measurements alone.",
        ),
    ],
    hardware: Annotated[
        str | None,
        typer.Argument(
            metavar="[HARDWARE]",
            autocompletion=completing.devices,
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
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    output: Output = None,
    columns: Columns = None,
    command: CommandFlag = False,
) -> None:
    """What boundary, sustained bandwidth or host time would explain a measurement, and what looping would bring from there."""
    from perfmodel.measurements.discrepancies import explain_gap

    chosen = chosen_format(as_json, as_csv, output, columns)
    file = measured if hardware is not None else model if measured is None else None
    if file is not None and Path(file).suffix and Path(file).is_file():
        said = {} if hardware is None else {"model": model, "hardware": hardware}
        found = chosen_row(measured_rows(file, fill, alias, said=said), row)
        model, hardware, time = found.model, found.hardware, found.time_per_step
        asked |= question_of(found, {name: asked[name] for name in _ROW_OPTIONS})
    elif hardware is None or measured is None:
        raise typer.BadParameter("give MODEL, HARDWARE and --measured, or the file of a benchmark")
    else:
        time = measured_time(measured, asked["batch"] or 1)
    result = explain_gap(model, hardware, time, **{name: value for name, value in asked.items() if value is not None})
    if command:
        show(reproducing_line() + "\n")
        return
    deliver(
        chosen,
        output,
        columns,
        rows=lambda: _gap_rows(result),
        default_columns=None,
        json=result.to_dict,
        document=lambda: _gap_document(result),
        sidecar=None,
    )


def _known_values(name: str, text: str, rows: "tuple[Row, ...]") -> None:
    column = {"class": "row_class", "source": "source_id"}.get(name, name)
    known = sorted({getattr(row, column) for row in rows})
    for value in text.split(","):
        if value.strip() not in known:
            raise UnknownNameError(
                f"--{name}: {shown(value)} is in no row{nearest(value, known)}"
                + (f"; known are {', '.join(known)}" if len(known) < 12 else "")
            )


def _percent(value: float, sign: str = "") -> str:
    return f"{value:{sign}.1%}".replace("%", " %")


def _errors_row(e: "Errors") -> tuple[str, ...]:
    return (
        e.name,
        str(e.rows),
        _percent(e.median),
        _percent(e.ninetieth),
        _percent(e.bias, "+"),
        f"{e.inside:.0%}".replace("%", " %"),
        f"{e.width:.2f}",
        f"{e.within_half:.0%}".replace("%", " %"),
    )


def _validation_document(result: "Validation", pairs: "Sequence[ModePair]" = ()) -> "Document":
    from perfmodel.report.text import Document, Table

    right = frozenset(range(1, 8))
    if result.over_sources is None or result.over_rows is None:
        first = "No row could be asked."
    else:
        over = result.over_sources
        first = (
            f"Median error {_percent(over.median)} over {len(result.sources)} sources ({result.way}):"
            f" {_percent(over.inside)} of rows inside an interval {over.width:.2f} wide."
        )
    parts: list[str | Table] = [first]
    if result.over_sources is not None and result.over_rows is not None:
        lines = [_errors_row(e) for e in (*result.sources, result.over_sources, result.over_rows)]
        parts.append(Table(("source", "rows", "median", "90th", "bias", "inside", "width", "in 1.5x"), lines, right))
        parts.append(
            "error: predicted over measured time, less 1; bias: its median; width: high over low end in time;\nover"
            " sources: the median of each column over the sources"
        )
        parts.append(
            Table(
                ("worst ten", "measured", "predicted", "where the predicted time goes"),
                [_worst_row(p) for p in result.worst()],
                frozenset({1, 2}),
            )
        )
    if pairs:
        parts.append(
            Table(
                ("two launch modes of one question", "measured", "predicted", "error"),
                [
                    (
                        f"{pair.slower.row.mode} to {pair.faster.row.mode}: {pair.slower.row.id}, {pair.faster.row.id}",
                        f"{pair.measured:.3g} x",
                        f"{pair.predicted:.3g} x",
                        _percent(pair.error, "+"),
                    )
                    for pair in pairs[:20]
                ],
                frozenset({1, 2, 3}),
            )
        )
    if any("pp=" in p.row.parallel for p in result.predicted):
        parts.append(
            "layers split over devices (pp=N): asked as one device over the whole model, whose capacity is not"
            " looked at"
        )
    if result.unasked:
        reasons = list(result.reasons().items())
        table = [(name, str(count)) for name, count in reasons[:25]]
        if len(reasons) > 25:
            table.append((f"{len(reasons) - 25} more", str(sum(count for _, count in reasons[25:]))))
        parts.append(Table((f"not asked: {len(result.unasked)} rows", "rows"), table, frozenset({1})))
    return Document(parts)


def _worst_row(p: "Predicted") -> tuple[str, ...]:
    from perfmodel.units import format_quantity

    row = p.row
    shares = sorted(((value / p.time, name) for name, value in p.terms.items()), reverse=True)
    what = f"{row.id}: {row.model} {row.weight_format}, {row.hardware} x {row.devices}, {row.stack}"
    where = ", ".join(f"{name} {share:.0%}".replace("%", " %") for share, name in shares[:2])
    return what, format_quantity(row.time_per_step, "s", 3), format_quantity(p.time, "s", 3), where


def _calibration_document(result: "Calibration", output: str | None) -> "Document":
    from perfmodel.report.text import Document, Table
    from perfmodel.units import format_quantity

    one = "row" if result.rows == 1 else "rows"
    parts: list[str | Table] = [
        (
            f"Fitted {len(result.parameters)} parameters to {result.rows} {one}: median error"
            f" {_percent(result.error_before)} before, {_percent(result.error_after)} after."
        )
    ]

    def interval(low: float, value: float, high: float, unit: str) -> str:
        return (
            f"{format_quantity(value, unit, 3)} ({format_quantity(low, unit, 3)} to {format_quantity(high, unit, 3)})"
        )

    parts.append(
        Table(
            ("parameter", "before", "after", "narrowed by"),
            [
                (
                    p.path,
                    interval(*p.prior, p.unit),
                    interval(p.low, p.value, p.high, p.unit),
                    f"{p.told:.0%}".replace("%", " %") if p.identified else "not told",
                )
                for p in result.parameters
            ],
            frozenset({3}),
        )
    )
    if result.unidentified():
        parts.append(f"The rows do not tell {', '.join(result.unidentified())}: these stay as the catalogue has them.")
    parts += [
        f"{one_path} and {other} cannot be told apart (correlation {value:.2f}): only their sum is known."
        for one_path, other, value in result.correlated
    ]
    if len(result.hardware) > 1:
        parts.append(f"One value for {', '.join(result.hardware)}: the rows are of several devices.")
    if result.left_out:
        parts.append(
            Table(
                ("left out in turn", "rows", "median error", "largest"),
                [(x.what, str(x.rows), _percent(x.median), _percent(x.largest)) for x in result.left_out],
                frozenset({1, 2, 3}),
            )
        )
    else:
        parts.append("One row leaves none to test on.")
    parts.append(
        f"written: {output}; use it with --profile {output}"
        if output
        else "Nothing written: give -o profile.toml to use it with --profile."
    )
    return Document(parts)


def _gap_document(gap: "Gap") -> "Document":
    from perfmodel.report.text import Document, Table
    from perfmodel.units import format_quantity

    def seconds(value: float) -> str:
        return format_quantity(value, "s", 4)

    ratio = gap.measured / gap.predicted
    side = "slower" if ratio > 1 else "faster"
    place = "inside" if gap.inside else "outside"
    first = (
        f"Measured {seconds(gap.measured)}, predicted {seconds(gap.predicted)} ({seconds(gap.low)} to"
        f" {seconds(gap.high)}): {_percent(abs(ratio - 1))} {side}, {place} the interval."
    )
    parts: list[str | Table] = [first, f"{gap.model} on {gap.hardware}, {gap.mode}; afterwards {gap.after_mode}"]

    def line(one: "Explanation") -> tuple[str, ...]:
        if one.values is None:
            return one.what, "no value explains it", "", "", ""
        ((path, value),) = one.values.items()
        low, middle, high = gap.assumed[path]
        unit = gap.units[path]
        return (
            one.what,
            format_quantity(value, unit, 3),
            f"{format_quantity(middle, unit, 3)} ({format_quantity(low, unit, 3)} to {format_quantity(high, unit, 3)})",
            "yes" if one.inside else "no",
            _gain(one),
        )

    parts.append(
        Table(
            ("alone", "would be", "assumed", "plausible", f"{gap.after_mode} brings"), [line(one) for one in gap.alone]
        )
    )
    if gap.together.values is None:
        parts.append("Together: no values explain it; is the measurement of this question?")
    else:
        lines = [
            (path, format_quantity(value, gap.units[path], 3), f"{gap.together.deviations[path]:+.1f} sd")
            for path, value in gap.together.values.items()
        ]
        parts.append(Table(("together, most likely", "would be", "from assumed"), lines, frozenset({2})))
        likely = "plausible" if gap.together.inside else "not plausible: something else is going on"
        parts.append(
            f"From there {gap.after_mode} brings {_gain(gap.together)}, to {seconds(gap.together.after or 0.0)} a step;"
            f" {likely}."
        )
    return Document(parts)


def _gain(one: "Explanation") -> str:
    return "" if one.speedup is None else f"{one.speedup.value:.3g} x ({one.speedup.low:.3g} to {one.speedup.high:.3g})"


def _gap_rows(gap: "Gap") -> list[dict[str, Any]]:
    return [
        {
            "explanation": one.what,
            "parameter": path,
            "value": value,
            "unit": gap.units[path],
            "deviations": one.deviations[path],
            "after.time_per_step": one.after,
            "speedup.value": one.speedup.value if one.speedup else None,
            "speedup.low": one.speedup.low if one.speedup else None,
            "speedup.high": one.speedup.high if one.speedup else None,
        }
        for one in (*gap.alone, gap.together)
        for path, value in (one.values or {}).items()
    ]
