"""What is solved for, fed back into estimate, gives the target; what cannot be reached says so in one line."""

import json

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate, solve
from perfmodel.analysis.formulas import identifier
from perfmodel.analysis.roots import NoSolutionError
from perfmodel.analysis.shapes import deeper, wider
from perfmodel.analysis.solver import solve as solve_directly
from perfmodel.analysis.targets import NAMED
from perfmodel.errors import PerfModelError, SpecificationError, UnknownNameError, UnreadableValueError, ValueRangeError
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.figures import figure_at, parameters_in_use, terms_at
from perfmodel.operations import parameter_count
from perfmodel.specifications.catalogue import find_model
from perfmodel.specifications.parameters import lookup

QUESTIONS = {
    "sn40l": ("llama-3.1-8b", "sn40l", {"devices": 8}),
    "sn40l-busy": ("llama-3.1-8b", "sn40l", {"devices": 16, "batch": 300, "context": 1000}),
    "h100": ("llama-3.1-8b", "h100-sxm", {"batch": 4}),
    "megakernel": ("llama-3.2-1b", "h100-sxm", {"after": "megakernel", "context": 128}),
    "eager": ("qwen3-0.6b", "m2-ultra", {"before": "eager", "batch": 16}),
    "experts": ("mixtral-8x7b", "h100-sxm", {"devices": 4, "batch": 6}),
    "hybrid": ("jamba-v0.1", "h100-sxm", {"devices": 2, "batch": 3}),
}
TARGETS = (
    "before.time_per_step",
    "after.time_per_step",
    "before.tokens_per_second",
    "after.tokens_per_second_per_sequence",
    "before.fraction_of_peak",
    "after.fraction_of_peak",
    "speedup.value",
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(QUESTIONS)), st.sampled_from(TARGETS), st.floats(-1.5, 1.5), st.data())
def test_the_solution_fed_back_gives_the_target(name, figure, decades, data):
    model, hardware, rest = QUESTIONS[name]
    assumptions = {a.name: a for a in estimate(model, hardware, **rest).assumptions if a.value > 0}
    unknown = data.draw(st.sampled_from(sorted(assumptions)))
    value = assumptions[unknown].value * 10**decades
    if assumptions[unknown].unit == "1" and unknown != "units.count":
        value = max(min(value, 1.0), lookup(unknown).least)
    # A target that can be reached, since it was.
    target = estimate(model, hardware, **rest, parameters={unknown: value}).rows()[0][figure]
    found = solve(model, hardware, **rest, unknown=unknown, target={figure: target})
    fed_back = estimate(model, hardware, **rest, parameters={unknown: found.value}).rows()[0][figure]
    assert fed_back == pytest.approx(target, rel=1e-9)
    assert found.reached == pytest.approx(target, rel=1e-9)
    assert found.answer.rows()[0][figure] == fed_back
    if found.formula is not None:
        # The formula itself, at the numbers of the question, is the solution.
        question = ask(model, hardware, **{k: v for k, v in rest.items() if k not in ("batch", "context")})
        numbers = {identifier(a.name): a.value for a in question.assumptions} | {
            "batch": rest.get("batch", 1),
            "context": rest.get("context", 4096),
            "target": target,
        }
        names = {symbol: sympy.Symbol(symbol, positive=True) for symbol in numbers}
        written = sympy.sympify(found.formula, locals=names).subs(
            {names[key]: number for key, number in numbers.items()}
        )
        assert float(written) == pytest.approx(found.value, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["sn40l", "h100", "megakernel"]),
    st.sampled_from(["batch", "context"]),
    st.sampled_from(TARGETS),
    st.integers(1, 3000),
)
def test_batches_and_contexts_are_the_first_to_meet_the_target(name, unknown, figure, number):
    model, hardware, rest = QUESTIONS[name]
    rest = {key: value for key, value in rest.items() if key != unknown}
    target = estimate(model, hardware, **rest, **{unknown: number}).rows()[0][figure] * 0.999999
    try:
        found = solve(model, hardware, **rest, unknown=unknown, target={figure: target})
    except NoSolutionError as error:
        assert (
            "nearest to it" in str(error)
            or "stays at least" in str(error)
            or figure == "speedup.value"
            or "time" in figure
        )
        return

    def met(n):
        reached = estimate(model, hardware, **rest, **{unknown: n}).rows()[0][figure]
        return reached <= target * (1 + 1e-12) if "time" in figure else reached >= target * (1 - 1e-12)

    value = int(found.value)
    assert met(value)
    assert not (met(value + 1) and met(max(value - 1, 1 if unknown == "batch" else 0)))
    if found.exact is not None:
        question = ask(model, hardware, **{k: v for k, v in rest.items() if k not in ("batch", "context")})
        batch, context = (
            (found.exact, rest.get("context", 4096)) if unknown == "batch" else (rest.get("batch", 1), found.exact)
        )
        assert figure_at(question, figure, batch, context, {}) == pytest.approx(target, rel=1e-9)
        assert abs(found.exact - value) <= 1


