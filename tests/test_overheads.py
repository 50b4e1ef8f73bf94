"""The catalogue's costs against the published tables they rest on: bare boundaries and collectives."""

import json

import msgspec
import pytest

from perfmodel import estimate, find_hardware
from perfmodel.estimates.counts import counts_at
from perfmodel.estimates.machine import SideParameters
from perfmodel.estimates.machinerates import Chain
from perfmodel.estimates.plan import make_plan
from perfmodel.estimates.positions import at
from perfmodel.estimates.terms import busy_time, call_times
from perfmodel.operations.parallel import Parallel
from perfmodel.operations.work import Collective, Work
from perfmodel.schedule.calls import Call, Schedule, Segment, Stage
from perfmodel.specifications.hardware import Offered
from perfmodel.specifications.parameters import COLLECTIVES
from perfmodel.specifications.profiles import find_profile, with_profile
from perfmodel.specifications.software import find_software, with_software

# github.com/te42kyfo/gpu-benches gpu-small-kernels, T = a + V/b fitted from 64 KB to 0.4 x L2 (us): stream, graph, grid
# barrier.
BARE = [
    ("gh200", 2.43, 1.23, 1.24),
    ("a100-sxm-80gb", 2.61, 1.32, 1.27),
    ("l40", 1.59, 0.97, 0.92),
    ("mi210", 2.02, 2.00, 0.82),
]


@pytest.mark.parametrize(("name", "stream", "graph", "barrier"), BARE)
def test_published_bare_boundaries_are_inside(name, stream, graph, barrier):
    hardware = find_hardware(name)
    for mode, measured in (("stream", stream), ("graph", graph)):
        _, bare = hardware.mode_value(mode, "bare")
        assert bare.low * 0.99 <= measured * 1e-6 <= bare.high * 1.01, mode
    # A stage holds a barrier and the hand-over of activations, so it is never cheaper than the barrier alone.
    _, stage = hardware.mode_value("looped", "stage")
    assert stage.low >= 0.8 * barrier * 1e-6


def time_of_collective(hardware, mode, kind, size, devices, position=0.0):
    """A collective in a call of its own, its bare boundary [s] included; position: all of its parameters slow (-1),
    at their value or fast (1)."""
    call = Call(kind, (Segment(1, (Stage(kind, Work(), (Collective(kind, size, devices),)),)),))
    plan = make_plan(Schedule(((1, call),)), ("bf16", "kv", "activations"), Parallel(tensor=devices))
    parameters = SideParameters(hardware, hardware.mode(mode, "a test"), plan, "bf16")
    rates = parameters.rates(parameters.standing(position))
    _, bare = hardware.mode_value(mode, "bare")
    return call_times(busy_time(counts_at(plan, 1, 0), rates, NO_CHAIN)) + at(bare, position, 1)


NO_CHAIN = Chain(*[0.0] * len(Chain.__struct_fields__))

