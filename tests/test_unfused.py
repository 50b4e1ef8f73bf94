"""What a framework that runs a model out of primitive kernels does besides: copies, visits to every expert,
unpacking."""

import pytest

from perfmodel import estimate
from perfmodel.operations import decode_step
from perfmodel.operations.storing import formats_of
from perfmodel.schedule.calls import Cutting
from perfmodel.schedule.cutting import make_schedule
from perfmodel.specifications.catalogue import find_model
from perfmodel.specifications.formats import STORAGE_FORMATS


def calls_by_name(model, kernels="primitive", weights="bf16"):
    found = find_model(model)
    schedule = make_schedule(decode_step(found, formats_of(found, weights, None), 1), Cutting(kernels))
    return {call.name: (count, call) for count, call in schedule.calls}, schedule


def cache_bytes(call):
    return sum(c.bytes for segment in call.segments for stage in segment.stages for c in stage.work.caches)


def test_a_growing_cache_is_copied_widened_and_read_wide():
    calls, _ = calls_by_name("qwen2.5-7b")
    entry = 2 * 4 * 128 * 2  # keys and values of 4 heads of 128, bf16
    repeats = 28 // 4
    assert cache_bytes(calls["cache_write"][1]) == entry * (2 + 1 + repeats)
    assert cache_bytes(calls["attention"][1]) == entry * repeats


def test_a_cache_with_all_heads_is_not_widened():
    calls, _ = calls_by_name("llama-2-7b")
    entry = 2 * 32 * 128 * 2
    assert cache_bytes(calls["cache_write"][1]) == 2 * entry
    assert cache_bytes(calls["attention"][1]) == entry


def test_engines_read_the_cache_once():
    for kernels in ("separate", "engine", "tuned"):
        _, schedule = calls_by_name("qwen2.5-7b", kernels)
        assert sum(count * cache_bytes(call) for count, call in schedule.calls) == 28 * 2 * 4 * 128 * 2


def test_ggml_launches_the_kernels_of_a_choice_of_experts():
    """A profile of qwen3.5-35b-a3b counts 1,456 launches a token (github.com/Luce-Org/lucebox PR #332)."""
    calls, schedule = calls_by_name("qwen3.5-35b-a3b", "separate")
    assert schedule.kernel_calls == pytest.approx(1456, rel=0.1)
    # Eight experts: their results are weighed, then added one by one.
    assert calls["expert_sum"][1].kernels == 8
    engine = calls_by_name("qwen3.5-35b-a3b", "engine")[1]
    assert engine.kernel_calls < schedule.kernel_calls / 2


def test_copies_are_no_peak():
    eager = estimate("qwen2.5-7b", "a100-sxm-80gb", context=31744, before="eager")
    graph = estimate("qwen2.5-7b", "a100-sxm-80gb", context=31744, before="graph")
    assert eager.bytes_per_step == graph.bytes_per_step
    assert eager.before.terms.stream > 2 * graph.before.terms.stream


def test_every_expert_is_visited():
    plain, mixture = calls_by_name("qwen2.5-7b")[1], calls_by_name("qwen2-57b-a14b")[1]
    layers, experts, matrices = 28, 64, 3
    assert mixture.kernel_calls - plain.kernel_calls > layers * experts * matrices


@pytest.mark.parametrize(("weights", "extra"), [("int4", 1), ("nf4", 5), ("llm-int8", 24)])
def test_unpacking_costs_kernels_for_each_matrix(weights, extra):
    plain, packed = calls_by_name("llama-2-7b")[1], calls_by_name("llama-2-7b", weights=weights)[1]
    assert STORAGE_FORMATS[weights].bits < 16
    assert packed.kernel_calls - plain.kernel_calls == 32 * 7 * extra


def test_a_mode_may_say_how_fast_its_kernels_read_the_cache():
    slow = estimate(
        "llama-3.1-8b", "h100-sxm", context=65536, before="stream", parameters={"modes.eager.kv": 0.3}, after="looped"
    )
    assert not any(a.name == "modes.eager.kv" for a in slow.assumptions)
    times = [
        estimate(
            "llama-3.1-8b", "h100-sxm", context=65536, before="eager", parameters={"modes.eager.kv": share}
        ).before.time_per_step
        for share in (0.2, 0.4, 0.8)
    ]
    assert times == sorted(times, reverse=True)
    assert times[0] > 1.5 * times[2]
