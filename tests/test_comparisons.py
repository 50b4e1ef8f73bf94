"""Comparisons: best first, the ladder of modes, the front."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel import compare, estimate
from perfmodel.sweeps.comparisons import pareto_front


def test_best_comes_first_with_ratios():
    found = compare("llama-3.1-8b", "a100-sxm-80gb,h100-sxm,b200", devices="1,8")
    rates = [choice.tokens_per_second for choice in found.choices]
    assert rates == sorted(rates, reverse=True)
    assert [choice.rank for choice in found.choices] == list(range(1, 7))
    for choice in found.choices:
        answer = estimate("llama-3.1-8b", choice.hardware, devices=choice.devices)
        assert choice.tokens_per_second == answer.after.tokens_per_second
        assert choice.to_best == pytest.approx(choice.tokens_per_second / rates[0])
        assert choice.per_device == pytest.approx(choice.tokens_per_second / choice.devices)
        assert (choice.gain, choice.gain_low, choice.gain_high) == (
            answer.speedup.value,
            answer.speedup.low,
            answer.speedup.high,
        )


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
    assert run(*words).out.startswith("Best of 4: llama-3.1-8b on h100-sxm, looped")
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
