"""The fewest devices against brute force: the kept result of `make fewest` is whole, and some of it anew."""

import json

import pytest
from fewest_run import DEVICES, RESULT, WORKLOADS, compared

from perfmodel.specifications.catalogue import names


def test_the_kept_result_is_of_every_model_on_thirty_devices():
    kept = json.loads(RESULT.read_text(encoding="utf-8"))
    assert kept["differ"] == kept["without"] == []
    assert len(DEVICES) == kept["devices"] == 30
    assert kept["answers"] >= 0.95 * kept["models"] * len(DEVICES) * len(WORKLOADS)
    assert kept["models"] >= 190


@pytest.mark.parametrize("place", range(6))
def test_some_of_it_anew(place):
    for name in names("models")[place::60]:
        number, differ = compared(name)
        assert differ == []
        assert number
