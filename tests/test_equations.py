"""The equations as equations: three kinds of number, units, and the stall against a simulated buffer."""

import inspect
import itertools
import re
from typing import NamedTuple

import numpy
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import equations
from perfmodel.equations.looping import PIECES_AHEAD
from perfmodel.numbers.choices import ceil_div, larger, smaller

EVERY = {name: getattr(equations, name) for name in equations.__all__}
SCALARS = {
    name: function
    for name, function in EVERY.items()
    if inspect.isfunction(function)
    and name not in ("streaming_time", "prefetch_windows", "waits_for_bytes", "prebuilt_time")
}
positive = st.floats(min_value=1e-6, max_value=1e6)


def arguments_of(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", SCALARS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_floats_arrays_and_symbols_agree(name, data):
    function = SCALARS[name]
    names = arguments_of(function)
    points = [[data.draw(positive) for _ in names] for _ in range(3)]
    if name == "expected_distinct_experts":  # k is at most E
        points = [[max(a, b), min(a, b), 1 + c % 100] for a, b, c in points]
    if name == "fullest_device_experts":
        points = [[max(a, b), min(a, b), 1 + c % 100, 2 + d % 64, 1 + e % 3] for a, b, c, d, e in points]
    if name in ("needed_probability", "covered_probability", "accepted_drafts"):  # a share, and a count
        points = [[min(a / (1 + a), 0.99), 1 + b % 100] for a, b in points]
    floats = [function(*point) for point in points]
    arrays = function(*(numpy.array(column) for column in zip(*points, strict=True)))
    symbols = sympy.symbols(names, positive=True)
    expression = function(*symbols)
    # Cancellation in a sum of terms of very different size is not what this test is about.
    scale = max(map(abs, itertools.chain(*points))) ** 2
    for point, value, element in zip(points, floats, numpy.broadcast_to(arrays, len(points)), strict=True):
        assert element == pytest.approx(value, rel=1e-12, abs=1e-12 * scale)
        exact = expression.subs(dict(zip(symbols, map(sympy.Float, point), strict=True)))
        assert float(exact) == pytest.approx(value, rel=1e-9, abs=1e-12 * scale)


def test_sequence_equations_agree_for_the_three_kinds_of_number():
    latencies, streams, room = [2e-6, 3e-6, 1e-6], [1e-6, 9e-6, 4e-6], 1.5e6

    def waited(latencies, streams, room):
        windows = equations.prefetch_windows([equations.Bytes(3e6, m / 3e6, None) for m in streams], room)
        return sum(equations.waits_for_bytes(latencies, streams, windows, [0.0] * 3))

    value = waited(latencies, streams, room)
    arrays = [[numpy.array([x, x]) for x in column] for column in (latencies, streams)]
    assert waited(*arrays, numpy.array([room, room])) == pytest.approx([value, value], rel=1e-12)
    l, m, c = sympy.symbols("l:3", positive=True), sympy.symbols("m:3", positive=True), sympy.Symbol("c", positive=True)
    point = dict(zip([*l, *m, c], [*latencies, *streams, room], strict=True))
    assert float(waited(l, m, c).subs(point)) == pytest.approx(value, rel=1e-9)
    switch, covered, times = 1e-6, [0.25, 0.5, 1.0], [0.0, 3e-6, 8e-6]
    value = equations.prebuilt_time(switch, covered, times)
    assert value == pytest.approx(1e-6 + 0.25 * 3e-6 + 0.5 * 8e-6, rel=1e-12)
    assert equations.prebuilt_time(numpy.array([switch, 0.0]), covered, times) == pytest.approx(
        [value, value - switch], rel=1e-12
    )
    p, t = sympy.symbols("p:3", positive=True), sympy.symbols("t:3", positive=True)
    assert float(
        equations.prebuilt_time(switch, p, t).subs(dict(zip([*p, *t], [*covered, *times], strict=True)))
    ) == pytest.approx(value, rel=1e-9)
    b = sympy.symbols("b:2", positive=True)
    assert equations.streaming_time([6, 8], b).subs({b[0]: 2, b[1]: 4}) == 5
    assert equations.streaming_time([numpy.array([6.0, 12.0])], [2.0]) == pytest.approx([3.0, 6.0])


UNITS = {
    "s": (1, 0, 0),
    "B": (0, 1, 0),
    "FLOP": (0, 0, 1),
    "B/s": (-1, 1, 0),
    "FLOP/s": (-1, 0, 1),
    "FLOP/B": (0, -1, 1),
    "-": (0, 0, 0),
}
UNIT_OF_ARGUMENT = re.compile(r"^\s+([a-z_, ]+): .*?\[([^\]]+)\]$", re.MULTILINE)
UNIT_OF_RESULT = re.compile(r"^\(.*?\[([^\]]+)\]", re.DOTALL)


@pytest.mark.parametrize("name", SCALARS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_an_equation_scales_as_the_units_in_its_docstring_say(name, data):
    """Dimension analysis: with other sizes of second, byte and FLOP the result changes as its bracket says."""
    function = SCALARS[name]
    brackets = {
        argument.strip(): unit
        for names, unit in UNIT_OF_ARGUMENT.findall(function.__doc__)
        for argument in names.split(",")
    }
    assert set(brackets) == set(arguments_of(function)), "each argument has its unit in the docstring"
    result_unit = UNIT_OF_RESULT.match(function.__doc__)[1]
    second, byte, flop = (data.draw(st.sampled_from([0.5, 2.0, 4.0, 8.0])) for _ in range(3))

    def factor(unit):
        return second ** UNITS[unit][0] * byte ** UNITS[unit][1] * flop ** UNITS[unit][2]

    # Shares stay below one, so that no equation leaves its range.
    point = {n: data.draw(st.floats(min_value=0.1, max_value=0.9)) for n in brackets}
    scaled = {n: value * factor(brackets[n]) for n, value in point.items()}
    assert function(**scaled) == pytest.approx(function(**point) * factor(result_unit), rel=1e-12, abs=1e-300)


def test_every_label_of_the_design_stands_at_one_equation():
    labels = [
        label
        for function in EVERY.values()
        if inspect.isfunction(function) and function.__doc__
        for label in re.findall(r"[A-Z]\d", function.__doc__.split(")")[0])
    ]
    for label in ("R1", "R2", "C1", "B1", "S1", "S2", "L1", "L2", "L3", "P1", "P2", "P3"):
        assert label in labels


class Stage(NamedTuple):
    """A stage: how long it waits for those before it and computes, the bytes it streams, and how long each takes."""

    latency: float
    computing: float
    size: float
    slowness: float
    kind: int | None = None


class Buffer:
    """Room for bytes, simulated: the memory fetches in order, at most `room` ahead of what is consumed."""

    def __init__(self, stages, room):
        self.stages, self.room, self.time, self.fetched = stages, room, 0.0, 0.0

    def streaming(self, place):
        """The time to stream all bytes up to a place [B] since the start."""
        rounds, rest = divmod(place, sum(s.size for s in self.stages))
        time = rounds * sum(s.size * s.slowness for s in self.stages)
        for one in self.stages:
            time += min(one.size, rest) * one.slowness
            rest = max(rest - one.size, 0.0)
        return time

    def goes_on(self, time, end):
        """Time passes in which the memory fetches, no further than to a place."""
        self.time += time
        self.fetched = min(self.fetched + time, max(self.fetched, self.streaming(end)))

    def consume(self, one, end):
        """The stage computes while its bytes leave the room; for those that have not come when it ends, it waits."""
        self.goes_on(one.computing, end + self.room)
        self.goes_on(max(self.streaming(end) - self.fetched, 0.0), end)


def simulate(stages, room, iterations, opens=True):
    """Return the time of a loop, and of an iteration in its last half; one that opens a call starts with bytes."""
    buffer, place, ends = Buffer(stages, room), 0.0, []
    for iteration in range(iterations):
        for number, one in enumerate(stages):
            if iteration or number or not opens:
                buffer.goes_on(one.latency, place + room)
            place += one.size
            buffer.consume(one, place)
        ends.append(buffer.time)
    half = iterations // 2
    return ends[-1] + (stages[0].latency if opens else 0.0), (ends[-1] - ends[half - 1]) / (iterations - half)


def iterations_of(stages, room, opens=True):
    """Return the first iteration of a loop and a later one by the equations [s]."""
    streaming, latencies, computing = zip(*((s.size * s.slowness, s.latency, s.computing) for s in stages), strict=True)
    windows = equations.prefetch_windows([equations.Bytes(s.size, s.slowness, s.kind) for s in stages], room)
    waits = equations.waits_for_bytes(latencies, streaming, windows, computing, opens)
    return [equations.iteration_time(sum(latencies) + sum(computing), wait) for wait in waits]


def stages_of(most):
    short, size, slowness = (st.floats(low, high) for low, high in ((0.0, 10.0), (1e-3, 30.0), (0.1, 3.0)))
    one = st.builds(Stage, short, st.one_of(st.just(0.0), short), size, slowness, st.none())
    return st.lists(one, min_size=1, max_size=most)


few, many = stages_of(PIECES_AHEAD), stages_of(9)
rooms = st.one_of(st.floats(0.0, 40.0), st.just(0.0), st.just(1e4))
counts = st.integers(1, 12)


@given(few, rooms, counts, st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_loop_takes_what_a_simulated_room_takes(stages, room, iterations, opens):
    """To rounding, of any number of iterations, whether its bytes, its chain, or its arithmetic binds."""
    first, later = iterations_of(stages, room, opens)
    total = equations.loop_time(first, later, iterations)
    assert total == pytest.approx(simulate(stages, room, iterations, opens)[0], rel=1e-7, abs=1e-7)


@given(many, rooms)
@settings(max_examples=200, deadline=None)
def test_an_iteration_lies_between_a_simulated_room_and_none(stages, room):
    """Over more pieces than a window reaches, no iteration is faster than with a room, nor slower than with none."""
    _, later = iterations_of(stages, room)
    _, steady = simulate(stages, room, 60)
    without = sum(s.latency + max(s.computing, s.size * s.slowness) for s in stages)
    assert steady * (1 - 1e-7) - 1e-7 <= later <= without * (1 + 1e-12)


@given(many)
@settings(deadline=None)
def test_without_room_latency_adds_and_with_any_it_hides(stages):
    chain = sum(s.latency + s.computing for s in stages)
    streaming = sum(s.size * s.slowness for s in stages)
    added = sum(s.latency + max(s.computing, s.size * s.slowness) for s in stages)
    assert iterations_of(stages, 0.0) == pytest.approx([added, added], rel=1e-12)
    # Room for all, which bytes of one kind show over any number of stages: the longer of stream and chain.
    alike = [s._replace(slowness=1.0, kind=0) for s in stages]
    most = max(sum(s.size for s in alike), chain)
    assert iterations_of(alike, 1e6)[1] == pytest.approx(most, rel=1e-12)
    assert iterations_of(alike, 0.0)[1] >= iterations_of(alike, 1e6)[1] * (1 - 1e-12)
    assert max(streaming, chain) <= iterations_of(stages, 1e6)[1] * (1 + 1e-12)


@given(stages_of(1), rooms)
def test_a_loop_of_one_stage(stages, room):
    [one] = stages
    hidden = min(one.latency, room * one.slowness)
    first, later = iterations_of(stages, room)
    assert later == pytest.approx(one.latency + max(one.computing, one.size * one.slowness - hidden), rel=1e-12)
    assert first == pytest.approx(one.latency + max(one.computing, one.size * one.slowness), rel=1e-12)


@given(many, rooms)
@settings(deadline=None)
def test_the_stall_lies_between_its_bounds(stages, room):
    """i - m where the stream binds: at least what each window leaves of its latency, at most what the least of all."""
    stages = [s._replace(computing=0.0) for s in stages]
    windows = equations.prefetch_windows([equations.Bytes(s.size, s.slowness, s.kind) for s in stages], room)
    chain, streaming = sum(s.latency for s in stages), sum(s.size * s.slowness for s in stages)
    stall = iterations_of(stages, room)[1] - streaming
    assert stall >= sum(max(0.0, s.latency - w) for s, w in zip(stages, windows, strict=True)) - 1e-9
    if chain <= streaming:
        assert stall <= max(0.0, chain - min(windows)) + 1e-9


@given(few, rooms)
@settings(max_examples=200, deadline=None)
def test_the_stall_is_the_largest_sum_over_disjoint_runs(stages, room):
    """The definition, by brute force over runs of one period and its neighbour, for memory-bound loops."""
    stages = [s._replace(computing=0.0) for s in stages]
    streaming = [s.size * s.slowness for s in stages]
    if sum(s.latency for s in stages) > sum(streaming):
        return
    windows = equations.prefetch_windows([equations.Bytes(s.size, s.slowness, s.kind) for s in stages], room)
    n, best = len(stages), 0.0
    # Cut the circle at each stage and choose disjoint runs on the line by dynamic programming.
    for cut in range(n):
        order = [(cut + k) % n for k in range(n)]
        value = [0.0] * (n + 1)
        for end in range(1, n + 1):
            value[end] = value[end - 1]
            for start in range(end):
                run = order[start:end]
                latency, streamed = sum(stages[j].latency for j in run), sum(streaming[j] for j in run[:-1])
                value[end] = max(value[end], value[start] + latency - streamed - windows[run[-1]])
        best = max(best, value[n])
    assert iterations_of(stages, room)[1] - sum(streaming) == pytest.approx(best, rel=1e-9, abs=1e-9)


@given(many, rooms, st.floats(1.0, 3.0), st.data())
@settings(max_examples=400, deadline=None)
def test_nothing_slower_makes_a_loop_faster(stages, room, longer, data):
    """A slower memory for any stage, a longer latency, slower arithmetic, less room: never faster, to rounding."""
    stages = [s._replace(kind=data.draw(st.sampled_from([None, 0, 1]))) for s in stages]
    rates = {kind: data.draw(st.floats(0.1, 3.0)) for kind in (0, 1)}
    stages = [s._replace(slowness=rates.get(s.kind, s.slowness)) for s in stages]
    iterations, opens, at = data.draw(counts), data.draw(st.booleans()), data.draw(st.integers(0, len(stages) - 1))
    before = equations.loop_time(*iterations_of(stages, room, opens), iterations)
    key = data.draw(st.sampled_from(["latency", "computing", "slowness", "room"]))
    if key == "room":
        room /= longer
    else:
        alike = stages[at].kind if key == "slowness" else None
        stages = [
            s._replace(**{key: getattr(s, key) * longer}) if i == at or (alike is not None and s.kind == alike) else s
            for i, s in enumerate(stages)
        ]
    assert equations.loop_time(*iterations_of(stages, room, opens), iterations) >= before * (1 - 1e-13)


def test_larger_smaller_and_ceil_div_of_all_kinds():
    x, y = sympy.symbols("x y", positive=True)
    assert larger(2, 3.0) == 3.0
    assert list(smaller(numpy.array([1.0, 5.0]), 3.0)) == [1.0, 3.0]
    assert larger(x, y).subs({x: 2, y: 7}) == 7
    assert larger(x, x) is x
    assert list(ceil_div(numpy.array([7, 8]), 4)) == [2, 2]
    assert ceil_div(x, 4).subs(x, 9) == 3
