"""Weights that stream from a slower memory tier: the peak stays, the time is that of the tier, and what fits is counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate
from perfmodel.analysis.sensitivities import sensitivity
from perfmodel.errors import PerfModelError


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
        found["memory.bandwidth"] * found["memory.sustained.weights"],
    )
    assert offloaded.before.terms.stream - plain.before.terms.stream == pytest.approx(
        read * (1 / slow - 1 / fast), rel=1e-6
    )
    assert offloaded.before.bound == "stream"
    assert any(note.startswith("host: 44.3 %") for note in offloaded.notes)
    assert offloaded.to_dict()["placement"]["tier"] == "host"


def test_nothing_moves_where_all_fits():
    assert (
        estimate("llama-3.1-8b", "h100-sxm", offload="host").to_dict() == estimate("llama-3.1-8b", "h100-sxm").to_dict()
    )


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
        ("kv=host", "not understood"),
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
