"""The figures of an answer at any point, for any kind of number: floats, symbols, dual numbers.

`estimate` gives the figures where the question stands. Here a parameter, the batch or the context may be
replaced by any number the equations take; the terms are those of perfmodel.estimates.terms, so that what is solved
or differentiated is what is estimated.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from perfmodel import equations
from perfmodel.errors import UnknownNameError, nearest, shown
from perfmodel.estimates.machine import Ends, SideParameters
from perfmodel.estimates.prepared import PreparedSide, Question
from perfmodel.estimates.terms import (
    TERM_NAMES,
    CallCounts,
    Chain,
    Fixed,
    Rates,
    Terms,
    busy_time,
    counts_at,
    step_terms,
)

Number = Any
_NO_PATHS: frozenset[str] = frozenset()

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
            f"{shown(name)} is not a figure of an answer{nearest(name, [*FIGURES, *_ALIASES])}; write something like"
            " after.fraction_of_peak or speedup"
        )
    return full


def parameters_in_use(question: Question) -> tuple[str, ...]:
    """Return the dotted paths of the parameters that enter the answer, in its order."""
    return tuple(assumption.name for assumption in question.assumptions)


def costs_at(question: Question, side: PreparedSide, values: Mapping[str, Number]) -> tuple[Rates, Chain, Fixed]:
    """Return what one side's machine sustains and costs, the parameters in `values` [base units] replaced."""
    known = question.hardware.values
    replaced = {
        path: msgspec.structs.replace(known[path], low=v, value=v, high=v)
        for path, v in values.items()
        if path in known
    }
    parameters = SideParameters(
        question.hardware.replace_values(replaced), side.mode, side.plan, question.formats.activations
    )
    return parameters.rates(0, 0, 0, 0), parameters.chain(0, 0, _NO_PATHS), parameters.fixed(Ends(), 0, _NO_PATHS)


def terms_at(
    question: Question, side: PreparedSide, batch: Number, context: Number, values: Mapping[str, Number]
) -> Terms:
    """Return the terms of a step [s] of one side, the parameters in `values` [base units] replaced."""
    rates, chain, fixed = costs_at(question, side, values)
    return step_terms(side.plan, busy_time(counts_at(side.plan, batch, context), rates, chain), fixed)


def peak_at(question: Question, batch: Number, context: Number, values: Mapping[str, Number]) -> Number:
    """Return the time of a step [s] if memory bandwidth were the only limit (P1)."""
    bandwidth = values.get("memory.bandwidth", question.hardware.values["memory.bandwidth"].value)
    return equations.peak_time(question.whole.bytes_read(batch, context), question.devices, bandwidth)


def figure_at(question: Question, name: str, batch: Number, context: Number, values: Mapping[str, Number]) -> Number:
    """Return the figure `name` of FIGURES [its unit there], the parameters in `values` [base units] replaced."""
    if name == "cache_over_weights":
        cache = question.whole.cache_bytes(batch, context)
        return cache / (question.whole.bytes_read(batch, context) - cache)
    side_name, _, rest = name.partition(".")
    if side_name == "peak":
        peak = peak_at(question, batch, context, values)
        return peak if rest == "time_per_step" else batch / peak
    if side_name == "speedup":
        times = [terms_at(question, side, batch, context, values).total() for side in (question.before, question.after)]
        return equations.speedup(*times)
    side = question.before if side_name == "before" else question.after
    terms = terms_at(question, side, batch, context, values)
    if rest == "arithmetic_over_streaming":
        rates, _, _ = costs_at(question, side, values)
        flops = sum(_flops(call) for call in counts_at(side.plan, batch, context))
        return equations.arithmetic_time(flops, rates.arithmetic, rates.arithmetic_share) / terms.stream
    if rest.startswith("terms."):
        return getattr(terms, rest.removeprefix("terms."))
    time = terms.total()
    if rest == "fraction_of_peak":
        return equations.fraction_of_peak(peak_at(question, batch, context, values), time)
    return {
        "time_per_step": lambda: time,
        "tokens_per_second": lambda: batch / time,
        "tokens_per_second_per_sequence": lambda: 1 / time,
    }[rest]()


def _flops(call: CallCounts) -> Number:
    return call.times * sum(iterations * sum(stage.flops for stage in stages) for iterations, stages in call.segments)
