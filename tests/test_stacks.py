"""Random stacks of every mixer and feed-forward kind: loops,
bytes and parameters do not depend on how a step is called or shared."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import equations, estimate, find_model
from perfmodel.analysis.loopreports import loop_report
from perfmodel.estimates.question import formats_of
from perfmodel.operations import decode_step, parameter_count, pipeline_stages, plain_formats, total_work
from perfmodel.operations.parallel import Parallel
from perfmodel.schedule.calls import Cutting
from perfmodel.schedule.cutting import fused_step, loop_runs, make_pipeline, make_schedule
from perfmodel.specifications.mixers import Attention, DeltaAttention, LatentAttention, StateSpace
from perfmodel.specifications.model import Experts, FeedForward, Layer, Model

BF16 = plain_formats("bf16")

attention = st.builds(
    Attention,
    heads=st.just(8),
    kv_heads=st.sampled_from([1, 2, 8]),
    head_dim=st.sampled_from([32, 64]),
    query_key_value_bias=st.booleans(),
    query_key_norm=st.sampled_from(["", "head", "full"]),
    output_gate=st.booleans(),
    sinks=st.booleans(),
    window=st.sampled_from([None, 128]),
)
latent = st.builds(
    LatentAttention,
    heads=st.just(8),
    query_rank=st.sampled_from([None, 96]),
    kv_rank=st.just(64),
    plain_dim=st.just(32),
    rotary_dim=st.just(16),
    value_dim=st.just(32),
)
first_state = st.builds(
    StateSpace,
    version=st.just(1),
    inner=st.just(512),
    state=st.just(16),
    convolution=st.just(4),
    step_rank=st.just(16),
    inner_norms=st.booleans(),
)
second_state = st.builds(
    StateSpace,
    version=st.just(2),
    inner=st.just(512),
    state=st.just(64),
    convolution=st.just(4),
    heads=st.just(8),
    groups=st.sampled_from([1, 8]),
    gated_norm=st.booleans(),
)
delta = st.builds(
    DeltaAttention,
    key_heads=st.just(8),
    value_heads=st.sampled_from([8, 16]),
    key_dim=st.just(32),
    value_dim=st.just(32),
    convolution=st.just(4),
)
mixers = st.one_of(st.none(), attention, latent, first_state, second_state, delta)
dense = st.builds(FeedForward, intermediate=st.sampled_from([512, 1024]), gated=st.booleans(), bias=st.booleans())
routed = st.builds(
    Experts,
    count=st.sampled_from([8, 16]),
    chosen=st.sampled_from([1, 2, 4]),
    intermediate=st.just(256),
    gated=st.booleans(),
    bias=st.booleans(),
    shared=st.sampled_from([0, 256]),
    shared_gate=st.booleans(),
)
layers = st.builds(
    Layer,
    mixer=mixers,
    feed_forward=st.one_of(st.none(), dense, routed),
    norms=st.sampled_from(["before", "after", "both"]),
).filter(lambda layer: layer.mixer or layer.feed_forward)


@st.composite
def stacks(draw, most=18):
    """A few kinds of layers in any order, often repeated."""
    kinds = draw(st.lists(layers, min_size=1, max_size=3, unique=True))
    body = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=5))
    repeated = tuple(body) * draw(st.integers(1, 4)) + tuple(draw(st.lists(st.sampled_from(kinds), max_size=4)))
    return Model(
        name="drawn",
        title="drawn",
        family="drawn",
        source="drawn",
        hidden=256,
        vocabulary=1024,
        layers=repeated[:most],
        tied=draw(st.booleans()),
    )


some = settings(max_examples=40, deadline=None)


def unrolled(found, runs):
    return tuple(
        call for run in runs for _ in range(run.count) for call in found.calls[run.start : run.start + run.body]
    )


@given(stacks(), st.integers(1, 4))
@some
def test_loops_unrolled_give_back_the_calls(model, stages):
    step = decode_step(model, BF16, Parallel(pipeline=stages))
    for stage in pipeline_stages(step, model.hidden, BF16, min(stages, len(model.layers))):
        found = fused_step(stage)
        runs = loop_runs(found)
        assert unrolled(found, runs) == found.calls
        assert len(runs) <= len(found.calls)
        # The looped schedule says the same: iterations of each stage as often as its call is made.
        looped, plain = (stage_counts(make_schedule(stage, Cutting("layer", loops))) for loops in (True, False))
        assert looped == plain == stage_counts(make_schedule(stage, Cutting("step", loops=True)))


def stage_counts(schedule):
    found = {}
    for count, call in schedule.calls:
        for segment in call.segments:
            for stage in segment.stages:
                found[stage.name, stage.work.weights, stage.work.flops] = (
                    found.get((stage.name, stage.work.weights, stage.work.flops), 0) + count * segment.iterations
                )
    return found


@given(stacks(), st.integers(1, 8), st.integers(1, 64), st.integers(0, 4096))
@some
def test_parameters_and_bytes_do_not_depend_on_how_it_is_called(model, at_most, batch, context):
    step = decode_step(model, BF16, 1)
    whole = total_work(step)
    embedding = 0 if model.tied else model.vocabulary * model.hidden
    # A framework that runs eagerly copies its cache as well.
    for kernels, loops, most in (
        ("separate", False, None),
        ("engine", False, None),
        ("tuned", False, None),
        ("layer", False, None),
        ("layer", True, None),
        ("layer", True, at_most),
        ("step", True, None),
    ):
        schedule = make_pipeline((step,), Cutting(kernels, loops, most))
        works = [
            stage.work.times(count * segment.iterations)
            for count, call in schedule.calls
            for segment in call.segments
            for stage in segment.stages
        ]
        assert sum(work.bytes_read(batch, context) for work in works) == pytest.approx(
            whole.bytes_read(batch, context), rel=1e-12
        )
        assert sum(work.flops_at(batch, context) for work in works) == pytest.approx(
            whole.flops_at(batch, context), rel=1e-12
        )
    assert (
        sum(size for _, size in whole.weights) / 2 + sum(bank.count * bank.bytes for bank in whole.experts) / 2
        == parameter_count(model) - embedding
    )


@given(stacks(), st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2]), st.sampled_from([1, 2, 3]))
@some
def test_all_devices_together_hold_the_model(model, tensor, data, stages):
    """Nothing is lost in sharing; what is more are copies, each of a kind that a way of sharing makes."""
    experts = [layer.feed_forward.count for layer in model.layers if isinstance(layer.feed_forward, Experts)]
    expert = tensor * data if experts and tensor * data <= min(experts) else 1
    way = Parallel(tensor=tensor, expert=expert, pipeline=min(stages, len(model.layers)), data=data)
    whole = total_work(decode_step(model, BF16, 1))
    parts = [
        total_work(stage) for stage in pipeline_stages(decode_step(model, BF16, way), model.hidden, BF16, way.pipeline)
    ]
    for read in (
        lambda work: sum(size for _, size in work.weights),
        lambda work: sum(-(-bank.count // bank.groups) * bank.bytes for bank in work.experts),
    ):
        together = way.stage_devices * sum(read(part) for part in parts)
        assert together >= read(whole) * (1 - 1e-12)
    # Experts and cut matrices divide evenly here, so only what each device or group holds whole is copied.
    routed_together = way.stage_devices * sum(
        -(-bank.count // bank.groups) * bank.bytes for part in parts for bank in part.experts if bank.kind == "bf16"
    )
    assert routed_together == pytest.approx(sum(bank.count * bank.bytes for bank in whole.experts), rel=0.05)
    if way.stage_devices == 1:
        assert sum((part.bytes_read(3, 100) for part in parts), 0.0) == pytest.approx(whole.bytes_read(3, 100))
    # A device never reads more than the whole model.
    assert all(part.cache_bytes(1, 1000) <= whole.cache_bytes(1, 1000) for part in parts)


@given(stacks(), st.sampled_from(["tp=1", "tp=4", "dp=2", "tp=2,dp=2", "pp=2"]))
@some
def test_peak_bytes_do_not_depend_on_the_way_nor_on_the_mode(model, way):
    if "pp" in way and len(model.layers) < 2:
        return
    one = estimate(model, "h100-sxm", batch=5, context=300)
    shared = estimate(model, "h100-sxm", batch=5, context=300, parallel=way, before="eager", after="megakernel")
    assert (one.bytes_per_step, one.flops_per_step) == (shared.bytes_per_step, shared.flops_per_step)


@given(
    stacks().filter(lambda model: any(isinstance(layer.feed_forward, Experts) for layer in model.layers)),
    st.sampled_from(["tp=1", "tp=4,ep=4", "dp=4,ep=4"]),
)
@some
def test_bytes_of_experts_rise_with_the_batch_to_all_of_them(model, way):
    work = total_work(decode_step(model, BF16, 1))
    read = [sum(bank.bytes_read(batch) for bank in work.experts) for batch in (1, 2, 8, 64, 10_000)]
    held = sum(bank.count * bank.bytes for bank in work.experts)
    assert read == sorted(read)
    assert read[0] == pytest.approx(sum(bank.chosen * bank.bytes for bank in work.experts))
    assert read[-1] == pytest.approx(held)
    bank = max(work.experts, key=lambda bank: bank.bytes)
    assert bank.bytes_read(3) == equations.expected_distinct_experts(bank.count, bank.chosen, 3) * bank.bytes
    streams = [
        estimate(model, "h100-sxm", parallel=way, batch=batch, context=0).before.terms.stream for batch in (1, 2, 8, 64)
    ]
    assert streams == sorted(streams)


def loops_of(model):
    return [(part.count, len(part.calls), part.layers) for part in loop_report(find_model(model)).parts if part.layers]


@pytest.mark.parametrize(
    ("model", "loops"),
    [
        ("llama-3.1-8b", [(32, 1, "0-31")]),
        ("deepseek-v3", [(3, 1, "0-2"), (58, 1, "3-60")]),
        ("gemma-3-27b", [(10, 6, "0-59"), (2, 1, "60-61")]),
        ("jamba-1.5-mini", [(4, 8, "0-31")]),
        # Its first attention comes after three pairs, the next ones after five each, and none after the last five.
        ("nemotron-h-8b", [(4, 11, "0-43"), (4, 2, "44-51")]),
    ],
)
def test_loops_of_named_models(model, loops):
    assert loops_of(model) == loops


def test_nemotron_h_loops_spell_its_pattern(repository):
    """M, - and * in its config are a Mamba block, a feed-forward block and attention."""
    pattern = tomllib.loads((repository / "models" / "nemotron-h-8b.toml").read_text())["config"][
        "hybrid_override_pattern"
    ]
    model = find_model("nemotron-h-8b")
    found = fused_step(decode_step(model, formats_of(model, None, None), 1))
    calls = [call.name for call in unrolled(found, loop_runs(found)) if call.name.startswith("decoder_layer")]
    letters = dict(zip(calls, pattern, strict=True))
    assert "".join(letters[name] for name in calls) == pattern
    assert len(set(letters.values())) == len(letters) == 3