# Published latencies of collectives, launch included, the quickest of each row (us): device, mode, devices, bytes,
# latency, source. Mode "stream" where the source says that no graph was used.
PUBLISHED = [
    ("h100-sxm", "graph", 8, 24_576, 6.18, "microsoft/mscclpp test/deploy, regression baseline"),
    ("h100-sxm", "graph", 8, 49_152, 6.62, "microsoft/mscclpp test/deploy, regression baseline"),
    ("h100-sxm", "graph", 8, 73_728, 6.91, "microsoft/mscclpp test/deploy, regression baseline"),
    ("h100-sxm", "graph", 8, 1_024, 6.45, "NVLS in MSCCL++, read off a plot"),
    ("h100-sxm", "graph", 8, 16_384, 6.55, "NVLS in MSCCL++, read off a plot"),
    ("h100-sxm", "graph", 8, 65_536, 6.6, "NVLS in MSCCL++, read off a plot"),
    ("h100-sxm", "graph", 8, 262_144, 7.4, "NVLS in MSCCL++, read off a plot"),
    ("h100-sxm", "graph", 8, 1_048_576, 10.3, "NVLS in MSCCL++, read off a plot"),
    ("h100-sxm", "stream", 2, 512, 3.7, "sgl-project/sglang pull 2904"),
    ("h100-sxm", "stream", 4, 512, 4.8, "sgl-project/sglang pull 2904"),
    ("h100-sxm", "stream", 8, 512, 5.9, "sgl-project/sglang pull 2904"),
    ("h100-sxm", "stream", 2, 32_768, 4.5, "sgl-project/sglang pull 2904"),
    ("h100-sxm", "stream", 4, 32_768, 4.8, "sgl-project/sglang pull 2904"),
    ("h100-sxm", "stream", 8, 32_768, 7.8, "sgl-project/sglang pull 2904"),
    ("a100-sxm-80gb", "graph", 8, 8_192, 6.51, "microsoft/mscclpp test/deploy, regression baseline"),
    ("a100-sxm-80gb", "graph", 8, 24_576, 7.24, "microsoft/mscclpp test/deploy, regression baseline"),
    ("a100-sxm-80gb", "graph", 8, 49_152, 7.91, "microsoft/mscclpp test/deploy, regression baseline"),
    ("a100-sxm-80gb", "graph", 8, 73_728, 8.28, "microsoft/mscclpp test/deploy, regression baseline"),
    ("mi355x", "graph", 8, 24_576, 6.3, "vllm-project/vllm pull 39080, tuned two-stage kernel"),
    ("mi355x", "graph", 8, 98_304, 6.8, "vllm-project/vllm pull 39080, tuned two-stage kernel"),
    ("mi355x", "graph", 8, 196_608, 7.0, "vllm-project/vllm pull 39080, tuned two-stage kernel"),
    ("mi355x", "graph", 8, 393_216, 7.5, "vllm-project/vllm pull 39080, tuned two-stage kernel"),
    ("mi355x", "graph", 8, 786_432, 9.6, "vllm-project/vllm pull 39080, tuned two-stage kernel"),
    ("mi300x", "graph", 4, 2_048, 7.2, "sgl-project/sglang pull 6619, MI300 class"),
    ("mi300x", "graph", 4, 32_768, 7.6, "sgl-project/sglang pull 6619, MI300 class"),
    ("mi300x", "graph", 4, 262_144, 14.4, "sgl-project/sglang pull 6619, MI300 class"),
    ("mi300x", "graph", 4, 1_048_576, 22.9, "sgl-project/sglang pull 6619, MI300 class"),
    ("gb300", "graph", 8, 64 * 2**20, 180.9, "vllm-project/vllm pull 53318"),
    ("h100-sxm", "graph", 16, 8_192, 15.1, "microsoft/mscclpp test/deploy, two nodes"),
    ("a100-sxm-80gb", "graph", 16, 8_192, 18.4, "microsoft/mscclpp test/deploy, two nodes"),
    ("a100-pcie-80gb", "graph", 8, 8_192, 46.5, "vllm-project/vllm issue 50576, A800, hierarchical; NCCL 56.9"),
    ("a100-pcie-80gb", "graph", 8, 65_536, 49.8, "vllm-project/vllm issue 50576, A800, NCCL; hierarchical 52.9"),
    ("a100-pcie-80gb", "graph", 8, 262_144, 91.2, "vllm-project/vllm issue 50576, A800, hierarchical"),
]
# With more in the figure than a collective and its boundary: a launch that copies into a symmetric buffer first, or a
# norm in the same kernel.
WITH_MORE = [
    ("h100-sxm", 6, 524_288, 13.0, "bare ramp", "vllm-project/vllm pull 24111, best of one-shot, two-shot, multimem"),
    ("h100-sxm", 6, 1_048_576, 16.0, "bare ramp", "vllm-project/vllm pull 24111, best of one-shot, two-shot, multimem"),
    (
        "h100-sxm",
        4,
        524_288,
        10.0,
        "bare ramp",
        "vllm-project/vllm pull 24532, best of one-shot, two-shot, NCCL symmetric",
    ),
    ("h100-sxm", 8, 524_288, 11.0, "bare ramp", "vllm-project/vllm pull 42324, best of multimem and two-shot"),
    ("h100-sxm", 8, 1_048_576, 14.0, "bare ramp", "vllm-project/vllm pull 42324, best of multimem and two-shot"),
    ("h100-sxm", 2, 75_776, 6.1, "ramp matrix", "flagos-ai/FlagGems-vllm pull 773, fused with residual and norm"),
    (
        "h100-sxm",
        2,
        75_776,
        7.0,
        "ramp matrix",
        "flagos-ai/FlagGems-vllm pull 773, fused with residual and norm, TensorRT-LLM",
    ),
    ("h100-sxm", 2, 524_288, 10.0, "ramp matrix", "vllm-project/vllm pull 22086, and a norm of 512 KB"),
]
# What a stack with fewer algorithms takes: profile, device, mode, kind, devices, bytes, latency, source.
BY_PROFILE = [
    *(
        ("nccl", "h100-sxm", "graph", "all_reduce", 8, size, latency, "MSCCL++ documentation, NCCL, read off a plot")
        for size, latency in ((1_024, 15.0), (16_384, 16.0), (65_536, 17.8), (262_144, 18.5), (1_048_576, 24.0))
    ),
    ("nccl", "h100-sxm", "graph", "all_reduce", 6, 524_288, 23.0, "vllm-project/vllm pull 24111"),
    ("nccl", "h100-sxm", "graph", "all_reduce", 6, 1_048_576, 25.0, "vllm-project/vllm pull 24111"),
    ("nccl", "h100-sxm", "graph", "all_reduce", 4, 524_288, 21.0, "vllm-project/vllm pull 24532"),
    ("nccl", "h100-sxm", "graph", "all_reduce", 8, 524_288, 24.0, "vllm-project/vllm pull 42324"),
    ("nccl", "h100-sxm", "graph", "all_reduce", 8, 1_048_576, 25.0, "vllm-project/vllm pull 42324"),
    ("nccl", "b200", "graph", "all_reduce", 2, 524_288, 13.0, "vllm-project/vllm pull 42324"),
    ("nccl", "b200", "graph", "all_reduce", 2, 1_048_576, 17.0, "vllm-project/vllm pull 42324"),
    *(
        (
            "custom-all-reduce",
            "h100-sxm",
            "stream",
            "all_reduce",
            devices,
            size,
            latency,
            "sgl-project/sglang pull 2904",
        )
        for devices, row in ((2, (3.7, 4.5, 7.9, 19.9)), (4, (4.8, 4.8, 13.9, 31.1)), (8, (5.9, 7.8, 16.7, 33.8)))
        for size, latency in zip((512, 32_768, 262_144, 1_048_576), row, strict=True)
        if (devices, size) != (4, 32_768)
    ),  # no more than 512 B: within what is in flight
    ("", "rtx-4090", "graph", "all_gather", 2, 12_288, 8.3, "flashinfer-ai/flashinfer pull 5023, NCCL over PCIe"),
    ("", "rtx-4090", "graph", "all_gather", 4, 12_288, 13.6, "flashinfer-ai/flashinfer pull 5023, NCCL over PCIe"),
    ("", "rtx-4090", "graph", "all_gather", 2, 12_288, 4.1, "flashinfer-ai/flashinfer pull 5023, one shot over PCIe"),
    ("", "rtx-4090", "graph", "all_gather", 4, 12_288, 5.2, "flashinfer-ai/flashinfer pull 5023, one shot over PCIe"),
]


