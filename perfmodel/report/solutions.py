"""Solutions, sensitivities and closed forms as documents: what a person reads after solve, sensitivity and explain."""

from collections.abc import Sequence

from perfmodel.analysis.closedforms import BranchCondition, Explanation, SideForm
from perfmodel.analysis.sensitivities import Sensitivity
from perfmodel.analysis.solver import Solution
from perfmodel.report.text import Document, Table
from perfmodel.report.words import how_many, percent, time
from perfmodel.units import format_quantity

_MOST_CONDITIONS = 4
_LONGEST_CONDITION = 240


def solution_document(solution: Solution, *, formula: bool = True) -> Document:
    """Return a Solution as a document whose first line is the verdict. formula: whether the closed form is shown."""
    answer = solution.answer
    rows = [
        (
            side_name,
            side.mode,
            f"{side.kernel_calls:,}",
            format_quantity(side.time_per_step, "s"),
            f"{side.tokens_per_second:,.4g}",
            percent(side.fraction_of_peak, 1),
        )
        for side_name, side in (("before", answer.before), ("after", answer.after))
    ]
    devices = how_many(answer.devices, answer.hardware)
    question = (
        f"{answer.model} on {devices}{answer.hardware}, batch {answer.batch:,}, context {answer.context:,}, weights"
        f" {answer.weight_format}, cache {answer.kv_format}"
    )
    speedup = f"speed-up {answer.speedup.value:.4g} x ({answer.speedup.low:.3g} to {answer.speedup.high:.3g})"
    parts: list[str | Table] = [
        _found(solution),
        question,
        Table(
            ("there", "mode", "calls", "time per step", "tokens per second", "fraction of peak"),
            rows,
            frozenset({2, 3, 4, 5}),
        ),
        speedup,
    ]
    if solution.exact is not None and solution.exact != solution.value:
        parts.append(f"unbroken: {solution.unknown} = {solution.exact:.10g}")
    if solution.formula is not None and not formula:
        parts.append("in closed form: --formula shows it")
    elif solution.formula is not None:
        name = solution.unknown.replace(".", "_").replace("-", "_")
        parts.append(
            f"closed form (target is {solution.figure}; the other symbols are those of perfmodel explain)\n{name} ="
            f" {solution.formula}"
        )
        if solution.conditions:
            parts.append(_conditions(solution.conditions))
    else:
        parts.append(f"found by {solution.method}: no closed form")
    parts += [f"note: {note}" for note in answer.notes if note.kind != "memory"]
    return Document(parts)


def _found(solution: Solution) -> str:
    value = (
        f"{solution.value:,.0f}"
        if solution.method != "bracketed root" and solution.exact is not None
        else _quantity(solution.value, solution.unit)
    )
    if solution.unit == "1" and float(solution.value).is_integer():
        value = f"{solution.value:,.0f}"
    stands = (
        "no limit"
        if solution.stands is None
        else (
            f"{solution.stands:,.0f}" if value.replace(",", "").isdigit() else _quantity(solution.stands, solution.unit)
        )
    )
    size = f", {solution.parameters / 1e9:.3g} billion parameters," if solution.parameters is not None else ""
    reached, asked = _quantity(solution.reached, solution.target_unit), _quantity(solution.target, solution.target_unit)
    there = (
        f"{solution.figure} = {reached}"
        if reached == asked
        else f"{solution.figure} = {reached}, the nearest that meets {asked}"
    )
    calls = (
        f"; {solution.answer.after.kernel_calls:,} of {solution.answer.before.kernel_calls:,} calls stay"
        if solution.unknown == "loop_at_most"
        else ""
    )
    return f"{solution.unknown} = {value}{size} (asked with {stands}) gives {there}{calls}."


