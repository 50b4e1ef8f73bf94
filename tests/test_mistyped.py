"""Command lines that are mistyped or misunderstood: each is refused in one line that says what would be right."""

import shlex
import tomllib
from pathlib import Path

import pytest

from perfmodel import estimate, find_hardware, find_model

CASES = tomllib.loads((Path(__file__).parent / "data" / "mistyped.toml").read_text(encoding="utf-8"))


def test_the_list_is_long_and_has_no_line_twice():
    lines = [case["line"] for case in CASES["refused"]]
    assert len(lines) == len(set(lines)) >= 150


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["line"])
def test_refused(run, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    answer = run(*shlex.split(case["line"]))
    assert answer.code == case["code"], answer.err
    assert answer.out == ""
    assert answer.err.startswith("perfmodel: ")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    for words in case["says"]:
        assert words in answer.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("4090", "rtx-4090"),
        ("5090", "rtx-5090"),
        ("h100-80gb", "h100-sxm"),
        ("NVIDIA H100", "h100-sxm"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("H100_SXM", "h100-sxm"),
    ],
)
def test_a_device_is_found_as_it_is_meant(said, meant):
    assert find_hardware(said).name == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [("llama3.1-8b", "llama-3.1-8b"), ("Llama-3.1-8B", "llama-3.1-8b"), ("llama_3.1_8b", "llama-3.1-8b")],
)
def test_a_model_is_found_as_it_is_meant(said, meant):
    assert find_model(said).name == meant


@pytest.mark.parametrize(
    ("words", "context"), [("4k", 4096), ("1m", 1_048_576), ("1M", 1_048_576), ("1e3", 1000), ("4_096", 4096)]
)
def test_tokens_are_counted_in_binary(run, words, context):
    import json

    answer = run("estimate", "llama-3.1-8b", "h200-sxm", "--context", words, "--json")
    assert json.loads(answer.out)["context"] == context
    assert ("longer than the 131,072 tokens" in answer.err) == (context > 131_072)


def test_python_callers_get_errors_of_ours():
    from perfmodel import PerfModelError, compare, sweep

    wrong = [
        {"parameters": {1: 2}},
        {"parameters": {None: 2}},
        {"parameters": [1]},
        {"parameters": 7},
        {"parameters": {"memory.bandwidth": float("nan")}},
        {"parameters": {"memory.bandwidth": 1e-300}},
        {"parallel": "tp=x"},
        {"parallel": {1: 2}},
        {"parallel": 3.5},
        {"weights": 3},
        {"before": 3},
        {"profile": 3},
        {"offload": 3},
        {"batch": "1,2"},
        {"context": float("inf")},
    ]
    for question in wrong:
        for ask in (estimate, sweep, compare):
            if ask is not estimate and question == {"batch": "1,2"}:
                continue
            with pytest.raises(PerfModelError):
                ask("llama-3.1-8b", "sn40l", **question)
    for names in ((3, "sn40l"), ("llama-3.1-8b", None)):
        with pytest.raises(PerfModelError):
            estimate(*names)
