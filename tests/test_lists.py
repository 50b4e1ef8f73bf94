"""Lists of models and devices: a word to look for, and filters."""

import json

import pytest

from perfmodel import find_hardware, find_model


def listed(run, *words):
    answer = run(*words, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_a_word_finds_names_titles_and_aliases(run):
    names = {row["name"] for row in listed(run, "hardware", "list", "4090")}
    assert "rtx-4090" in names
    assert all("4090" in name for name in names)
    assert {"h100-sxm", "h100-pcie", "h100-nvl"} <= {
        row["name"] for row in listed(run, "hardware", "list", "NVIDIA H100")
    }
    assert {row["name"] for row in listed(run, "models", "list", "llama4")} == {"llama-4-maverick", "llama-4-scout"}
    answer = run("hardware", "list", "h100-sxn")
    assert answer.code == 1
    assert "did you mean 'h100-sxm'" in answer.err


def test_filters_keep_what_they_say(run):
    for row in listed(run, "hardware", "list", "--vendor", "amd", "--at-least", "memory.capacity=100GB"):
        device = find_hardware(row["name"])
        assert device.vendor == "AMD"
        assert device.values["memory.capacity"].value >= 100e9
    assert listed(run, "hardware", "list", "--at-least", "memory.bandwidth=1000PB/s") == []
    rows = listed(run, "models", "list", "--family", "mixtral", "--at-least", "parameters=100B")
    assert [row["name"] for row in rows] == ["mixtral-8x22b"]
    assert all(find_model(row["name"]).family == "mixtral" for row in rows)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("hardware", "list", "--vendor", "NVDIA"), 1, "did you mean 'NVIDIA'"),
        (("hardware", "list", "--at-least", "capacity=100GB"), 1, "capacity"),
        (("hardware", "list", "--at-least", "memory.capacity=100"), 2, "has no unit"),
        (("hardware", "list", "--at-least", "memory.capacity"), 2, "KEY=VALUE"),
        (("models", "list", "--family", "mixtrl"), 1, "did you mean 'mixtral'"),
        (("models", "list", "--at-least", "parameters=many"), 2, "is not a number"),
        (("models", "list", "--at-least", "params=70B"), 1, "did you mean 'parameters'"),
    ],
)
def test_wrong_filters_say_what_would_be_right(run, words, code, says):
    answer = run(*words)
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err
