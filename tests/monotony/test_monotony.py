"""A slower part makes no step faster: 20,000 random pairs of questions over the catalogue, extremes included.

`make monotony` tries 200,000; its result is kept in result.json.
"""

import json
from random import Random

import pytest
from monotony_run import HERE, done, joined, tasks
from pairs import ELSEWHERE, ROUNDING, UNDIRECTED, directed, draw, follows

from perfmodel.specifications.parameters import PARAMETERS, lookup

PAIRS = 20_000
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_a_step_follows_the_direction_of_every_parameter(part):
    found = joined([done(task) for task in tasks(0, PAIRS)[part::PARTS]])
    assert found.against == []
    assert found.keys.total() > 0.95 * PAIRS / PARTS
    assert found.moved > found.keys.total() / 2  # most pairs say something
    assert len(set(found.keys)) > 40


def test_the_kept_result_has_every_parameter_and_none_against():
    kept = json.loads((HERE / "result.json").read_text(encoding="utf-8"))
    assert kept["pairs"] >= 200_000
    assert kept["rounding"] == ROUNDING
    assert kept["against"] == kept["untried"] == []
    assert directed() == set(kept["keys"]) | set(ELSEWHERE)


def test_every_parameter_has_a_direction_or_a_reason_for_none():
    assert {parameter.key for parameter in PARAMETERS if not parameter.slower} == set(UNDIRECTED)
    for i in range(40):
        _, prepared = draw(Random(i))
        paths = [assumption.path for assumption in prepared.recording.inputs.values()]
        assert [path for path in paths if lookup(path) is None] == []


@pytest.mark.parametrize(
    ("low", "high", "slower", "right"),
    [
        (1.0, 2.0, 1, True),
        (1.0, 2.0, -1, False),
        (2.0, 1.0, -1, True),
        (1.0, 1.0 - 1e-13, 1, True),
        (1.0, 1.0 - 1e-11, 1, False),
        (1.0, float("inf"), 1, False),
        (float("nan"), 1.0, 1, False),
    ],
)
def test_what_follows_a_direction(low, high, slower, right):
    assert follows(low, high, slower) is right
