"""The rule of intervals against its bounds, its special cases, and sampling."""

import math
import random

import numpy
import pytest

from perfmodel import estimate, sweep
from perfmodel.equations.uncertainty import Effect, combined_spread, joint_spread, moments
from perfmodel.estimates.conditioning import ask
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
# What parameters alone make uncertain: nothing that sources or rows differ by beyond them.
ALONE = {"software.spread": 0.0, "software.noise": 0.0, "modes.megakernel.spread": 0.0}
every = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['model']}-{c['hardware']}")


def asked(case):
    options = {key: value for key, value in case.items() if key not in ("model", "hardware", "batch", "context")}
    return ask(case["model"], case["hardware"], **options)


@every
def test_the_interval_lies_inside_the_corners(case):
    answer = estimate(**case, parameters=ALONE)
    recording = asked(case).recording
    known = recording.run({"batch": answer.batch, "context": answer.context})
    groups = recording.groups(())
    rng = random.Random(7)

    def ratio(ends):
        moved = {
            name: number
            for group, end in zip(groups, ends, strict=True)
            for name, number in (group.fast if end else group.slow).items()
        }
        before, after = recording.times_with(known, moved)
        return before / after

    reached = []
    # From random corners climb to the extreme ratio, one group at a time.
    for sign in (1, -1, 1, -1):
        ends = [rng.choice((0, 1)) for _ in groups]
        best, improved = ratio(ends), True
        while improved:
            improved = False
            for i in range(len(groups)):
                tried = [*ends[:i], 1 - ends[i], *ends[i + 1 :]]
                if sign * ratio(tried) > sign * best * (1 + sign * 1e-12):
                    best, ends, improved = ratio(tried), tried, True
        reached.append(best)
    assert min(reached) <= answer.speedup.low < answer.speedup.value < answer.speedup.high <= max(reached)


@every
def test_each_side_lies_inside_its_corners_and_under_the_peak(case):
    answer = estimate(**case, parameters=ALONE)
    for end, slow in (("low", True), ("high", False)):
        corner = {a.name: (a.high if (lookup(a.name).slower > 0) == slow else a.low) for a in answer.assumptions}
        pinned = answer.replace(parameters=ALONE | corner)
        for side in ("before", "after"):
            time, reached = getattr(pinned, side).time_per_step, getattr(getattr(answer, side), end).time_per_step
            assert reached <= time * (1 + 1e-12) if slow else reached >= time * (1 - 1e-12)
            assert getattr(getattr(answer, side), end).fraction_of_peak < 1


@pytest.mark.parametrize("path", ["memory.sustained.weights", "modes.graph.host", "modes.looped.stage"])
def test_one_uncertain_parameter_gives_the_ends_that_it_has_itself(path):
    answer = estimate("llama-3.1-8b", "h100-sxm")
    values = ALONE | {a.name: a.value for a in answer.assumptions if a.name != path}
    alone = answer.replace(parameters=values)
    (parameter,) = [a for a in alone.assumptions if a.name == path]
    at = [answer.replace(parameters=values | {path: end}) for end in (parameter.low, parameter.high)]
    for side in ("before", "after"):
        times = sorted(getattr(each, side).time_per_step for each in at)
        bounds = [getattr(getattr(alone, side), end).time_per_step for end in ("high", "low")]
        assert bounds == pytest.approx(times, rel=1e-9)
    assert [alone.speedup.low, alone.speedup.high] == pytest.approx(sorted(each.speedup.value for each in at), rel=1e-9)


def test_equal_effects_up_and_down_make_the_root_of_the_sum_of_squares():
    effects = [Effect(x, -x) for x in (0.1, 0.2, 0.05, 0.4)]
    sums = moments(effects)
    alone = combined_spread(sums)
    assert alone.above == pytest.approx(math.hypot(*(e.slow for e in effects)), rel=1e-12)
    assert alone.below == pytest.approx(-alone.above, rel=1e-12)
    together = Effect(sum(e.slow for e in effects), sum(e.fast for e in effects))
    assert joint_spread(alone, sums, together) == pytest.approx(alone, rel=1e-12)
    # In a ratio the effects of the time after count against those of the time before.
    assert combined_spread(moments(effects[:2], effects[2:])) == pytest.approx(alone, rel=1e-12)


