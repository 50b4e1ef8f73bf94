"""Kinds of software: which is asked, what it brings, and a step that was measured."""

import pytest

from perfmodel import estimate
from perfmodel.errors import PerfModelError


def test_a_measured_step_moves_both_sides_and_narrows_them():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": "server"}
    before = estimate(**asked)
    slower = estimate(**asked, measured="9ms")
    assert slower.before.time_per_step == pytest.approx(9e-3, rel=0.03)
    assert before.after.time_per_step < slower.after.time_per_step < slower.before.time_per_step
    width = [e.after.low.time_per_step / e.after.high.time_per_step for e in (before, slower)]
    assert width[1] < width[0]
    # What is slow besides streaming is what looping removes.
    assert slower.speedup.value > before.speedup.value
    assert slower.to_dict()["measured"]["time_per_step"] == pytest.approx(9e-3)
    assert "memory.bandwidth" not in slower.measured.undetermined
    assert slower.measured.undetermined
    # A rate is summed over the batch.
    rate = estimate(**asked, batch=4, measured="500tok/s")
    assert rate.measured.time_per_step == pytest.approx(8e-3)


@pytest.mark.parametrize("text", ["0ms", "-1ms", "6.4", "fast", "3 GB"])
def test_what_is_no_measured_time_is_refused_in_one_line(text):
    with pytest.raises(PerfModelError) as failure:
        estimate("llama-3.1-8b", "h100-sxm", measured=text)
    assert "\n" not in str(failure.value)
    assert "measured" in str(failure.value)


def test_software_is_named_and_its_newest_year_is_taken():
    assert estimate("llama-3.1-8b", "h100-sxm").software == "engine-2025"
    assert estimate("llama-3.1-8b", "h100-sxm", software="server").software == "server-2025"
    assert estimate("llama-3.1-8b", "h100-sxm", software="ggml-2024").before.mode == "stream"
    assert estimate("llama-3.1-8b", "m4-max").software == "ggml-2025"
    assert estimate("llama-3.1-8b", "sn40l", devices=8).software is None
    with pytest.raises(PerfModelError, match=r"--software: 'servr' is not a kind of software.*server"):
        estimate("llama-3.1-8b", "h100-sxm", software="servr")


def test_a_setting_wins_over_software_and_software_over_the_device():
    plain, server = (estimate("llama-3.1-8b", "h100-sxm", software=kind) for kind in ("engine", "server"))
    values = [{a.name: a.value for a in answer.assumptions} for answer in (plain, server)]
    assert values[1]["modes.graph.host"] > 5 * values[0]["modes.graph.host"]
    idle = estimate("llama-3.1-8b", "h100-sxm", software="server", parameters={"modes.graph.host": "0us"})
    assert idle.before.time_per_step == pytest.approx(server.before.time_per_step - values[1]["modes.graph.host"])