@pytest.mark.parametrize(("name", "mode", "devices", "size", "latency", "source"), PUBLISHED)
def test_published_all_reduces_are_inside(name, mode, devices, size, latency, source):
    hardware = find_hardware(name)
    slow, value, fast = (
        time_of_collective(hardware, mode, "all_reduce", size, devices, position) for position in (-1.0, 0.0, 1.0)
    )
    assert fast <= latency * 1e-6 <= slow, source
    assert fast <= value <= slow


@pytest.mark.parametrize(("name", "devices", "size", "latency", "more", "source"), WITH_MORE)
def test_published_all_reduces_that_do_more_are_inside(name, devices, size, latency, more, source):
    hardware = find_hardware(name)
    # What a kernel that also reads and adds loses, as one with a matrix does in an engine.
    engine = with_software(hardware, find_software("engine"))
    part = sum(engine.mode_value("graph", key)[1].high for key in more.split())
    fast = time_of_collective(hardware, "graph", "all_reduce", size, devices, 1.0)
    slow = time_of_collective(hardware, "graph", "all_reduce", size, devices, -1.0) + part
    assert fast <= latency * 1e-6 <= slow, source


@pytest.mark.parametrize(("profile", "name", "mode", "kind", "devices", "size", "latency", "source"), BY_PROFILE)
def test_published_collectives_of_a_stack_are_inside(profile, name, mode, kind, devices, size, latency, source):
    hardware = find_hardware(name)
    if profile:
        hardware = with_profile(hardware, find_profile(profile))
    slow, fast = (time_of_collective(hardware, mode, kind, size, devices, position) for position in (-1.0, 1.0))
    assert fast <= latency * 1e-6 <= slow, source


