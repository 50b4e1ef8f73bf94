"""Traces made from known schedules: body, count and gaps must come back exactly, whatever is laid over them."""

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel.traces import summarise
from perfmodel.traces.events import Event, Range, build_trace
from perfmodel.traces.gaps import CLOCK_TICKS
from perfmodel.traces.layers import find_layer_runs
from perfmodel.traces.steps import find_steps

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def schedules(draw, fewest=8, most=40, smallest=3):
    """Return prologue, body, count and epilogue; the body holds one attention kernel,
    and no other makes up half of it."""
    size = draw(st.integers(smallest, 24))
    numbers = st.lists(st.integers(0, size), min_size=size - 1, max_size=size - 1)
    body = [
        f"kernel_{number}"
        for number in draw(numbers.filter(lambda drawn: max(map(drawn.count, drawn)) <= len(drawn) / 2))
    ]
    body.insert(draw(st.integers(0, size - 1)), "flash_fwd_kernel")
    prologue = [f"begin_{i}" for i in range(draw(st.integers(0, 8)))]
    epilogue = [f"finish_{i}" for i in range(draw(st.integers(0, 8)))]
    return prologue, body, draw(st.integers(fewest, most)), epilogue


def timed(names: Sequence[str], seed: int, *, start=1_000_000, jitter=1.0, stream="7") -> tuple[list[Event], list[int]]:
    """Return events one after the other, with their gaps [ns]."""
    dice = random.Random(seed)
    usual = {name: dice.randrange(2_000, 60_000) for name in sorted(set(names))}
    events, gaps = [], []
    for name in names:
        gap = dice.choice((0, 1, 400, 1_200, 5_000))
        duration = max(1, round(usual[name] * dice.uniform(1 / jitter, jitter)))
        start += gap
        events.append(Event(start, duration, name, "0", stream, "kernel", None, None))
        gaps.append(gap)
        start += duration
    return events, gaps


def renamed(names: Sequence[str], first: int, stop: int, seed: int, share: float = 0.05) -> list[str]:
    """Return names with `share` of those in [first, stop) replaced by variants; the two at the ends,
    which alone tell where layers begin, stay."""
    dice = random.Random(seed)
    changed = list(names)
    for place in dice.sample(range(first + 1, stop - 1), round(share * (stop - first))):
        changed[place] = f"{changed[place]}_variant_{dice.randrange(3)}"
    return changed


def check(summary, schedule, gaps):
    prologue, body, count, _ = schedule
    (layer,) = summary.repeats
    assert (layer.body, layer.count, layer.first, layer.layers) == (tuple(body), count, len(prologue), count)
    assert summary.layers == count
    assert summary.kernels_per_layer == len(body)
    step = summary.steps[summary.step]
    assert [kernel.gap for kernel in step.kernels[1:]] == pytest.approx([gap / 1e9 for gap in gaps[1:]], abs=1e-12)
    assert step.busy + step.idle == pytest.approx(step.time, rel=1e-12)
    assert all(kernel.overlap == 0 for kernel in step.kernels)


@QUICK
@given(schedules(), st.integers(0, 1000))
def test_plain_schedule_comes_back(schedule, seed):
    prologue, body, count, epilogue = schedule
    events, gaps = timed(prologue + body * count + epilogue, seed)
    check(summarise(build_trace("made", "made", events)), schedule, gaps)


# A body of three of which two are renamed no longer reads as one.
@QUICK
@given(schedules(smallest=6), st.integers(0, 1000))
def test_five_percent_renamed_and_jitter(schedule, seed):
    prologue, body, count, epilogue = schedule
    names = renamed(prologue + body * count + epilogue, len(prologue), len(prologue) + len(body) * count, seed)
    events, gaps = timed(names, seed, jitter=1.3)
    check(summarise(build_trace("made", "made", events)), schedule, gaps)


