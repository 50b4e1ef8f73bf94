"""Recorded traces of real programs: layers, kernels a step and step time against what is known of them.

The files lie beside the repository and may be absent; what each teaches is also a test on a made trace.
"""

import gzip
import json
from pathlib import Path

import pytest

from perfmodel.traces import read_trace, summarise
from perfmodel.traces.events import Event, build_trace
from perfmodel.traces.names import is_attention, is_collective

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "traces"
SGLANG, VLLM, HUGGING, MI210, ROCPROF, NSYS, TOTALS = (
    "sglang_qwen3-8b_decode.json.gz",
    "vllm_decode_full.json.gz",
    "hf_qwen1.5-0.5b_h100.json.gz",
    "mi210_gpu_only.json.gz",
    "rocprof_908.json.gz",
    "nsys_h100_text_encoder.sqlite",
    "nsys_kern_sum_deepseek-ocr_decode.csv",
)


@pytest.fixture(scope="module")
def trace():
    """Return a recorded trace by name, each read once."""
    read = {}

    def get(name):
        path = FOLDER / name
        if not path.exists():
            pytest.skip(f"{name} is not here")
        if name not in read:
            read[name] = read_trace(path)
        return read[name]

    return get


# From the README of the traces: layers, bodies, events and kernels in a body, kernels in the step, step [s], busy [s].
TRUTH = {
    SGLANG: (36, 36, 15, 15, 553, 10.45e-3, 9.77e-3),
    VLLM: (24, 12, 35, 35, 425, 10.74e-3, 10.72e-3),
    HUGGING: (24, 24, 49, 42, None, None, None),
    NSYS: (24, 24, None, 62, 1721, None, None),  # 3,442 on two devices
}


@pytest.mark.parametrize("name", TRUTH)
def test_against_what_is_known(trace, name):
    summary = summarise(trace(name))
    layers, bodies, events, kernels, kernels_per_step, time, busy = TRUTH[name]
    (layer,) = summary.repeats
    assert (summary.layers, layer.count, layer.kernels) == (layers, bodies, kernels)
    assert events is None or layer.events == events
    assert kernels_per_step is None or summary.kernels_per_step == kernels_per_step
    if time is not None:
        assert summary.step_time == pytest.approx(time, rel=0.01)
        assert summary.busy == pytest.approx(busy, rel=0.01)


@pytest.mark.parametrize("name", [SGLANG, VLLM, HUGGING, MI210, ROCPROF, NSYS])
def test_gaps_and_busy_time_make_the_step(trace, name):
    summary = summarise(trace(name))
    for step in summary.steps:
        gaps = sum(kernel.gap for kernel in step.kernels)
        assert step.idle == pytest.approx(gaps, abs=1e-12)
        assert step.busy + gaps == pytest.approx(step.time, rel=1e-9)
        assert sum(kernel.gap for kernel in step.kernels if kernel.cause) == pytest.approx(gaps, rel=1e-9, abs=1e-12)
    shares = summary.to_dict()["shares"]
    assert sum(shares.values()) == pytest.approx(1, rel=1e-9)


def test_step_is_the_one_the_recorder_marked(trace):
    """The profiler's own range on the device, to the nanosecond."""
    with gzip.open(trace(HUGGING).source) as file:
        (own,) = [event["dur"] for event in json.load(file)["traceEvents"] if event.get("cat") == "gpu_user_annotation"]
    summary = summarise(trace(HUGGING))
    assert summary.step_time == pytest.approx(own * 1e-6, rel=1e-6)
    assert summary.step_label == "ProfilerStep#6"


def test_counts_of_files(trace):
    assert len(trace(ROCPROF).kernels) == 43_915
    assert sum(kernel.kind == "kernel" for kernel in trace(NSYS).kernels) == 3_442
    assert sum(total.count for total in trace(TOTALS).totals) == 78_016
    assert summarise(trace(TOTALS)).busy == pytest.approx(179.1e-3, rel=1e-3)
    assert trace(SGLANG).hardware == "AMD Instinct MI300X"


def test_convolutions_hold_no_layer(trace):
    summary = summarise(trace(MI210))
    assert (summary.layers, summary.repeats) == (0, ())
    assert any("no layer repeats" in note for note in summary.notes)


def test_training_of_fifty_steps(trace):
    """The command line kept in the file says max_steps=50."""
    assert summarise(trace(ROCPROF)).steps_found == 50


# The nine lessons.


def test_1_attention_is_the_anchor_of_the_layer_count(trace):
    for name in (SGLANG, VLLM, HUGGING):
        summary = summarise(trace(name))
        step = summary.steps[summary.step]
        assert sum(is_attention(kernel.name) for kernel in step.kernels) == summary.layers


def test_2_a_body_may_hold_two_layers_and_the_first_differs(trace):
    summary = summarise(trace(VLLM))
    (layer,) = summary.repeats
    assert layer.layers == 2 * layer.count
    assert 0.99 < layer.matched < 1  # 11.94 bodies of one kind are 12


