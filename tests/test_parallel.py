"""How devices share the work: counts on the fullest device, the collectives that follow, and what is refused."""

import pytest

from perfmodel import estimate, find_model
from perfmodel.errors import PerfModelError
from perfmodel.estimator import ask, formats_of, read_parallel
from perfmodel.operations import decode_step
from perfmodel.parallel import Parallel


def layer_of(model, index, **shares):
    found = find_model(model)
    return decode_step(found, formats_of(found, None, None), Parallel(**shares)).layers[index]


def collectives(layer):
    return [(o.name, o.collective.kind, o.collective.group, o.collective.payload) for o in layer if o.collective is not None]


def weights(operations):
    return sum(size for o in operations for _, size in o.work.weights)


def test_each_way_has_its_collectives():
    hidden = 7168 * 2  # bytes of a token in bf16
    assert collectives(layer_of("deepseek-v3", 60)) == []
    # The devices share every token already, so nothing travels to the experts.
    assert collectives(layer_of("deepseek-v3", 60, tensor=8, expert=8)) == [("mixer_all_reduce", "all_reduce", 8, hidden), ("feed_forward_all_reduce", "all_reduce", 8, hidden)]
    # Each token goes to its eight experts and back.
    assert collectives(layer_of("deepseek-v3", 60, data=8, expert=8)) == [("expert_dispatch", "all_to_all", 8, 8 * hidden), ("expert_combine", "all_to_all", 8, 8 * hidden)]
    # Two devices send half of their group's tokens each.
    assert collectives(layer_of("deepseek-v3", 60, tensor=2, data=4, expert=8)) == [
        ("mixer_all_reduce", "all_reduce", 2, hidden), ("expert_dispatch", "all_to_all", 8, 4 * hidden), ("expert_combine", "all_to_all", 8, 4 * hidden),
        ("feed_forward_all_reduce", "all_reduce", 2, hidden),
    ]  # fmt: skip
    # A dense block is split over all devices, which need all tokens.
    assert collectives(layer_of("deepseek-v3", 0, tensor=2, data=4, expert=8)) == [
        ("mixer_all_reduce", "all_reduce", 2, hidden), ("feed_forward_all_gather", "all_gather", 4, 4 * hidden),
        ("feed_forward_reduce_scatter", "reduce_scatter", 8, 4 * hidden), ("feed_forward_tensor_gather", "all_gather", 2, hidden),
    ]  # fmt: skip


def test_attention_is_whole_in_each_data_parallel_group_and_experts_are_spread():
    whole, shared = layer_of("deepseek-v3", 60), layer_of("deepseek-v3", 60, data=8, expert=8)
    mixers = [layer[: [o.name for o in layer].index("mixer_residual")] for layer in (whole, shared)]
    assert weights(mixers[0]) == weights(mixers[1]) > 0
    banks = [[bank for o in layer for bank in o.work.experts] for layer in (whole, shared)]
    assert [b.bytes for b in banks[0]] == [b.bytes for b in banks[1]]  # an expert stays whole
    assert {b.groups for b in banks[1]} == {8}
    resident = [ask("deepseek-v3", "h200-sxm", parallel=p).resident.work for p in ("tp=1", "dp=8,ep=8")]
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
    cache = {n: sum(c.bytes for o in layer_of("llama-3.1-70b", 0, tensor=n) for c in o.work.caches) for n in (1, 2, 8, 16, 32)}
    assert cache[1] == 2 * 8 * 128 * 2
    assert cache[2] == cache[1] / 2
    assert cache[8] == cache[16] == cache[32] == cache[1] / 8
    # Copies are traffic of calls, not peak.
    eight, sixteen = (estimate("llama-3.1-70b", "h100-sxm", devices=n, context=100_000) for n in (8, 16))
    assert eight.bytes_per_step == sixteen.bytes_per_step
    assert sixteen.before.terms.stream > 0.6 * eight.before.terms.stream


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


@pytest.mark.parametrize(("given", "as_text", "devices"), [("tp=8,ep=8", "tp=8,ep=8", 8), ("ep=16,dp=8", "tp=2,ep=16,dp=8", 16), (" dp=2 , tp=4", "tp=4,dp=2", 8),
                                                           ({"tp": 4, "dp": 2}, "tp=4,dp=2", 8), ("tp=1", "tp=1", 1)])  # fmt: skip
def test_a_way_is_read_and_written(given, as_text, devices):
    model = find_model("deepseek-v3")
    way = read_parallel(given, model)
    assert (str(way), way.devices) == (as_text, devices)
    assert read_parallel(as_text, model) == way
    answer = estimate(model, "h200-sxm", parallel=given, batch=8)
    assert (answer.parallel, answer.devices, answer.to_dict()["parallel"]) == (as_text, devices, as_text)


@pytest.mark.parametrize(("given", "devices", "words"), [("tp=4,dp=2", 16, "tp=8 would make as many"), ("tp=4", 6, "not 6; tp=6 would"), ("dp=4", 6, "not 6"), ("ep=3,dp=2", None, "ep=3 does not divide"),
                                                         ("dq=2", None, "is not understood"), ({"tp": 1.5}, None, "1.5"), ("tp=70000", None, "70000"), ("tp=60000,dp=2", None, "more than")])  # fmt: skip
def test_a_way_that_cannot_be_is_one_line(given, devices, words):
    with pytest.raises(PerfModelError, match="--parallel") as error:
        estimate("deepseek-v3", "h200-sxm", parallel=given, devices=devices)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_step_costs_as_much_as_its_fullest_group():
    """A ninth sequence over eight groups makes one of them hold two."""
    times = [estimate("deepseek-v3", "h200-sxm", parallel="dp=8,ep=8", batch=batch, context=100_000).before.terms.stream for batch in (8, 9, 16)]
    assert times[0] < times[1] < times[2]
    cache = 100_000 * 70_272 / 4.8e12
    assert times[1] - times[0] > cache  # a whole cache more, below the datasheet rate


def test_loops_and_models_show_take_the_way(run):
    one, eight = (run("loops", "deepseek-v3", *words) for words in ((), ("--parallel", "dp=8,ep=8")))
    assert (one.code, eight.code) == (0, 0)
    assert one.out.splitlines()[0] != eight.out.splitlines()[0]
    assert "expert_dispatch" in run("models", "show", "deepseek-v3", "--parallel", "dp=8,ep=8").out
    assert "not 4" in run("loops", "deepseek-v3", "--parallel", "dp=8,ep=8", "--devices", "4").err
