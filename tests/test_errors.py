"""Bad input ends in one line on stderr that says where, what, and what would be right; never a traceback."""

import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfmodel import PerfModelError, estimate
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.huggingface import model_from_config
from perfmodel.specifications.huggingface.readers import KNOWN_TYPES

CONFIG = {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
HARDWARE = """
name = "mine"
[memory]
bandwidth = { value = "1 TB/s", kind = "assumed", source = "a test" }
capacity = { value = "80 GB", kind = "assumed", source = "a test" }
[arithmetic]
bf16 = { value = "100 TFLOP/s", kind = "assumed", source = "a test" }
"""


def one_line(answer, code, *parts):
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert answer.err.startswith("perfmodel: ")
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 1500
    assert "Traceback" not in answer.err
    for part in parts:
        assert part in answer.err


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["llama-3.1-8x", "sn40l"], 1, ["'llama-3.1-8x'", "did you mean 'llama-3.1-8b'"]),
        (["llama-3.1-8b", "sn40"], 1, ["'sn40'", "did you mean 'sn40l'"]),
        (["", "sn40l"], 1, ["''", "models list"]),
        (["llama-3.1-8b", "sn40l", "--devices", "0"], 1, ["--devices", "'0'", "1 to"]),
        (["llama-3.1-8b", "sn40l", "--devices", "1.5"], 1, ["--devices", "'1.5'"]),
        (["llama-3.1-8b", "sn40l", "--context", "-1"], 1, ["--context", "'-1'"]),
        (["llama-3.1-8b", "sn40l", "--context", "many"], 2, ["--context", "'many'"]),
        (["llama-3.1-8b", "sn40l", "--batch", "1e30"], 1, ["--batch", "'1e30'"]),
        (["llama-3.1-8b", "sn40l", "--batch", "nan"], 2, ["--batch", "'nan'"]),
        (["llama-3.1-8b", "sn40l", "--batch", "inf"], 2, ["--batch", "'inf'"]),
        (["llama-3.1-8b", "sn40l", "--batch", ""], 2, ["--batch"]),
        (["llama-3.1-8b", "sn40l", "--weights", "bf15"], 1, ["--weights", "'bf15'", "did you mean 'bf16'", "int4"]),
        (["llama-3.1-8b", "sn40l", "--kv", "nothing"], 1, ["--kv", "'nothing'"]),
        (
            ["llama-3.1-8b", "sn40l", "--before", "graph"],
            1,
            ["--before", "sn40l has no mode 'graph'", "layer-fused, looped"],
        ),
        (["llama-3.1-8b", "h100-sxm", "--after", "lopped"], 1, ["--after", "did you mean 'looped'"]),
        (
            ["llama-3.1-8b", "sn40l", "--set", "memory.bandwith=2TB/s"],
            1,
            ["memory.bandwith", "did you mean 'memory.bandwidth'"],
        ),
        (["llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=2TB/sec"], 2, ["memory.bandwidth", "'2TB/sec'", "B/s"]),
        (["llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=2Tb/s"], 2, ["bits"]),
        (["llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=2 us"], 2, ["expected B/s"]),
        (["llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=0 TB/s"], 1, ["more than 0"]),
        (["llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=-1 TB/s"], 1, ["out of range"]),
        (["llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=1e400 TB/s"], 1, ["finite"]),
        (["llama-3.1-8b", "sn40l", "--set", "memory.sustained.weights=1.2"], 1, ["at most 1"]),
        (["llama-3.1-8b", "sn40l", "--set", "modes.looped.stage=8us..5us"], 1, ["order"]),
        (["llama-3.1-8b", "sn40l", "--set", "modes.looped.stage"], 2, ["KEY=VALUE"]),
        (["llama-3.1-8b", "sn40l", "--loop-at-most", "0"], 1, ["--loop-at-most"]),
        (["llama-3.1-8b", "sn40l", "--columns", "speed"], 1, ["--columns", "'speed'"]),
        (["llama-3.1-8b", "sn40l", "-o", "answer.xlsx"], 1, ["answer.xlsx", ".json, .csv and .txt"]),
        (["llama-3.1-8b", "sn40l", "-o", "/no/such/folder/answer.json"], 1, ["cannot be written"]),
        (["./missing.toml", "sn40l"], 1, ["missing.toml", "no such file"]),
        (["llama-3.1-8b", "./missing.toml"], 1, ["missing.toml", "no such file"]),
        (["llama-3.1-8b", "."], 1, ["'.'"]),
        (["llama-3.1-8b", "./"], 1, ["folder"]),
        (["llama-3.1-8b", "rtx-4090", "--devices", "2", "--json", "--csv"], 2, ["exclude"]),
        (["llama-3.1-8b"], 2, ["HARDWARE"]),
        (["llama-3.1-8b", "sn40l", "--devcies", "8"], 2, ["--devcies", "--devices"]),
        (["llama-3.1-8b", "sn40l", "extra"], 2, ["extra"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_bad_words(run, words, code, parts):
    one_line(run("estimate", *words), code, *parts)


def test_unknown_command_is_usage(run):
    one_line(run("estimat"), 2, "estimat", "estimate")


@pytest.mark.parametrize("kind", ["model", "hardware"])
@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"\xff\xfe\x00binary\x00", "not UTF-8"),
        (b'{"model_type": "lla', "JSON"),
        (b"[memory", "TOML"),
        (b"name = 1\nname = 2\n", "TOML"),
        (b"name = " + b"[" * 100_000, "TOML"),
        (b"[1, 2]", ""),
        (b"\x00" * 50, ""),
    ],
    ids=["empty", "blank", "binary", "truncated-json", "truncated-toml", "a-key-twice", "nested", "list", "zeros"],
)
def test_bad_files(run, tmp_path, kind, content, part):
    path = tmp_path / ("config.json" if kind == "model" and part != "TOML" else "mine.toml")
    path.write_bytes(content)
    words = [str(path), "sn40l"] if kind == "model" else ["llama-3.1-8b", str(path)]
    part = "nested too deeply" if b"[[" in content else part
    if kind == "hardware" and part == "JSON":
        part = "TOML"
    one_line(run("estimate", *words), 1, path.name, part)


