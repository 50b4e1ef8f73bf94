"""Intervals: each side's bounds are two corners of its parameters; the speed-up's are searched over what both sides share."""

from collections.abc import Mapping
from typing import Any

from perfmodel import equations
from perfmodel.parameterbox import Ends, Position
from perfmodel.questions import PreparedSide, Question
from perfmodel.terms import Terms, step_terms, step_time

_VALUE_ENDS = Ends()


class SideTimes:
    """The times of one side at one workload, the calls of each corner timed once."""

    def __init__(self, side: PreparedSide, batch: int, context: int) -> None:
        self._side, self._batch, self._context = side, batch, context
        self._calls: dict[tuple[Position, float], tuple[Any, ...]] = {}

    def terms(self) -> Terms:
        """Return the terms of a step [s] with every parameter at its value."""
        return step_terms(self._side.plan, self._side.busy(self._batch, self._context), self._side.fixed(_VALUE_ENDS, 0.0))

    def calls(self, position: Position, own: float) -> float:
        """Return the time of the calls [s] with shared parameters at `position`, this side's own at `own`."""
        return self._at(position, own)[1]

    def waits(self, position: Position, own: float) -> bool:
        """Return whether any loop is bound by its serial chain at this corner."""
        return self._at(position, own)[0] > 0

    def _at(self, position: Position, own: float) -> tuple[float, float]:
        key = (position, own if self._side.own_in_calls else 0.0)
        found = self._calls.get(key)
        if found is None:
            found = self._calls[key] = self._side.calls(self._batch, self._context, position, own)
        return found

    def step(self, corner: tuple[Position, Ends], own: float) -> float:
        """Return the time of a step [s] at a corner."""
        return float(step_time(self._side.plan, self.calls(corner[0], own), self._side.fixed(corner[1], own)))


def speedup_interval(question: Question, before: SideTimes, after: SideTimes, terms_before: Terms, terms_after: Terms) -> tuple[float, float]:
    """Return the bounds of the speed-up [-] (P3).

    Parameters that both sides share (bandwidth shares, boundary, host, collectives) take one value in
    both and are tried at all corners, and inside where a larger() may switch; those of one side alone
    (stage, prefetch room) stand at the end that is adverse.
    """
    value = equations.speedup(terms_before.total(), terms_after.total())
    arithmetic = terms_before.compute > 0 or terms_after.compute > 0
    inside = arithmetic or _near_switch(question, terms_after)
    positions = question.corners(inside=inside, arithmetic=arithmetic, cache=_cache_apart(question, before, after))
    # What is only added to both times raises their ratio exactly if it is met more often before, per once after, than the ratio is.
    below = {group: all(times > value for times in met) for group, met in question.added.items()}
    guess = {group: ((-1.0,) if slow else (1.0,)) for group, slow in below.items()}
    low = _extreme(question, before, after, positions, 1.0, {group: (-end,) for group, (end,) in guess.items()})
    high = _extreme(question, before, after, positions, -1.0, guess)
    if question.issues or any(below[group] != (times > ratio) for group, met in question.added.items() for times in met for ratio in (low, high)):
        every = dict.fromkeys(question.added, (-1.0, 1.0))
        low = _extreme(question, before, after, positions, 1.0, every)
        high = _extreme(question, before, after, positions, -1.0, every)
    return min(low, value), max(high, value)


def _extreme(question: Question, before: SideTimes, after: SideTimes, positions: list[Position], own: float, ends: Mapping[str, tuple[float, ...]]) -> float:
    """The least (own = 1: the side before is fast, the side after slow) or the largest (own = -1) speed-up over positions and ends."""
    plan_before, plan_after = question.before.plan, question.after.plan
    own_after = own if question.before.mode == question.after.mode else -own
    fixed = question.fixed_pairs(own, ends)
    ratios: list[float] = []
    for position in positions:
        calls_before, calls_after = before.calls(position, own), after.calls(position, own_after)
        ratios += [equations.speedup(step_time(plan_before, calls_before, one), step_time(plan_after, calls_after, two)) for one, two in fixed]
    return min(ratios) if own > 0 else max(ratios)


def _cache_apart(question: Question, before: SideTimes, after: SideTimes) -> bool:
    """Whether reads of the cache can hide where reads of weights do not: behind a chain, or in a stall of a prefetch window."""
    # A chain exceeds streaming most where the memory is fast and the chain slow.
    apart = question.fast[0]._replace(chain=question.slow[0].chain)
    return question.prefetches or after.waits(apart, -1.0) or before.waits(apart, -1.0)


def _near_switch(question: Question, after: Terms) -> bool:
    """Whether streaming and the chain of an iteration are so close that larger() may switch inside the box."""
    exposed = after.latency + after.collective
    return question.after.plan.fused_calls > 0 and 0 < exposed < 0.02 * after.total()
