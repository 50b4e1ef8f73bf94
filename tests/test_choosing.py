"""choose: every way that can be built, limits that hold, a front that nothing beats."""

import itertools

import pytest

from perfmodel import PerfModelError, choose, estimate, find_model
from perfmodel.estimates.splits import obstacle
from perfmodel.operations.parallel import read_parallel


@pytest.fixture(scope="module")
def selection():
    return choose(
        "llama-3.1-70b", "h100-sxm,mi300x", tpot=0.03, devices="1:8:+1", batch="1,4,16,64", weights="bf16,fp8"
    )


def test_choices_are_those_of_estimate(selection):
    for choice in selection.choices:
        asked = {"parallel": choice.parallel} if choice.parallel else {"devices": 1}
        answer = estimate(choice.model, choice.hardware, batch=choice.batch, weights=choice.weight_format, **asked)
        assert choice.before.time_per_token == answer.before.time_per_step
        assert choice.after.tokens_per_second == answer.after.tokens_per_second
        assert choice.speedup == answer.speedup.value
        assert answer.fits.fits


def test_limits_hold_and_splits_can_be_built(selection):
    model = find_model("llama-3.1-70b")
    for choice in selection.choices:
        sides = {"both": ("before", "after"), "before": ("before",), "after": ("after",)}[choice.meets]
        assert all(getattr(choice, side).time_per_token <= 0.03 for side in sides)
        if choice.parallel:
            assert obstacle(model, read_parallel(choice.parallel, model)) == ""


def test_the_pessimistic_end_holds_at_high_confidence():
    found = choose(
        "llama-3.1-8b", "h100-sxm", tpot=0.02, confidence=0.95, devices="1,2", batch="1:256:x2", rank="device"
    )
    assert found.choices
    assert all(choice.before.low["time_per_token"] <= 0.02 for choice in found.choices if choice.meets != "after")
    middle = choose("llama-3.1-8b", "h100-sxm", tpot=0.02, devices="1,2", batch="1:256:x2", rank="device")
    assert max(c.batch for c in found.choices) <= max(c.batch for c in middle.choices)


def test_brute_force_finds_the_same_best():
    """Every split and batch, one by one by `estimate`: the best a device is the one that `choose` ranks first."""
    best = choose("mixtral-8x7b", "h100-sxm", tpot=0.02, devices="2,4", batch="1,8,32", rank="device").choices[0]
    rates = {}
    for tp, ep, pp, batch in itertools.product((1, 2, 4), (1, 2, 4), (1, 2, 4), (1, 8, 32)):
        if tp * pp not in (2, 4) or tp % ep:
            continue
        parallel = read_parallel({"tp": tp, "ep": ep, "pp": pp}, find_model("mixtral-8x7b"))
        if obstacle(find_model("mixtral-8x7b"), parallel):
            continue
        answer = estimate("mixtral-8x7b", "h100-sxm", parallel=parallel, batch=batch)
        if answer.fits.fits and answer.before.time_per_step <= 0.02:
            rates[str(parallel), batch] = answer.before.tokens_per_second / (tp * pp)
    assert best.before.tokens_per_second_per_device == pytest.approx(max(rates.values()), rel=1e-12)


def test_the_front_has_no_dominated_choice(selection):
    front = [c for c in selection.choices if c.front]
    assert front
    for one, other in itertools.permutations(front, 2):
        user, price = other.before.tokens_per_second_per_sequence, other.before.price
        assert not (user > one.before.tokens_per_second_per_sequence and price < one.before.price)


def test_devices_after_is_the_fewest_that_reach_todays_rate(selection):
    some = [c for c in selection.choices if c.devices_after is not None]
    assert some
    assert all(c.devices_after <= c.devices for c in some if c.meets != "before")


def test_ranks_differ_in_what_they_put_first():
    asked = {"devices": "1,2,4,8", "batch": "1,16,256"}
    by_user = choose("llama-3.1-8b", "h100-sxm", rank="user", **asked).choices[0]
    by_device = choose("llama-3.1-8b", "h100-sxm", rank="device", **asked).choices[0]
    assert by_user.batch == 1
    assert by_device.batch == 256
    assert by_user.before.time_per_token < by_device.before.time_per_token


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tpot": 0}, "--tpot: 0 is not a positive time"),
        ({"confidence": 0.9}, "--confidence: 0.9 is neither 0.5"),
        ({"rank": "prise"}, r"--rank: 'prise' is not one of price, device, user \(did you mean 'price'\?\)"),
        ({"devices": "0"}, "--devices: 0 is not a whole number from 1"),
    ],
)
def test_bad_limits_are_said(asked, said):
    with pytest.raises(PerfModelError, match=said):
        choose("llama-3.1-8b", "h100-sxm", **asked)


def test_nothing_that_keeps_the_limit_is_an_answer():
    assert choose("llama-3.1-70b", "h100-sxm", tpot=1e-6, devices="2").choices == ()


def test_the_time_to_the_first_token_is_a_limit():
    asked = {"devices": "1,2,4", "batch": "1,8,64", "prompt": 4096, "rank": "device"}
    free, tight = (choose("llama-3.1-8b", "h100-sxm", ttft=ttft, **asked).choices for ttft in (None, 0.1))
    assert {choice.devices for choice in free} == {1, 2, 4}
    assert tight
    for choice in tight:
        assert choice.before.time_to_first_token <= 0.1
        assert choice.context == 4096
        alone = estimate(
            "llama-3.1-8b", "h100-sxm", parallel=choice.parallel or None, context=0, prompt=4096
        ).prompt.before.time_to_first_token
        assert choice.before.time_to_first_token == pytest.approx(alone, rel=1e-9)
    assert len(tight) < len(free)
    with pytest.raises(PerfModelError, match="--ttft: needs --prompt"):
        choose("llama-3.1-8b", "h100-sxm", ttft=0.1)


def test_drafts_count_in_the_time_per_token():
    drafted = choose("llama-3.1-8b", "h100-sxm", devices="1", batch="1", draft=3, drafter="mtp", accepted=2).choices[0]
    assert drafted.draft == 3
    assert drafted.before.time_per_token == pytest.approx(1 / drafted.before.tokens_per_second_per_sequence)
    step = estimate("llama-3.1-8b", "h100-sxm", draft=3, drafter="mtp", accepted=2).before.time_per_step
    assert drafted.before.time_per_token == pytest.approx(step / 3)


def test_choices_are_a_table_at_80_columns(run, monkeypatch):
    """The column goes that says least of the ranks."""
    monkeypatch.setenv("COLUMNS", "80")
    ask = ("choose", "llama-3.1-70b", "h100-sxm,b200", "--tpot", "20ms", "--weights", "bf16,fp8", "--devices", "2,4,8")
    for rank, gone in (("price", "device  "), ("device", "million")):
        heads = run(*ask, "--rank", rank).out.split("\n\n")[1].splitlines()[:2]
        assert heads[0].startswith("rank  machine")
        assert gone not in heads[1]