def test_a_batch_where_the_figure_turns_is_found():
    """The fraction of peak rises to 1,185 sequences and falls from there, between two of the batches that are tried."""
    question = QUESTIONS["sn40l"][:2], QUESTIONS["sn40l"][2]
    highest = estimate(*question[0], **question[1], batch=1185).rows()[0]["before.fraction_of_peak"]
    found = solve(*question[0], **question[1], unknown="batch", target={"before.fraction_of_peak": highest * 0.999999})
    assert 1170 < found.value <= 1185
    with pytest.raises(NoSolutionError, match="no batch gives"):
        solve(*question[0], **question[1], unknown="batch", target={"before.fraction_of_peak": highest * 1.001})


@pytest.mark.parametrize("name", QUESTIONS)
def test_forward_and_inverse_have_the_same_terms(name):
    model, hardware, rest = QUESTIONS[name]
    answer = estimate(model, hardware, **rest)
    question = ask(model, hardware, **{k: v for k, v in rest.items() if k not in ("batch", "context")})
    for side, shown in ((question.before, answer.before), (question.after, answer.after)):
        assert terms_at(side, answer.batch, answer.context, {}) == shown.terms
    assert parameters_in_use(question) == tuple(a.name for a in answer.assumptions)


def test_a_formula_is_shown_and_is_linear_in_the_boundary():
    found = solve("llama-3.1-8b", "sn40l", devices=8, unknown="boundary", target="before.time_per_step=2ms")
    assert found.method == "closed form"
    assert found.unknown == "modes.layer-fused.boundary"
    assert "target/35" in found.formula
    assert found.conditions
    others = estimate(
        "llama-3.1-8b", "sn40l", devices=8, parameters={"modes.layer-fused.boundary": 0.0}
    ).before.time_per_step
    assert found.value == pytest.approx((2e-3 - others) / 35, rel=1e-12)


def test_one_boundary_cost_may_stand_for_its_parts():
    found = solve("llama-3.1-8b", "h100-sxm", unknown="boundary", target="before.fraction_of_peak=0.7")
    assert found.unknown == "modes.graph.boundary"
    assert found.stands == pytest.approx(2.5e-6, rel=0.5)
    assert estimate(
        "llama-3.1-8b", "h100-sxm", parameters={"modes.graph.boundary": found.value}
    ).before.fraction_of_peak == pytest.approx(0.7, rel=1e-9)


def test_devices_are_the_fewest():
    found = solve(
        "llama-3.1-70b", "h100-sxm", question="devices-for-rate", target="after.tokens_per_second_per_sequence=80"
    )
    rates = [
        estimate("llama-3.1-70b", "h100-sxm", devices=n).after.tokens_per_second_per_sequence
        for n in (1, 2, 4, 8, 16, 32, 64)  # what divides 64 heads
        if n <= found.value
    ]
    assert rates[-1] >= 80
    assert all(rate < 80 for rate in rates[:-1])
    assert found.answer.devices == found.value


