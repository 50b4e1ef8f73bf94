"""Intervals: what each group of uncertain parameters does alone, put together by the equations of uncertainty.

For any kind of number: an answer, the function that gives further ones, and a sweep run the same lines.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from perfmodel import equations
from perfmodel.equations.uncertainty import Effect, combined_spread, end_of, joint_spread, part_variance, widened
from perfmodel.estimates.recording import Recording
from perfmodel.numbers.choices import log

Number = Any


class Ends(NamedTuple):
    """The ends of what is uncertain: the time of a step [s] of both sides, and the speed-up [-].

    slow, fast: of a time; low, high: of the speed-up.
    """

    before_slow: Number
    before_fast: Number
    after_slow: Number
    after_fast: Number
    low: Number
    high: Number


class Effects(NamedTuple):
    """What the groups do to the logarithm of the time of either side and of the speed-up [-], in the same order."""

    names: list[str]
    before: list[Effect]
    after: list[Effect]
    speedup: list[Effect]


def effects_of(recording: Recording, known: Mapping[str, Number], given: Mapping[str, Number]) -> Effects:
    """Return what each group of uncertain parameters alone does, at its slow and at its fast end.

    known: the lines worked out; given: inputs that are known exactly, so that they move in no group.
    """
    values = recording.times(known)
    logarithms = [log(value) for value in values]
    effects = Effects([], [], [], [])
    for group in recording.groups(given):
        slow, fast = (
            [
                0.0 if _same(time, value) else log(time) - logarithm
                for time, value, logarithm in zip(recording.times_with(known, end), values, logarithms, strict=True)
            ]
            for end in (group.slow, group.fast)
        )
        effects.names.append(group.name)
        effects.before.append(Effect(slow[0], fast[0]))
        effects.after.append(Effect(slow[1], fast[1]))
        effects.speedup.append(Effect(slow[0] - slow[1], fast[0] - fast[1]))
    return effects


def ends_of(
    recording: Recording, known: Mapping[str, Number], given: Mapping[str, Number], beyond: "Beyond | None" = None
) -> Ends:
    """Return the ends of both times [s] and of the speed-up [-].

    known: the lines worked out; given: inputs that are known exactly. beyond: what parameters do not explain.
    """
    effects = effects_of(recording, known, given)
    times = [terms.total() for terms in recording.terms(known)]
    together = _together(recording, known, given)
    beyond = beyond or Beyond()
    spreads = [
        widened(joint_spread(combined_spread(_felt(alone)), _felt(alone), all_at_once), parts)
        for alone, all_at_once, parts in zip(
            (effects.before, effects.after), together, (beyond.before, beyond.after), strict=True
        )
    ]
    ratio = equations.speedup(times[0], times[1])
    spread = widened(combined_spread(_felt(effects.speedup)), beyond.speedup)
    return Ends(
        end_of(times[0], spreads[0].above),
        end_of(times[0], spreads[0].below),
        end_of(times[1], spreads[1].above),
        end_of(times[1], spreads[1].below),
        end_of(ratio, spread.below),
        end_of(ratio, spread.above),
    )


class Beyond(NamedTuple):
    """What is uncertain beside the parameters, as half-widths of logarithms [-]: of either time, and of the speed-up."""

    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    speedup: tuple[float, ...] = ()


def variance_shares(effects: Effects, figure: str) -> dict[str, float]:
    """Return the share of each group in the variance of a figure's logarithm [-]: of before, after or speedup."""
    variances = [float(part_variance(*effect)) for effect in getattr(effects, figure)]
    total = sum(variances)
    return {name: variance / total if total else 0.0 for name, variance in zip(effects.names, variances, strict=True)}


def _together(recording: Recording, known: Mapping[str, Number], given: Mapping[str, Number]) -> tuple[Effect, Effect]:
    """Return what all groups at once do to both times."""
    groups = recording.groups(given)
    values = recording.times(known)
    slow, fast = (
        recording.times_with(known, {name: number for end in ends for name, number in end.items()})
        for ends in ([group.slow for group in groups], [group.fast for group in groups])
    )
    before, after = (
        Effect(0.0 if _same(a, value) else log(a) - log(value), 0.0 if _same(b, value) else log(b) - log(value))
        for a, b, value in zip(slow, fast, values, strict=True)
    )
    return before, after


def _same(one: Number, other: Number) -> bool:
    """Whether two numbers are known to be equal: the same recorded number, or equal plain ones."""
    return one is other or (one.__class__ is float and other.__class__ is float and one == other)


def _felt(effects: list[Effect]) -> list[Effect]:
    """Return the effects that are not nothing."""
    return [effect for effect in effects if not all(end.__class__ is float and end == 0.0 for end in effect)]
