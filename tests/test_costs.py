"""Energy and money of a million tokens: from power and price, unknown where they are."""

import json
import re

import pytest

from perfmodel import estimate, find_hardware
from perfmodel.specifications.catalogue import names


def test_energy_is_power_times_time():
    answer = estimate("llama-3.1-8b", "h100-sxm", devices=8)
    energy, price = answer.energy, answer.price
    assert energy.before == pytest.approx(8 * 700 * 1e6 / answer.before.tokens_per_second)
    assert energy.before / energy.after == pytest.approx(answer.speedup.value)
    assert price.before / price.after == pytest.approx(answer.speedup.value)
    assert estimate("llama-3.2-1b", "strix-halo").price.before is None


def test_price_follows_from_what_the_caller_sets(run):
    answer = estimate("llama-3.1-8b", "h100-sxm", parameters={"price.rental": "2.50 USD/h"})
    assert answer.price.after == pytest.approx(2.5 / 3600 * 1e6 / answer.after.tokens_per_second)
    assert (
        "USD for a million tokens" in run("estimate", "llama-3.1-8b", "h100-sxm", "--set", "price.rental=2.5USD/h").out
    )


def test_comparisons_have_energy_and_price_before_and_after(run):
    rows = json.loads(run("compare", "llama-3.1-8b", "h100-sxm,sn40l", "--json").out)
    rows = {row["hardware"]: row for row in (rows["choices"] if isinstance(rows, dict) else rows)}
    answer = estimate("llama-3.1-8b", "h100-sxm")
    energy, price = answer.energy, answer.price
    assert rows["h100-sxm"]["energy_after"] == pytest.approx(energy.after)
    assert rows["h100-sxm"]["price_before"] == pytest.approx(price.before)
    assert rows["sn40l"]["price_before"] is None


@pytest.mark.parametrize("name", names("hardware"))
def test_a_price_says_whose_and_when(name):
    """What a card cost at launch, or what clouds ask in lists of a stated date; nothing where no source is."""
    for key in ("price.rental", "price.purchase"):
        quantity = find_hardware(name).values.get(key)
        if quantity is not None:
            assert 0 < quantity.low <= quantity.value <= quantity.high < 1e6
            assert re.search(r"launch price|20\d\d", quantity.source)


def test_unknown_power_stays_unknown(run):
    assert estimate("llama-3.1-8b", "sn40l").energy.before is None
    assert "energy" not in run("estimate", "llama-3.1-8b", "sn40l").out