def test_a_file_of_50_megabytes_is_refused_unread(run, tmp_path):
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    one_line(run("estimate", str(path), "sn40l"), 1, "config.json", "50,000,000")


@pytest.mark.parametrize("special", ["/dev/null", "/dev/zero"])
@pytest.mark.skipif(sys.platform == "win32", reason="device files")
def test_a_device_file_is_no_specification(run, special):
    one_line(run("estimate", "llama-3.1-8b", special), 1, special)


def config_answer(run, tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return run("estimate", str(tmp_path), "h100-sxm", "--json")


@pytest.mark.parametrize(
    "key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"]
)
@pytest.mark.parametrize("value", [-1, 0, 10**30, "4096", None, float("nan"), float("inf"), 1.5, True, [], {}])
def test_a_config_value_that_cannot_be(run, tmp_path, key, value):
    one_line(config_answer(run, tmp_path, CONFIG | {key: value}), 1, "config.json", key)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size", "model_type"])
def test_a_config_without_a_needed_key(run, tmp_path, key):
    one_line(
        config_answer(run, tmp_path, {k: v for k, v in CONFIG.items() if k != key}), 1, "config.json", f"has no {key}"
    )


def test_an_unknown_model_type_names_the_nearest_and_where_all_are(run, tmp_path):
    answer = config_answer(run, tmp_path, CONFIG | {"model_type": "lama"})
    one_line(answer, 1, "'lama'", "did you mean 'llama'", "docs/models.md")


def test_all_known_types_are_in_the_documents(repository):
    listed = set(re.findall(r"`([\w-]+)`", (repository / "docs" / "models.md").read_text(encoding="utf-8")))
    assert set(KNOWN_TYPES) <= listed


def test_a_field_that_may_change_the_work_is_an_error(run, tmp_path):
    one_line(config_answer(run, tmp_path, CONFIG | {"num_local_experts": 8}), 1, "num_local_experts", "not understood")


@pytest.mark.parametrize(
    "neutral",
    [
        {"rope_theta": 1e6},
        {"eos_token_id": [1, 2]},
        {"mlp_bias": False},
        {"sliding_window": None},
        {"attention_dropout": 0.1},
        {"_name": "x"},
    ],
)
def test_a_field_that_does_not_change_the_work_is_not(run, tmp_path, neutral):
    assert config_answer(run, tmp_path, CONFIG | neutral).code == 0


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("bandwidth = {", "bandwith = {"), ["memory.bandwith", "did you mean 'memory.bandwidth'"]),
        (('"1 TB/s"', '"1 TB/sec"'), ["memory.bandwidth.value", "'1 TB/sec'"]),
        (('"1 TB/s"', "1e12"), ["memory.bandwidth.value", "no unit"]),
        (
            ('"1 TB/s", kind = "assumed"', '"1 TB/s", kind = "guessed"'),
            ["memory.bandwidth.kind", "'guessed'", "datasheet"],
        ),
        (
            ('kind = "assumed", source = "a test" }\ncapacity', 'kind = "assumed" }\ncapacity'),
            ["memory.bandwidth", "has no source"],
        ),
        (('source = "a test" }\ncapacity', 'source = "datasheet" }\ncapacity'), ["[sources]"]),
        (('value = "1 TB/s"', 'low = "2 TB/s", value = "1 TB/s", high = "3 TB/s"'), ["not in order"]),
        (('value = "1 TB/s"', 'low = "1 TB/s", value = "1 TB/s"'), ["low and high together"]),
        (("[memory]", "[memroy]"), ["'memroy'", "did you mean 'memory'"]),
        (('name = "mine"', 'name = "mine"\ninherits = "hoper"'), ["'hoper'", "did you mean 'hopper'"]),
        (('name = "mine"', 'name = "mine"\ndefault_mode = "grpah"'), ["default_mode", "'grpah'"]),
        (("[arithmetic]", "[modes.graf]\nstage = 1\n[arithmetic]"), ["'graf'", "did you mean 'graph'"]),
        (('name = "mine"', "name = 7"), ["name", "text"]),
        (("[memory]\nbandwidth = { value", "[memory]\nbus = { value"), ["memory.bus"]),
    ],
)
def test_a_hardware_file_with_a_fault(run, tmp_path, change, parts):
    path = tmp_path / "mine.toml"
    assert change[0] in HARDWARE
    path.write_text(HARDWARE.replace(*change), encoding="utf-8")
    one_line(run("estimate", "llama-3.1-8b", str(path)), 1, "mine.toml", *parts)


