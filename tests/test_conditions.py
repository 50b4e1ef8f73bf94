"""Layers that run with a probability: limits in which the answer is known, expectations by enumeration,
and words that cannot be."""

import json
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import PerfModelError, equations, estimate
from perfmodel.analysis.conditional import conditional_report
from perfmodel.analysis.conditions import read_conditions

FREE = {f"conditions.{key}": "0 s" for key in ("predicate", "device", "host", "switch")}
NO_COSTS = FREE | {"modes.looped.boundary": "0 s", "modes.looped.fill": "0 s", "modes.looped.prefetch": "0 B"}
SKIPPED, IN_VAIN, DEVICE, HOST, PREBUILT = range(1, 6)


def times(model="llama-3.1-8b", hardware="h100-sxm", **asked):
    return [t.time_per_step.value for t in conditional_report(model, hardware, **asked).treatments]


@pytest.mark.parametrize("how", ["run_with", "run_together"])
@pytest.mark.parametrize("model", ["llama-3.1-8b", "gemma-3-27b", "deepseek-v3", "adm-64-unet"])
def test_a_probability_of_one_is_the_plain_model(model, how):
    plain = estimate(model, "h200-sxm", devices=8, batch=3).after.time_per_step
    assert times(model, "h200-sxm", devices=8, batch=3, **{how: "4-9=1"}) == [pytest.approx(plain, rel=1e-12)] * 6


@given(
    st.floats(0, 0.999),
    st.floats(0, 0.999),
    st.sampled_from([1, 4, 64]),
    st.sampled_from(["run_with", "run_together"]),
    st.sampled_from([2, 3, 8]),
)
@settings(max_examples=60, deadline=None)
def test_a_layer_that_runs_more_often_takes_no_less_time(one, other, batch, how, kernels):
    less, more = sorted((one, other))
    fewer, greater = (times("llama-3.2-1b", batch=batch, kernels=kernels, **{how: f"8-15={p!r}"}) for p in (less, more))
    for treatment, (a, b) in enumerate(zip(fewer, greater, strict=True)):
        assert a <= b * (1 + 1e-9), treatment


@given(st.floats(0, 0.999), st.integers(0, 30), st.sampled_from(["llama-3.1-8b", "qwen3-30b-a3b"]))
@settings(max_examples=30, deadline=None)
def test_where_nothing_costs_anything_all_treatments_agree(probability, first, model):
    found = times(model, parameters=NO_COSTS, run_together=f"{first}-31={probability!r}")
    always = found[0]
    assert found[IN_VAIN] == pytest.approx(always, rel=1e-12)
    for treatment in (DEVICE, HOST, PREBUILT):
        assert found[treatment] == pytest.approx(found[SKIPPED], rel=1e-9)
    assert found[SKIPPED] <= always


@given(
    st.sampled_from(["predicate", "device", "host", "switch"]),
    st.lists(st.floats(0, 1e-3), min_size=2, max_size=3),
    st.sampled_from([("llama-3.2-1b", "8-15=0.3"), ("llama-3.1-8b", "0-3=0.9,10-20=0.5")]),
)
@settings(max_examples=40, deadline=None)
def test_a_condition_that_costs_more_makes_no_treatment_faster(key, costs, asked):
    model, layers = asked
    found = [times(model, parameters={f"conditions.{key}": cost}, run_together=layers) for cost in sorted(costs)]
    for less, more in pairwise(found):
        assert all(a <= b * (1 + 1e-12) for a, b in zip(less, more, strict=True))
    dearest = times(model, parameters={f"conditions.{key}": 1.0}, run_together=layers)
    assert max(dearest) > max(found[-1])


def test_with_free_conditions_the_saved_part_is_that_of_the_layers():
    """Half of 32 equal layers, half of the time: a quarter of what all layers take in the loop."""
    always, skipped, *_ = times(parameters=FREE | {"modes.looped.prefetch": "0 B"}, run_with="16-31=0.5")
    none = times(parameters=FREE | {"modes.looped.prefetch": "0 B"}, run_with="0-31=0")[SKIPPED]
    assert always - skipped == pytest.approx((always - none) / 4, rel=1e-9)


