"""Intervals: each side's bounds are two corners of its parameters.

The speed-up's are searched over what both sides share.
"""

from typing import Any

from perfmodel import equations
from perfmodel.estimates.machine import Ends, Position
from perfmodel.estimates.prepared import Prepared, PreparedSide
from perfmodel.estimates.terms import Fixed, Terms, step_terms, step_time

_VALUE_ENDS = Ends()


class SideTimes:
    """The times of one side at one workload, the calls of each corner timed once."""

    def __init__(self, side: PreparedSide, batch: int, context: int) -> None:
        self._side, self._batch, self._context, self._own_in_calls = side, batch, context, side.own_in_calls
        self._timed = side.timed(batch, context)
        self._calls: dict[tuple[Position, float], tuple[Any, ...]] = {}

    def terms(self) -> Terms:
        """Return the terms of a step [s] with every parameter at its value."""
        return step_terms(
            self._side.plan, self._side.busy(self._batch, self._context), self._side.fixed(_VALUE_ENDS, 0.0)
        )

    def calls(self, position: Position, own: float) -> Any:
        """Return the time of the calls [s] with shared parameters at `position`, this side's own at `own`."""
        return self._at(position, own)[1]

    def waits(self, position: Position, own: float) -> bool:
        """Return whether any loop is bound by its serial chain at this corner."""
        return bool(self._at(position, own)[0] > 0)

    def _at(self, position: Position, own: float) -> tuple[Any, ...]:
        """Return waiting and the time of the calls [s], computed once for corners that differ only in what this side does not have."""
        if not self._own_in_calls:
            own = 0.0
        try:
            return self._calls[position, own]
        except KeyError:
            found = self._calls[position, own] = self._timed(position, own)
            return found

    def step(self, corner: tuple[Position, Ends], own: float) -> float:
        """Return the time of a step [s] at a corner."""
        return float(step_time(self._side.plan, self.calls(corner[0], own), self._side.fixed(corner[1], own)))


def speedup_interval(
    question: Prepared, before: SideTimes, after: SideTimes, terms_before: Terms, terms_after: Terms
) -> tuple[float, float]:
    """Return the bounds of the speed-up [-] (P3).

    Parameters that both sides share (bandwidth shares, boundary, host, collectives) take one value in
    both and are tried at all corners, and inside where a larger() may switch; those of one side alone
    (stage, prefetch room) stand at the end that is adverse.
    """
    value = equations.speedup(terms_before.total(), terms_after.total())
    arithmetic = terms_before.compute > 0 or terms_after.compute > 0
    inside = arithmetic or _near_switch(question, terms_after)
    positions = question.corners(inside=inside, arithmetic=arithmetic, cache=_cache_apart(question, before, after))
    # What is only added to both times raises their ratio exactly if it is met more often before, per once after, than
    # the ratio is.
    above = tuple([times > value for times in question.times_met])
    low = _extreme(question, before, after, positions, 1.0, question.guessed_pairs(above, 1.0))
    high = _extreme(question, before, after, positions, -1.0, question.guessed_pairs(above, -1.0))
    mixed = any(len({times > value for times in met}) > 1 for met in question.added.values())
    if (
        question.issues
        or mixed
        or any((times > low) != up or (times > high) != up for times, up in zip(question.times_met, above, strict=True))
    ):
        every = dict.fromkeys(question.added, (-1.0, 1.0))
        low = _extreme(question, before, after, positions, 1.0, question.fixed_pairs(1.0, every))
        high = _extreme(question, before, after, positions, -1.0, question.fixed_pairs(-1.0, every))
    return min(low, value), max(high, value)


def _extreme(
    question: Prepared,
    before: SideTimes,
    after: SideTimes,
    positions: list[Position],
    own: float,
    fixed: list[tuple[Fixed, Fixed]],
) -> float:
    """The least (own = 1: the side before is fast, the side after slow) or the largest (own = -1) speed-up over positions and fixed costs."""
    plan_before, plan_after = question.before.plan, question.after.plan
    own_after = own if question.before.mode == question.after.mode else -own
    ratios: list[float] = []
    for position in positions:
        (_, calls_before), (_, calls_after) = before._at(position, own), after._at(position, own_after)
        for one, two in fixed:
            ratios.append(
                equations.speedup(step_time(plan_before, calls_before, one), step_time(plan_after, calls_after, two))
            )
    return min(ratios) if own > 0 else max(ratios)


def _cache_apart(question: Prepared, before: SideTimes, after: SideTimes) -> bool:
    """Whether reads of the cache can hide where reads of weights do not.

    Behind a chain, or in a stall of a prefetch window.
    """
    # A chain exceeds streaming most where the memory is fast and the chain slow.
    apart = question.fast[0]._replace(chain=question.slow[0].chain)
    return question.prefetches or after.waits(apart, -1.0) or before.waits(apart, -1.0)


def _near_switch(question: Prepared, after: Terms) -> bool:
    """Whether streaming and the chain of an iteration are so close that larger() may switch inside the box."""
    exposed = after.latency + after.collective
    return question.after.plan.fused_calls > 0 and 0 < exposed < 0.02 * after.total()
