"""advise: single changes, each with the gain that asking it gives."""

import json
import shlex

import pytest

from perfmodel import advise, estimate


@pytest.fixture(scope="module")
def advice():
    return advise("llama-3.1-70b", "h100-sxm", devices=8, batch=16)


def test_a_gain_is_the_ratio_of_two_answers(advice):
    today = estimate("llama-3.1-70b", "h100-sxm", devices=8, batch=16).before
    for one in advice.advice:
        words = shlex.split(one.options)
        asked = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
        asked["batch"] = int(asked.get("batch", 16))
        if "draft" in asked:
            asked |= {"draft": int(asked["draft"]), "acceptance": float(asked["acceptance"])}
        if "parallel" not in asked:
            asked["devices"] = 8
        then = estimate("llama-3.1-70b", "h100-sxm", **asked).before
        assert one.gain.value == pytest.approx(then.tokens_per_second / today.tokens_per_second, rel=1e-12)
        assert one.gain.low <= one.gain.value <= one.gain.high
        assert one.time_per_step == pytest.approx(then.time_per_step, rel=1e-12)


def test_changes_are_ranked_and_cover_each_kind(advice):
    gains = [one.gain.value for one in advice.advice if one.fits]
    assert gains == sorted(gains, reverse=True)
    flags = {one.options.split()[0] for one in advice.advice if one.alone}
    assert flags == {"--before", "--weights", "--kv", "--batch", "--parallel", "--profile", "--draft"}
    assert [one.rank for one in advice.advice] == list(range(1, len(advice.advice) + 1))
    assert any(not one.alone for one in advice.advice)


def test_a_mode_that_is_already_used_is_no_change():
    options = {one.options for one in advise("llama-3.1-8b", "h100-sxm", before="pdl").advice}
    assert "--before graph" not in options
    assert "--before looped" in options


def test_the_command_prints_the_same(run):
    printed = run("advise", "llama-3.1-8b", "h100-sxm", "--json")
    rows = json.loads(printed.out)
    assert set(rows[0]) == {"rank", "change", "options", "gain", "time_per_step", "alone", "fits"}
    assert rows == advise("llama-3.1-8b", "h100-sxm").to_dict()


def test_drafts_are_advised_once_and_their_chance_is_uncertain():
    singles = [one for one in advise("llama-3.1-8b", "h100-sxm").advice if one.alone]
    drafted = next(one for one in singles if one.options.startswith("--draft"))
    assert drafted.options == "--draft 3 --drafter eagle --acceptance 0.7"
    # Between a chance of 0.5 and of 0.85 for each draft lies a factor of 1.7 alone.
    assert drafted.gain.high / drafted.gain.low > 1.6
    asked = {"draft": 3, "drafter": "eagle", "acceptance": 0.7}
    found = advise("llama-3.1-8b", "h100-sxm", **asked)
    assert not any("--draft" in one.options for one in found.advice)
    rate = estimate("llama-3.1-8b", "h100-sxm", **asked).before.tokens_per_second
    assert found.tokens_per_second == pytest.approx(rate, rel=1e-12)
