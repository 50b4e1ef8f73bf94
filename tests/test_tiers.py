"""Weights that stream from a slower memory tier: the peak stays, the time is that of the tier,
and what fits is counted."""

import math
import runpy
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate
from perfmodel.analysis.sensitivities import sensitivity
from perfmodel.errors import PerfModelError
from perfmodel.estimates.notes import WARNINGS


def values(answer):
    return {a.name: a.value for a in answer.assumptions}


def test_what_does_not_fit_streams_from_the_host():
    """Llama 3.1 70B on one H100: 142.5 GB, of which 80 stay."""
    plain, offloaded = (estimate("llama-3.1-70b", "h100-sxm", offload=offload) for offload in (None, "host"))
    assert (plain.fits.fits, plain.placement) == (False, None)
    assert offloaded.fits.fits
    assert offloaded.fits.bytes_needed <= 80e9 < offloaded.fits.bytes_needed + 0.002 * 142e9
    assert offloaded.fits.bytes_needed + offloaded.placement.bytes == pytest.approx(plain.fits.bytes_needed, abs=2)
    # Peak and bytes are those of the model, whatever lies where.
    assert (offloaded.bytes_per_step, offloaded.peak) == (plain.bytes_per_step, plain.peak)
    # The share of the embedding that moved is not read.
    read = offloaded.placement.weights * (plain.bytes_per_step - 4096 * 327_680)
    found = values(offloaded)
    slow, fast = (
        found["tiers.host.bandwidth"] * found["tiers.host.sustained"],
        found["memory.bandwidth"] * min(found["memory.sustained.weights"] * found.get("reach.weights", 1.0), 1.0),
    )
    assert offloaded.before.terms.stream - plain.before.terms.stream == pytest.approx(
        read * (1 / slow - 1 / fast), rel=1e-6
    )
    assert offloaded.before.bound == "stream"
    assert any(note.startswith("44.3 % of the weights, ") for note in offloaded.notes)
    assert offloaded.to_dict()["placement"]["tier"] == "host"


def test_nothing_moves_where_all_fits():
    asked, plain = (estimate("llama-3.1-8b", "h100-sxm", offload=tier).to_dict() for tier in ("host", None))
    # Alone, looping pays at every batch that fits; at larger ones weights stream from there, and it stops paying.
    assert asked.pop("breakeven_batch") > 1
    assert plain.pop("breakeven_batch") is None
    assert asked == plain


@pytest.mark.parametrize(
    ("model", "hardware", "tier"),
    [
        ("llama-3.1-70b", "gh200", "host"),
        ("llama-3.1-405b", "gb200", "host"),
        ("llama-3.1-70b", "sn40l", "ddr"),
        ("gpt-oss-120b", "rtx-4090", "host"),
    ],
)
def test_each_kind_of_machine_has_its_tier(model, hardware, tier):
    answer = estimate(model, hardware, offload=tier)
    assert answer.fits.fits
    assert answer.placement.bytes > 0
    assert f"tiers.{tier}.bandwidth" in values(answer)
    assert answer.before.fraction_of_peak < estimate(model, hardware).before.fraction_of_peak


def test_experts_alone():
    whole, experts, half = (
        estimate("gpt-oss-120b", "rtx-4090", offload=offload) for offload in (None, "experts=host", "experts=host:0.5")
    )
    assert experts.placement.experts == 1
    assert experts.placement.weights == 0
    assert half.placement.bytes == pytest.approx(experts.placement.bytes / 2)
    assert whole.before.time_per_step < half.before.time_per_step < experts.before.time_per_step
    # A batch wakes more experts, and each must come over the link.
    assert experts.replace(batch=8).before.time_per_step > 3 * experts.before.time_per_step


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["graph", "looped", "megakernel"]), st.integers(1, 64))
@settings(max_examples=30, deadline=None)
def test_more_in_the_slower_tier_is_never_faster(one, other, mode, batch):
    less, more = (
        estimate(
            "gpt-oss-20b",
            "h100-sxm",
            offload=f"weights=host:{share:.4f},experts=host:{share:.4f}",
            before=mode,
            batch=batch,
        )
        for share in sorted((one, other))
    )
    assert less.before.time_per_step <= more.before.time_per_step * (1 + 1e-12)
    assert sum(more.before.terms) == pytest.approx(more.before.time_per_step)
    assert more.speedup.low <= more.speedup.value <= more.speedup.high
    assert less.bytes_per_step == more.bytes_per_step
    # All layers are alike still, so they loop as before.
    assert less.loops == more.loops


def test_the_share_follows_the_workload_in_what_ifs_and_sensitivities():
    answer = estimate("llama-3.1-70b", "h100-sxm", offload="host")
    longer = answer.replace(context=100_000)
    assert longer.placement.weights > answer.placement.weights
    assert longer.fits.fits
    found = sensitivity("llama-3.1-70b", "h100-sxm", figure="before.time_per_step", offload="host", context=100_000)
    assert found.value == pytest.approx(longer.before.time_per_step)


