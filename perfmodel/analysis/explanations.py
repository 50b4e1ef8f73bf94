"""The closed form of a question written out: symbols, numbers, limits, as text, LaTeX and Python."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Unpack

import msgspec
import sympy

from perfmodel.analysis.closedforms import Addend, Definition, Explanation, Limit, SideForm, SymbolUsed
from perfmodel.analysis.formulas import (
    PRINTER,
    WORKLOAD,
    Expression,
    conditions_of,
    decided,
    identifier,
    latex_name,
    latex_names,
    limit_form,
    numbers_of,
    short,
    symbols_of,
    text_of,
)
from perfmodel.estimates.conditioning import ready
from perfmodel.estimates.counts import counts_at
from perfmodel.estimates.figures import argument_names, costs_at
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.terms import busy_time, call_times, pipelined, step_time
from perfmodel.numbers.recorded import Recorded, Recorder
from perfmodel.numbers.symbols import Valued, expressions_of, value_of
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model


def explain(model: str | Model, hardware: str | Hardware, **asked: Unpack[Asked]) -> Explanation:
    """Return the closed form of the estimate with these arguments, which are those of `perfmodel.estimate`.

    Raises PerfModelError for a name, file or value that cannot be used.

    >>> answer = explain("llama-3.1-8b", "sn40l", devices=8)
    >>> [addend.formula for addend in answer.before.addends][1:3]
    ['35*modes_layer_fused_boundary', '65*collectives_all_reduce_latency']
    """
    given = read_question(model, hardware, **asked)
    question, batch, context = ready(given), given.batch, given.context
    symbols = symbols_of(question)
    numbers = numbers_of(question, batch, context)
    units = {a.name: a.unit for a in question.assumptions} | dict.fromkeys(WORKLOAD, "1")
    used = tuple(SymbolUsed(str(symbol), path, numbers[symbol], units[path]) for path, symbol in symbols.items())
    sides = [
        _side_form(question, side, name, symbols, numbers, units)
        for name, side in (("before", question.before), ("after", question.after))
    ]
    return Explanation(
        question.model.name,
        question.hardware.name,
        question.devices,
        batch,
        context,
        used,
        sides[0],
        sides[1],
        sides[0].time_per_step / sides[1].time_per_step,
    )


# --- symbols and numbers


class _Line(NamedTuple):
    """A line before it is written: an expression, or the two sides of a choice (larger, smaller)."""

    name: str
    expression: Expression
    meaning: str
    choice: str = ""


class _Names:
    """Gives names to numbers of a recording, and remembers what they mean."""

    def __init__(self, prefix: str, recorder: Recorder) -> None:
        self._prefix, self._recorder = prefix, recorder
        self.meanings: dict[str, str] = {}

    def give(self, name: str, number: Any, meaning: str) -> Recorded:
        """Return `number` under a name of its own; a name that is taken gets a count."""
        base = name = f"{self._prefix}_{identifier(name)}"
        count = 2
        while name in self.meanings:
            name, count = f"{base}_{count}", count + 1
        self.meanings[name] = meaning
        return self._recorder.named(name, number)


def _named_step(side: PreparedSide, names: _Names, given: dict[str, Any]) -> None:
    """Record one side, its bandwidths, the time of each call and of the step under names of their own."""
    batch, context = given.pop("batch"), given.pop("context")
    rates, chain, fixed, further = costs_at(side, given)
    bandwidths = tuple(
        names.give(f"bandwidth_{kind}", b, f"(R1) bandwidth that {kind} reach, B/s")
        for kind, b in zip(side.plan.kinds, rates.bandwidths, strict=True)
    )
    links = tuple(
        tuple(
            tuple(
                msgspec.structs.replace(
                    route, bandwidth=names.give(f"link_{kind}", route.bandwidth, "(C1) bandwidth of the links, B/s")
                )
                for route in leg
            )
            for leg in legs
        )
        for (kind, *_), legs in zip(side.plan.collectives, rates.collectives, strict=True)
    )
    rates = msgspec.structs.replace(rates, bandwidths=bandwidths, collectives=links)
    counts = counts_at(side.plan, batch, context, further)
    times = []
    for called, count in zip(side.names, counts, strict=True):
        one = call_times(busy_time([count._replace(times=1, microbatches=None)], rates, chain))
        label = "(L1, L2) time of a fused call" if count.fused else "(S1) time of a call"
        times.append(names.give(f"time_{called.replace('+', '_')}", one, f"{label}, s; {count.times} of them"))
    calls = pipelined(counts, [count.times * time for count, time in zip(counts, times, strict=True)])
    names.give("time_per_step", step_time(side.plan, calls, fixed), "(S1, S2, L3) time of a step, s")


def _written(question: Prepared, side: PreparedSide, name: str, numbers: Mapping[sympy.Symbol, float]) -> list[_Line]:
    """Return one side line by line: bandwidths, choices, the time of each call, the step."""
    recorder, arguments, symbols = Recorder(), argument_names(question), symbols_of(question)
    names = _Names(name, recorder)
    given = dict(zip(arguments, recorder.inputs(list(arguments.values())), strict=True))
    _named_step(side, names, given)
    lines: list[_Line] = []
    chosen: dict[tuple[str, Expression, Expression], Valued] = {}

    def define(line: _Line, value: float) -> Valued:
        lines.append(line)
        return Valued(sympy.Symbol(line.name, positive=True), value)

    def choose(kind: str, left: Valued, right: Valued, winner: Valued) -> Valued:
        key = (kind, left.expression, right.expression)
        if key not in chosen:
            choice = f"{name}_choice_{len(chosen) + 1}"
            chosen[key] = define(_Line(choice, sympy.Tuple(*key[1:]), f"the {kind} of two", kind), winner.value)
        return chosen[key]

    inputs = {arguments[path]: Valued(symbol, numbers[symbol]) for path, symbol in symbols.items()}
    expressions_of(
        recorder.lines,
        inputs,
        choose,
        lambda given, number: define(_Line(given, number.expression, names.meanings[given]), number.value),
    )
    return _needed(lines)


def _needed(lines: list[_Line]) -> list[_Line]:
    """Return the lines that the last one needs, in order."""
    wanted = {lines[-1].name}
    kept = []
    for line in reversed(lines):
        if line.name in wanted:
            kept.append(line)
            wanted |= {str(symbol) for symbol in line.expression.free_symbols}
    return kept[::-1]


def _side_form(
    question: Prepared,
    side: PreparedSide,
    name: str,
    symbols: Mapping[str, sympy.Symbol],
    numbers: Mapping[sympy.Symbol, float],
    units: Mapping[str, str],
) -> SideForm:
    written = _written(question, side, name, numbers)
    form, choices = decided(question, numbers, f"{name}.time_per_step")
    form = sympy.expand(form)
    # What is known to be all of something, or none, is no symbol of the sum: its terms would stand there to cancel.
    certain = {
        symbols[a.name]: int(a.value)
        for a in question.assumptions
        if a.name in symbols and a.unit == "1" and a.low == a.high and a.value in (0, 1)
    }
    added_up = sympy.expand(form.subs(certain)) if certain else form
    parts = sorted(sympy.Add.make_args(added_up), key=lambda part: -abs(value_of(part, numbers)))
    shown = {symbol: _quantity(numbers[symbol], units[path]) for path, symbol in symbols.items()}
    addends = tuple(
        Addend(text_of(part), _with_numbers(part, shown), value_of(part, numbers))
        for part in parts
        if value_of(part, numbers) != 0
    )
    latex = latex_names(question)
    lines = [_latex_line(line, latex, written) for line in written]
    lines.append(rf"T &= {sympy.latex(sympy.Add(*parts), symbol_names=latex)} \quad \text{{at this point}}")
    return SideForm(
        side.mode.name,
        side.kernel_calls,
        value_of(form, numbers),
        tuple(Definition(line.name, _python(line), line.meaning) for line in written),
        text_of(form),
        addends,
        conditions_of(question, choices, numbers),
        tuple(_limits(question, side, name, symbols, numbers)),
        tuple(lines),
    )


def _limits(
    question: Prepared,
    side: PreparedSide,
    name: str,
    symbols: Mapping[str, sympy.Symbol],
    numbers: Mapping[sympy.Symbol, float],
) -> Iterable[Limit]:
    def time(title: str, unknown: str, *, infinite: bool, per_unknown: bool = False) -> Limit:
        form = limit_form(
            question, f"{name}.time_per_step", unknown, numbers, infinite=infinite, per_unknown=per_unknown
        )
        endless = form == sympy.oo
        return Limit(
            title, "grows without end" if endless else text_of(form), None if endless else value_of(form, numbers), "s"
        )

    yield time("time per step, infinite bandwidth", "memory.bandwidth", infinite=True)
    boundary = question.hardware.mode_value(side.mode.name, "boundary")
    if boundary and boundary[0] in symbols:
        yield time("time per step, zero boundary", boundary[0], infinite=False)
    yield time("time per step and sequence, large batch", "batch", infinite=True, per_unknown=True)


# --- printing


def _python(definition: _Line) -> str:
    if not definition.choice:
        return str(PRINTER.doprint(definition.expression))
    sides = ", ".join(PRINTER.doprint(side) for side in definition.expression)
    return f"{'max' if definition.choice == 'larger' else 'min'}({sides})"


def _quantity(value: float, unit: str) -> str:
    from perfmodel.units import format_quantity

    return format_quantity(value, unit)


def _with_numbers(part: Expression, shown: Mapping[sympy.Symbol, str]) -> str:
    """Return a product with each symbol replaced by its quantity."""
    above: list[str] = []
    below: list[str] = []
    for factor in sympy.Mul.make_args(part):
        base, exponent = factor.as_base_exp()
        if base not in shown or not exponent.is_Integer:
            named = {symbol: sympy.Symbol(text) for symbol, text in shown.items()}
            above.append(short(factor) if factor.is_number else f"({text_of(factor.xreplace(named))})")
            continue
        (above if exponent > 0 else below).extend([shown[base]] * abs(int(exponent)))
    top = " x ".join(above) or "1"
    if not below:
        return top
    bottom = " x ".join(below)
    return f"{top} / ({bottom})"


def _latex_line(definition: _Line, names: Mapping[sympy.Symbol, str], lines: Iterable[_Line]) -> str:
    every = dict(names) | {sympy.Symbol(d.name, positive=True): latex_name(d.name) for d in lines}
    if definition.choice:
        sides = ", ".join(sympy.latex(side, symbol_names=every) for side in definition.expression)
        written = rf"\{'max' if definition.choice == 'larger' else 'min'}\left({sides}\right)"
    else:
        written = sympy.latex(definition.expression, symbol_names=every)
    return f"{latex_name(definition.name)} &= {written}"
