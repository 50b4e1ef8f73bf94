"""Predictions beside measurements as documents: validation, calibration, and what would explain a gap."""

from collections.abc import Sequence
from typing import Any

from perfmodel.measurements.calibration import Calibration
from perfmodel.measurements.discrepancies import Discrepancy, Gap
from perfmodel.measurements.modepairs import ModePair
from perfmodel.measurements.predictions import Predicted
from perfmodel.measurements.validation import Errors, Validation
from perfmodel.report.text import Document, Table
from perfmodel.report.words import percent, ratio
from perfmodel.units import format_quantity


def _errors_row(e: Errors) -> tuple[str, ...]:
    return (
        e.name,
        str(e.rows),
        percent(e.median, 1),
        percent(e.ninetieth, 1),
        percent(e.bias, 1, "+"),
        percent(e.inside),
        f"{e.width:.2f}",
        percent(e.within_half),
    )


def validation_document(result: Validation, pairs: Sequence[ModePair] = ()) -> Document:
    """Return predictions beside measurements: errors by source, worst rows, pairs of modes, what was not asked."""
    right = frozenset(range(1, 8))
    if result.over_sources is None or result.over_rows is None:
        first = "No row could be asked."
    else:
        over = result.over_sources
        first = (
            f"Median error {percent(over.median, 1)} over {len(result.sources)} sources ({result.way}):"
            f" {percent(over.inside, 1)} of rows inside an interval {over.width:.2f} wide."
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
                        percent(pair.error, 1, "+"),
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


def _worst_row(p: Predicted) -> tuple[str, ...]:
    row = p.row
    shares = sorted(((value / p.time, name) for name, value in p.terms.items()), reverse=True)
    what = f"{row.id}: {row.model} {row.weight_format}, {row.hardware} x {row.devices}, {row.stack}"
    where = ", ".join(f"{name} {percent(share)}" for share, name in shares[:2])
    return what, format_quantity(row.time_per_step, "s", 3), format_quantity(p.time, "s", 3), where


def calibration_document(result: Calibration, output: str | None) -> Document:
    """Return what was fitted, before and after, and how well it does on rows left out; output: the profile's file."""
    one = "row" if result.rows == 1 else "rows"
    parts: list[str | Table] = [
        (
            f"Fitted {len(result.parameters)} parameters to {result.rows} {one}: median error"
            f" {percent(result.error_before, 1)} before, {percent(result.error_after, 1)} after."
        )
    ]

    parts.append(
        Table(
            ("parameter", "before", "after", "narrowed by"),
            [
                (
                    p.path,
                    _interval(*p.prior, p.unit),
                    _interval(p.low, p.value, p.high, p.unit),
                    percent(p.told) if p.identified else "not told",
                )
                for p in result.parameters
            ],
            frozenset({3}),
        )
    )
    if result.unidentified():
        parts.append(f"The rows do not tell {', '.join(result.unidentified())}: they stay near the catalogue's.")
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
                [(x.what, str(x.rows), percent(x.median, 1), percent(x.largest, 1)) for x in result.left_out],
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


def gap_document(gap: Gap) -> Document:
    """Return what would explain a measured time, each assumption alone and all together."""

    def seconds(value: float) -> str:
        return format_quantity(value, "s", 4)

    over = gap.measured / gap.predicted
    side = "slower" if over > 1 else "faster"
    place = "inside" if gap.inside else "outside"
    first = (
        f"Measured {seconds(gap.measured)}, predicted {seconds(gap.predicted)} ({seconds(gap.low)} to"
        f" {seconds(gap.high)}): {percent(abs(over - 1), 1)} {side}, {place} the interval."
    )
    parts: list[str | Table] = [first, f"{gap.model} on {gap.hardware}, {gap.mode}; afterwards {gap.after_mode}"]

    def line(one: Discrepancy) -> tuple[str, ...]:
        if one.values is None:
            return one.what, "no value explains it", "", "", ""
        ((path, value),) = one.values.items()
        low, middle, high = gap.assumed[path]
        unit = gap.units[path]
        return (
            one.what,
            format_quantity(value, unit, 3),
            _interval(low, middle, high, unit),
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
            (
                path,
                format_quantity(value, gap.units[path], 3),
                f"{round(gap.together.deviations[path], 1) + 0.0:+.1f} sd",
            )
            for path, value in gap.together.values.items()
        ]
        parts.append(Table(("together, most likely", "would be", "from assumed"), lines, frozenset({2})))
        likely = "plausible" if gap.together.inside else "not plausible: something else is going on"
        parts.append(
            f"From there {gap.after_mode} brings {_gain(gap.together)}, to {seconds(gap.together.after or 0.0)} a step;"
            f" {likely}."
        )
    return Document(parts)


def _gain(one: Discrepancy) -> str:
    return "" if one.speedup is None else ratio(one.speedup.value, one.speedup.low, one.speedup.high, " x")


def gap_rows(gap: Gap) -> list[dict[str, Any]]:
    """Return one row for each parameter of each explanation."""
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


def _interval(low: float, value: float, high: float, unit: str) -> str:
    return f"{format_quantity(value, unit, 3)} ({format_quantity(low, unit, 3)} to {format_quantity(high, unit, 3)})"
