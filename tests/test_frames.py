"""Answers as data frames: names with dots or with underscores, and what is said where a library is missing."""

import sys
from types import SimpleNamespace

import pytest

from perfmodel import PerfModelError, compare, estimate, sweep

NAMES = ("llama-3.2-1b", "sn40l")


@pytest.fixture
def framed(monkeypatch):
    """Stand in for pandas and polars: a frame is what it was made of."""
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(DataFrame=lambda made_of: made_of))


@pytest.mark.usefixtures("framed")
def test_flat_names_have_underscores_only():
    asked = {"parameters": {"modes.layer-fused.boundary": "5us"}}
    for answer in (estimate(*NAMES), compare(*NAMES, **asked)):
        (plain,), (flat,) = answer.to_pandas(), answer.to_polars(flat=True)
        assert list(plain.values()) == list(flat.values())
        assert all(name.isidentifier() for name in flat)
    columns = sweep(*NAMES, batch="1,2", columns="all", **asked).to_pandas(flat=True)
    assert columns["before_tokens_per_second"][0] == pytest.approx(columns["peak_tokens_per_second"][0], rel=0.9)
    assert "modes_layer_fused_boundary" in columns
    assert columns["price_before"] == [None, None]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_missing_library_is_one_line_that_names_the_extra(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    for answer in (estimate(*NAMES), sweep(*NAMES), compare(*NAMES)):
        with pytest.raises(PerfModelError, match=rf"pip install 'perfmodel\[{library}\]'") as raised:
            getattr(answer, f"to_{library}")()
        assert "\n" not in str(raised.value)


def test_pandas_takes_them():
    pytest.importorskip("pandas")
    frame = sweep(*NAMES, batch="1,2").to_pandas(flat=True)
    assert frame.speedup_value.min() > 1
