"""Which model a name means: catalogue name or alias, where it was published, a path; in this order."""

import json
import os
from pathlib import Path

import pytest

from perfmodel import PerfModelError, find_model
from perfmodel.specifications.catalogue import names
from perfmodel.specifications.modelfiles import load_model, model_toml

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 100,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my-model", "llama-3.1-8b", "org/some-model"):
        Path(name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(json.dumps(LLAMA))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("llama-3.1-8b", "llama-3.1-8b"),
        ("Llama 3.1 8B", "llama-3.1-8b"),
        ("qwen3_8b", "qwen3-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("meta-llama/llama-3.1-8b", "llama-3.1-8b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-v3"),
        ("google/gemma-4-E4B-it", "gemma-4-e4b"),
        ("ibm-granite/granite-4.0-h-tiny", "granite-4.0-h-tiny"),
        ("Mistral-7B-Instruct-v0.2", "mistral-7b-v0.2"),
        ("Qwen3-4B-Instruct-2507", "qwen3-4b"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", "qwen2.5-14b"),
        ("DeepSeek-R1-0528-Qwen3-8B", "qwen3-8b"),
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", "mistral-small-24b"),
        ("Qwen/Qwen3.6-27B", "qwen3.5-27b"),
        ("zai-org/GLM-4.7", "glm-4.5"),
        ("GSAI-ML/LLaDA-8B-Instruct", "llada-8b"),
        ("my-model", "my-model"),
        ("./my-model", "my-model"),
        ("my-model/config.json", "my-model"),
        ("org/some-model", "some-model"),
        ("./llama-3.1-8b", "llama-3.1-8b"),
    ],
)
def test_a_name_is_looked_up_in_order(folder, name, found):
    assert find_model(name).name == found


def test_the_folder_one_stands_in(folder, monkeypatch):
    monkeypatch.chdir(folder / "my-model")
    assert find_model(".").name == "my-model"
    assert find_model("config.json").name == "my-model"
    monkeypatch.chdir(folder / "org/some-model")
    assert find_model(".").name == "some-model"


def test_a_catalogue_name_is_never_shadowed(folder):
    model = find_model("llama-3.1-8b")
    assert model.hidden == 4096
    assert any("./llama-3.1-8b" in note for note in model.notes)
    assert find_model("./llama-3.1-8b").hidden == 64
    assert not any("./" in note for note in find_model("llama-3.1-70b").notes)


def test_a_file_that_changes_is_read_anew(folder):
    assert find_model("my-model").hidden == 64
    (folder / "my-model" / "config.json").write_text(json.dumps(LLAMA | {"hidden_size": 128}))
    os.utime(folder / "my-model" / "config.json", ns=(1, 1))
    assert find_model("my-model").hidden == 128


@pytest.mark.parametrize("name", ["no-such-model", "meta-llama/Llama-9-9B", "", "org/none", "./none", "none.json"])
def test_a_name_that_is_nothing_is_one_line(folder, name):
    with pytest.raises(PerfModelError) as failure:
        find_model(name)
    assert "\n" not in str(failure.value)


def test_no_two_entries_have_a_name_in_common():
    seen = {}
    for name in names("models"):
        model = find_model(name)
        for other in (name, *model.aliases, *model.origins):
            assert seen.setdefault(other.lower().replace("_", "-"), name) == name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("deepseek-coder-v2-lite", "deepseek-v2-lite"),
        ("Kimi-K2-0905", "kimi-k2"),
        ("Mistral-Small-3.1-24B", "mistral-small-24b"),
        ("Qwen2.5-Coder-3B", "qwen2.5-3b"),
        ("Qwen3-30B-A3B-2507", "qwen3-30b-a3b"),
    ],
)
def test_what_a_checkpoint_is_tuned_for_may_be_left_out(name, found):
    assert find_model(name).name == found


def test_a_key_that_is_null_stays_null(tmp_path):
    """Mistral takes a window of 4,096 where none is said; null says that there is none."""
    config = LLAMA | {"model_type": "mistral", "num_key_value_heads": 2}
    for table, window in ((config, 4096), (config | {"sliding_window": None}, None)):
        path = tmp_path / "model.toml"
        path.write_text(model_toml(table, name="m", source="a test"))
        assert load_model(path).layers[0].mixer.window == window
    assert 'null = ["sliding_window"]' in path.read_text()
    path.write_text(path.read_text().replace('["sliding_window"]', '["hidden_size"]'))
    with pytest.raises(PerfModelError, match="null"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Qwen/Qwen3-8B-FP8", "qwen3-8b is, with --weights fp8"),
        ("Qwen/Qwen3-32B-AWQ", "qwen3-32b is, with --weights int4"),
        ("nvidia/DeepSeek-R1-0528-NVFP4", "deepseek-v3 is, with --weights nvfp4"),
        ("gpt-oss-20b-mxfp4", "gpt-oss-20b is, with --weights mxfp4"),
        ("unsloth/Llama-3.1-8B-Instruct", "llama-3.1-8b is"),
        ("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "llama-3.1-8b is"),
        ("mlx-community/Qwen3-8B-4bit", "qwen3-8b is"),
        ("llama3.1:8b", "llama-3.1-8b is"),
    ],
)
def test_a_checkpoint_stored_otherwise_names_what_it_is_made_of(name, said):
    with pytest.raises(PerfModelError) as raised:
        find_model(name)
    assert str(raised.value) == f"{name!r} is not in the catalogue; {said}"