def test_a_device_of_three_numbers_works_and_lists_what_it_assumed(run, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HARDWARE, encoding="utf-8")
    answer = run("estimate", "llama-3.1-8b", str(path), "--json")
    assert answer.code == 0
    assumed = {a["name"]: a["kind"] for a in json.loads(answer.out)["assumptions"]}
    assert assumed["memory.sustained.weights"] == "assumed"
    assert assumed["modes.stream.bare"] == "assumed"


@pytest.mark.parametrize("devices", [0, -1, 1.5, "eight", True, [8], 10**9])
def test_python_callers_get_the_same_errors(devices):
    with pytest.raises(PerfModelError, match="devices"):
        estimate("llama-3.1-8b", "sn40l", devices=devices)


def test_a_model_that_does_not_fit_is_an_answer(run):
    answer = run("estimate", "llama-3.1-405b", "h100-sxm", "--devices", "8", "--json")
    assert answer.code == 0
    assert answer.err.startswith("perfmodel: note: does not fit")
    fits = json.loads(answer.out)["fits"]
    assert not fits["fits"]
    assert fits["bytes_needed"] > fits["bytes_available"]
    assert fits["devices_needed"] == 11


def test_a_closed_pipe_is_no_error(repository):
    environment = os.environ | {"PYTHONPATH": str(repository)}
    line = f"{sys.executable} -m perfmodel estimate llama-3.1-8b sn40l | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True,
        text=True,
        env=environment,
        cwd="/",
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("Looping brings")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *CONFIG,
                "head_dim",
                "sliding_window",
                "layer_types",
                "attention_bias",
                "quantization_config",
                "unheard_of",
            ]
        ),
        json_values,
        max_size=4,
    ),
    st.sets(st.sampled_from(list(CONFIG)), max_size=2),
    st.sampled_from(KNOWN_TYPES),
)
@settings(max_examples=400, deadline=None)
def test_mutated_configs_give_an_answer_or_one_line(changes, missing, family):
    config = {k: v for k, v in (CONFIG | {"model_type": family} | changes).items() if k not in missing}
    try:
        model = model_from_config(config, name="mutated", source="a test", where="config.json")
        if len(model.layers) < 500:
            answer = estimate(model, "h100-sxm")
            assert answer.before.time_per_step > 0
    except PerfModelError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_as_a_file_give_one_line(tmp_path, content):
    for name, find in (("mine.toml", find_hardware), ("mine.toml", find_model), ("config.json", find_model)):
        path = tmp_path / name
        path.write_bytes(content)
        find_hardware.cache_clear()
        with pytest.raises(PerfModelError) as error:
            find(str(path))
        assert "\n" not in str(error.value)


hardware_lines = st.lists(st.sampled_from(HARDWARE.strip().splitlines()), min_size=1, max_size=9)


@given(hardware_lines, st.text(alphabet='{}[]="., \nabc019/s-', max_size=30), st.integers(0, 200))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_hardware_files_give_a_device_or_one_line(tmp_path, lines, inserted, at):
    text = "\n".join(lines)
    path = tmp_path / "mine.toml"
    path.write_text(text[:at] + inserted + text[at:], encoding="utf-8")
    find_hardware.cache_clear()
    try:
        assert find_hardware(str(path)).values["memory.bandwidth"].value > 0
    except PerfModelError as error:
        assert "\n" not in str(error)


def test_a_mark_of_utf8_is_no_part_of_a_text(tmp_path):
    """Editors of Windows put it before JSON and TOML."""
    config, device = tmp_path / "config.json", tmp_path / "mine.toml"
    config.write_bytes(b"\xef\xbb\xbf" + json.dumps(CONFIG).encode())
    device.write_bytes(b"\xef\xbb\xbf" + HARDWARE.encode())
    assert estimate(str(config), str(device)).before.time_per_step > 0
