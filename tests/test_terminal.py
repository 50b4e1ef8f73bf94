"""What is for reading, of every command, at several widths: nothing runs over, numbers and keys stay whole."""

import itertools
import re
import sys

import pytest

from perfmodel._layout import load_command_line
from perfmodel.report import layout, text
from perfmodel.report.pictures.kinds import KINDS
from perfmodel.report.text import Document, Table, to_markdown, to_plain, to_terminal
from perfmodel.specifications.parameters import lookup

CODES = re.compile(r"\x1b\[[0-9;]*m")
NUMBER = re.compile(r"\d[\d,.]*\d|\d")
QUESTION = ("llama-3.1-8b", "sn40l", "--devices", "8")
COMMANDS = [
    ("estimate", *QUESTION),
    ("estimate", "llama-3.1-405b", "h100-sxm", "--devices", "3"),
    ("report", *QUESTION),
    ("sensitivity", *QUESTION),
    ("explain", *QUESTION),
    ("explain", "mixtral-8x7b", "h100-sxm", "--devices", "2", "--batch", "4"),
    ("solve", *QUESTION, "--unknown", "boundary", "--target", "speedup=1.2"),
    ("compare", "llama-3.1-8b", "h100-sxm,h200-sxm,b200,sn40l", "--batch", "1,32"),
    ("compare", "llama-3.2-1b", "h100-sxm", "--modes", "all"),
    ("sweep", "llama-3.1-8b,llama-3.1-70b", "h100-sxm,sn40l", "--devices", "1,8", "--batch", "1:64:x8"),
    ("conditional", "llama-3.1-8b", "h100-sxm", "--run-with", "16-31=0.5"),
    ("explain-gap", "llama-2-7b", "a100-sxm-80gb", "--measured", "104.9tok/s", "--context", "105"),
    ("loops", "gemma-3-27b"),
    ("trace", "examples/idle.json.gz"),
    ("models", "list"),
    ("models", "show", "deepseek-v3"),
    ("models", "check", "llama-3.1-8b", "mixtral-8x7b"),
    ("hardware", "list"),
    ("hardware", "show", "h100-sxm"),
    ("hardware", "check", "h100-sxm"),
    ("validate", "--source", "gptfast"),
    *(("plot", kind, *QUESTION) for kind in KINDS if kind != "validation"),
]
WIDTHS = (60, 80, 120)
_DOCUMENTS: dict[tuple[str, ...], Document] = {}


def document_of(words, monkeypatch, capsys, repository):
    """Return the document that a command shows, asked once."""
    if words not in _DOCUMENTS:
        shown = []
        monkeypatch.setattr(text, "to_plain", lambda document, **_: shown.append(document) or "")
        monkeypatch.setattr(sys, "argv", ["perfmodel", *words])
        monkeypatch.chdir(repository)
        with pytest.raises(SystemExit):
            load_command_line().main()
        capsys.readouterr()
        _DOCUMENTS[words] = shown[-1]
    return _DOCUMENTS[words]


@pytest.fixture
def shown(request, monkeypatch, capsys, repository):
    return document_of(request.param, monkeypatch, capsys, repository)


every_command = pytest.mark.parametrize("shown", COMMANDS, indirect=True, ids=lambda words: " ".join(words)[:60])


@every_command
def test_no_line_is_wider_and_no_number_or_key_is_broken(shown):
    whole = to_plain(shown)
    numbers = set(NUMBER.findall(whole))
    keys = {word.strip("(),;:") for word in whole.split() if lookup(word.strip("(),;:"))}
    spared = {
        word
        for part in shown.parts
        if isinstance(part, Table)
        for row in part.rows
        for i in part.spare
        for word in row[i].split()
    }
    for width in WIDTHS:
        lines = to_plain(shown, width=width).splitlines()
        assert max(map(layout.columns_of, lines)) <= width
        laid = "\n".join(lines)
        assert set(NUMBER.findall(laid)) <= numbers
        missing = numbers - set(NUMBER.findall(laid))
        assert all(any(number in word for word in spared) for number in missing)
        assert all(re.search(rf"(?<![\w.]){re.escape(key)}(?![\w])", laid) for key in keys - spared)


@every_command
def test_a_terminal_shows_the_same_with_heads_in_bold(shown):
    for width in WIDTHS:
        styled = to_terminal(shown, width=width)
        assert CODES.sub("", styled) == to_plain(shown, width=width)
        assert styled.startswith("\x1b[1m")


