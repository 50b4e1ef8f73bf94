"""Properties that hold whatever the numbers are: the physics of a decode step."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perfmodel import equations, estimate, find_hardware
from perfmodel.estimates.columns import ANSWER, answering_function, columns_of
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.counts import counts_at
from perfmodel.estimates.figures import costs_at
from perfmodel.estimates.splits import obstacle
from perfmodel.estimates.terms import TERM_NAMES, busy_time
from perfmodel.operations import parameter_count
from perfmodel.specifications.mixers import Attention
from perfmodel.specifications.model import FeedForward, Layer, Model
from perfmodel.specifications.parameters import lookup

DEVICES = ("sn40l", "h100-sxm", "a100-sxm-80gb", "rtx-4090", "mi300x", "m2-ultra")
FORMATS = ("bf16", "fp8", "int4", "mxfp4", "q4_0", "fp32")


@st.composite
def models(draw):
    head_dim = draw(st.sampled_from([64, 128]))
    kv_heads = draw(st.sampled_from([1, 2, 4, 8]))
    heads = kv_heads * draw(st.sampled_from([1, 4, 8]))
    layer = Layer(
        mixer=Attention(
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            query_key_value_bias=draw(st.booleans()),
            query_key_norm=draw(st.sampled_from(["", "head", "full"])),
            window=draw(st.sampled_from([None, 512, 4096])),
        ),
        feed_forward=FeedForward(intermediate=draw(st.sampled_from([1024, 11008, 14336])), gated=draw(st.booleans())),
    )
    return Model(
        name="drawn",
        title="drawn",
        family="llama",
        source="drawn",
        hidden=draw(st.sampled_from([512, 2048, 4096])),
        vocabulary=draw(st.sampled_from([1000, 32000, 128256])),
        layers=(layer,) * draw(st.integers(1, 40)),
        tied=draw(st.booleans()),
    )


@st.composite
def questions(draw, fixed=None):
    hardware = find_hardware(draw(st.sampled_from(DEVICES)))
    with_link = "link.bandwidth" in hardware.values and "collectives.all_reduce.latency" in hardware.values
    return {
        "model": draw(models()),
        "hardware": hardware,
        "devices": draw(st.sampled_from([1, 2, 3, 8])) if with_link else 1,
        "batch": draw(st.sampled_from([1, 2, 7, 64, 1024])),
        "context": draw(st.integers(0, 40_000)),
        "weights": draw(st.sampled_from(FORMATS)),
        "before": draw(st.sampled_from(list(hardware.modes))),
        "after": draw(st.sampled_from(list(hardware.modes))),
    } | (fixed or {})


every = settings(max_examples=60, deadline=None)


@given(questions())
@every
def test_nothing_is_above_peak_and_everything_is_finite(question):
    answer = estimate(**question)
    for side in (answer.before, answer.after):
        for figures in (side, side.low, side.high):
            assert 0 < figures.fraction_of_peak <= 1
            assert all(
                math.isfinite(x) and x > 0
                for x in (figures.time_per_step, figures.tokens_per_second, figures.tokens_per_second_per_sequence)
            )
            assert figures.tokens_per_second == pytest.approx(answer.batch / figures.time_per_step)
            assert figures.fraction_of_peak == pytest.approx(answer.peak.time_per_step / figures.time_per_step)
        assert side.low.time_per_step >= side.time_per_step * (1 - 1e-12) >= side.high.time_per_step * (1 - 1e-9)


@given(questions())
@every
def test_terms_add_up_and_none_is_negative(question):
    answer = estimate(**question)
    for side in (answer.before, answer.after):
        terms = side.terms._asdict()
        assert tuple(terms) == TERM_NAMES
        assert sum(terms.values()) == pytest.approx(side.time_per_step, rel=1e-12)
        assert all(value >= -1e-12 * side.time_per_step for value in terms.values())
        assert terms[side.bound] == max(terms.values())


@given(questions(), st.data())
@every
def test_each_parameter_moves_a_time_one_way(question, data):
    """What the interval rests on: its two ends are corners because every time is monotone in every parameter."""
    answer = estimate(**question)
    assumption = data.draw(st.sampled_from(answer.assumptions))
    parameter = lookup(assumption.name)
    assume(parameter.slower and assumption.value > 0)
    larger = min(assumption.value * 1.2, (assumption.value + parameter.most) / 2)
    changed = answer.replace(parameters={assumption.name: larger if parameter.unit == "1" else float(larger)})
    for old, new in ((answer.before, changed.before), (answer.after, changed.after)):
        assert (new.time_per_step - old.time_per_step) * parameter.slower >= -1e-9 * old.time_per_step


@given(questions({"before": None, "after": "looped"}))
@every
def test_faster_memory_is_never_slower_and_peak_follows_it(question):
    answer = estimate(**question)
    doubled = answer.replace(parameters={"memory.bandwidth": 2 * question["hardware"].values["memory.bandwidth"].value})
    assert doubled.after.time_per_step <= answer.after.time_per_step
    assert doubled.peak.time_per_step == pytest.approx(answer.peak.time_per_step / 2)


@given(models(), st.sampled_from(FORMATS), st.integers(1, 64), st.integers(0, 40_000))
@every
def test_tensor_parallelism_divides_traffic_but_not_bytes(model, weights, batch, context):
    one, eight = (ask(model, "h100-sxm", devices=n, weights=weights, before="graph", after="looped") for n in (1, 8))
    assert one.whole == eight.whole
    share = eight.resident.works[0].bytes_read(batch, context) / one.resident.works[0].bytes_read(batch, context)
    assert 1 / 8 - 1e-9 <= share <= 1
    # What a device streams is at least its eighth, and no more than the rounding of heads and rows adds.
    stream = [
        estimate(model, "h100-sxm", devices=n, batch=batch, context=context, weights=weights).before.terms.stream
        for n in (1, 8)
    ]
    assert stream[1] <= stream[0] * (1 + 1e-9)


def test_even_split_divides_exactly():
    one, eight = (estimate("llama-3.1-8b", "h100-sxm", devices=n).before.terms.stream for n in (1, 8))
    assert eight == pytest.approx(one / 8, rel=0.01)  # norms and activations are replicated


@given(st.integers(1, 16), st.integers(0, 100_000))
@every
def test_gigabyte_is_not_gibibyte(batch, context):
    decimal = estimate(
        "llama-3.1-8b", "h100-sxm", batch=batch, context=context, parameters={"memory.bandwidth": "3.35 TB/s"}
    )
    binary = estimate(
        "llama-3.1-8b", "h100-sxm", batch=batch, context=context, parameters={"memory.bandwidth": "3.35 TiB/s"}
    )
    assert decimal.peak.time_per_step / binary.peak.time_per_step == pytest.approx(2**40 / 1e12)


@given(questions({"before": None}))
@every
def test_without_overheads_a_step_is_the_roofline(question):
    answer = estimate(**question)
    free = {a.name: 0.0 for a in answer.assumptions if a.unit == "s"}
    ideal = answer.replace(parameters=free)
    assert ideal.before.time_per_step == pytest.approx(
        ideal.before.terms.stream + ideal.before.terms.compute + ideal.before.terms.collective
    )


@given(questions({"devices": 1, "batch": 1, "after": "looped", "before": None}))
@every
def test_time_is_homogeneous_in_bytes_and_bandwidth(question):
    """A machine that is twice as fast in everything takes half the time."""
    answer = estimate(**question)
    twice = {
        a.name: a.value * (0.5 if a.unit == "s" else 2.0)
        for a in answer.assumptions
        if a.unit in ("s", "B/s", "FLOP/s")
    }
    faster = answer.replace(parameters=twice)
    assert faster.before.time_per_step == pytest.approx(
        answer.replace(parameters={n: answer_value(answer, n) for n in twice}).before.time_per_step / 2, rel=1e-9
    )


def answer_value(answer, name):
    return next(a.value for a in answer.assumptions if a.name == name)


@given(questions({"after": "looped"}), st.integers(1, 50))
@every
def test_partial_looping_makes_more_calls_and_is_no_faster(question, at_most):
    whole = estimate(**question)
    partial = whole.replace(loop_at_most=at_most)
    assert partial.after.kernel_calls >= whole.after.kernel_calls
    assert partial.after.time_per_step >= whole.after.time_per_step * (1 - 1e-12)
    layers = len(question["model"].layers)
    if layers > 1:
        assert partial.after.kernel_calls == whole.after.kernel_calls - 1 + math.ceil(layers / at_most)


@given(models())
@every
def test_parameters_and_bytes_do_not_depend_on_how_a_step_is_called(model):
    count = parameter_count(model)
    assert count == parameter_count(model.replace(weight_format="int4"))
    sizes = {
        estimate(model, "h100-sxm", before=mode, after=mode).bytes_per_step
        for mode in ("eager", "graph", "looped", "megakernel")
    }
    assert len(sizes) == 1
    norms_and_matrices = count - (0 if model.tied else model.vocabulary * model.hidden)
    assert estimate(model, "h100-sxm", context=0).bytes_per_step == 2 * norms_and_matrices


@given(models(), st.integers(1, 64), st.integers(0, 40_000))
@every
def test_devices_needed_can_be_built_and_fit(model, batch, context):
    hardware = find_hardware("h100-sxm")
    small = msgspec.structs.replace(
        hardware,
        values=hardware.values
        | {
            "memory.capacity": msgspec.structs.replace(hardware.values["memory.capacity"], low=2e9, value=2e9, high=2e9)
        },
    )
    answer = estimate(model, small, batch=batch, context=context)
    needed = answer.fits.devices_needed
    assert answer.fits.fits == (needed == 1)
    question = ask(model, small)
    split = question.fewest_split(batch, context)
    assert needed == (split.devices if split is not None else None)
    if split is not None:
        assert not obstacle(model, split)
        assert answer.replace(parallel=split).fits.fits


def test_last_paying_batch_is_where_the_gain_falls_under_five_percent():
    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    last = answer.breakeven_batch
    assert answer.replace(batch=last).speedup.value >= 1.05 > answer.replace(batch=last + 1).speedup.value


def test_looping_that_loses_says_so():
    answer = estimate("llama-3.1-8b", "h100-sxm", parameters={"modes.looped.stage": "50us"})
    assert answer.speedup.value < 1
    assert any("slower" in note for note in answer.notes)


@pytest.mark.parametrize(
    ("model", "device", "options"),
    [
        ("llama-3.1-8b", "h100-sxm", {"devices": 8, "after": "megakernel"}),
        ("deepseek-v3", "h200-sxm", {"parallel": "tp=2,dp=4,pp=2,ep=8"}),
        ("qwen3-0.6b", "m2-ultra", {"before": "eager"}),
    ],
)
def test_the_function_of_a_question_gives_the_same_bits_as_its_lines(model, device, options):
    question = ask(model, device, **options)
    ends = [(1, 15), (16, 255), (256, 4095), (4096, 65_535), (65_536, 1_048_575)]
    for batches in ends[:3]:
        for contexts in [(0, 0), *ends]:
            function = answering_function(question, batches, contexts)
            for point in [(batch, context) for batch in (*batches, batches[0] + 3) for context in contexts]:
                columns = columns_of(question, *point)
                assert function(*point) == tuple(columns[name] for name in ANSWER)


@pytest.mark.parametrize(
    "workload", [(1, 0), (3, 500), (3, 70_000), (16, 255), (255, 256), (256, 16), (10_000_000, 10**9)]
)
def test_an_answer_is_the_same_however_often_a_question_was_asked(workload):
    batch, context = workload
    question = ask("llama-3.1-8b", "h100-sxm", software="server")
    first = columns_of(question, batch, context)
    for batches, contexts in ((1, 1), (batch, context), (batch, context + 1), (batch, context)):
        estimate("llama-3.1-8b", "h100-sxm", software="server", batch=batches, context=min(contexts, 10**9))
    again = estimate("llama-3.1-8b", "h100-sxm", software="server", batch=batch, context=context)
    assert again.numbers == tuple(first[name] for name in ANSWER)


def values_of_host(answer):
    return answer_value(answer, "modes.eager.host")


def test_a_host_that_issues_too_slowly_sets_the_time():
    answer = estimate("llama-3.2-1b", "h100-sxm", before="eager", context=128)
    assert answer.before.terms.host > values_of_host(answer)
    values = {a.name: a.value for a in answer.assumptions}
    issued = values["modes.eager.host"] + answer.before.kernel_calls * values["modes.eager.issue"]
    assert answer.before.time_per_step == pytest.approx(issued)
    assert equations.host_bound_time(
        0.0, values["modes.eager.host"], answer.before.kernel_calls, values["modes.eager.issue"]
    ) == pytest.approx(issued)


@pytest.mark.parametrize("after", ["looped", "megakernel"])
def test_looping_gains_little_once_arithmetic_binds(after):
    gains = [
        estimate("llama-3.2-1b", "h100-sxm", context=128, batch=batch, after=after).speedup.value
        for batch in (64, 512, 2048, 8192)
    ]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] < 1.1


@pytest.mark.parametrize("batch", [1, 64, 1024])
def test_a_fused_call_without_prefetch_takes_what_its_stages_take(batch):
    settings = {"modes.megakernel.prefetch": 0.0, "modes.megakernel.stage": 0.0, "modes.megakernel.fill": 0.0}
    side = ask("llama-3.1-8b", "h100-sxm", before="megakernel", parameters=settings).before
    rates, chain, *_ = costs_at(side, {})
    chain = msgspec.structs.replace(chain, sequence=0.0)  # the host's part, which is no stage's
    counts = counts_at(side.plan, batch, 128)
    alone = sum(
        call.times
        * iterations
        * max(
            equations.streaming_time(stage.bytes, rates.bandwidths),
            equations.arithmetic_time(stage.flops, rates.arithmetic, rates.arithmetic_share),
        )
        for call in counts
        for iterations, stages in call.segments
        for stage in stages
    )
    assert busy_time(counts, rates, chain).calls == pytest.approx(alone, rel=1e-9)


def test_a_slower_memory_is_not_faster_where_bytes_of_several_formats_pass_the_window():
    """Found by fuzzing: 3.2463 ms with quantised reads at 0.84 of the bandwidth, 3.2165 ms at 0.33.

    Arithmetic of the feed-forward stages binds at either, so that both are one time; at 0.02 the stream does.
    """
    times = [
        estimate(
            "olmo-2-32b",
            "mi455x",
            parallel="tp=8",
            weights="mlx-q5-g32",
            before="eager",
            batch=33,
            parameters={
                "modes.looped.stage": "2us",
                "modes.looped.prefetch": "12MB",
                "memory.sustained.quantised": share,
            },
        ).after.time_per_step
        for share in (0.84, 0.33, 0.1, 0.02)
    ]
    assert all(later > earlier * (1 - 1e-12) for earlier, later in pairwise(times))
    assert times[:3] == pytest.approx([times[0]] * 3, rel=1e-12)
    assert times[3] > 1.2 * times[0]


@pytest.mark.parametrize(
    "held",
    [
        {"memory.latency": 600e-9, "memory.bytes_in_flight": 4e3},
        {"modes.megakernel.tasks": 60_000.0, "units.block_bandwidth": 9e9},
    ],
)
def test_a_faster_memory_is_not_slower_where_loads_in_flight_or_tasks_hold_the_stream(held):
    """The window holds bytes: what streams them no faster does not empty it sooner either."""
    times = [
        estimate("llama-3.1-8b", "h100-sxm", after="megakernel", parameters={**held, "memory.bandwidth": rate}).after
        for rate in ("0.5TB/s", "3.35TB/s", "20TB/s", "200TB/s")
    ]
    steps = [side.time_per_step for side in times]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] == steps[-2] < steps[0]