def test_boundaries_that_may_stay_are_the_most():
    found = solve("llama-3.1-8b", "sn40l", devices=8, question="boundaries-that-may-stay")
    full = estimate("llama-3.1-8b", "sn40l", devices=8).speedup.value
    assert found.target == pytest.approx(1 + 0.9 * (full - 1))
    speedups = [
        estimate("llama-3.1-8b", "sn40l", devices=8, loop_at_most=k).speedup.value
        for k in range(1, int(found.value) + 1)
    ]
    assert speedups[-1] >= found.target > max(speedups[:-1])
    assert found.answer.after.kernel_calls == 6


def test_the_last_paying_batch_is_that_of_the_verdict():
    found = solve("llama-3.1-8b", "sn40l", devices=8, question="last-paying-batch")
    assert found.value == estimate("llama-3.1-8b", "sn40l", devices=8).breakeven_batch
    assert found.value < found.exact < found.value + 1


def test_compute_bound_is_arithmetic_as_long_as_streaming():
    found = solve("llama-3.2-1b", "h100-sxm", context=128, question="compute-bound-batch")
    question = ask("llama-3.2-1b", "h100-sxm")
    below, above = (
        figure_at(question, "before.arithmetic_over_streaming", n, 128, {}) for n in (found.value - 1, found.value)
    )
    assert below < 1 <= above


def test_cache_passes_weights_where_their_bytes_are_equal():
    found = solve("llama-3.1-8b", "h100-sxm", question="cache-passes-weights")
    half = estimate("llama-3.1-8b", "h100-sxm", context=0).bytes_per_step
    assert estimate("llama-3.1-8b", "h100-sxm", context=int(found.value)).bytes_per_step == pytest.approx(
        2 * half, rel=1e-4
    )


def test_the_bandwidth_of_a_new_chip():
    found = solve(
        "llama-3.1-8b",
        "sn40l",
        devices=8,
        question="bandwidth-for-rate",
        target="after.tokens_per_second_per_sequence=1000",
    )
    assert estimate(
        "llama-3.1-8b", "sn40l", devices=8, parameters={"memory.bandwidth": found.value}
    ).after.tokens_per_second_per_sequence == pytest.approx(1000, rel=1e-9)


def test_the_size_at_which_looping_stops_paying():
    found = solve("llama-3.1-8b", "h100-sxm", question="model-size")
    assert found.parameters == parameter_count(wider(find_model("llama-3.1-8b"), int(found.value)))
    assert found.answer.speedup.value >= 1.05
    beyond = estimate(wider(find_model("llama-3.1-8b"), int(found.value) + 64), "h100-sxm").speedup.value
    assert beyond < 1.05


def test_models_of_the_same_shape():
    model = find_model("llama-3.1-8b")
    assert parameter_count(wider(model, model.hidden)) == parameter_count(model)
    assert parameter_count(deeper(model, len(model.layers))) == parameter_count(model)
    one, two = (parameter_count(deeper(model, n)) for n in (1, 2))
    assert parameter_count(deeper(model, 40)) == one + 39 * (two - one)
    assert wider(model, 2048).layers[0].mixer.heads == 16


def test_the_figure_now_gives_back_the_value_now():
    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    for assumption in answer.assumptions:
        found = solve(
            "llama-3.1-8b", "sn40l", devices=8, unknown=assumption.name, target={"speedup": answer.speedup.value}
        )
        assert found.value == pytest.approx(assumption.value, rel=1e-9)


@pytest.mark.parametrize("name", NAMED)
def test_every_named_question_is_answered_or_says_what_is_nearest(name):
    try:
        found = solve("llama-3.1-8b", "sn40l", devices=8, question=name)
    except NoSolutionError as error:
        assert "nearest" in str(error)
    else:
        assert found.question == name
        assert found.answer.model.startswith("llama-3.1-8b")