def test_the_quickest_algorithm_is_taken():
    """One shot for a few KB, the switch for many:
    on 8 x H100 they meet where (n - 1 - 1.125) M / link is about one hop."""
    hardware = find_hardware("h100-sxm")
    alone = {
        name: msgspec.structs.replace(hardware, algorithms=Offered((name,), "assumed", "a test"))
        for name in ("one-shot", "two-shot", "in-network")
    }
    for size in (512, 8_192, 65_536, 1 << 20, 1 << 26):
        times = {name: time_of_collective(one, "graph", "all_reduce", size, 8) for name, one in alone.items()}
        assert time_of_collective(hardware, "graph", "all_reduce", size, 8) == min(times.values())
        assert min(times, key=times.get) == ("one-shot" if size <= 8_192 else "in-network")
    # What is left of an all-reduce: its second half, the same for both.
    assert time_of_collective(alone["one-shot"], "graph", "all_gather", 1 << 20, 8) == time_of_collective(
        alone["two-shot"], "graph", "all_gather", 1 << 20, 8
    )


@pytest.mark.parametrize("kind", COLLECTIVES)
@pytest.mark.parametrize("name", ["h100-sxm", "mi300x", "rtx-4090", "tpu-v5e", "sn40l", "gaudi-3", "trainium2"])
def test_collectives_cost_more_with_more_bytes_and_beyond_the_domain(name, kind):
    hardware = find_hardware(name)
    domain = int(hardware.values["link.domain"].value)
    mode = hardware.default_mode if hardware.mode_value(hardware.default_mode, "bare") else "looped"
    if not hardware.mode_value(mode, "bare"):
        hardware = hardware.replace_values({f"modes.{mode}.bare": find_hardware("h100-sxm").values["modes.graph.bare"]})
    within = [time_of_collective(hardware, mode, kind, size, domain) for size in (1e3, 1e5, 1e7, 1e9)]
    assert within == sorted(set(within))
    if kind == "all_to_all":  # twice the devices are twice the places its bytes go to
        return
    # One link of a mesh carries little more than a network card: only the latency of a send is sure to be longer.
    sizes = (1e3, 1e5, 1e7, 1e9)[: 2 if kind == "send" else None]
    beyond = [time_of_collective(hardware, mode, kind, size, 2 * domain) for size in sizes]
    assert all(far > near for far, near in zip(beyond, within, strict=False))


def test_a_mesh_leaves_links_idle_in_a_small_group():
    """Of the seven links of an MI300X a group of four uses three: 192 of 448 GB/s."""
    hardware = find_hardware("mi300x")
    size = 1 << 30
    # Two shots send 1.5 and 1.75 times the tensor.
    small, large = (time_of_collective(hardware, "graph", "all_reduce", size, devices) for devices in (4, 8))
    assert small / large == pytest.approx(1.5 / 192 / (1.75 / 448), rel=1e-2)