def test_each_cost_is_met_as_often_as_its_treatment_says():
    base, predicate, device, host, switch = (
        times(parameters=FREE | change, run_with="16-31=0.5", kernels=3)
        for change in ({}, *({f"conditions.{key}": "7 us"} for key in ("predicate", "device", "host", "switch")))
    )
    micro = pytest.approx
    assert [a - b for a, b in zip(predicate, base, strict=True)] == micro([0, 112e-6, 112e-6, 0, 0, 0], abs=1e-12)
    assert [a - b for a, b in zip(device, base, strict=True)] == micro([0, 0, 0, 112e-6, 0, 0], abs=1e-12)
    assert [a - b for a, b in zip(host, base, strict=True)] == micro([0, 0, 0, 0, 112e-6, 0], abs=1e-12)
    assert [a - b for a, b in zip(switch, base, strict=True)] == micro([0, 0, 0, 0, 0, 7e-6], abs=1e-12)


def test_a_loop_that_ends_has_more_calls():
    """Layers 0-15 loop, 16 to 31 each a call half of the time; embedding, classifier and sampling besides."""
    calls = [t.kernel_calls for t in conditional_report("llama-3.1-8b", "h100-sxm", run_with="16-31=0.5").treatments]
    assert calls == [4, 4, 4, 4 + 8, 4 + 8, 4]
    together = [
        t.kernel_calls for t in conditional_report("llama-3.1-8b", "h100-sxm", run_together="16-31=0.5").treatments
    ]
    assert together == [4, 4, 4, 4.5, 4.5, 4]
    # Loops of at most 8 iterations: 4 of them, 4 again without layer 0, and 2 half of the time for the last 16.
    short = [
        t.kernel_calls
        for t in conditional_report("llama-3.1-8b", "h100-sxm", run_with="0=0.5", loop_at_most=8).treatments
    ]
    assert short == [7, 7, 7, 7.5, 7.5, 7]
    short = [
        t.kernel_calls
        for t in conditional_report("llama-3.1-8b", "h100-sxm", run_together="16-31=0.5", loop_at_most=8).treatments
    ]
    assert short == [7, 7, 7, 6, 6, 7]


def test_a_split_that_always_runs_costs_its_boundaries():
    """With free conditions and a probability near one, ending the loop in the middle costs one boundary,
    one fill and one refill more."""
    answer = estimate("llama-3.1-8b", "h100-sxm")
    boundary = {a.name: a.value for a in answer.assumptions}
    always, *_, device, _, _ = times(parameters=FREE, run_together="16-31=0.999999999")
    bare = (
        sum(boundary.get(f"modes.graph.{key}", 0.0) for key in ("bare", "ramp", "tail")) + boundary["modes.looped.fill"]
    )
    assert bare <= device - always < bare + 5e-6