@every_command
def test_a_pipe_gets_each_row_in_one_line(shown):
    whole = to_plain(shown)
    assert "\x1b" not in whole
    lines = whole.splitlines()
    assert all(line == line.rstrip() for line in lines)
    for part in shown.parts:
        if isinstance(part, Table):
            for row in itertools.islice(part.rows, 40):
                assert any(all(cell.strip() in line for cell in row) for line in lines), row


@every_command
def test_markdown_has_each_row_with_as_many_cells_as_its_head(shown):
    for part in shown.parts:
        if isinstance(part, Table):
            lines = to_markdown(Document(["", part])).strip().splitlines()
            assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(part.header) - len(part.bars) + 1}


def test_a_number_stays_with_its_unit_and_a_key_is_never_broken():
    table = Table(("parameter", "low to high"), [("collectives.all_reduce.sustained", "1.584 us to 1.585 us")])
    assert to_plain(Document([table]), width=50).splitlines() == [
        "parameter                         low to high",
        "collectives.all_reduce.sustained  1.584 us to",
        "                                  1.585 us",
    ]
    assert to_plain(Document([table]), width=40).splitlines() == [
        "collectives.all_reduce.sustained",
        "  low to high: 1.584 us to 1.585 us",
    ]


def test_bars_shrink_and_then_go():
    table = Table(
        ("", "time", ""), [("stream", "1.2 ms", "█" * 24), ("host", "1 us", "▏")], frozenset({1}), frozenset({2})
    )
    assert "█" * 24 in to_plain(Document([table]), width=40)
    shrunk = to_plain(Document([table]), width=30)
    assert "█" * 14 in shrunk
    assert "█" * 15 not in shrunk
    assert "▏" in shrunk
    assert "█" not in to_plain(Document([table]), width=20)


def test_columns_that_may_go_go_before_a_row_becomes_a_record():
    table = Table(("name", "vendor", "rate"), [("a" * 20, "someone", "12,345")], frozenset({2}), spare=(1,))
    assert to_plain(Document([table]), width=30).splitlines() == [f"name{' ' * 20}rate", f"{'a' * 20}  12,345"]


def test_wide_letters_count_twice():
    table = Table(("name", "x"), [("模型", "1"), ("ab", "2")])
    assert to_plain(Document([table])).splitlines() == ["name  x", "模型  1", "ab    2"]


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("100", 100), ("", None), ("abc", None), ("0", None)])
def test_columns_sets_the_width_in_a_pipe_too(run, monkeypatch, columns, widest):
    monkeypatch.setenv("COLUMNS", columns)
    answer = run("estimate", *QUESTION)
    longest = max(map(len, answer.out.splitlines()))
    if widest is None:
        assert answer.out.splitlines()[0].endswith("above batch 341.")
    else:
        assert longest <= widest


def test_a_markdown_file_holds_tables(run, tmp_path):
    for words in (
        ("estimate", *QUESTION),
        ("sweep", "llama-3.1-8b", "h100-sxm", "--batch", "1,2"),
        ("hardware", "list"),
    ):
        file = tmp_path / "x.md"
        assert run(*words, "-o", file).code == 0
        assert "| --- |" in file.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ("estimate", *QUESTION, "--json", "-o", "x.csv"),
        ("estimate", *QUESTION, "--csv", "-o", "x.json"),
        ("estimate", *QUESTION, "--columns", "model", "-o", "x.json"),
        ("estimate", *QUESTION, "--json", "--columns", "model"),
        ("sweep", "llama-3.1-8b", "sn40l", "--json", "-o", "x.csv"),
        ("sweep", "llama-3.1-8b", "sn40l", "--csv", "-o", "x.parquet"),
        ("compare", "llama-3.1-8b", "sn40l", "--json", "-o", "x.md"),
        ("hardware", "list", "--csv", "-o", "x.txt"),
        ("plot", "waterfall", *QUESTION, "--json", "-o", "x.svg"),
        ("report", *QUESTION, "--html", "-o", "x.csv"),
        ("report", *QUESTION, "--json", "-o", "x.html"),
        ("explain", *QUESTION, "--python", "-o", "x.json"),
    ],
    ids=" ".join,
)
def test_a_flag_and_an_ending_that_contradict_each_other_are_refused(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    answer = run(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