def test_skewed_effects_against_draws():
    numbers = numpy.random.default_rng(5)
    for _ in range(20):
        effects = [Effect(*numbers.uniform(-0.6, 0.6, 2)) for _ in range(numbers.integers(2, 12))]
        positions = numbers.standard_normal((len(effects), 40_000)) / 1.6448536269514722
        total = sum(
            numpy.where(z < 0, -z * effect.slow, z * effect.fast) for z, effect in zip(positions, effects, strict=True)
        )
        low, high = numpy.percentile(total, [5, 95])
        below, above = combined_spread(moments(effects))
        if low < 0 < high:
            assert (below, above) == pytest.approx((low, high), abs=0.03)


def test_two_paths_near_each_other_are_uncertain_though_each_alone_is_not():
    # The step is the larger of two times: at its fast end each alone changes nothing, both together do.
    two = moments([Effect(0.2, 0.0), Effect(0.2, 0.0)])
    below, above = joint_spread(combined_spread(two), two, Effect(0.2, -0.2))
    numbers = numpy.random.default_rng(2)
    drawn = numpy.max(-0.2 * numbers.standard_normal((2, 100_000)) / 1.6448536269514722, axis=0)
    assert (below, above) == pytest.approx(tuple(numpy.percentile(drawn, [5, 95])), abs=0.05)
    assert combined_spread(two).below > -0.02


def test_what_sources_differ_by_beyond_parameters_widens_times_and_what_of_their_ratio_they_do_not_share():
    plain = estimate("llama-3.1-8b", "h100-sxm", parameters=ALONE)
    wide = plain.replace(parameters={"software.spread": 0.3, "software.noise": 0.4})
    for side in ("before", "after"):
        narrow, broad = getattr(plain, side), getattr(wide, side)
        above = math.log(narrow.low.time_per_step / narrow.time_per_step)
        assert math.log(broad.low.time_per_step / broad.time_per_step) == pytest.approx(math.hypot(above, 0.5))
        assert broad.time_per_step == narrow.time_per_step
        assert broad.high.fraction_of_peak <= 1
    # Kernels written anew share none of it; another launch of the same ones all but the noise of a row.
    below = math.log(plain.speedup.low / plain.speedup.value)
    assert math.log(wide.speedup.low / wide.speedup.value) == pytest.approx(-math.hypot(below, 0.5))
    launched = [answer.replace(before="stream", after="graph") for answer in (plain, wide)]
    below = [math.log(answer.speedup.low / answer.speedup.value) for answer in launched]
    assert below[1] == pytest.approx(-math.hypot(below[0], 0.4))
    alike = [answer.replace(after="graph").speedup for answer in (plain, wide)]
    assert alike[0] == alike[1]
    # No step after is below its peak, whatever the ratio might be else.
    assert wide.speedup.high <= wide.before.low.time_per_step / wide.peak.time_per_step * (1 + 1e-12)


def test_sweeps_have_the_intervals_of_estimates():
    rows = sweep(
        "llama-3.1-8b",
        "h100-sxm,sn40l",
        batch="1,64",
        context="1k,64k",
        parameters={"modes.looped.stage": "0us:4us:3"},
        columns="all",
    ).rows()
    for row in rows:
        answer = estimate(
            "llama-3.1-8b",
            row["hardware"],
            batch=row["batch"],
            context=row["context"],
            parameters={"modes.looped.stage": row["modes.looped.stage"]},
        ).rows()[0]
        for name in ("speedup.low", "speedup.high", "before.low.time_per_step", "after.high.tokens_per_second"):
            assert row[name] == pytest.approx(answer[name], rel=1e-12)


def test_ends_are_the_percentiles_of_sampled_parameters(program):
    """A small version of `make sampling`, which asks 2,000 questions of 10,000 draws."""
    sampling = program("sampling")
    sampled = [
        sampling.sample(*question, 4000, number) for number, question in enumerate(sampling.random_questions(40, 11))
    ]
    right = [max(map(abs, each.misses)) < sampling.WITHIN for each in sampled]
    assert sum(right) >= 0.9 * len(right)
