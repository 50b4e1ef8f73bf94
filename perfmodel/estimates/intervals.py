"""Intervals: what each group of uncertain parameters does alone, put together by the equations of uncertainty.

For any kind of number: an answer, the function that gives further ones, and a sweep run the same lines.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from perfmodel import equations
from perfmodel.equations.uncertainty import (
    Along,
    Effect,
    Joint,
    Moments,
    combined_spread,
    end_of,
    joint_ratio_spread,
    joint_spread,
    kept_shift,
    moments,
    part_variance,
    widened,
)
from perfmodel.estimates.known import Seen, bound
from perfmodel.estimates.recording import Recording
from perfmodel.numbers.choices import added, log

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
    """What each group does to the logarithm of the time of either side [-], by the group's name."""

    before: dict[str, Effect]
    after: dict[str, Effect]


def effects_of(
    recording: Recording, known: Mapping[str, Number], given: Mapping[str, Number], beyond: "Beyond | None" = None
) -> Effects:
    """Return what each group of uncertain parameters alone does, at its slow and at its fast end.

    known: the lines worked out; given: inputs that are known exactly, so that they move in no group; beyond: with a
    measured step, past which they are bound.
    """
    effects = _free_effects(recording, known, given)
    if beyond is None or beyond.seen is None:
        return effects
    sides, exactly = _with_shared(effects, beyond), _groups_of(recording, given)
    return Effects(*(bound(side, beyond.seen, exactly)[0] for side in sides))


def _with_shared(effects: Effects, beyond: "Beyond") -> Effects:
    """Return effects with what both sides have in common with a measured step beyond their parameters."""
    return Effects(*({**side, **more} for side, more in zip(effects, beyond.shared, strict=True)))


def _groups_of(recording: Recording, given: Mapping[str, Number]) -> dict[str, Number]:
    """Return the groups of the inputs that are given."""
    return {recording.inputs[name].group: number for name, number in given.items()}


def _free_effects(recording: Recording, known: Mapping[str, Number], given: Mapping[str, Number]) -> Effects:
    """Return what each group alone does where nothing was measured."""
    values = recording.times(known)
    logarithms = [log(value) for value in values]
    effects = Effects({}, {})
    for group in recording.groups(given):
        slow, fast = (recording.times_with(known, end) for end in (group.slow, group.fast))
        rests = recording.rest_on(group.slow)
        for side, rest, value, logarithm, one, other in zip(
            effects, rests, values, logarithms, slow, fast, strict=True
        ):
            if rest:
                side[group.name] = Effect(
                    *(0.0 if _same(time, value) else log(time) - logarithm for time in (one, other))
                )
    return effects


def ends_of(
    recording: Recording, known: Mapping[str, Number], given: Mapping[str, Number], beyond: "Beyond | None" = None
) -> Ends:
    """Return the ends of both times [s] and of the speed-up [-].

    known: the lines worked out; given: inputs that are known exactly. beyond: what parameters do not explain.
    """
    effects, beyond = _free_effects(recording, known, given), beyond or Beyond()
    times = recording.terms(known)[0].total(), recording.terms(known)[1].total()
    if beyond.seen is not None:
        return _bound_ends(times, effects, beyond, _groups_of(recording, given))
    together = _together(recording, known, given)
    ends: list[Number] = []
    joints = []
    for time, side, all_at_once, parts in zip(
        times, ("before", "after"), together, (beyond.before, beyond.after), strict=True
    ):
        sums = moments(list(getattr(effects, side).values()))
        joints.append(Joint(sums, _along(effects, side), all_at_once))
        spread = widened(joint_spread(combined_spread(sums), sums, all_at_once), parts)
        ends += [end_of(time, spread.above), end_of(time, spread.below)]
    ratio, sums = equations.speedup(times[0], times[1]), _ratio_moments(effects)
    at_once = Effect(together[0].slow - together[1].slow, together[0].fast - together[1].fast)
    spread = joint_ratio_spread(combined_spread(sums, kept_shift(sums, at_once)), sums, *joints)
    spread = widened(spread, beyond.speedup)
    slow_before, fast_before, slow_after, fast_after = ends
    bounds = end_of(ratio, spread.below), end_of(ratio, spread.above)
    return Ends(slow_before, fast_before, slow_after, fast_after, *bounds)


def _bound_ends(times: tuple[Number, Number], effects: Effects, beyond: "Beyond", given: Mapping[str, Number]) -> Ends:
    """Return the ends of both times [s] and of the speed-up [-] once a step is known.

    given: groups that are known exactly. What is left of the effects is small, so that no part needs another.
    """
    seen = beyond.seen
    assert seen is not None  # noqa: S101 - asked before
    (before, follows), (after, other) = (bound(side, seen, given) for side in _with_shared(effects, beyond))
    noises = [share * seen.noise for share in (follows, other, follows - other)]
    sums = (moments(list(before.values())), moments(list(after.values())), _ratio_moments(Effects(before, after)))
    figures = (*times, equations.speedup(*times))
    spreads = [
        widened(combined_spread(each), (*parts, noise))
        for each, parts, noise in zip(sums, (beyond.before, beyond.after, beyond.speedup), noises, strict=True)
    ]
    one, two, ratio = [
        (end_of(figure, spread.above), end_of(figure, spread.below))
        for figure, spread in zip(figures, spreads, strict=True)
    ]
    return Ends(*one, *two, ratio[1], ratio[0])


def _along(effects: Effects, side: str) -> Along:
    """Return how the parts of one time stand in the ratio of both."""
    own, other = effects if side == "before" else effects[::-1]
    products: Number = 0.0
    squares: Number = 0.0
    for name, effect in own.items():
        width = effect.fast - effect.slow
        product = width * width
        if name in other:
            product = product - width * (other[name].fast - other[name].slow)
        products, squares = products + product, squares + product * product
    return Along(products, squares)


def _ratio_moments(effects: Effects) -> Moments:
    """Return the sums over parts for the ratio of both times; what only the side after has is turned."""
    before, after = effects
    shared = [
        Effect(before[name].slow - after[name].slow, before[name].fast - after[name].fast)
        for name in before
        if name in after and before[name] != after[name]
    ]
    return moments(
        [*(effect for name, effect in before.items() if name not in after), *shared],
        [effect for name, effect in after.items() if name not in before],
    )


class Beyond(msgspec.Struct, frozen=True):
    """What is uncertain beside the parameters, as half-widths of logarithms [-]: of either time, and of the speed-up.

    seen: a measured step, which binds the parameters; shared: what either side has in common with it beside them.
    """

    before: tuple[Number, ...] = ()
    after: tuple[Number, ...] = ()
    speedup: tuple[Number, ...] = ()
    seen: Seen | None = None
    shared: tuple[Mapping[str, Effect], Mapping[str, Effect]] = ({}, {})


def variance_shares(effects: Effects, figure: str) -> dict[str, float]:
    """Return the share of each group in the variance of a figure's logarithm [-]: of before, after or speedup."""
    before, after = effects
    none = Effect(0.0, 0.0)
    variances = {}
    for name in {**before, **after}:
        one, other = before.get(name, none), after.get(name, none)
        effect = (
            Effect(one.slow - other.slow, one.fast - other.fast)
            if figure == "speedup"
            else one
            if figure == "before"
            else other
        )
        variances[name] = float(part_variance(*effect))
    total = added(variances.values())
    return {name: variance / total if total else 0.0 for name, variance in variances.items()}


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
