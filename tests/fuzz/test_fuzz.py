"""A standing fuzz: the crashes that were found, once more, and some thousand inputs that are the same each time.

`make fuzz` goes on for hours (fuzz_run.py), and its result is kept in result.json.
"""

import json
from pathlib import Path

import pytest
from fuzz_inputs import seeds
from fuzz_run import HERE, RESULT, added, input_of, outcome
from fuzz_targets import TARGETS

# Inputs of each target: about six seconds of a processor each.
COUNTS = {
    "traces": 700,
    "configs": 300,
    "devices": 300,
    "models": 120,
    "profiles": 200,
    "measurements": 700,
    "studies": 200,
    "words": 40,
    "texts": 100,
    "tools": 40,
    "drafters": 150,
}
CRASHES = sorted((HERE / "crashes").glob("*/*"))


def held(target, data, name):
    how, why, _ = outcome(target, data)
    assert how != "crashed", f"{target} {name}: {why}"
    return how


@pytest.mark.parametrize("path", CRASHES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_crashed_once_is_answered_or_refused(path: Path):
    held(path.parent.name, path.read_bytes(), path.name)


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_what_they_are_meant_to_be(target):
    """Most files of the corpus are answered as they are, so that their changed copies reach deep."""
    ends = [held(target, data, number) for number, data in enumerate(seeds(target))]
    assert ends.count("answered") >= 0.6 * len(ends)


@pytest.mark.parametrize("target", TARGETS)
def test_changed_files_are_answered_or_refused(target):
    ends = {held(target, input_of(target, 0, number), number) for number in range(COUNTS[target])}
    assert "answered" in ends
    if target not in ("words", "texts"):  # these see to refusals themselves
        assert "refused" in ends


def test_the_kept_result_is_whole():
    kept = json.loads(RESULT.read_text(encoding="utf-8"))
    assert kept["inputs"] == sum(kept["seeds"].values()) >= 10_000
    assert set(kept["targets"]) == set(TARGETS)
    # What it found was mended: its files are tried above.
    assert kept["crashed"] == sum(kept["places"].values()) <= len(CRASHES)
    assert all(ends["slowest_s"] < 10 for ends in kept["targets"].values())


def test_results_are_added():
    one = {"inputs": 2, "seeds": {"1": 2}, "targets": {"words": {"refused": 2, "slowest_s": 0.5}}}
    two = {"inputs": 3, "seeds": {"2": 3}, "targets": {"words": {"answered": 3, "slowest_s": 0.2}}}
    assert added(one, two) == {
        "inputs": 5,
        "seeds": {"1": 2, "2": 3},
        "targets": {"words": {"refused": 2, "answered": 3, "slowest_s": 0.5}},
    }
