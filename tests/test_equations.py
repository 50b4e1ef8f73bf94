"""The equations as equations: three kinds of number, units, and the stall against a simulated buffer."""

import inspect
import itertools
import re

import numpy
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import equations
from perfmodel.numbers.choices import ceil_div, larger, smaller

SCALARS = {
    name: function
    for name, function in vars(equations).items()
    if inspect.isfunction(function)
    and function.__module__.startswith(equations.__name__)
    and name not in ("streaming_time", "prefetch", "prebuilt_time")
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
    latencies, streams, window = [2e-6, 3e-6, 1e-6], [1e-6, 9e-6, 4e-6], 1.5e-6
    value = equations.prefetch(latencies, streams, window).stall
    array = equations.prefetch(
        [numpy.array([x, x]) for x in latencies], [numpy.array([x, x]) for x in streams], numpy.array([window, window])
    ).stall
    assert array == pytest.approx([value, value], rel=1e-12)
    l, m, c = sympy.symbols("l:3", positive=True), sympy.symbols("m:3", positive=True), sympy.Symbol("c", positive=True)
    expression = equations.prefetch(l, m, c).stall
    assert float(expression.subs(dict(zip([*l, *m, c], [*latencies, *streams, window], strict=True)))) == pytest.approx(
        value, rel=1e-9
    )
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
        for function in vars(equations).values()
        if inspect.isfunction(function) and function.__doc__
        for label in re.findall(r"[A-Z]\d", function.__doc__.split(")")[0])
    ]
    for label in ("R1", "R2", "C1", "B1", "S1", "S2", "L1", "L2", "L3", "P1", "P2", "P3"):
        assert label in labels


class Buffer:
    """A prefetch buffer, simulated event by event: the memory fetches in order,
    at most `window` ahead of what is consumed."""

    def __init__(self, window):
        self.window, self.time, self.ahead, self.idle = window, 0.0, 0.0, 0.0

    def wait(self, latency):
        """The stage waits for its serial latency; the memory goes on until the window is full."""
        fetched = min(latency, self.window - self.ahead)
        self.ahead += fetched
        self.idle += latency - fetched
        self.time += latency

    def consume(self, stream):
        """The stage takes its bytes: those fetched ahead at once, the rest as they stream in."""
        from_window = min(self.ahead, stream)
        self.ahead -= from_window
        self.time += stream - from_window


stage = st.tuples(st.floats(min_value=0.0, max_value=10.0), st.floats(min_value=0.0, max_value=30.0))
stages = st.lists(stage, min_size=1, max_size=7)
windows = st.floats(min_value=0.0, max_value=40.0)


def simulate(stages, window, iterations):
    buffer = Buffer(window)
    ends = []
    for _ in range(iterations):
        for latency, stream in stages:
            buffer.wait(latency)
            buffer.consume(stream)
        ends.append((buffer.time, buffer.idle))
    return ends


@given(stages, windows)
@settings(max_examples=400, deadline=None)
def test_iteration_time_is_that_of_a_simulated_buffer(stages, window):
    latencies, streams = zip(*stages, strict=True)
    chain, m = sum(latencies), sum(streams)
    stall = equations.prefetch(latencies, streams, window).stall
    i = equations.iteration_time(m, chain, 0.0, 0.0, stall)
    ends = simulate(stages, window, 400)
    steady = (ends[-1][0] - ends[199][0]) / 200
    if chain <= m:
        assert i == pytest.approx(steady, rel=1e-9, abs=1e-9)
    else:
        # Bound by its own latency: the two walks may not have filled the window yet, so the truth may be a little more.
        assert i <= steady * (1 + 1e-9) + 1e-9
        assert steady <= i * (1 + 1e-9) + min(chain, window)
    # A whole loop: what the start and the end add is at most the refill of the window.
    total, loop, edge = ends[-1][0], 400 * i, min(chain, window) * (1 + 1e-9) + 1e-6
    assert loop * (1 - 1e-9) - edge <= total <= 400 * steady + edge


@given(stages, windows)
@settings(max_examples=200, deadline=None)
def test_stall_is_the_largest_sum_over_disjoint_runs(stages, window):
    """The definition, by brute force over runs of one period and its neighbour, for memory-bound loops."""
    latencies, streams = zip(*stages, strict=True)
    if sum(latencies) > sum(streams):
        return
    n = len(stages)
    best = 0.0
    # Cut the circle at each stage and choose disjoint runs on the line by dynamic programming.
    for cut in range(n):
        order = [(cut + k) % n for k in range(n)]
        value = [0.0] * (n + 1)
        for end in range(1, n + 1):
            value[end] = value[end - 1]
            for start in range(end):
                run = order[start:end]
                gain = sum(latencies[j] for j in run) - sum(streams[j] for j in run[:-1]) - window
                value[end] = max(value[end], value[start] + gain)
        best = max(best, value[n])
    assert equations.prefetch(latencies, streams, window).stall == pytest.approx(best, rel=1e-9, abs=1e-9)


@given(stages, windows)
@settings(deadline=None)
def test_stall_lies_between_its_bounds(stages, window):
    latencies, streams = zip(*stages, strict=True)
    stall = equations.prefetch(latencies, streams, window).stall
    assert sum(max(0.0, l - window) for l in latencies) <= stall + 1e-9
    if sum(latencies) <= sum(streams):
        assert stall <= max(0.0, sum(latencies) - window) + 1e-9


def test_larger_smaller_and_ceil_div_of_all_kinds():
    x, y = sympy.symbols("x y", positive=True)
    assert larger(2, 3.0) == 3.0
    assert list(smaller(numpy.array([1.0, 5.0]), 3.0)) == [1.0, 3.0]
    assert larger(x, y).subs({x: 2, y: 7}) == 7
    assert larger(x, x) is x
    assert list(ceil_div(numpy.array([7, 8]), 4)) == [2, 2]
    assert ceil_div(x, 4).subs(x, 9) == 3