def test_3_memsets_are_of_the_sequence_and_clock_ticks_no_concurrency(trace):
    summary = summarise(trace(HUGGING))
    (layer,) = summary.repeats
    assert layer.events - layer.kernels == 7
    for name in (SGLANG, VLLM, HUGGING, MI210):
        assert summarise(trace(name)).overlap == 0


def test_4_the_gap_is_not_the_prize(trace):
    """Stamps abut on MI300X and a floor of 4.3 us sits in each kernel: the range is wide, and its ends are ordered."""
    for name in (SGLANG, VLLM):
        summary = summarise(trace(name), bandwidth=4.2e12, bytes_per_step=18e9)
        prize = summary.prize
        assert 4.2e-6 < summary.floor < 4.6e-6
        assert prize.gaps_only.speedup < 1.01
        assert prize.floors.speedup > 1.2
        assert prize.gaps_only.speedup < prize.floors.speedup < prize.bandwidth.speedup


def test_5_busy_time_foretells_the_graph_step():
    """An eager step with launches every 20 us and kernels of 4 us: the graph takes the kernels' time,
    not the wall's."""
    names = ["embed", *["qkv", "attention", "up", "down"] * 12, "head"]
    events = [Event(20_000 * n + 8_000, 4_000, name, "0", "7", "kernel", n, 20_000 * n) for n, name in enumerate(names)]
    eager = build_trace("made", "made", events)
    prize = summarise(eager).prize
    assert (prize.basis, prize.reference) == ("graph", pytest.approx(50 * 4e-6))
    assert prize.gaps_only.speedup == pytest.approx(1)
    assert any("with --measured" in note for note in summarise(eager).notes)
    assert summarise(eager).bound == "host"
    # Measured without a profiler, in a graph, nearer to the kernels than the recording: only what is left can be won.
    graph = build_trace(
        "made",
        "made",
        [event._replace(start=5_000 * n, correlation=1, launched=-50_000) for n, event in enumerate(events)],
    )
    prize = summarise(graph, measured=210e-6).prize
    assert (prize.basis, prize.reference) == ("measured", 210e-6)
    assert prize.gaps_only.time == pytest.approx(200e-6)


def test_6_kernels_belong_to_a_mark_by_launch(trace):
    """The range on the host ends before its kernels run: by time it would hold none of them."""
    recorded = trace(VLLM)
    (mark,) = recorded.marks
    assert mark.side == "host"
    assert all(kernel.start > mark.stop for kernel in recorded.kernels)
    summary = summarise(recorded)
    assert summary.step_label == mark.name
    assert summary.events_per_step == len(recorded.kernels)
    ids = {kernel.correlation for kernel in recorded.kernels}
    assert len(ids) < len(recorded.kernels) / 10  # one graph launch, one id


def test_7_a_stray_kernel_is_not_of_the_step(trace):
    recorded = trace(SGLANG)
    span = max(kernel.stop for kernel in recorded.kernels) - min(kernel.start for kernel in recorded.kernels)
    assert span > 40 * summarise(recorded).step_time


def test_8_what_needs_no_megakernel_is_not_its_gain(trace):
    for name in (SGLANG, HUGGING):
        summary = summarise(trace(name))
        causes = {gap.cause: gap.total for gap in summary.gaps}
        assert sum(causes.values()) == pytest.approx(summary.idle, rel=1e-9)
        assert summary.prize.gaps_only.saved <= causes["kernel"] + 1e-12
        assert summary.prize.gaps_only.saved < 0.5 * summary.idle
    assert {"graph", "host", "stall", "memory", "kernel"} == {gap.cause for gap in summarise(trace(SGLANG)).gaps}


def test_9_only_listed_tables_are_read(trace):
    from perfmodel.traces.nsight import NSIGHT_TABLES

    trace(NSYS)
    assert not [table for table in NSIGHT_TABLES if "ENV" in table.replace("NVTX_EVENTS", "")]


@pytest.mark.parametrize(
    ("name", "attention", "collective"),
    [
        ("void flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128>>(x)", True, False),
        ("void flash_fwd_splitkv_combine_kernel<T>(x)", False, False),
        ("void paged_attention_ll4mi_QKV_mfma16_kernel<0>", True, False),
        ("void paged_attention_ll4mi_reduce_kernel<x>", False, False),
        ("kernel_unified_attention_2d", True, False),
        ("reduce_segments", False, False),
        ("void vllm::reshape_and_cache_flash_kernel<__hip_bfloat16>", False, False),
        ("void vllm::moe::topkGatingSoftmax<8>", False, False),
        ("void (anonymous namespace)::softmax_warp_forward<float>", True, False),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevComm*)", False, True),
        ("void vllm::cross_device_reduce_1stage<__nv_bfloat16, 8>", False, True),
        ("void flashinfer::trtllm_allreduce_fusion::allreduce_fusion_kernel_oneshot_lamport<x>", False, True),
        ("void at::native::reduce_kernel<512, 1>", False, False),
        ("void at::native::elementwise_kernel<attention>(flash)", False, False),
    ],
)
def test_names(name, attention, collective):
    assert (is_attention(name), is_collective(name)) == (attention, collective)