@pytest.mark.parametrize(
    ("offload", "words"),
    [
        ("hst", "did you mean 'host'"),
        ("cache=host", "not understood"),
        ("weights=host:2", "share from 0 to 1"),
        ("weights=host:x", "share from 0 to 1"),
        ("", "no memory tier"),
        ("weights=host,weights=host", "not understood"),
    ],
)
def test_a_placement_that_cannot_be_is_one_line(offload, words):
    with pytest.raises(PerfModelError, match="--offload") as error:
        estimate("llama-3.1-70b", "h100-sxm", offload=offload)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_line_says_where_it_lies(run):
    told = run("estimate", "llama-3.1-70b", "h100-sxm", "--offload", "host")
    assert told.code == 0
    assert "44.3 % of the weights" in told.out
    assert "does not fit" not in told.err


def test_a_share_of_the_cache_lies_in_host_memory():
    plain, half = (estimate("llama-3.1-8b", "h100-sxm", batch=32, offload=offload) for offload in (None, "kv=host:0.5"))
    found = values(half)
    cache = 32 * 4096 * 131_072
    slow = found["tiers.host.bandwidth"] * found["tiers.host.sustained"]
    assert half.before.terms.stream - plain.before.terms.stream == pytest.approx(
        cache / 2 * (1 / slow - 1 / (cache / _cache_time(plain))), rel=1e-3
    )
    assert plain.fits.bytes_needed - half.fits.bytes_needed == pytest.approx(cache / 2, abs=2)
    assert (half.placement.kv, half.bytes_per_step) == (0.5, plain.bytes_per_step)
    assert estimate("llama-3.1-8b", "h100-sxm", offload="kv=host:0").before == plain.replace(batch=1).before


def _cache_time(answer):
    """The time in which a step reads its cache."""
    return answer.before.terms.stream - answer.replace(context=0).before.terms.stream


def test_the_host_computes_experts():
    asked = ("gpt-oss-120b", "rtx-3090")
    memory = {"tiers.host.memory": 307.2e9, "tiers.host.computed": 0.4}
    streamed, computed, half, few = (
        estimate(*asked, offload=offload, parameters=memory | more)
        for offload, more in (
            ("experts=host", {}),
            ("experts=host:compute", {}),
            ("experts=host:0.5:compute", {}),
            ("experts=host:compute", {"tiers.host.cores": 4, "tiers.host.core_stream": 2e9}),
        )
    )
    read = computed.prepared.whole.experts[0].bytes_read(1)
    expected = read / (0.4 * 307.2e9)
    apart = computed.before.terms.stream - half.before.terms.stream
    own = read / 2 / (computed.prepared.hardware.values["memory.bandwidth"].value)
    assert expected / 2 - 2 * own < apart < expected / 2
    assert few.before.terms.stream > read / 8e9
    layers = len(computed.prepared.model.layers)
    assert computed.before.terms.host - streamed.before.terms.host == pytest.approx(layers * 100e-6)
    assert computed.fits == streamed.fits
    assert computed.placement.compute
    # A long prompt's experts stream to the device, whoever computes those of a step.
    first = [
        estimate(*asked, offload=offload, prompt=2048, parameters=memory).prompt.before.time_to_first_token
        for offload in ("experts=host", "experts=host:compute")
    ]
    assert first[0] == pytest.approx(first[1], rel=1e-9)


@pytest.mark.parametrize(
    ("offload", "said"),
    [
        ("weights=host:compute", "is what a host can compute"),
        ("experts=host:2:compute", "'2' is not a share"),
        ("kv=host:x", "'x' is not a share"),
        ("cache=host", "is not understood"),
    ],
)
def test_what_cannot_lie_there(offload, said):
    with pytest.raises(PerfModelError, match=said):
        estimate("gpt-oss-120b", "rtx-3090", offload=offload)


def test_measured_rates_with_experts_on_the_host(repository):
    """Every row with what the package assumes of hosts: within 20 % in the median, as docs/validation.md says."""
    program = runpy.run_path(str(repository / "validation" / "cpu_experts.py"))
    errors = [abs(row.off(0.37, 2.5e9)) for row in program["rows"]()]
    assert len(errors) == 25
    assert median(errors) < math.log(1.2)
    assert sum(error < math.log(2.5) / 2 for error in errors) / len(errors) >= 0.9


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "llama-3.1-405b", "hardware": "h100-sxm"},
        {"model": "llama-3.1-405b", "hardware": "h100-sxm", "offload": "host"},
        {"model": "llama-2-7b", "hardware": "h100-sxm", "context": 8192},
        {"model": "llama-3.1-8b", "hardware": "sn40l", "devices": 3},
    ],
)
def test_warnings_are_the_notes_of_their_kinds(asked):
    answer = estimate(**asked)
    assert answer.warnings == tuple(note for note in answer.notes if note.kind in WARNINGS)
