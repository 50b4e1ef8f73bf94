"""Requests: the first token, the mean of the others over the contexts they read, and what follows from both."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate, request
from perfmodel.errors import UsageError, ValueRangeError

ASKED = ("llama-3.1-8b", "h100-sxm")


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from(["llama-3.1-8b", "gemma-3-27b", "qwen3.5-27b", "qwen3-30b-a3b"]),
    st.sampled_from(["graph", "looped", "megakernel"]),
    st.integers(1, 3000),
    st.integers(2, 25),
    st.sampled_from([1, 16, 300]),
    st.sampled_from([0, 5]),
)
def test_the_mean_is_that_over_its_contexts(model, mode, prompt, generate, batch, drafts):
    more = {"draft": drafts, "drafter": "mtp", "accepted": 2} if drafts else {}
    found = request(model, "h200-sxm", prompt=prompt, generate=generate, batch=batch, before=mode, **more)
    for side in ("before", "after"):
        each = [
            1
            / getattr(
                estimate(model, "h200-sxm", context=c, batch=batch, before=mode, **more), side
            ).tokens_per_second_per_sequence
            for c in range(prompt, prompt + generate - 1)
        ]
        one = getattr(found, side)
        assert one.time_per_token == pytest.approx(sum(each) / len(each), rel=1e-9)
        assert one.time == pytest.approx(one.time_to_first_token + (generate - 1) * one.time_per_token, rel=1e-12)
        assert one.high.time <= one.time <= one.low.time
        assert one.tokens_per_second == pytest.approx(batch * generate / one.time)
    assert found.speedup.low <= found.speedup.value <= found.speedup.high
    assert found.speedup.value == pytest.approx(found.before.time / found.after.time)


def test_long_requests_are_added_up_from_few_steps():
    """A sliding window bends the time at its end: the mean over 20,000 contexts is that of all of them."""
    found = request("gemma-3-27b", "h200-sxm", prompt=100, generate=20_000)
    ends = [estimate("gemma-3-27b", "h200-sxm", context=c).before.time_per_step for c in (100, 1024, 20_098)]
    # Straight up to the window and from there on.
    expected = (925 * (ends[0] + ends[1]) / 2 + 19_074 * (_after(1025) + ends[2]) / 2) / 19_999
    assert found.before.time_per_token == pytest.approx(expected, rel=1e-9)


def _after(context):
    return estimate("gemma-3-27b", "h200-sxm", context=context).before.time_per_step


def test_energy_and_price_are_of_one_request():
    one, eight = (request(*ASKED, prompt=512, generate=64, batch=batch) for batch in (1, 8))
    power = one.answer.prepared.hardware.values["power.tdp"].value
    assert one.energy.before == pytest.approx(power * one.before.time)
    assert eight.energy.before == pytest.approx(power * eight.before.time / 8)
    assert eight.price.before < one.price.before


def test_fits_counts_the_whole_context():
    found = request(*ASKED, prompt=60_000, generate=40_000, batch=8)
    plain = estimate(*ASKED, context=100_000, batch=8)
    assert found.fits == plain.fits
    assert not found.fits.fits


def test_the_answer_as_json(run):
    words = ("request", *ASKED, "--prompt", "1k", "--generate", 512, "--batch", 8)
    answer = json.loads(run(*words, "--json").out)
    assert answer["prompt"], answer["generate"] == (1024, 512)
    assert set(answer["before"]) == {
        "mode", "time_to_first_token", "time_per_token", "time", "tokens_per_second",
        "tokens_per_second_per_sequence", "tokens_per_second_per_device", "low", "high",
    }  # fmt: skip
    assert {"speedup", "fits", "energy", "price"} <= set(answer)
    assert answer.pop("schema")
    assert answer == request(*ASKED, prompt=1024, generate=512, batch=8).to_dict()
    assert run(*words).out.startswith("A request takes ")


def test_what_cannot_be_asked(run):
    for words, said in ((("--prompt", 5), "needs --generate"), (("--generate", 5), "needs --prompt")):
        answer = run("request", *ASKED, *words)
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert said in answer.err
    with pytest.raises(UsageError, match="needs --prompt"):
        request(*ASKED, generate=4)
    with pytest.raises(ValueRangeError, match="generate: 0 is not a whole number from 1"):
        request(*ASKED, prompt=4, generate=0)
