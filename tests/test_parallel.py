"""How devices share the work: counts on the fullest device, the collectives that follow, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate, find_model
from perfmodel.errors import PerfModelError
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.counts import counts_at
from perfmodel.estimates.figures import costs_at
from perfmodel.estimates.question import formats_of
from perfmodel.estimates.terms import busy_time
from perfmodel.operations import decode_step, pipeline_stages
from perfmodel.operations.parallel import Parallel, read_parallel


def layer_of(model, index, **shares):
    found = find_model(model)
    return decode_step(found, formats_of(found, None, None), Parallel(**shares)).layers[index]


def collectives(layer):
    return [
        (o.name, o.collective.kind, o.collective.group, o.collective.payload) for o in layer if o.collective is not None
    ]


def weights(operations):
    return sum(size for o in operations for _, size in o.work.weights)


def test_each_way_has_its_collectives():
    hidden = 7168 * 2  # bytes of a token in bf16
    assert collectives(layer_of("deepseek-v3", 60)) == []
    # The devices share every token already, so nothing travels to the experts.
    assert collectives(layer_of("deepseek-v3", 60, tensor=8, expert=8)) == [
        ("mixer_all_reduce", "all_reduce", 8, hidden),
        ("feed_forward_all_reduce", "all_reduce", 8, hidden),
    ]
    # Each token goes to its eight experts and back.
    assert collectives(layer_of("deepseek-v3", 60, data=8, expert=8)) == [
        ("expert_dispatch", "all_to_all", 8, 8 * hidden),
        ("expert_combine", "all_to_all", 8, 8 * hidden),
    ]
    # Two devices send half of their group's tokens each.
    assert collectives(layer_of("deepseek-v3", 60, tensor=2, data=4, expert=8)) == [
        ("mixer_all_reduce", "all_reduce", 2, hidden),
        ("expert_dispatch", "all_to_all", 8, 4 * hidden),
        ("expert_combine", "all_to_all", 8, 4 * hidden),
        ("feed_forward_all_reduce", "all_reduce", 2, hidden),
    ]
    # A dense block is split over all devices, which need all tokens.
    assert collectives(layer_of("deepseek-v3", 0, tensor=2, data=4, expert=8)) == [
        ("mixer_all_reduce", "all_reduce", 2, hidden),
        ("feed_forward_all_gather", "all_gather", 4, 4 * hidden),
        ("feed_forward_reduce_scatter", "reduce_scatter", 8, 4 * hidden),
        ("feed_forward_tensor_gather", "all_gather", 2, hidden),
    ]


def test_attention_is_whole_in_each_data_parallel_group_and_experts_are_spread():
    whole, shared = layer_of("deepseek-v3", 60), layer_of("deepseek-v3", 60, data=8, expert=8)
    mixers = [layer[: [o.name for o in layer].index("mixer_residual")] for layer in (whole, shared)]
    assert weights(mixers[0]) == weights(mixers[1]) > 0
    banks = [[bank for o in layer for bank in o.work.experts] for layer in (whole, shared)]
    assert [b.bytes for b in banks[0]] == [b.bytes for b in banks[1]]  # an expert stays whole
    assert {b.groups for b in banks[1]} == {8}
    resident = [ask("deepseek-v3", "h200-sxm", parallel=p).resident.works[0] for p in ("tp=1", "dp=8,ep=8")]
    experts = [sum(-(-b.count // b.groups) * b.bytes for b in work.experts) for work in resident]
    assert experts[1] == experts[0] / 8
    # The rest is on each device as on one, but for the three dense layers.
    rest = [sum(size for _, size in work.weights) for work in resident]
    assert rest[0] * 0.85 < rest[1] < rest[0]


def test_the_cache_of_a_group_is_that_of_its_sequences():
    one, eight = (ask("deepseek-v3", "h200-sxm", parallel=p).resident for p in ("tp=1", "dp=8,ep=8"))
    for batch, held in ((1, 1), (8, 1), (9, 2), (64, 8)):
        cache = [resident.bytes_resident(batch, 4096) - resident.bytes_resident(batch, 0) for resident in (one, eight)]
        assert cache[0] == batch * 4096 * 70_272
        assert cache[1] == held * 4096 * 70_272


def test_key_and_value_heads_replicate_beyond_their_number():
    cache = {
        n: sum(c.bytes for o in layer_of("llama-3.1-70b", 0, tensor=n) for c in o.work.caches)
        for n in (1, 2, 8, 16, 32)
    }
    assert cache[1] == 2 * 8 * 128 * 2
    assert cache[2] == cache[1] / 2
    assert cache[8] == cache[16] == cache[32] == cache[1] / 8
    # Copies are traffic of calls, not peak.
    eight, sixteen = (estimate("llama-3.1-70b", "h100-sxm", devices=n, context=100_000) for n in (8, 16))
    assert eight.bytes_per_step == sixteen.bytes_per_step
    assert sixteen.before.terms.stream > 0.55 * eight.before.terms.stream


def test_arithmetic_is_shared_whatever_the_way():
    """Where everything divides, all devices together do the work of one, but for norms and routers."""
    model = find_model("deepseek-v3")
    whole = ask(model, "h200-sxm", parallel="tp=1").whole.flops_at(256, 1000)
    for text in ("tp=8", "tp=8,ep=8", "dp=8,ep=8", "tp=2,dp=4,ep=8", "tp=2,dp=4", "tp=4,dp=2,ep=4"):
        way = read_parallel(text, model)
        step = decode_step(model, formats_of(model, None, None), way)
        each = sum(o.work.flops_at(way.sequences(256), 1000) for o in step.all_operations())
        assert way.devices == 8
        assert whole <= each * 8 * (1 + 1e-9) < whole * 1.4, text


@pytest.mark.parametrize(
    ("given", "as_text", "devices"),
    [
        ("tp=8,ep=8", "tp=8,ep=8", 8),
        ("ep=16,dp=8", "tp=2,ep=16,dp=8", 16),
        (" dp=2 , tp=4", "tp=4,dp=2", 8),
        ({"tp": 4, "dp": 2}, "tp=4,dp=2", 8),
        ("tp=1", "tp=1", 1),
    ],
)
def test_a_way_is_read_and_written(given, as_text, devices):
    model = find_model("deepseek-v3")
    way = read_parallel(given, model)
    assert (str(way), way.devices) == (as_text, devices)
    assert read_parallel(as_text, model) == way
    answer = estimate(model, "h200-sxm", parallel=given, batch=8)
    assert (answer.parallel, answer.devices, answer.to_dict()["parallel"]) == (as_text, devices, as_text)


@pytest.mark.parametrize(
    ("given", "devices", "words"),
    [
        ("tp=4,dp=2", 16, "tp=8 would make as many"),
        ("tp=4", 6, "not 6; tp=6 would"),
        ("dp=4", 6, "not 6"),
        ("ep=3,dp=2", None, "ep=3 does not divide"),
        ("dq=2", None, "is not understood"),
        ({"tp": 1.5}, None, "1.5"),
        ("tp=70000", None, "70000"),
        ("tp=60000,dp=2", None, "more than"),
    ],
)
def test_a_way_that_cannot_be_is_one_line(given, devices, words):
    with pytest.raises(PerfModelError, match="--parallel") as error:
        estimate("deepseek-v3", "h200-sxm", parallel=given, devices=devices)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_step_costs_as_much_as_its_fullest_group():
    """A ninth sequence over eight groups makes one of them hold two."""
    times = [
        estimate("deepseek-v3", "h200-sxm", parallel="dp=8,ep=8", batch=batch, context=100_000).before.terms.stream
        for batch in (8, 9, 16)
    ]
    assert times[0] < times[1] < times[2]
    cache = 100_000 * 70_272 / 4.8e12
    assert times[1] - times[0] > cache  # a whole cache more, below the datasheet rate


def test_loops_and_models_show_take_the_way(run):
    one, eight = (run("loops", "deepseek-v3", *words) for words in ((), ("--parallel", "dp=8,ep=8")))
    assert (one.code, eight.code) == (0, 0)
    assert one.out.splitlines()[0] != eight.out.splitlines()[0]
    assert "expert_dispatch" in run("models", "show", "deepseek-v3", "--parallel", "dp=8,ep=8").out
    assert "not 4" in run("loops", "deepseek-v3", "--parallel", "dp=8,ep=8", "--devices", "4").err


def sides(answer):
    return (answer.before, answer.after)


def test_a_pipeline_cuts_the_layers_as_vllm_does():
    model = find_model("deepseek-v3")
    formats = formats_of(model, None, None)
    step = decode_step(model, formats, Parallel(pipeline=4))
    stages = pipeline_stages(step, model.hidden, formats, 4)
    assert [len(stage.layers) for stage in stages] == [15, 15, 16, 15]
    assert sum((stage.layers for stage in stages), ()) == step.layers
    assert [bool(stage.before) for stage in stages] == [True, False, False, False]
    assert [next(o.name for o in stage.after) for stage in stages] == ["send", "send", "send", "final_norm"]
    assert [stage.first_layer for stage in stages] == [0, 15, 30, 46]


@pytest.mark.parametrize("mode", ["graph", "looped", "megakernel"])
def test_one_sequence_passes_all_stages_in_turn(mode):
    """A token alone takes as long as on one device of the same kind, and its sends."""
    one, four = (
        estimate("llama-3.1-70b", "h100-sxm", parallel=p, before=mode, after=mode).before for p in ("tp=1", "pp=4")
    )
    assert one.time_per_step < four.time_per_step < 1.02 * one.time_per_step
    assert four.terms.collective > 0
    assert four.tokens_per_second == pytest.approx(1 / four.time_per_step)
    assert four.fraction_of_peak < 0.26  # three of four devices wait


def test_a_full_pipeline_takes_its_slowest_stage_as_often_as_it_has_stages():
    question = ask("llama-3.1-70b", "h100-sxm", parallel="pp=4")
    side = question.before
    rates, chain, fixed, _ = costs_at(side, {})
    counts = counts_at(side.plan, 64, 4096)
    by_stage = {}
    for call in counts:
        one = busy_time([call._replace(microbatches=None)], rates, chain).calls / call.alike
        by_stage[call.pipeline_stage] = by_stage.get(call.pipeline_stage, 0.0) + one
    expected = fixed.host + side.plan.kernel_calls * fixed.boundary + 4 * max(by_stage.values())
    answer = estimate("llama-3.1-70b", "h100-sxm", parallel="pp=4", batch=64)
    assert answer.before.time_per_step == pytest.approx(expected, rel=1e-12)
    assert answer.before.tokens_per_second == pytest.approx(64 / answer.before.time_per_step)
    assert answer.before.tokens_per_second_per_sequence == pytest.approx(1 / answer.before.time_per_step)


def test_sequences_in_flight_raise_the_rate_of_a_device():
    rates = [
        estimate("llama-3.1-70b", "h100-sxm", parallel="pp=4", batch=batch).after.tokens_per_second
        for batch in (1, 2, 4, 16, 64)
    ]
    assert all(more > 1.5 * less for less, more in pairwise(rates))
    # Four sequences fill the four stages: each goes on at nearly the pace it had alone.
    assert rates[2] == pytest.approx(4 * rates[0], rel=0.1)


@given(
    st.sampled_from(["llama-3.1-8b", "deepseek-v3", "gemma-3-27b", "jamba-1.5-mini"]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
    st.integers(1, 300),
    st.integers(0, 50_000),
    st.sampled_from(["graph", "looped", "megakernel", "eager"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_way_terms_add_up_and_nothing_is_above_peak(
    name, tensor, data, stages, spread, batch, context, mode
):
    way = {"tp": tensor, "dp": data, "pp": stages} | ({"ep": tensor * data} if spread and name == "deepseek-v3" else {})
    answer = estimate(name, "h100-sxm", parallel=way, batch=batch, context=context, before=mode)
    assert answer.devices == tensor * data * stages
    for side in sides(answer):
        assert sum(side.terms) == pytest.approx(side.time_per_step)
        assert 0 < side.low.fraction_of_peak <= side.fraction_of_peak <= side.high.fraction_of_peak <= 1
    assert answer.speedup.low <= answer.speedup.value <= answer.speedup.high
    assert answer.bytes_per_step == answer.replace(parallel=None, devices=1).bytes_per_step
    assert sum(loop.count * len(loop.body) for loop in answer.loops) <= len(find_model(name).layers)


def test_each_stage_holds_its_layers():
    model = find_model("llama-3.1-70b")
    one, four = (ask(model, "h100-sxm", parallel=p).resident for p in ("tp=1", "pp=4"))
    assert len(four.works) == 3  # first, the two between, last
    layers = sum(size for _, size in four.works[1].weights)
    assert layers == sum(o.elements for o in decode_step(model, formats_of(model, None, None), 1).layers[0]) * 2 * 20
    assert sum(size for work in (*four.works, four.works[1]) for _, size in work.weights) == sum(
        size for _, size in one.works[0].weights
    )
    # All sequences in flight have their caches in each stage.
    assert four.bytes_resident(64, 8192) - four.bytes_resident(64, 0) == 64 * 8192 * 327_680 // 4


def test_functions_and_symbols_know_pipelines_and_groups():
    from perfmodel.analysis.explanations import explain
    from perfmodel.estimates.figures import figure_at

    question = {"devices": 16, "parallel": "tp=2,dp=4,pp=2,ep=8"}
    prepared = ask("deepseek-v3", "h200-sxm", **question)
    for batch in (1, 7, 9, 64):
        answer = estimate("deepseek-v3", "h200-sxm", batch=batch, **question)
        for side in ("before", "after"):
            assert figure_at(prepared, f"{side}.time_per_step", batch, 4096, {}) == pytest.approx(
                getattr(answer, side).time_per_step, rel=1e-12
            )
    assert estimate("deepseek-v3", "h200-sxm", batch=9, **question).before.time_per_step == pytest.approx(
        figure_at(prepared, "before.time_per_step", 9, 4096, {}), rel=1e-12
    )
    told = explain("llama-3.1-8b", "h100-sxm", batch=3, parallel="pp=2")
    assert told.before.time_per_step == pytest.approx(
        estimate("llama-3.1-8b", "h100-sxm", batch=3, parallel="pp=2").before.time_per_step, rel=1e-9
    )


def test_experts_are_padded_by_the_tokens_of_all_data_parallel_groups():
    """They share the experts, so that each that is woken sees as many tokens as under tensor parallelism."""
    seen = []
    for parallel in ("tp=8,ep=8", "dp=8,ep=8"):
        plan = ask("deepseek-v3", "dgx-h200", parallel=parallel, weights="fp8").before.plan
        counts = (stage for call in counts_at(plan, 512, 1024) for _, stages in call.segments for stage in stages)
        seen.append(next((stage.rows_at_work(), stage.rows) for stage in counts if stage.each))
    assert seen[1] == pytest.approx(seen[0])
