"""The interval of the speed-up against all corners of all parameters, one by one."""

import itertools
import random

import pytest

from perfmodel import estimate
from perfmodel.specifications.parameters import lookup

CASES = [
    {"model": "llama-3.1-8b", "hardware": "sn40l", "devices": 8},
    {"model": "llama-3.1-8b", "hardware": "h100-sxm", "devices": 8},
    {"model": "llama-3.2-1b", "hardware": "h100-sxm", "context": 128, "after": "megakernel"},
    {"model": "llama-3.1-8b", "hardware": "h100-sxm", "batch": 256, "context": 512},
    {"model": "qwen3-0.6b", "hardware": "rtx-3090", "before": "eager", "after": "megakernel"},
    {"model": "llama-3.1-8b", "hardware": "m2-ultra", "weights": "q4_0"},
    {"model": "llama-3.2-1b", "hardware": "b200", "after": "megakernel", "batch": 32},
]


def at_corner(answer, ends):
    """The speed-up with every parameter pinned: `ends` gives low or high by (name, side)."""
    names = [a.name for a in answer.assumptions]
    shared = set(used(answer, "before")) & set(used(answer, "after"))
    sides = []
    for side in ("before", "after"):
        pinned = {a.name: ends[a.name, "both" if a.name in shared else side] for a in answer.assumptions}
        sides.append(getattr(answer.replace(parameters={n: pinned[n] for n in names}), side).time_per_step)
    return sides[0] / sides[1]


def used(answer, side):
    from perfmodel.estimates.prepared import ask

    arguments = {k: v for k, v in answer.asked.arguments.items() if k not in ("batch", "context")}
    return getattr(ask(**arguments), side).parameters.used


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['model']}-{c['hardware']}")
def test_speedup_interval_holds_every_corner_and_is_reached(case):
    answer = estimate(**case)
    shared = set(used(answer, "before")) & set(used(answer, "after"))
    free = {
        (a.name, "both" if a.name in shared else side): (a.low, a.high)
        for a in answer.assumptions
        if a.low < a.high
        for side in ("before", "after")
    }
    fixed = {(a.name, s): a.value for a in answer.assumptions if a.low == a.high for s in ("both", "before", "after")}
    rng = random.Random(7)
    found = []
    # From random corners climb to the extreme ratio, one parameter at a time.
    for sign, _ in itertools.product((1, -1), range(3)):
        ends = fixed | {key: rng.choice(pair) for key, pair in free.items()}
        best, improved = at_corner(answer, ends), True
        while improved:
            improved = False
            for key, pair in free.items():
                for end in pair:
                    tried = ends | {key: end}
                    ratio = at_corner(answer, tried)
                    if sign * ratio > sign * best * (1 + sign * 1e-12):
                        best, ends, improved = ratio, tried, True
        found.append(best)
    assert max(found) == pytest.approx(answer.speedup.high, rel=2e-3)
    assert min(found) == pytest.approx(answer.speedup.low, rel=2e-3)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['model']}-{c['hardware']}")
def test_each_side_is_bounded_by_its_slow_and_fast_corner(case):
    answer = estimate(**case)
    for end, slow in (("low", True), ("high", False)):
        corner = {a.name: (a.high if (lookup(a.name).slower > 0) == slow else a.low) for a in answer.assumptions}
        pinned = answer.replace(parameters=corner)
        for side in ("before", "after"):
            assert getattr(pinned, side).time_per_step == pytest.approx(
                getattr(getattr(answer, side), end).time_per_step, rel=1e-12
            )