@pytest.mark.parametrize(("count", "kernels", "probability"), [(1, 2, 0.3), (4, 3, 0.5), (6, 4, 0.2), (5, 6, 0.7)])
def test_prebuilt_kernels_by_enumeration(count, kernels, probability):
    """Every mask of layers, each with the shortest kernel that has all of its layers."""
    most = min(kernels, count + 1)
    lengths = [-(-count * j // (most - 1)) for j in range(most)]
    expected = 0.0
    for mask in product((0, 1), repeat=count):
        last = max((i + 1 for i, runs in enumerate(mask) if runs), default=0)
        chance = probability ** sum(mask) * (1 - probability) ** (count - sum(mask))
        expected += chance * min(length for length in lengths if length >= last)
    covered = [equations.covered_probability(probability, count - length) for length in lengths]
    assert equations.prebuilt_time(0.0, covered, lengths) == pytest.approx(expected)
    with_layers, none = (
        times("llama-3.1-8b", parameters=FREE, run_with=f"3-{2 + count}={p}", kernels=kernels) for p in (probability, 0)
    )
    layer = (with_layers[0] - none[PREBUILT]) / count
    assert with_layers[PREBUILT] - none[PREBUILT] == pytest.approx(expected * layer, rel=1e-6)


def test_a_batch_needs_a_layer_if_any_of_its_tokens_does():
    assert equations.needed_probability(0.125, 8) == pytest.approx(1 - 0.875**8)
    small, large = (
        times("llama-3.1-8b", parameters=FREE, run_with="0-31=0.125", batch=batch, context=16) for batch in (1, 64)
    )
    assert small[SKIPPED] / small[0] < 0.3
    # Almost every layer is needed by some token, so its weights are read; what is saved is the rest of its work.
    assert 0.5 < large[SKIPPED] / large[0] < 1


@pytest.mark.parametrize("model", ["llama-3.1-8b", "gemma-3-27b", "deepseek-v3", "sd-1.5-unet", "lstm-seq2seq-decoder"])
def test_bounds_hold_the_value(model):
    report = conditional_report(model, "h200-sxm", devices=8, run_with="1-3=0.5", batch=4)
    for treatment in report.treatments:
        time = treatment.time_per_step
        assert 0 < time.low <= time.value <= time.high
        assert treatment.tokens_per_second == pytest.approx(4 / time.value)
    always = estimate(model, "h200-sxm", devices=8, batch=4).after
    assert report.treatments[0].time_per_step.value == pytest.approx(always.time_per_step)
    assert (report.treatments[0].time_per_step.low, report.treatments[0].time_per_step.high) == pytest.approx(
        (always.high.time_per_step, always.low.time_per_step)
    )


@pytest.mark.parametrize(
    ("text", "layers", "probability"),
    [
        ("16-31=0.5", tuple(range(16, 32)), 0.5),
        ("7=0", (7,), 0.0),
        ("1-9:4=0.125", (1, 5, 9), 0.125),
        (" 2 - 3 = 0.5 ", (2, 3), 0.5),
    ],
)
def test_conditions_as_written(text, layers, probability):
    (condition,) = read_conditions(text, 32)
    assert (condition.layers, condition.probability) == (layers, probability)
    assert read_conditions(str(condition), 32) == (condition,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "16",
        "16-31",
        "=0.5",
        "a-b=0.5",
        "16-31=x",
        "16-31=1.5",
        "16-31=-0.1",
        "16-31=nan",
        "31-16=0.5",
        "16-32=0.5",
        "1-2:0=0.5",
        "1-2:-1=0.5",
        "١=0.5",
        "1=0.5,1=0.6",
        "9" * 50 + "=0.5",
    ],
)
def test_words_that_are_no_condition(run, text):
    answer = run("conditional", "llama-3.1-8b", "h100-sxm", "--run-with", text)
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert "--run-with" in answer.err or "conditions" in answer.err


@given(st.text(alphabet="0123456789-=:,. e+nai", max_size=24))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_conditions_or_one_line(text):
    try:
        for condition in read_conditions(text, 32):
            assert condition.layers
            assert 0 <= condition.probability < 1
    except PerfModelError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--run-with", "1=0.5", "--run-together", "1=0.5"),
        ("--run-with", "1=0.5", "--after", "graph"),
        ("--run-with", "1=0.5", "--kernels", "1"),
        ("--run-with", "1=0.5", "--set", "conditions.host=-1us"),
    ],
)
def test_questions_that_cannot_be_answered(run, words):
    answer = run("conditional", "llama-3.1-8b", "h100-sxm", *words)
    assert answer.code == 1
    assert answer.err.count("\n") == 1


def test_the_command_shows_the_treatments_side_by_side(run):
    words = ("conditional", "llama-3.1-8b", "h100-sxm", "--run-with", "16-31=0.5", "--kernels", "4")
    out = run(*words).out
    assert out.startswith("Fastest is predicated")
    for name in (
        "predicated, work skipped",
        "predicated, work done anyway",
        "loop ends, device decides",
        "loop ends, host decides",
        "one of 4 prebuilt kernels",
        "conditions.predicate",
    ):
        assert name in out
    report = json.loads(run(*words, "--json").out)
    assert report["treatments"][0]["name"] == "every layer always"
    assert run(*words, "--csv").out.startswith("treatment,time_per_step,low.time_per_step")


def test_a_layer_that_does_not_fit_on_chip_is_no_loop_here_either():
    """With next to no room on chip every layer is split into its stages;
    the treatments then differ by boundaries only where calls are made."""
    tiny = {"on_chip.capacity": "1 kB", "on_chip.shared_per_unit": "1 B"}
    asked = {"parameters": tiny | FREE, "batch": 4}
    plain = estimate("llama-3.1-8b", "h100-sxm", **asked).after
    report = conditional_report("llama-3.1-8b", "h100-sxm", run_with="16-31=0.5", **asked)
    assert report.treatments[0].time_per_step.value == pytest.approx(plain.time_per_step)
    assert report.treatments[0].kernel_calls == plain.kernel_calls > 100
    calls = report.treatments[DEVICE].kernel_calls
    assert plain.kernel_calls / 2 < calls < plain.kernel_calls


def test_only_some_loops_are_not_asked_for():
    with pytest.raises(PerfModelError, match="loop_only"):
        conditional_report("llama-3.1-8b", "h100-sxm", run_with="16-31=0.5", loop_only="0-31")
    with pytest.raises(PerfModelError, match="a draft is not understood here"):
        conditional_report("llama-3.1-8b", "h100-sxm", run_with="16-31=0.5", draft=3, drafter="ngram", acceptance=0.5)
    with pytest.raises(PerfModelError, match="a prompt is not understood here"):
        conditional_report("llama-3.1-8b", "h100-sxm", run_with="16-31=0.5", prompt=100)
