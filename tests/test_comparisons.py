"""Comparisons: best first, the ladder of modes, the front."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel import PerfModelError, compare, estimate
from perfmodel.sweeps.comparisons import pareto_front


def test_best_comes_first_with_ratios():
    found = compare("llama-3.1-8b", "a100-sxm-80gb,h100-sxm,b200", devices="1,8")
    rates = [choice.tokens_per_second for choice in found.choices]
    today = [choice.tokens_per_second_before for choice in found.choices]
    assert today == sorted(today, reverse=True)
    assert [choice.rank for choice in found.choices] == list(range(1, 7))
    for choice in found.choices:
        answer = estimate("llama-3.1-8b", choice.hardware, devices=choice.devices)
        assert choice.tokens_per_second == answer.after.tokens_per_second
        assert choice.to_best == pytest.approx(choice.tokens_per_second / max(rates))
        assert choice.per_device == pytest.approx(choice.tokens_per_second / choice.devices)
        assert (choice.gain, choice.gain_low, choice.gain_high) == (
            answer.speedup.value,
            answer.speedup.low,
            answer.speedup.high,
        )


def test_each_workload_is_ranked_by_itself_on_the_side_that_is_asked():
    asked = ("llama-3.2-1b", "h100-sxm,rtx-4090,sn40l")
    for rank in ("before", "after"):
        found = compare(*asked, batch="1,32", rank=rank)
        assert [(choice.batch, choice.rank) for choice in found.choices] == [(b, r) for b in (1, 32) for r in (1, 2, 3)]
        for batch in (1, 32):
            answers = [estimate("llama-3.2-1b", c.hardware, batch=batch) for c in found.choices if c.batch == batch]
            rates = [getattr(answer, rank).tokens_per_second for answer in answers]
            assert rates == sorted(rates, reverse=True)
            shown = [c for c in found.choices if c.batch == batch]
            assert [c.tokens_per_second_before for c in shown] == [a.before.tokens_per_second for a in answers]
            assert [c.low_before for c in shown] == [a.before.low.tokens_per_second for a in answers]
    with pytest.raises(PerfModelError, match="--rank: 'befor' is not one of before and after"):
        compare(*asked, rank="befor")


def test_prices_and_power_can_be_set_and_text_and_data_agree(run):
    words = ("compare", "llama-3.1-8b", "h100-sxm", "--set", "price.rental=1USD/h", "--set", "power.tdp=500W")
    (row,) = json.loads(run(*words, "--json").out)
    for side, rate in (("before", row["tokens_per_second_before"]), ("after", row["tokens_per_second"])):
        assert row[f"price_{side}"] == pytest.approx(1e6 / rate / 3600)
        assert row[f"energy_{side}"] == pytest.approx(1e6 / rate * 500)
    text = run(*words).out
    assert f"{row['price_before']:.3g}" in text
    assert f"{row['energy_after']:,.0f}" in text
    assert row["per_watt"] == pytest.approx(row["tokens_per_second"] / 500)


def test_what_does_not_fit_comes_last():
    found = compare("llama-3.1-70b", "rtx-4090,h100-sxm", devices="1,8")
    fits = [choice.fits for choice in found.choices]
    assert fits == sorted(fits, reverse=True)
    assert not fits[-1]


def test_the_ladder_climbs_from_eager_to_megakernel_and_its_steps_multiply_up():
    found = compare("llama-3.2-1b", "h100-sxm", modes="all")
    modes = [choice.mode for choice in found.choices]
    assert (modes[0], modes[-1]) == ("eager", "megakernel")
    product = 1.0
    for below, choice in zip(found.choices, found.choices[1:], strict=False):
        assert choice.against == below.mode
        assert choice.gain == pytest.approx(choice.tokens_per_second / below.tokens_per_second)
        product *= choice.gain
    assert product == pytest.approx(found.choices[-1].tokens_per_second / found.choices[0].tokens_per_second)


def test_forms(run):
    words = ("compare", "llama-3.1-8b", "h100-sxm,sn40l", "--batch", "1,64")
    answer = json.loads(run(*words, "--json").out)
    assert len(answer) == 4
    assert answer[0]["rank"] == 1
    rows = list(csv.DictReader(run(*words, "--csv").out.splitlines()))
    assert [float(row["tokens_per_second"]) for row in rows] == [row["tokens_per_second"] for row in answer]
    text = run(*words).out
    assert text.startswith("Best of 2 at batch 1: llama-3.1-8b on h100-sxm, graph, ")
    assert "Best of 2 at batch 64: llama-3.1-8b on h100-sxm, graph, " in text
    for head in (
        "tok/s before (low to high)",
        "tok/s after (low to high)",
        "tok/s a user before",
        "USD a million tokens",
    ):
        assert head in text
    assert len(json.loads(run(*words, "--front", "--json").out)) < 4
    assert run("compare", "llama-3.2-1b", "h100-sxm", "--modes", "all").out.startswith("The largest step is ")
    assert "did you mean" in run("compare", "llama-3.2-1b", "h100-sxm", "--modes", "grap").err
    assert run(*words, "--command").out.startswith("perfmodel compare")
    assert "<table>" in compare("llama-3.1-8b", "sn40l")._repr_html_()


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=30))
def test_the_front_is_what_no_other_beats(pairs):
    def beaten(one):
        return any(other[0] >= one[0] and other[1] >= one[1] and other != one for other in pairs)

    assert pareto_front(pairs) == [not beaten(pair) for pair in pairs]
