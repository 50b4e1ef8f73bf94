"""Layers that run with a probability, as a document: the treatments side by side."""

from perfmodel.analysis.conditional import ConditionReport, Treatment
from perfmodel.report.text import Document, Table
from perfmodel.report.words import how_many
from perfmodel.units import format_quantity


def conditional_document(report: ConditionReport) -> Document:
    """Return the treatments of a report with the verdict first."""
    best = report.fastest()
    if not report.conditions:
        verdict = "No layer has a condition: each runs always."
    elif best.speedup < 1:
        verdict = (
            f"No treatment pays: {best.name} takes {1 / best.speedup:.3g} x the time of running every layer always."
        )
    else:
        verdict = f"Fastest is {best.name}: {best.speedup:.3g} x the rate of running every layer always."
    devices = how_many(report.devices, report.hardware)
    question = (
        f"{report.model} on {devices}{report.hardware}, {report.mode}, batch {report.batch:,}, context"
        f" {report.context:,}\nlayers that run with a probability: {', '.join(report.conditions) or 'none'}"
    )
    rows = [
        (_name(t, report), _time(t), f"{t.tokens_per_second:,.4g}", f"{t.kernel_calls:.4g}", f"{t.speedup:.3g} x")
        for t in report.treatments
    ]
    table = Table(("expected", "a step (low to high)", "rate, 1/s", "calls", "gain"), rows, frozenset({2, 3, 4}))
    assumed = [
        (
            a.name,
            (
                f"{format_quantity(a.value, a.unit)} ({format_quantity(a.low, a.unit)} to"
                f" {format_quantity(a.high, a.unit)})"
            ),
            a.kind,
        )
        for a in report.assumptions
    ]
    parts: list[str | Table] = [verdict, question, table]
    if assumed:
        parts.append(Table(("assumption", "value (low to high)", "kind"), assumed))
    return Document(parts)


def _name(treatment: Treatment, report: ConditionReport) -> str:
    return (
        f"one of {report.kernels} prebuilt kernels"
        if treatment.name == "prebuilt kernels" and report.kernels > 1
        else treatment.name
    )


def _time(treatment: Treatment) -> str:
    value, low, high = (
        format_quantity(t, "s")
        for t in (treatment.time_per_step.value, treatment.time_per_step.low, treatment.time_per_step.high)
    )
    return value if low == high else f"{value} ({low} to {high})"
