"""What-ifs that are known and change nothing are noted on every command; unknown ones are errors on every command."""

import re

import pytest

from perfmodel import estimate, find_hardware
from perfmodel.specifications.parameters import lookup

NAMES = ("llama-3.2-1b", "h100-sxm")
COMMANDS = [
    ("estimate", *NAMES),
    ("sweep", *NAMES),
    ("compare", *NAMES),
    ("solve", *NAMES, "--unknown", "batch", "--target", "before.tokens_per_second=2000"),
    ("sensitivity", *NAMES),
    ("explain", *NAMES),
    ("report", *NAMES),
    ("plot", "waterfall", *NAMES),
    ("conditional", *NAMES, "--run-with", "8-15=0.5"),
    ("explain-gap", *NAMES, "--measured", "400tok/s"),
    ("choose", *NAMES, "--devices", "1", "--batch", "1"),
    ("advise", *NAMES),
    ("request", *NAMES, "--prompt", "128", "--generate", "16"),
    ("trace", "examples/idle.json.gz", "--model", NAMES[0], "--hardware", NAMES[1]),
]
COSTS = {"price.rental", "power.tdp"}
WITH_COSTS = ("estimate", "compare", "report", "choose", "request")


def settings():
    """Return every key of the device with a value that differs a little from its own."""
    found = {}
    for key, quantity in find_hardware(NAMES[1]).values.items():
        unit = lookup(key).unit
        value = quantity.value * 0.97 or {"s": 1e-7, "B": 1e5, "1": 0.5}.get(unit, 1e9)
        found[key] = f"{value!r}{'' if unit == '1' else unit}"
    return found


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_key_counts_or_is_noted(run, words):
    keys = settings()
    noted = set()
    for some in (list(keys.items())[::2], list(keys.items())[1::2]):
        answer = run(*words, *(part for key, value in some for part in ("--set", f"{key}={value}")))
        assert answer.code == 0, answer.err
        noted |= set(re.findall(r"^perfmodel: note: --set (\S+) does not enter this answer$", answer.err, re.MULTILINE))
    entered = {assumption.name for assumption in estimate(*NAMES).assumptions} | {"memory.capacity"}
    if words[0] in WITH_COSTS:
        entered |= COSTS
    assert noted >= set(keys) - entered - {key for key in keys if key.startswith("modes.")}
    assert not noted & (entered - COSTS) or words[0] in ("conditional", "choose", "advise")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_an_unknown_key_is_an_error(run, words):
    answer = run(*words, "--set", "memory.bandwith=1TB/s")
    assert answer.code == 1
    assert answer.out == ""
    assert "did you mean 'memory.bandwidth'" in answer.err


def test_a_key_is_noted_exactly_where_it_changes_nothing():
    for asked in ({}, {"devices": 8, "batch": 3}, {"before": "eager", "after": "megakernel"}):
        base = estimate(*NAMES, **asked)
        entered = {assumption.name for assumption in base.assumptions} | {"memory.capacity"} | COSTS
        plain = {key: value for key, value in base.to_dict().items() if key != "assumptions"}
        for key, value in settings().items():
            if key not in entered and (key != "link.domain" or base.devices == 1):
                other = estimate(*NAMES, **asked, parameters={key: value}).to_dict()
                assert {name: value for name, value in other.items() if name != "assumptions"} == plain, key


def test_too_many_what_ifs_are_refused_in_one_line(run):
    words = [part for key, value in settings().items() for part in ("--set", f"{key}={value}")]
    answer = run("sweep", *NAMES, *words)
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "write a hardware file" in answer.err


def test_costs_are_noted_where_the_answer_has_none(run):
    words = ("--set", "price.rental=1USD/h")
    assert "price.rental does not enter" in run("sweep", *NAMES, *words).err
    assert "price.rental does not enter" in run("estimate", *NAMES, *words, "--csv").err
    assert run("sweep", *NAMES, *words, "--columns", "price.before").err == ""
    assert run("estimate", *NAMES, *words, "--json").err == ""
    assert run("compare", *NAMES, *words).err == ""
    assert run("estimate", *NAMES, *words).err == ""
    assert "--set modes.eager.issue does not enter" in run("estimate", *NAMES, "--set", "modes.eager.issue=1us").err
