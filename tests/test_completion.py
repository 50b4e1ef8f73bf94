"""What the tab key offers, what a bare `perfmodel` says,
and that a wrong word is answered with the nearest right one."""

import os
import re
import shlex
import subprocess
import sys
import time

import pytest
import typer

from perfmodel._layout import load_command_line
from perfmodel.commands import completing, shared
from perfmodel.specifications.catalogue import names


def offered(repository, line):
    """Ask as bash does: the words typed so far, the last of them unfinished."""
    environment = os.environ | {
        "_PERFMODEL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }
    return subprocess.run(
        [sys.executable, "-m", "perfmodel"], env=environment, capture_output=True, text=True, cwd=repository, check=True
    ).stdout.split()


@pytest.mark.parametrize(
    ("line", "offers", "not_offered"),
    [
        ("perfmodel es", {"estimate"}, {"sweep"}),
        ("perfmodel hardware sh", {"show"}, set()),
        ("perfmodel estimate llama-3.2", {"llama-3.2-1b"}, {"llama-3.1-8b"}),
        ("perfmodel estimate llama-3.1-8b h100-s", {"h100-sxm"}, {"h200-sxm"}),
        ("perfmodel sweep llama-3.1-8b sn40l,h20", {"sn40l,h20", "sn40l,h200-sxm"}, {"h20"}),
        ("perfmodel estimate llama-3.1-8b sn40l --after ", {"layer-fused", "looped"}, {"megakernel"}),
        ("perfmodel estimate llama-3.1-8b sn40l --weights fp", {"fp8", "fp16"}, {"bf16"}),
        ("perfmodel estimate llama-3.1-8b sn40l --weights att", {"attention="}, {"fp8"}),
        ("perfmodel estimate llama-3.1-8b sn40l --weights head=q4_k_", {"head=q4_k_m"}, {"head=q6_k"}),
        ("perfmodel estimate llama-3.1-8b sn40l --weights head=q8_0+de", {"head=q8_0+dense="}, {"head=q8_0+head="}),
        ("perfmodel estimate llama-3.1-8b sn40l --kv q", {"q8_0"}, {"q4_k_m"}),
        ("perfmodel estimate llama-3.1-8b sn40l --set modes.", {"modes.layer-fused.boundary="}, {"modes.graph.bare="}),
        ("perfmodel plot wa", {"waterfall"}, {"map"}),
        ("perfmodel estimate llama-3.1-8b sn40l --profile gpt", {"gpt-fast"}, {"vllm"}),
        ("perfmodel estimate llama-3.1-8b sn40l --pro", {"--profile"}, {"--set"}),
    ],
)
def test_the_tab_key_offers_names(repository, line, offers, not_offered):
    found = set(offered(repository, line))
    assert offers <= found
    assert not not_offered & found


def test_what_options_offer_is_there(repository):
    for path in (repository / "perfmodel" / "commands").glob("*.py"):
        for name in re.findall(r'completed\("(\w+)"\)', path.read_text(encoding="utf-8")):
            assert callable(getattr(completing, name)), f"{path.name}: {name}"
    assert all(callable(getattr(completing, name)) for name in shared._COMPLETED.values())


def test_the_tab_key_is_quick(repository):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(offered(repository, "perfmodel estimate ")) == len(names("models"))
        times.append(time.perf_counter() - start)
    assert min(times) < 3.0  # 0.2 s on an idle machine


def test_a_bare_call_says_what_there_is(run):
    answer = run()
    assert answer.code == 0
    assert answer.err == ""
    command_line = load_command_line()
    command_line.register_commands()
    commands = typer.main.get_command(command_line.app).commands
    table = answer.out.partition("one question")[2].partition("perfmodel COMMAND")[0]
    assert set(commands) <= set(table.split())
    assert max(map(len, answer.out.splitlines())) <= 80
    for line in re.findall(r"^  (perfmodel .*?)  ", answer.out, re.MULTILINE):
        words = shlex.split(line)[1:]
        assert run(*words, "--command").code == 0
    assert run("models").code == 0


@pytest.mark.parametrize(
    ("words", "code", "means"),
    [
        (("estimat", "llama-3.1-8b", "sn40l"), 2, "estimate"),
        (("models", "lst"), 2, "list"),
        (("estimate", "llama-3.1-8b", "sn40l", "--devies", "8"), 2, "--devices"),
        (("estimate", "llama-3.1-8bb", "sn40l"), 1, "llama-3.1-8b"),
        (("estimate", "llama-3.1-8b", "sn40"), 1, "sn40l"),
        (("estimate", "llama-3.1-8b", "sn40l", "--after", "loopd"), 1, "looped"),
        (("estimate", "llama-3.1-8b", "sn40l", "--kv", "bf61"), 1, "bf16"),
        (("estimate", "llama-3.1-8b", "sn40l", "--profile", "gptfast"), 1, "gpt-fast"),
        (("estimate", "llama-3.1-8b", "sn40l", "--set", "memory.bandwith=3TB/s"), 1, "memory.bandwidth"),
        (("estimate", "llama-3.1-8b", "sn40l", "--set", "memory.bandwidth=3TB/z"), 2, "TB/s"),
        (("estimate", "llama-3.1-8b", "sn40l", "--columns", "speedup.valu"), 1, "speedup.value"),
        (("estimate", "llama-3.1-8b", "sn40l", "-o", "a.jsn"), 1, ".json"),
        (("sweep", "llama-3.1-8b", "sn40l", "--columns", "speedup.valu"), 1, "speedup.value"),
        (("compare", "llama-3.1-8b", "sn40l", "--modes", "loopd"), 1, "looped"),
        (("plot", "waterfal", "llama-3.1-8b", "sn40l"), 1, "waterfall"),
        (("plot", "tornado", "llama-3.1-8b", "sn40l", "--figure", "speedp"), 1, "speedup"),
        (("solve", "llama-3.1-8b", "sn40l", "--unknown", "bondary", "--target", "speedup=1.2"), 1, "boundary"),
        (("solve", "llama-3.1-8b", "sn40l", "--question", "model-siz"), 1, "model-size"),
        (("validate", "--class", "well-mad"), 1, "well-made-16-bit"),
        (("hardware", "list", "--vendor", "nvdia"), 1, "NVIDIA"),
        (("hardware", "list", "--mode", "grap"), 1, "graph"),
        (("hardware", "list", "--sort", "bandwith"), 1, "bandwidth"),
        (("hardware", "show", "sn40l", "memory.bandwith"), 1, "memory.bandwidth"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest(run, words, code, means):
    answer = run(*words)
    assert answer.code == code
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert re.search(rf"[Dd]id you mean '{re.escape(means)}'\?", answer.err), answer.err