WRONG = [
    ({"unknown": "boundry", "target": "speedup=1.2"}, UnknownNameError, "did you mean 'boundary'?"),
    ({"unknown": "memory.capacity", "target": "speedup=1.2"}, SpecificationError, "does not enter this answer"),
    ({"unknown": "boundary", "target": "speedup=2us"}, SpecificationError, "is in s, expected 1"),
    ({"unknown": "boundary", "target": "before.time_per_step=2"}, SpecificationError, "has no unit"),
    ({"unknown": "boundary", "target": "before.time_per_step=2GB"}, SpecificationError, "is in B, expected s"),
    ({"unknown": "boundary", "target": "speedupp=2"}, UnknownNameError, "did you mean 'speedup'?"),
    ({"unknown": "boundary", "target": "speedup"}, SpecificationError, "is not FIGURE=VALUE"),
    ({"unknown": "boundary", "target": "speedup=nan"}, SpecificationError, "is not a quantity"),
    ({"unknown": "boundary", "target": "after.fraction_of_peak=-1"}, ValueRangeError, "more than 0"),
    (
        {"unknown": "boundary", "target": "after.fraction_of_peak=0.99"},
        NoSolutionError,
        "no solution: no modes.layer-fused.boundary gives",
    ),
    ({"unknown": "modes.layer-fused.overlap", "target": "speedup=3"}, NoSolutionError, "does not depend on"),
    ({"unknown": "devices", "target": "after.tokens_per_second=1e9"}, NoSolutionError, "nearest feasible"),
    ({"unknown": "batch", "target": "cache_over_weights=1e-9"}, NoSolutionError, "is met at every batch"),
    ({"question": "what"}, UnknownNameError, "is not one I know"),
    ({}, SpecificationError, "needs an unknown and a target"),
    ({"unknown": "batch"}, SpecificationError, "needs an unknown and a target"),
]


@pytest.mark.parametrize(("words", "error", "says"), WRONG, ids=[str(w[0]) for w in WRONG])
def test_what_cannot_be_solved_is_a_one_line_error(run, words, error, says):
    with pytest.raises(error) as raised:
        solve("llama-3.1-8b", "sn40l", devices=8, **words)
    assert says in str(raised.value)
    assert isinstance(raised.value, PerfModelError)
    options = [part for key, value in words.items() for part in (f"--{key}", value)]
    answer = run("solve", "llama-3.1-8b", "sn40l", "--devices", "8", *options)
    assert answer.code == (2 if isinstance(raised.value, UnreadableValueError) else 1)
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert says in answer.err


def test_the_nearest_feasible_is_feasible_and_nearest():
    with pytest.raises(NoSolutionError, match=r"nearest feasible is 0\.76\d*, at modes\.layer-fused\.boundary = 0 s"):
        solve("llama-3.1-8b", "sn40l", devices=8, question="boundary-for-peak")
    assert (
        solve("llama-3.1-8b", "sn40l", devices=8, unknown="boundary", target="before.fraction_of_peak=0.75").value
        < 1e-6
    )


def test_solve_in_every_form(run):
    words = ("solve", "llama-3.1-8b", "sn40l", "--devices", "8", "--unknown", "boundary", "--target", "speedup=1.2")
    text = run(*words).out
    assert text.startswith("modes.layer-fused.boundary = 8.")
    assert "35 - 4*target" not in text
    assert "35 - 4*target" in run(*words, "--formula").out
    found = solve("llama-3.1-8b", "sn40l", devices=8, unknown="boundary", target="speedup=1.2")
    assert json.loads(run(*words, "--json").out) == {"schema": "1.0"} | json.loads(json.dumps(found.to_dict()))
    header, row = run(*words, "--csv").out.splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["value"] == repr(found.value)
    assert (
        run(*words, "--command").out
        == "perfmodel solve llama-3.1-8b sn40l --devices 8 --unknown boundary --target speedup=1.2\n"
    )
    assert run(
        "solve", "llama-3.1-8b", "sn40l", "--devices", "8", "--question", "boundaries-that-may-stay"
    ).out.startswith("loop_at_most = 11 (asked with no limit)")


def test_a_model_that_does_not_fit_is_a_note(run):
    answer = run(
        "solve", "llama-3.1-70b", "rtx-4090", "--unknown", "memory.bandwidth", "--target", "after.tokens_per_second=100"
    )
    assert answer.code == 0
    assert "does not fit" in answer.err


def test_the_public_name_is_the_function():
    assert solve is solve_directly
