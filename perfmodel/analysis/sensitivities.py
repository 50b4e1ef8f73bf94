"""How much each parameter moves the answer: exact elasticities, and each parameter's share of the variance.

Derivatives are exact: those of the recorded equations, on the branch that holds. A share is that of the variance
which the parameter, with those that move with it, gives the figure.
"""

from typing import Any, Unpack

import msgspec

from perfmodel._layout import Framed
from perfmodel.errors import SpecificationError
from perfmodel.estimates.answers import Estimate, answer_to
from perfmodel.estimates.figures import FIGURES, figure_at, figure_name, record
from perfmodel.estimates.intervals import effects_of, variance_shares
from perfmodel.estimates.options import Asked
from perfmodel.estimates.prepared import Prepared
from perfmodel.estimates.question import read_question
from perfmodel.estimates.results import Assumption
from perfmodel.numbers.recorded import run
from perfmodel.numbers.slopes import slopes_of
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.model import Model

# The figures whose elasticities stand in every row.
RATES = ("before.tokens_per_second", "after.tokens_per_second", "speedup.value")


class Influence(msgspec.Struct, frozen=True):
    """What one parameter, the batch or the context does to the answer.

    value, low, high: as assumed [unit]. before, after, speedup: elasticities of the two rates and of the speed-up [-]:
    per cent of change for one per cent more of the parameter.
    at_low, at_high: the figure asked for with this parameter alone at its low and high end, the ends of its bar in
    a tornado picture; share: its share of the variance of that figure [-].
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    kind: str
    before: float
    after: float
    speedup: float
    at_low: float
    at_high: float
    share: float

    @property
    def swing(self) -> float:
        """Return the length of its bar in a tornado picture [unit of the figure]."""
        return abs(self.at_high - self.at_low)


class Sensitivity(msgspec.Struct, Framed, frozen=True, eq=False):
    """Every influence on one answer, longest bar of a tornado picture first, then by elasticity.

    figure: what at_low, at_high and share are of; value, low, high: that figure and its interval [unit].
    """

    figure: str
    unit: str
    value: float
    low: float
    high: float
    influences: tuple[Influence, ...]
    answer: Estimate

    @property
    def measure_next(self) -> Influence | None:
        """Return the influence with the largest share of the variance, None where nothing is uncertain."""
        best = max(self.influences, key=lambda i: i.share, default=None)
        return best if best is not None and best.share > 0 else None

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each influence; at_low and at_high are the ends of a bar around `base`."""
        return [
            msgspec.to_builtins(i) | {"swing": i.swing, "figure": self.figure, "base": self.value}
            for i in self.influences
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists, numbers and texts, in base units."""
        best = self.measure_next
        head = {
            "figure": self.figure,
            "unit": self.unit,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "measure_next": best.name if best else None,
        }
        return head | {"influences": msgspec.to_builtins(self.influences), "answer": self.answer.to_dict()}


def sensitivity(
    model: str | Model, hardware: str | Hardware, *, figure: str = "speedup", **asked: Unpack[Asked]
) -> Sensitivity:
    """Say how much each parameter moves the rates, the speed-up and `figure`, and which is worth measuring next.

    figure: one with an interval: speedup, or a time, rate or fraction of peak of either side.
    The other arguments are those of `perfmodel.estimate`.
    Raises UnknownNameError or SpecificationError for a figure, PerfModelError for the rest.

    >>> sensitivity("llama-3.1-8b", "sn40l", devices=8).influences[0].name
    'modes.layer-fused.boundary'
    """
    figure = _figure_with_interval(figure)
    answer = answer_to(read_question(model, hardware, **asked))
    question, batch, context = answer.prepared, answer.batch, answer.context
    shares = _shares(question, figure, batch, context)
    value, low, high = _interval(answer, figure)
    found = []
    elastic = elasticities(question, batch, context)
    for assumption in question.assumptions:
        at_low = at_high = value
        share = 0.0
        if assumption.low < assumption.high:
            at_low, at_high = (
                float(figure_at(question, figure, batch, context, {assumption.name: end}))
                for end in (assumption.low, assumption.high)
            )
            share = shares[assumption.name]
        found.append(
            Influence(
                assumption.name,
                assumption.value,
                assumption.low,
                assumption.high,
                assumption.unit,
                assumption.kind,
                *elastic[assumption.name],
                at_low,
                at_high,
                share,
            )
        )
    for name, number in (("batch", batch), ("context", context)):
        found.append(Influence(name, number, number, number, "1", "asked", *elastic[name], value, value, 0.0))
    # First what the verdict calls widest; of what moves together, or widens nothing, what moves the figure most.
    found.sort(key=lambda i: (-i.share, -i.swing, -max(abs(i.before), abs(i.after), abs(i.speedup))))
    return Sensitivity(figure, FIGURES[figure], value, low, high, tuple(found), answer)


def widest_of(answer: Estimate) -> tuple[str, float] | None:
    """Return the assumption with the largest share in the variance of the speed-up, and that share [-]; None for none.

    Of those that move together the one whose ends are furthest apart.
    """
    shares = _shares(answer.prepared, "speedup.value", answer.batch, answer.context)
    most = max(shares.values(), default=0.0)
    if not most:
        return None
    first = [a for a in answer.assumptions if shares.get(a.name) == most and a.low < a.high]
    if len(first) > 1:
        first.sort(key=lambda a: -abs(_swing(answer, a)))
    return first[0].name, most


def _swing(answer: Estimate, assumption: Assumption) -> float:
    low, high = (
        float(figure_at(answer.prepared, "speedup.value", answer.batch, answer.context, {assumption.name: end}))
        for end in (assumption.low, assumption.high)
    )
    return high - low


def elasticities(question: Prepared, batch: int, context: int) -> dict[str, tuple[float, float, float]]:
    """Return the elasticities [-] of RATES to each parameter in use, the batch and the context, by name.

    Exact, on the branch that holds; at a kink, where two branches are equal, on the one that the equations take.
    """
    numbers = {a.name: a.value for a in question.assumptions} | {"batch": float(batch), "context": float(context)}
    recording = record(question, RATES)
    values = run(recording.lines, recording.inputs(numbers))
    before, after, speedup = (
        (slopes_of(recording.lines, values, name), values[name]) for name in recording.results.values()
    )

    def elasticity(key: str, name: str, figure: tuple[dict[str, float], float]) -> float:
        return numbers[key] * figure[0].get(name, 0.0) / figure[1]

    return {
        key: (elasticity(key, name, before), elasticity(key, name, after), elasticity(key, name, speedup))
        for key, name in recording.arguments.items()
    }


def _shares(question: Prepared, figure: str, batch: int, context: int) -> dict[str, float]:
    """Return the share of each uncertain parameter in the variance of a figure [-], by path.

    Those that move together share one.
    """
    recording = question.recording
    effects = effects_of(recording, recording.run({"batch": batch, "context": context}), {}, question.beyond)
    shares = variance_shares(effects, figure.partition(".")[0])
    return {each.key: shares.get(each.group, 0.0) for each in recording.inputs.values()}


def _figure_with_interval(name: str) -> str:
    figure = figure_name(name)
    side, _, rest = figure.partition(".")
    if figure != "speedup.value" and not (
        side in ("before", "after")
        and rest in ("time_per_step", "tokens_per_second", "tokens_per_second_per_sequence", "fraction_of_peak")
    ):
        raise SpecificationError(
            f"{figure} has no interval; speedup has one, and time_per_step, tokens_per_second and fraction_of_peak of"
            " either side"
        )
    return figure


def _interval(answer: Estimate, figure: str) -> tuple[float, float, float]:
    """Return a figure and the ends of its interval, the smaller number first."""
    if figure == "speedup.value":
        return answer.speedup.value, answer.speedup.low, answer.speedup.high
    name, _, rest = figure.partition(".")
    side = getattr(answer, name)
    ends = sorted((getattr(side.low, rest), getattr(side.high, rest)))
    return getattr(side, rest), ends[0], ends[1]
