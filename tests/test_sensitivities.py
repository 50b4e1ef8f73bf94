"""Elasticities are those of the estimate, by differences of it; shares and bars are those of its interval."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate, sensitivity
from perfmodel.analysis.sensitivities import RATES, elasticities, widest_of
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.figures import figure_at
from perfmodel.estimates.positions import moves_with
from perfmodel.numbers.choices import ceil_div, larger, smaller
from perfmodel.numbers.recorded import Recorder, run
from perfmodel.numbers.slopes import slopes_of

QUESTIONS = {
    "sn40l": ("llama-3.1-8b", "sn40l", {"devices": 8}),
    "sn40l-busy": ("llama-3.1-8b", "sn40l", {"devices": 16, "batch": 700, "context": 1000}),
    "h100": ("llama-3.1-8b", "h100-sxm", {"batch": 4}),
    "h100-pdl": ("llama-3.1-70b", "h100-sxm", {"devices": 8, "before": "pdl", "batch": 32}),
    "megakernel": ("llama-3.2-1b", "h100-sxm", {"after": "megakernel", "context": 128}),
    "eager": ("qwen3-0.6b", "m2-ultra", {"before": "eager", "batch": 16}),
    "experts": ("mixtral-8x7b", "h100-sxm", {"devices": 4, "batch": 6}),
    "hybrid": ("jamba-v0.1", "h100-sxm", {"devices": 2, "batch": 3}),
}
every = pytest.mark.parametrize("name", QUESTIONS)


def central_difference(question, name, batch, context, figure):
    values = {"batch": batch, "context": context} | {a.name: a.value for a in question.assumptions}

    def at(factor):
        there = values | {name: values[name] * factor}
        return figure_at(
            question, figure, there["batch"], there["context"], {a.name: there[a.name] for a in question.assumptions}
        )

    step = 1e-5
    return (at(1 + step) - at(1 - step)) / (2 * step) / at(1)


@every
def test_elasticities_equal_central_differences(name):
    model, hardware, rest = QUESTIONS[name]
    found = sensitivity(model, hardware, **rest)
    question = ask(model, hardware, **{k: v for k, v in rest.items() if k not in ("batch", "context")})
    checked = 0
    for influence in found.influences:
        if influence.value == 0:
            assert influence.before == influence.after == influence.speedup == 0
            continue
        for figure, elasticity in zip(RATES, (influence.before, influence.after, influence.speedup), strict=True):
            difference = central_difference(
                question, influence.name, rest.get("batch", 1), rest.get("context", 4096), figure
            )
            assert elasticity == pytest.approx(difference, abs=1e-6), (influence.name, figure)
            checked += 1
    assert checked > 20


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([name for name in QUESTIONS if name != "h100-pdl"]),
    st.floats(0.2, 5),
    st.integers(1, 300),
    st.integers(1, 60_000),
    st.data(),
)
def test_elasticities_equal_central_differences_away_from_kinks(name, factor, batch, context, data):
    model, hardware, rest = QUESTIONS[name]
    fixed = {k: v for k, v in rest.items() if k not in ("batch", "context")}
    bandwidth = ask(model, hardware, **fixed).hardware.values["memory.bandwidth"].value * factor
    question = ask(model, hardware, **fixed, parameters={"memory.bandwidth": bandwidth})
    path = data.draw(st.sampled_from([a.name for a in question.assumptions if a.value > 0] + ["batch", "context"]))
    exact = elasticities(question, batch, context)[path]
    for figure, elasticity in zip(RATES, exact, strict=True):
        difference = central_difference(question, path, batch, context, figure)
        if abs(elasticity - difference) > 1e-6:
            # Only a kink within the step of the difference may tell them apart.
            near = [
                elasticities(
                    ask(model, hardware, **fixed, parameters={"memory.bandwidth": bandwidth * f}), batch, context
                )[path]
                for f in (1 - 1e-4, 1 + 1e-4)
            ]
            values = {a.name: a.value for a in question.assumptions}
            if path in values:
                near += [
                    elasticities(
                        ask(
                            model, hardware, **fixed, parameters={"memory.bandwidth": bandwidth, path: values[path] * f}
                        ),
                        batch,
                        context,
                    )[path]
                    for f in (1 - 2e-5, 1 + 2e-5)
                ]
            assert max(abs(one - elasticity) for triple in near for one in triple) > 1e-4 or path in (
                "batch",
                "context",
            )


def test_scaling_every_time_and_every_rate_scales_the_answer():
    # Euler: a time is homogeneous of degree one in times, minus one in rates; so are the elasticities summed.
    found = sensitivity("llama-3.1-8b", "sn40l", devices=8)
    rates = sum(i.after * (1 if i.unit in ("B/s", "FLOP/s") else -1 if i.unit == "s" else 0) for i in found.influences)
    assert rates == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "figure", ["speedup", "after.tokens_per_second", "before.time_per_step", "after.fraction_of_peak"]
)
def test_bars_and_shares_are_those_of_the_estimate(figure):
    found = sensitivity("llama-3.1-8b", "h100-sxm", figure=figure)
    answer = estimate("llama-3.1-8b", "h100-sxm")
    full = "speedup.value" if figure == "speedup" else figure
    assert found.value == answer.rows()[0][full]
    for influence in found.influences:
        for end, reached in ((influence.low, influence.at_low), (influence.high, influence.at_high)):
            if influence.low < influence.high:
                assert estimate("llama-3.1-8b", "h100-sxm", parameters={influence.name: end}).rows()[0][
                    full
                ] == pytest.approx(reached, rel=1e-12)
        # A part that is far wider up than down shifts the middle of the whole, and its low end with it.
        assert 0.95 * found.low <= min(influence.at_low, influence.at_high)
        assert max(influence.at_low, influence.at_high) <= 1.05 * found.high
        assert 0 <= influence.share <= 1
    order = [(influence.share, influence.swing) for influence in found.influences]
    assert order == sorted(order, reverse=True)
    if figure == "speedup":
        assert found.influences[0].name == found.measure_next.name == widest_of(answer)[0]


def test_what_to_measure_next_closes_most_of_the_interval():
    found = sensitivity("llama-3.1-8b", "sn40l", devices=8)
    widths = {}
    for influence in found.influences:
        if influence.low < influence.high:
            closed = estimate("llama-3.1-8b", "sn40l", devices=8, parameters={influence.name: influence.value}).speedup
            widths[influence.name] = math.log(closed.high / closed.low)
    assert found.measure_next.name == min(widths, key=widths.get)
    # A share is one of the variance, so that widths go with its root; the two halves of an interval are not quite
    # equal.
    left = (widths[found.measure_next.name] / math.log(found.high / found.low)) ** 2
    assert found.measure_next.share == pytest.approx(1 - left, abs=0.02)
    # Those that move together share one; all shares together are the whole.
    assert sum({moves_with(i.name): i.share for i in found.influences}.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_widest_assumption_of_an_answer_is_what_to_measure_next(name):
    model, hardware, rest = QUESTIONS[name]
    best = sensitivity(model, hardware, **rest).measure_next
    assert widest_of(estimate(model, hardware, **rest)) == (best.name, best.share)


def test_nothing_uncertain_leaves_nothing_to_measure():
    first = sensitivity("llama-3.1-8b", "sn40l", devices=8)
    closed = sensitivity(
        "llama-3.1-8b", "sn40l", devices=8, parameters={i.name: i.value for i in first.influences if i.low < i.high}
    )
    assert closed.measure_next is None
    assert widest_of(closed.answer) is None
    assert all(i.share == i.swing == 0 for i in closed.influences)


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_slopes_of_a_recording_are_derivatives(x, y):
    for function, along_x, along_y in (
        (lambda a, b: a * a + b, 2 * x, 1.0),
        (lambda a, b: b - a, -1.0, 1.0),
        (lambda a, b: b / a, -y / x**2, 1 / x),
        (lambda a, b: a**2 / b, 2 * x / y, -(x**2) / y**2),
        (lambda a, b: a**b, y * x ** (y - 1), x**y * math.log(x)),
        (larger, 1.0 if x >= y else 0.0, 0.0 if x >= y else 1.0),
        (smaller, 1.0 if x <= y else 0.0, 0.0 if x <= y else 1.0),
        (ceil_div, 1 / y, -x / y**2),  # that of the line through the steps
    ):
        recorder = Recorder()
        result = function(*recorder.inputs(["x", "y"])).name
        values = run(recorder.lines, {"x": x, "y": y})
        assert values[result] == function(x, y)
        slopes = slopes_of(recorder.lines, values, result)
        assert slopes.get("x", 0.0) == pytest.approx(along_x, rel=1e-9, abs=1e-300)
        assert slopes.get("y", 0.0) == pytest.approx(along_y, rel=1e-9, abs=1e-300)
    recorder = Recorder()
    power = 0.0 ** recorder.inputs(["x"])[0]
    assert slopes_of(recorder.lines, run(recorder.lines, {"x": x}), power.name).get("x", 0.0) == 0.0


def test_sensitivity_in_every_form(run):
    words = ("sensitivity", "llama-3.1-8b", "sn40l", "--devices", "8")
    assert run(*words).out.startswith("Measure modes.layer-fused.boundary next: it is ")
    found = sensitivity("llama-3.1-8b", "sn40l", devices=8)
    assert json.loads(run(*words, "--json").out) == {"schema": "1.0"} | json.loads(json.dumps(found.to_dict()))
    header = run(*words, "--csv").out.splitlines()[0].split(",")
    assert header == list(found.rows()[0])
    assert {"name", "at_low", "at_high", "base", "swing", "share", "before", "after", "speedup"} <= set(header)
    assert run(*words, "--command").out == "perfmodel sensitivity llama-3.1-8b sn40l --devices 8\n"


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        ("speedupp", "did you mean 'speedup'?"),
        ("before.terms.stream", "has no interval"),
        ("peak.time_per_step", "has no interval"),
    ],
)
def test_figures_without_an_interval_are_one_line_errors(run, figure, says):
    answer = run("sensitivity", "llama-3.1-8b", "sn40l", "--figure", figure)
    assert answer.code == 1
    assert says in answer.err
    assert answer.err.count("\n") == 1
