"""The same digits on every Python: what `sum` does with floats differs between them, so no figure may rest on it.

`make packaging` asks the same questions on every Python, with the oldest and the newest dependencies.
"""

import builtins
import functools
import gc
import json
import math

import pytest
from answers import QUESTIONS, answers
from try_all import RESULT, same

plain_sum = builtins.sum


def another_sum(numbers, start=0):
    """As `sum`, but a sum of floats has another last digit, as from Python 3.12 on it may have."""
    found = plain_sum(numbers, start)
    return math.nextafter(found, math.inf) if found.__class__ is float else found


def forget():
    """Forget what was worked out before."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and found.__module__.startswith("perfmodel."):
            found.cache_clear()


def test_no_answer_rests_on_how_a_python_sums_floats(monkeypatch, repository):
    monkeypatch.chdir(repository)
    forget()
    usual = answers()
    assert len(usual) == len(QUESTIONS.read_text(encoding="utf-8").splitlines()) >= 40
    monkeypatch.setattr(builtins, "sum", another_sum)
    forget()
    other = answers()
    assert [line for line in usual if usual[line] != other[line]] == []


def test_the_kept_result_is_of_all_pythons_with_oldest_and_newest_dependencies():
    kept = json.loads(RESULT.read_text(encoding="utf-8"))
    assert {"3.11", "3.12", "3.13"} <= {run["python"] for run in kept["runs"]}
    assert {run["installed"] for run in kept["runs"]} == {"newest", "sdist", "oldest"}
    assert all(run["other_digits"] == [] and run["questions"] >= 40 for run in kept["runs"])
    assert len(kept["checked"]) == 4


@pytest.mark.parametrize(
    ("line", "one", "other", "alike"),
    [
        ("sweep x", "1.0000000000000002,llama-3.1-8b", "1.0,llama-3.1-8b", True),
        ("sweep x", "1.00001,a", "1.0,a", False),
        ("sweep x", "1.0,a", "1.0,b", False),
        ("estimate x", "1.0000000000000002", "1.0", False),
    ],
)
def test_which_answers_are_the_same(line, one, other, alike):
    assert same(line, one, other) is alike


def test_another_sum_is_another():
    assert another_sum([0.1, 0.2]) != plain_sum([0.1, 0.2])
    assert another_sum([1, 2]) == 3
    assert another_sum([(1,), (2,)], ()) == (1, 2)


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    forget()