@pytest.mark.parametrize(
    ("system", "device", "count"),
    [
        ("dgx-h100", "h100-sxm", 8),
        ("dgx-b200", "b200", 8),
        ("gb200-nvl72", "gb200", 72),
        ("sambarack-sn40l-16", "sn40l", 16),
    ],
)
def test_a_system_is_its_devices(run, system, device, count):
    as_system, as_devices = estimate("llama-3.1-8b", system), estimate("llama-3.1-8b", device, devices=count)
    assert as_system.devices == count
    assert as_system.after.time_per_step == pytest.approx(as_devices.after.time_per_step, rel=1e-12)
    assert json.loads(run("estimate", "llama-3.1-8b", system, "--json").out)["devices"] == count
    assert estimate("llama-3.1-8b", system, devices=2).devices == 2


def test_seven_well_made_kernels_lose_far_less_than_ten_ordinary_ones(tmp_path):
    """The control case of the literature: fewer calls, and matrices that lose little. The mode can say which it is."""
    profile = tmp_path / "well-made.toml"
    profile.write_text(
        'name = "well-made"\n[modes.graph]\nkernels = "tuned"\nmatrix = '
        '{ value = "0.1 us", kind = "assumed", source = "a test" }\n',
        encoding="utf-8",
    )
    ordinary = estimate("llama-3.1-8b", "h100-sxm", devices=8)
    well_made = estimate("llama-3.1-8b", "h100-sxm", devices=8, profile=str(profile))
    assert well_made.before.kernel_calls / 32 == pytest.approx(7, abs=0.5)
    assert well_made.before.terms.boundary < 0.5 * ordinary.before.terms.boundary
    assert well_made.speedup.value < ordinary.speedup.value


@pytest.mark.parametrize(("mode", "side"), [("graph", "before"), ("looped", "after"), ("megakernel", "after")])
def test_a_mode_hides_a_share_of_its_collectives(mode, side):
    """In separate calls exactly that share; in a loop at most that of the chain, and no less than the links take."""
    key = f"modes.{mode}.collective_overlap"

    def asked(share):
        return getattr(estimate("llama-3.1-8b", "h100-sxm", devices=8, **{side: mode}, parameters={key: share}), side)

    none, half, whole = asked(0), asked(0.5), asked(1)
    assert whole.time_per_step <= half.time_per_step <= none.time_per_step
    if side == "before":
        assert half.terms.collective == pytest.approx(none.terms.collective / 2)
        assert none.time_per_step - half.time_per_step == pytest.approx(none.terms.collective / 2)
        assert none == estimate("llama-3.1-8b", "h100-sxm", devices=8).before  # what nothing says is none
    else:
        assert none.time_per_step - half.time_per_step > 0
    # Links that take longer than all else bound a loop that hides them.
    bound = estimate(
        "llama-3.1-8b",
        "h100-sxm",
        devices=8,
        batch=64,
        parameters={"link.bandwidth": "1 GB/s", "modes.looped.collective_overlap": 1},
    ).after
    assert bound.time_per_step > 64 * 65 * 8192 * 1.125 / 1e9 > 0.5 * bound.time_per_step


def test_nccl_is_a_profile_of_its_own():
    """8 x H100: about three times what the quickest kernels take; a usual engine's library lies between."""
    with_nccl = estimate("llama-3.1-8b", "h100-sxm", devices=8, profile="nccl")
    assert (
        with_nccl.before.terms.collective
        > 2 * estimate("llama-3.1-8b", "h100-sxm", devices=8, after="megakernel").after.terms.collective
    )


def test_a_group_that_spans_domains_goes_over_the_network():
    """Eight devices to a domain: groups of two inside it, or one from each of two domains; stages of four,
    or of eight devices."""

    def used(parallel, model="llama-3.1-70b"):
        return {a.name for a in estimate(model, "h100-sxm", parallel=parallel, batch=16).assumptions}

    assert "network.latency" not in used("tp=4,pp=2")
    assert "network.latency" in used("tp=8,pp=2")
    assert "network.latency" in used("tp=4,pp=4")
    assert "network.latency" not in used("tp=1,dp=8,ep=8", "deepseek-v3")
    assert "network.latency" in used("tp=8,dp=2,ep=2", "deepseek-v3")