def sensitivity_document(found: Sensitivity) -> Document:
    """Return a Sensitivity as a document: what to measure next, then the table."""
    best = found.measure_next
    figure, low, high = (_quantity(x, found.unit) for x in (found.value, found.low, found.high))
    verdict = (
        f"Measure {best.name} next: it is {percent(best.share, 1)} of the variance of {found.figure}, {figure} ({low}"
        " to"
        f" {high})."
        if best
        else f"Nothing is uncertain: {found.figure} is {figure}."
    )
    rows = []
    for i in found.influences:
        bar = f"{_quantity(i.at_low, found.unit)} to {_quantity(i.at_high, found.unit)}" if i.swing else ""
        rows.append(
            (
                i.name,
                _value(i.value, i.unit),
                *(_elasticity(e) for e in (i.before, i.after, i.speedup)),
                bar,
                percent(i.share, 1) if i.share else "",
            )
        )
    header = (
        "parameter",
        "value",
        "rate before",
        "rate after",
        "speed-up",
        f"{found.figure.removesuffix('.value')}, low to high",
        "share",
    )
    explained = (
        "Elasticities are % of change for 1 % more of the parameter; share is its share of the variance, with what"
        " moves together with it."
    )
    return Document([verdict, Table(header, rows, frozenset({1, 2, 3, 4, 6}), spare=(2, 3)), explained])


def explanation_document(explanation: Explanation) -> Document:
    """Return an Explanation as a document.

    Each side's formula with its numbers, conditions, limits, then the symbols.
    """
    e = explanation
    times = [format_quantity(side.time_per_step, "s") for side in (e.before, e.after)]
    devices = how_many(e.devices, e.hardware)
    parts: list[str | Table] = [
        f"The step takes {times[0]} before and {times[1]} after, {e.speedup:.4g} x: the sums below.",
        f"{e.model} on {devices}{e.hardware}, batch {e.batch:,}, context {e.context:,}",
    ]
    for name, side in (("before", e.before), ("after", e.after)):
        parts += _side(name, side)
    parts.append(
        Table(
            ("symbol", "is", "value"), [(s.symbol, s.name, _value(s.value, s.unit)) for s in e.symbols], frozenset({2})
        )
    )
    return Document(parts)


def _side(name: str, side: SideForm) -> list[str | Table]:
    rows = [(a.formula, a.numbers, time(a.time), percent(a.time / side.time_per_step, 1)) for a in side.addends]
    rows.append(("time per step", "", format_quantity(side.time_per_step, "s"), ""))
    limits = [
        (limit.name, "no limit" if limit.value is None else format_quantity(limit.value, limit.unit), limit.formula)
        for limit in side.limits
    ]
    return [
        f"{name}: {side.mode}, {side.kernel_calls:,} kernel call{'' if side.kernel_calls == 1 else 's'}",
        Table(("sum of", "with numbers", "time", "share"), rows, frozenset({2, 3})),
        _conditions(side.conditions),
        Table(("limit", "", "tends to"), limits, frozenset({1})),
    ]


def _conditions(conditions: Sequence[BranchCondition]) -> str:
    lines: list[str] = []
    for c in conditions:
        # A window that cannot be emptied below nothing, or filled to no more than nothing, says little.
        if c.winner_value == c.loser_value or min(c.winner_value, c.loser_value) < 0:
            continue
        sign = ">=" if c.choice == "larger" else "<="
        line = f"- {c.winner} {sign} {c.loser}"
        ends = [
            f"{name} {value:,.4g}" for name, value in (("batch", c.batch), ("context", c.context)) if value is not None
        ]
        # Two times of one step, 81 us against 343 ns, or two sizes.
        against = " against ".join(
            time(value) if c.unit == "s" else format_quantity(value, c.unit)
            for value in (c.winner_value, c.loser_value)
        )
        if len(line) <= _LONGEST_CONDITION and line not in [known.split("\n")[0] for known in lines]:
            lines.append(f"{line}\n  {against}{'; switches at ' + ' or '.join(ends) if ends else ''}")
    shown = lines[:_MOST_CONDITIONS]
    if not conditions:
        return "holds everywhere: nothing in it can switch"
    head = f"holds while each of {len(conditions)} choices stays as it is" + (
        "; nearest to switching:" if shown else ""
    )
    return "\n".join([head, *shown])


def _elasticity(value: float) -> str:
    return f"{value:+.3f}" if abs(value) >= 0.0005 else "0"


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit == "1" and float(value).is_integer() else _quantity(value, unit)


def _quantity(value: float, unit: str) -> str:
    return format_quantity(value, unit)
