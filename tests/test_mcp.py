"""The tools of `perfmodel mcp`: what they answer is what the commands print; over stdio by the SDK's own client."""

import json
import sys

import pytest

from perfmodel import estimate
from perfmodel.commands.serving import TOOLS, answer, input_schema, output_schema
from perfmodel.errors import PerfModelError
from perfmodel.estimates.options import OPTIONS


def test_a_tool_answers_what_its_command_prints(run):
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "batch": 4, "context": "8k"}
    found = answer("estimate", asked | {"parameters": {"modes.looped.stage": "3us"}})
    shown = run(*"estimate llama-3.1-8b h100-sxm --batch 4 --context 8k --set modes.looped.stage=3us --json".split())
    assert found == json.loads(shown.out)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("compare", {"models": "llama-3.2-1b", "hardwares": "h100-sxm,b200", "batch": "1,8"}),
        ("solve", {"model": "llama-3.1-8b", "hardware": "sn40l", "unknown": "boundary", "target": "speedup=1.1"}),
        ("choose", {"models": "llama-3.1-8b", "hardwares": "h100-sxm", "tpot": "20ms", "most": 3}),
        ("explain", {"model": "llama-3.1-8b", "hardware": "sn40l", "devices": 8}),
        ("list_models", {}),
        ("list_hardware", {}),
    ],
)
def test_every_tool_answers_as_its_schema_says(name, asked):
    found, schema = answer(name, asked), output_schema(TOOLS[name])
    assert set(schema["required"]) <= set(found)
    assert set(found) <= set(schema["properties"])


def test_the_options_of_a_question_are_arguments():
    assert {option.name for option in OPTIONS} <= set(input_schema(TOOLS["estimate"])["properties"])


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("estimate", {"model": "llama-3.1-8", "hardware": "h100-sxm"}, "did you mean"),
        ("estimate", {"model": "llama-3.1-8b"}, "needs hardware"),
        ("estimate", {"model": "llama-3.1-8b", "hardware": "h100-sxm", "output": "x.json"}, "no argument 'output'"),
        ("write", {}, "there is no tool 'write'"),
        ("a\nb\x1b", {}, r"there is no tool 'a\nb\x1b'"),
        ("estimate", {"model": "llama-3.1-8b", "hardware": "h100-sxm", "a\nb": 1}, r"no argument 'a\nb'"),
        (
            "estimate",
            {"model": "llama-3.1-8b", "hardware": "h100-sxm", "parameters": "x=1"},
            "parameters: 'x=1' is no object",
        ),
        (
            "estimate",
            {"model": "llama-3.1-8b", "hardware": "h100-sxm", "parameters": {"x": 1}},
            "--set: 'x' is not a key",
        ),
        ("estimate", {"model": "llama-3.1-8b", "hardware": "h100-sxm", "batch": [1, 2]}, "--batch"),
        (
            "solve",
            {"model": "llama-3.1-8b", "hardware": "a10", "profile": "server", "unknown": "x", "target": "speedup=1.1"},
            "unknown",
        ),
        ("estimate", {"model": "--output=x.json", "hardware": "h100-sxm"}, "x.json"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(name, asked, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PerfModelError) as refused:
        answer(name, asked)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_command_says_what_it_needs(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    refused = run("mcp")
    assert refused.code != 0
    assert "pip install 'perfmodel[mcp]'" in refused.err


def test_the_sdks_own_client_asks_over_stdio():
    pytest.importorskip("mcp", reason="the tools are asked by the SDK's client where it is installed")
    import anyio
    from mcp import Client, StdioServerParameters

    async def talk():
        server = StdioServerParameters(command=sys.executable, args=["-m", "perfmodel", "mcp"])
        async with Client(server) as client:
            listed = await client.list_tools()
            found = await client.call_tool("estimate", {"model": "llama-3.1-8b", "hardware": "h100-sxm", "batch": 2})
            refused = await client.call_tool("estimate", {"model": "no such model", "hardware": "h100-sxm"})
            return listed, found, refused

    listed, found, refused = anyio.run(talk)
    assert {tool.name for tool in listed.tools} == set(TOOLS)
    expected = estimate("llama-3.1-8b", "h100-sxm", batch=2).speedup.value
    content = getattr(found, "structured_content", None) or found.structuredContent
    assert content["speedup"]["value"] == pytest.approx(expected)
    assert getattr(refused, "is_error", None) or refused.isError
    assert "no such model" in refused.content[0].text