@QUICK
@given(schedules(), st.integers(0, 1000))
def test_other_stream_beside_it(schedule, seed):
    prologue, body, count, epilogue = schedule
    events, gaps = timed(prologue + body * count + epilogue, seed)
    dice = random.Random(seed)
    beside = [
        Event(
            dice.randrange(events[0].start, events[-1].start),
            dice.randrange(20_000, 40_000),
            f"prefetch_{dice.randrange(4)}",
            "0",
            "20",
            "kernel",
            None,
            None,
        )
        for _ in range(len(events) // 10)
    ]
    copies = [Event(event.start, 3_000, "Memcpy", "0", "21", "copy", None, None) for event in events[::7]]
    mixed = [*beside, *events, *copies]
    dice.shuffle(mixed)
    summary = summarise(build_trace("made", "made", mixed))
    check(summary, schedule, gaps)
    assert [stream.name for stream in summary.streams if stream.compute] == ["7"]
    for kernel in summary.steps[0].kernels:
        assert 0 <= kernel.covered <= kernel.gap + 1e-12


@QUICK
@given(schedules(), st.integers(0, 1000))
def test_layer_forked_over_two_streams(schedule, seed):
    prologue, body, count, epilogue = schedule
    events, gaps = timed(prologue + body * count + epilogue, seed)
    forked = {body[0]}
    spread = [event._replace(stream="8") if event.name in forked else event for event in events]
    summary = summarise(build_trace("made", "made", spread))
    if {stream.name for stream in summary.streams if stream.compute} == {"7", "8"}:
        check(summary, schedule, gaps)
    else:  # the fork is too small to be part of the sequence
        assert min(stream.busy for stream in summary.streams) < 0.06 * max(stream.busy for stream in summary.streams)


@QUICK
@given(schedules(fewest=4, smallest=6), st.integers(3, 6), st.integers(0, 1000))
def test_many_steps_without_marks(schedule, repeats, seed):
    """The strongest period is the step; the layer is found inside, and every step counted."""
    prologue, body, count, epilogue = schedule
    prologue, epilogue = ["embed", *prologue], [*epilogue, "head", "sample"]
    once = prologue + body * count + epilogue
    events: list[Event] = []
    for number in range(repeats):
        start = events[-1].start + events[-1].duration + 300_000 if events else 5
        events += timed(once, seed + number, start=start)[0]
    found = find_steps(build_trace("made", "made", events))
    assert len(found.steps) == repeats
    for step in found.steps:
        assert [kernel.name for kernel in step.kernels] == once
        (run,) = step.layers
        assert (run.body, run.count, run.first) == (tuple(body), count, len(prologue))
        assert step.busy + step.idle == pytest.approx(step.time, rel=1e-12)
    summary = summarise(build_trace("made", "made", events))
    assert (summary.steps_found, summary.steps_complete, summary.kernels_per_step) == (repeats, repeats, len(once))
    assert summary.between_steps == pytest.approx(300e-6, abs=6e-6)


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_every_sixth_layer_of_another_kind(extra):
    local = [f"k{i}" for i in range(5)] + ["attention_local"] + [f"m{i}" for i in range(6)]
    whole = (
        [f"k{i}" for i in range(5)] + ["attention_global"] + [f"m{i}" for i in range(6)] + ["reduce_segments"] * extra
    )
    names = ["embed", *(local * 5 + whole) * 10, *local * 2, "head"]
    (run,) = find_layer_runs(names, ["attention" in name for name in names])
    assert (len(run.body), run.count, run.layers, run.every) == (12, 62, 62, 6)
    assert run.odd == (10 if extra else 0)


def test_dense_layers_before_the_others():
    dense, moe = (
        ["norm", "qkv", "mla_decode", "up", "down"],
        ["norm", "qkv", "mla_decode", "gate", "dispatch", "experts", "collect"],
    )
    names = ["embed", *dense * 3, *moe * 58, "head"]
    (run,) = find_layer_runs(names, [name == "mla_decode" for name in names])
    assert (run.body, run.count) == (tuple(moe), 58)
    summary = summarise(build_trace("made", "made", timed(names, 2)[0]))
    assert [(layer.body, layer.count, layer.first) for layer in summary.repeats] == [
        (tuple(dense), 3, 1),
        (tuple(moe), 58, 16),
    ]
    assert summary.layers == 61


def test_layer_of_odd_length_does_not_part_the_run():
    layer = ["norm", "qkv", "attention", "out", "norm2", "up", "act", "down"]
    names = [*layer * 11, *layer[:4], "extra", *layer[4:], *layer * 20]
    (run,) = find_layer_runs(names, [name == "attention" for name in names])
    assert (run.count, run.odd, run.layers) == (32, 1, 32)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"], list("abcdefghijklmnop"), ["a", "a", "b", "c"]])
def test_nothing_repeats(names):
    assert find_layer_runs(names, [False] * len(names)) == ()


def test_random_names_hold_no_layer():
    dice = random.Random(5)
    for kinds in (5, 20, 200):
        names = [f"k{dice.randrange(kinds)}" for _ in range(3_000)]
        assert not find_layer_runs(names, [False] * len(names))


def test_small_overlaps_are_the_clock_and_large_ones_are_told():
    ticks = round(CLOCK_TICKS * 1e9)
    events = [
        Event(0, 1000, "a", "0", "7", "kernel", None, None),
        Event(1000 - ticks // 2, 1000, "b", "0", "7", "kernel", None, None),
        Event(1500, 1000, "c", "0", "7", "kernel", None, None),
    ]
    first, second, third = find_steps(build_trace("made", "made", events)).steps[0].kernels
    assert (first.overlap, second.overlap, second.gap) == (0, 0, 0)
    assert third.overlap == pytest.approx((2000 - ticks // 2 - 1500) / 1e9)


def test_several_ranks_do_not_mix():
    layer = ["qkv", "attention", "nccl_all_reduce", "up", "down"]
    events: list[Event] = []
    for device in ("0", "1"):
        events += [
            event._replace(device=device, duration=event.duration + int(device))
            for event in timed(["embed", *layer * 16, "head"], 3)[0]
        ]
    summary = summarise(build_trace("made", "made", events))
    assert (summary.devices, summary.device, summary.layers, summary.kernels_per_step) == (2, "1", 16, 82)
    assert summary.shares.collectives > 0


def test_marks_of_the_host_hold_kernels_by_launch():
    """Two launches in a mark that ended long before their kernels ran; one graph brings all kernels under one id."""
    layer = ["qkv", "attention", "up", "down"]
    events: list[Event] = []
    ranges = []
    for number in range(3):
        launched = 1_000 * number
        ranges.append(Range(launched, launched + 500, f"decode step {number}", "host"))
        start = 100_000 + 4_000_000 * number
        events += [
            event._replace(correlation=number, launched=launched + 100)
            for event in timed(["embed", *layer * 12, "head"], 1, start=start)[0]
        ]
    stray = [Event(50, 10, "warm_up", "0", "7", "kernel", 99, None)]
    summary = summarise(build_trace("made", "made", [*stray, *events], ranges))
    assert (summary.steps_found, summary.kernels_per_step, summary.layers) == (3, 50, 12)
    assert summary.step_label.startswith("decode step")
    assert any("outside the annotated steps" in note for note in summary.notes)


def test_events_without_length():
    for names in (["a"], ["qkv", "attention", "up"] * 5):
        summary = summarise(
            build_trace("made", "made", [Event(0, 0, name, "0", "7", "kernel", None, None) for name in names])
        )
        assert summary.step_time == 0
        json.dumps(summary.to_dict(kernels=True))


def test_a_stray_kernel_far_before_the_step_is_left_out():
    events, _ = timed(["embed", *["qkv", "attention", "up", "down"] * 12, "head"], 1, start=10**9)
    stray = Event(0, 4_000, "arange", "0", "7", "kernel", None, None)
    summary = summarise(build_trace("made", "made", [stray, *events]))
    assert summary.kernels_per_step == len(events)
    assert summary.step_time == pytest.approx((events[-1].start + events[-1].duration - events[0].start) / 1e9)
