"""Energy and money of a million tokens: from power and price, unknown where they are."""

import pytest

from perfmodel import estimate
from perfmodel.costs import cost_per_million_tokens


def test_energy_is_power_times_time():
    answer = estimate("llama-3.1-8b", "h100-sxm", devices=8)
    cost = cost_per_million_tokens(answer)
    assert cost.energy_before == pytest.approx(8 * 700 * 1e6 / answer.before.tokens_per_second)
    assert cost.energy_before / cost.energy_after == pytest.approx(answer.speedup.value)
    assert cost.price_before is None


def test_price_follows_from_what_the_caller_sets(run):
    answer = estimate("llama-3.1-8b", "h100-sxm", parameters={"price.rental": "2.50 USD/h"})
    cost = cost_per_million_tokens(answer)
    assert cost.price_after == pytest.approx(2.5 / 3600 * 1e6 / answer.after.tokens_per_second)
    assert "USD for a million tokens" in run("estimate", "llama-3.1-8b", "h100-sxm", "--set", "price.rental=2.5USD/h").out


def test_unknown_power_stays_unknown(run):
    assert cost_per_million_tokens(estimate("llama-3.1-8b", "sn40l")).energy_before is None
    assert "energy" not in run("estimate", "llama-3.1-8b", "sn40l").out
