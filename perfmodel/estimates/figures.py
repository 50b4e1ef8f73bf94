"""The figures of an answer at any point, for any kind of number, and their recording.

`estimate` gives the figures where the question stands. Here a parameter, the batch or the context may be
replaced by any number the equations take; the terms are those of perfmodel.estimates.terms, so that what is solved
or differentiated is what is estimated. A time becomes rates and a fraction of the peak here only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perfmodel import equations
from perfmodel.errors import UnknownNameError, dotted, nearest, shown
from perfmodel.estimates.counts import CallCounts, counts_at
from perfmodel.estimates.machinerates import Costs
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.results import Figures
from perfmodel.estimates.sides import PreparedSide
from perfmodel.estimates.stepping import step_at
from perfmodel.estimates.terms import TERM_NAMES, Terms
from perfmodel.numbers.choices import added
from perfmodel.numbers.recorded import Line, Recorder, needed, operand

Number = Any

# What a side has, with its dimension (see `perfmodel.units`).
SIDE_FIGURES = {
    "time_per_step": "s",
    "tokens_per_second": "tok/s",
    "tokens_per_second_per_sequence": "tok/s",
    "fraction_of_peak": "1",
    **{f"terms.{term}": "s" for term in TERM_NAMES},
    "arithmetic_over_streaming": "1",
}
FIGURES = {
    **{f"{side}.{name}": unit for side in ("before", "after") for name, unit in SIDE_FIGURES.items()},
    "speedup.value": "1",
    "peak.time_per_step": "s",
    "peak.tokens_per_second": "tok/s",
    "cache_over_weights": "1",
}
_ALIASES = {"speedup": "speedup.value"}


def figure_name(name: str) -> str:
    """Return the full name of a figure; raise UnknownNameError with the nearest one."""
    full = _ALIASES.get(name, name)
    if full not in FIGURES:
        raise UnknownNameError(
            f"{shown(name)} is not a figure of an answer"
            f"{dotted(name, FIGURES, 'figures') or nearest(name, [*FIGURES, *_ALIASES])}; write something like"
            " after.fraction_of_peak or speedup"
        )
    return full


def parameters_in_use(question: Prepared) -> tuple[str, ...]:
    """Return the dotted paths of the parameters that enter the answer, in its order."""
    return tuple(assumption.name for assumption in question.assumptions)


def costs_at(side: PreparedSide, values: Mapping[str, Number]) -> Costs:
    """Return what one side's machine sustains and costs, the parameters in `values` [base units] replaced."""
    return side.parameters.costs(side.numbers(values))


def terms_at(side: PreparedSide, batch: Number, context: Number, values: Mapping[str, Number]) -> Terms:
    """Return the terms of a step [s] of one side, the parameters in `values` [base units] replaced."""
    return step_at(side.plan, costs_at(side, values), batch, context).terms()


def peak_at(question: Prepared, batch: Number, context: Number, values: Mapping[str, Number]) -> Number:
    """Return the time of a step [s] if memory bandwidth were the only limit (P1)."""
    bandwidth = values.get("memory.bandwidth", question.hardware.values["memory.bandwidth"].value)
    return equations.peak_time(question.whole.bytes_read(batch, context), question.devices, bandwidth)


def figure_at(question: Prepared, name: str, batch: Number, context: Number, values: Mapping[str, Number]) -> Number:
    """Return the figure `name` of FIGURES [its unit there], the parameters in `values` [base units] replaced."""
    if name == "cache_over_weights":
        cache = question.whole.cache_bytes(batch, context)
        return cache / (question.whole.bytes_read(batch, context) - cache)
    side_name, _, rest = name.partition(".")
    if side_name == "peak":
        peak = peak_at(question, batch, context, values)
        return peak if rest == "time_per_step" else batch * question.tokens_per_step / peak
    if side_name == "speedup":
        times = [terms_at(side, batch, context, values).total() for side in (question.before, question.after)]
        return equations.speedup(*times)
    side = question.before if side_name == "before" else question.after
    terms = terms_at(side, batch, context, values)
    if rest == "arithmetic_over_streaming":
        rates = costs_at(side, values).rates
        flops = added(_flops(call) for call in counts_at(side.plan, batch, context))
        return equations.arithmetic_time(flops, rates.arithmetic, rates.arithmetic_share) / terms.stream
    if rest.startswith("terms."):
        return getattr(terms, rest.removeprefix("terms."))
    peak = peak_at(question, batch, context, values)
    return getattr(rates_of(terms.total(), peak, batch, question.tokens_per_step), rest)


def rates_of(time: Number, peak: Number, batch: Number, tokens: Number) -> Figures:
    """Return the main figures of a side whose step takes `time` [s] where the peak takes `peak` [s].

    tokens: that a sequence gets in a step [-].
    """
    return Figures(time, batch * tokens / time, tokens / time, equations.fraction_of_peak(peak, time))


class RecordedFigures(msgspec.Struct, frozen=True):
    """Figures of a question as lines of operations on its workload and parameters.

    arguments: the name that batch, context and each parameter in use (by path) has in the lines; results: the name, or
    the number, of each figure asked for.
    """

    arguments: dict[str, str]
    lines: list[Line]
    results: dict[str, Any]

    def inputs(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Return numbers for batch, context and paths by their names in the lines."""
        return {name: numbers[key] for key, name in self.arguments.items()}


def record(question: Prepared, figures: Iterable[str]) -> RecordedFigures:
    """Return figures of FIGURES recorded for any batch, context and parameters in use."""
    recorder, arguments = Recorder(), argument_names(question)
    given = dict(zip(arguments, recorder.inputs(list(arguments.values())), strict=True))
    batch, context = given.pop("batch"), given.pop("context")
    results = {figure: operand(figure_at(question, figure, batch, context, given)) for figure in figures}
    return RecordedFigures(arguments, needed(recorder.lines, results.values()), results)


def argument_names(question: Prepared) -> dict[str, str]:
    """Return a name for batch, context and each parameter in use, by its path."""
    return {"batch": "batch", "context": "context"} | {
        path: f"p{i}" for i, path in enumerate(parameters_in_use(question))
    }


def _flops(call: CallCounts) -> Number:
    return call.times * added(
        iterations * added(stage.flops for stage in stages) for iterations, stages in call.segments
    )
