"""The catalogue's costs against the published tables they rest on: bare boundaries and small all-reduces."""

import json

import pytest

from perfmodel import equations, estimate, find_hardware
from perfmodel.profiles import find_profile

# github.com/te42kyfo/gpu-benches gpu-small-kernels, T = a + V/b fitted from 64 KB to 0.4 x L2 (us): stream, graph, grid barrier.
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


# Published latencies of small all-reduces, launch included (us): device, mode, devices, bytes, latency, source.
ALL_REDUCE = [
    ("h100-sxm", 8, 24_576, 6.2, "MSCCL++ regression baseline"),
    ("h100-sxm", 8, 49_152, 6.6, "MSCCL++ regression baseline"),
    ("h100-sxm", 8, 73_728, 6.9, "MSCCL++ regression baseline"),
    ("h100-sxm", 8, 1_024, 6.45, "NVLS in MSCCL++"),
    ("h100-sxm", 8, 262_144, 7.4, "NVLS in MSCCL++"),
    ("h100-sxm", 8, 512, 5.9, "SGLang custom kernel"),
    ("h100-sxm", 8, 32_768, 7.8, "SGLang custom kernel"),
    ("h100-sxm", 2, 75_776, 6.5, "fused with residual and norm, 6.1 to 7.0"),
    ("a100-sxm-80gb", 8, 8_192, 6.5, "MSCCL++ regression baseline"),
    ("a100-sxm-80gb", 8, 24_576, 7.2, "MSCCL++ regression baseline"),
    ("a100-sxm-80gb", 8, 49_152, 7.9, "MSCCL++ regression baseline"),
    ("a100-sxm-80gb", 8, 73_728, 8.3, "MSCCL++ regression baseline"),
    ("mi355x", 8, 24_576, 6.3, "tuned two-stage kernel"),
    ("mi355x", 8, 98_304, 6.8, "tuned two-stage kernel"),
    ("mi355x", 8, 393_216, 7.5, "tuned two-stage kernel"),
]


@pytest.mark.parametrize(("name", "devices", "size", "latency", "source"), ALL_REDUCE)
def test_published_small_all_reduces_are_inside(name, devices, size, latency, source):
    values = find_hardware(name).values
    _, bare = find_hardware(name).mode_value("graph", "bare")
    alpha, link, share = (values[key] for key in ("collectives.all_reduce.latency", "link.bandwidth", "collectives.all_reduce.sustained"))
    factor = equations.ring_traffic_factor(devices, 2)
    fast = equations.collective_time(alpha.low, size, factor, link.value * share.high) + bare.low
    slow = equations.collective_time(alpha.high, size, factor, link.value * share.low) + bare.high
    assert fast <= latency * 1e-6 <= slow, source


@pytest.mark.parametrize(("system", "device", "count"), [("dgx-h100", "h100-sxm", 8), ("dgx-b200", "b200", 8), ("gb200-nvl72", "gb200", 72), ("sambarack-sn40l-16", "sn40l", 16)])
def test_a_system_is_its_devices(run, system, device, count):
    as_system, as_devices = estimate("llama-3.1-8b", system), estimate("llama-3.1-8b", device, devices=count)
    assert as_system.devices == count
    assert as_system.after.time_per_step == pytest.approx(as_devices.after.time_per_step, rel=1e-12)
    assert json.loads(run("estimate", "llama-3.1-8b", system, "--json").out)["devices"] == count
    assert estimate("llama-3.1-8b", system, devices=2).devices == 2


def test_seven_well_made_kernels_lose_far_less_than_ten_ordinary_ones(tmp_path):
    """The control case of the literature: fewer calls, and no tail behind each. The mode can say which of the two it is."""
    profile = tmp_path / "well-made.toml"
    profile.write_text('name = "well-made"\n[modes.graph]\nkernels = "tuned"\ntail = { value = "0.4 us", kind = "assumed", source = "a test" }\n', encoding="utf-8")
    ordinary = estimate("llama-3.1-8b", "h100-sxm", devices=8)
    well_made = estimate("llama-3.1-8b", "h100-sxm", devices=8, profile=str(profile))
    assert well_made.before.kernel_calls / 32 == pytest.approx(7, abs=0.5)
    assert well_made.before.terms.boundary < 0.45 * ordinary.before.terms.boundary
    assert well_made.speedup.value < ordinary.speedup.value


@pytest.mark.parametrize(("size", "latency"), [(1_024, 15.0), (16_384, 16.0), (65_536, 17.8), (262_144, 18.5)])
def test_nccl_is_a_profile_of_its_own(size, latency):
    """8 x H100, read off a plot: two to three times what an engine's own kernels take."""
    values = find_profile("nccl").values
    alpha = values["collectives.all_reduce.latency"]
    _, bare = find_hardware("h100-sxm").mode_value("graph", "bare")
    streaming = equations.collective_time(0.0, size, equations.ring_traffic_factor(8, 2), 0.84 * 450e9)
    assert alpha.low + bare.low + streaming <= latency * 1e-6 <= alpha.high + bare.high + streaming
    with_nccl = estimate("llama-3.1-8b", "h100-sxm", devices=8, profile="nccl")
    assert with_nccl.before.terms.collective > 2 * estimate("llama-3.1-8b", "h100-sxm", devices=8).before.terms.collective
