"""Names of strangers in each text of ours: nothing in them runs, ends a comment, moves a cursor or is a formula."""

import ast
import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel import estimate, explain, quoting
from perfmodel.report.files.delimited import to_csv, to_json
from perfmodel.report.text import Document, Table, to_markdown, to_plain, to_terminal

# Any text at all, and often one that means something to one of the targets.
NASTY = st.sampled_from(
    [
        '"""', "'''", "\\", "\n", "\r", "\r\n", "\x1b[2J", "\x9b31m", "\x00", "\u2028", "\u202e", "\ud800", "</script>",
        "<!--", "]]>", "&amp;", "=1+1", "@SUM(A1)", "+", "-", "\t", ";", "%", "\\input{x}", "^^M", "$", "{", "}", "#",
        "|",
        "`", "*", "_", "__import__('os')", "import os", "{{7*7}}", "\x07", "\x08", "\x7f", "\ufeff", "é", "模", " ",
        "%00",
    ]
)  # fmt: skip
names = st.one_of(st.text(), st.lists(st.one_of(NASTY, st.text(max_size=4)), max_size=8).map("".join))
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@given(names)
def test_python(name):
    written = quoting.python(name)
    assert len(written.splitlines()) == 1
    assert ast.literal_eval(written) == name
    assert not CONTROL.search(written)


@given(names)
def test_a_comment_stays_a_comment(name):
    program = f"x = 1  # {quoting.line(name)}\ny = 2\n"
    kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(program).readline)]
    assert kinds.count(tokenize.COMMENT) == 1
    assert kinds.count(tokenize.NAME) == 2


@given(names)
@settings(max_examples=30, deadline=None)
def test_a_shell_reads_the_word_back(name):
    written = quoting.shell(name)
    assert len(written.splitlines()) == 1
    assert not CONTROL.search(written)
    if not re.search("[\0\x80-\x9f\xad\ud800-\udfff]", name):  # what no word of a shell can hold, or only in bytes
        words = ["bash", "-c", f"printf %s {written}"]
        done = subprocess.run(
            words, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        )
        assert done.stdout.decode() == name


@given(names)
def test_latex(name):
    written = quoting.latex(name)
    assert len(written.splitlines()) <= 1
    # Every sign that TeX reads is behind a backslash, every backslash is one of ours.
    bare = re.sub(r"\\(?:textbackslash\{\}|textasciicircum\{\}|textasciitilde\{\}|[#$%&_{}])", "", written)
    assert not set(bare) & set("\\^~#$%&_{}")


@given(names)
def test_markup(name):
    read = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            read.append((tag, dict(attrs)))

        def handle_data(self, data):
            read.append(data)

    written = quoting.markup(name)
    reader = Reader(convert_charrefs=True)
    reader.feed(f'<p title="{written}">{written}</p>')
    reader.close()
    seen = quoting.terminal(name)
    assert read == [("p", {"title": seen}), *([seen] if seen else [])]
    assert html.unescape(written) == seen


@given(names)
def test_json(name):
    written = to_json({"name": name})
    assert json.loads(written) == {"name": name}
    assert not CONTROL.search(written)


@given(names)
def test_toml(name):
    from perfmodel.specifications.files import toml_text

    written = toml_text({"name": name, "names": [name], "held": {"name": name}})
    assert not CONTROL.search(written)
    seen = re.sub("[\ud800-\udfff]", "\ufffd", name)  # half a letter, which TOML cannot say
    assert tomllib.loads(written) == {"name": seen, "names": [seen], "held": {"name": seen}}


@given(names, names)
def test_terminal(name, other):
    document = Document([name, Table(("kernel", "note"), [(name, other), (other, name)])])
    for text in (to_plain(document), to_plain(document, width=60), to_terminal(document, width=60)):
        assert not CONTROL.search(text.replace("\x1b[1m", "").replace("\x1b[0m", ""))
    table = to_plain(Document([Table(("kernel", "note"), [(name, other)])]))
    assert len(table.splitlines()) <= 2


@given(names)
def test_a_text_without_controls_is_left_as_it_is(name):
    if not CONTROL.search(name) and name.isprintable():
        assert quoting.terminal(name) == quoting.line(name) == name


@given(names)
def test_csv(name):
    text = to_csv([{"name": name, "rate": 1.5}], ["name", "rate"])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["name", "rate"]
    assert len(rows) == 2
    assert rows[1][0].removeprefix("'") == quoting.terminal(name) or rows[1][0] == quoting.terminal(name)
    assert not re.match(r"\s*[=+\-@\t\r]", rows[1][0])
    assert not CONTROL.search(text)


@given(names)
def test_markdown_cells_stay_cells(name):
    lines = to_markdown(Document(["", Table(("a", "b"), [(name, "x")])])).strip().split("\n")
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[2])) == 3
    assert not re.search(r"<[a-zA-Z/!]", lines[2])


HOSTILE = 'x"""\nimport os; os._exit(9)\n"""\r\n\x1b]0;owned\x07'


def test_an_explanation_of_a_hostile_model_runs_as_the_answer_says():
    import msgspec

    from perfmodel.specifications.catalogue import find_hardware, find_model

    model = find_model("llama-3.2-1b").replace(name=HOSTILE)
    device = msgspec.structs.replace(find_hardware("h100-sxm"), name=HOSTILE)
    found, answer = explain(model, device), estimate(model, device)
    done = subprocess.run([sys.executable, "-c", found.to_python()], capture_output=True, text=True, check=True)
    assert [float(x) for x in done.stdout.split()] == pytest.approx(
        [answer.before.time_per_step, answer.after.time_per_step, answer.speedup.value]
    )
    latex = found.to_latex()
    assert "\x1b" not in latex
    assert [line for line in latex.splitlines() if "import os" in line and not line.startswith("%")] == []
    from perfmodel.report.answer import document

    assert not CONTROL.search(to_plain(document(answer)))


def test_the_line_that_asks_again_moves_no_cursor(run, tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    shutil.copy(repository / "models" / "llama-3.2-1b.toml", "a\x1b[2J\nb.toml")
    answer = run("estimate", "./a\x1b[2J\nb.toml", "h100-sxm", "--command")
    assert answer.out == "perfmodel estimate $'./a\\x1b[2J\\nb.toml' h100-sxm\n"


def test_names_in_a_trace_and_titles_stay_in_their_line(run, tmp_path, repository):
    events = [
        {"ph": "X", "cat": "kernel", "name": f"k{n % 2}\nforged\x1b", "ts": 9 * n, "dur": 8, "args": {"device": 0}}
        for n in range(60)
    ]
    trace, model, device = (tmp_path / name for name in ("t.json", "m.toml", "d.toml"))
    trace.write_text(json.dumps({"traceEvents": events, "deviceProperties": [{"id": 0, "name": "x\nforged"}]}))
    for path, source in ((model, "models/llama-3.2-1b.toml"), (device, "hardware/a10.toml")):
        text = (repository / source).read_text(encoding="utf-8")
        path.write_text(re.sub("(?m)^title = .*", r'title = "x\\nforged\\u001b"', text), encoding="utf-8")
    for words in (("trace", trace), ("loops", trace), ("models", "show", model), ("hardware", "show", device)):
        answer = run(*words)
        assert answer.code == 0
        assert "forged" in answer.out
        assert not re.search("(?m)^forged", answer.out)
        assert not CONTROL.search(answer.out)


def test_messages_on_stderr_move_no_cursor(run):
    answer = run("estimate", "\x1b[2Jllama\x9b", "h100-sxm")
    assert answer.code == 1
    assert not CONTROL.search(answer.err.rstrip("\n"))
