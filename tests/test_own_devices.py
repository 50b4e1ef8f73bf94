"""A user's own device file: a template to start from, and plain values that need neither kind nor source."""

import json
import re
import tomllib

import pytest

from perfmodel._layout import data_folder
from perfmodel.errors import PerfModelError
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.parameters import PARAMETERS, lookup
from perfmodel.specifications.templates import device_template

PLAIN = """
name = "board"
[memory]
bandwidth = "17.1 GB/s"
capacity = { value = "8 GB", kind = "datasheet", source = "the board, 8 GB version" }
[memory.sustained]
weights = { low = 0.5, value = 0.7, high = 0.9 }
[arithmetic]
fp32 = "76.8 GFLOP/s"
[units]
count = 4
"""


def written(tmp_path, text):
    path = tmp_path / "board.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_plain_values_are_given(tmp_path):
    values = find_hardware(written(tmp_path, PLAIN)).values
    assert values["memory.bandwidth"].value == pytest.approx(17.1e9, rel=1e-12)
    assert values["memory.bandwidth"].kind == "given"
    assert values["memory.bandwidth"].source == "given in board.toml"
    assert values["memory.capacity"].kind == "datasheet"
    share = values["memory.sustained.weights"]
    assert (share.low, share.value, share.high, share.kind) == (0.5, 0.7, 0.9, "given")
    assert values["units.count"].value == 4


def test_a_board_of_plain_values_is_answered(run, tmp_path):
    """Llama 3.2 1B reads 1.24 GB of 8-bit weights, so that 17.1 GB/s give at most 13.8 tokens a second."""
    path = written(tmp_path, PLAIN)
    assert run("hardware", "check", path).code == 0
    answer = json.loads(run("estimate", "llama-3.2-1b", path, "--weights", "int8", "--context", "0", "--json").out)
    assert 17.1e9 / answer["bytes_per_step"] == pytest.approx(answer["peak"]["tokens_per_second"])
    assert 0.5 < answer["before"]["fraction_of_peak"] < 0.9
    given = next(each for each in answer["assumptions"] if each["name"] == "memory.sustained.weights")
    assert given["kind"] == "given"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"17.1 GB/s"', "17.1e9", "no unit"),
        ('"17.1 GB/s"', '"17.1 us"', "expected B/s"),
        ('"17.1 GB/s"', '["17.1 GB/s"]', "memory.bandwidth"),
        (', source = "the board, 8 GB version"', "", "no source"),
        ('kind = "datasheet"', 'kind = "rumour"', "rumour"),
        ("high = 0.9", "high = 0.6", "not in order"),
        ("count = 4", "count = 0", "out of range"),
        ('"board"', '"board\\n1.9 x faster"', "holds a control character"),
        ('"board"', '" "', "says nothing"),
    ],
)
def test_what_is_wrong_with_a_plain_value_is_said_in_one_line(tmp_path, old, new, message):
    assert old in PLAIN
    with pytest.raises(PerfModelError, match=message) as caught:
        find_hardware(written(tmp_path, PLAIN.replace(old, new)))
    assert "board.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_catalogue_gives_nothing_without_a_source():
    for path in (*data_folder("hardware").rglob("*.toml"), *data_folder("profiles").glob("*.toml")):
        assert 'kind = "given"' not in path.read_text(encoding="utf-8")


def test_a_template_is_answered_as_it_is(run, tmp_path):
    path = tmp_path / "my-card.toml"
    assert run("hardware", "new", "My Card", "-o", str(path)).code == 0
    assert run("hardware", "new", "My Card").out == path.read_text(encoding="utf-8")
    assert run("hardware", "check", str(path)).out.startswith("1 device checked, 0 faults")
    assert run("estimate", "llama-3.2-1b", str(path)).code == 0
    device = find_hardware(str(path))
    assert device.name == "my-card"
    assert sorted(key for key, value in device.values.items() if value.kind == "given") == [
        "arithmetic.bf16",
        "memory.bandwidth",
        "memory.capacity",
    ]


def test_a_template_has_every_key_and_each_can_be_used(tmp_path):
    text = device_template("mine")
    filled = re.sub(r"^# (?=\[|\w+(-\w+)* = )", "", text, flags=re.MULTILINE)
    path = written(tmp_path, filled)
    found = find_hardware(path).values
    keys = {key for key, value in found.items() if value.kind == "given"}
    # What software reaches of a share falls to a file that gives the share itself.
    assert {lookup(key).key for key in keys} | {"reach.*"} == {parameter.key for parameter in PARAMETERS}
    assert tomllib.loads(filled)["default_mode"] == "stream"
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", ["", "a/b", "  ", "kärtchen"])
def test_a_template_needs_a_name_that_a_file_can_have(run, name):
    answer = run("hardware", "new", name)
    assert answer.code == 1
    assert answer.err.count("\n") == 1
