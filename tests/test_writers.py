"""Every file that is written is whole, or what was there before; the exit code says which, and so does one line."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest

from perfmodel._layout import load_command_line
from perfmodel.errors import PerfModelError
from perfmodel.report.files import blocks, clusters, locks, whole
from perfmodel.report.files.blocks import partial_paths, write_blocks
from perfmodel.report.files.locks import only_writer
from perfmodel.report.files.whole import write_bytes_whole, write_together, write_whole
from perfmodel.sweeps.columnkinds import Column

ASK = ("llama-3-8b", "a10")
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
}
STUDY = 'title = "x"\n[[sweep]]\nname = "one"\nmodels = "llama-3-8b"\nhardware = "a10"\nbatch = "1:8:x2"\n'


def tree(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What fails, and how.


class Failing:
    """Makes the nth call of a function raise as a full or a broken disk does."""

    def __init__(self, function, number):
        self.function, self.left, self.failed = function, number, False

    def __call__(self, *arguments, **named):
        self.left -= 1
        if not self.left:
            self.failed = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*arguments, **named)


class FullFile:
    """A file of which the nth write fails."""

    def __init__(self, file, failing):
        self._file, self._failing = file, failing

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        return self._failing.__class__.__call__(self._failing, self._file, data)


def fail(monkeypatch, what, number):
    """Let the nth write, fsync or rename of the package fail; return what tells whether it came to that."""
    if what == "write":
        failing = Failing(lambda file, data: file.write(data), number)
        opened = Path.open

        def open_(path, mode="r", *arguments, **named):
            file = opened(path, mode, *arguments, **named)
            ours = path.name.startswith(".") and "b" in mode and set(mode) & set("wx+")  # libraries keep caches
            return FullFile(file, failing) if ours else file

        monkeypatch.setattr(Path, "open", open_)
    elif what == "fsync":
        failing = Failing(os.fsync, number)
        monkeypatch.setattr(os, "fsync", failing)
    else:
        replace = Path.replace
        failing = Failing(replace, number)

        def replace_(path, target):
            return failing(path, target)

        monkeypatch.setattr(Path, "replace", replace_)
    return failing


def block_of(i):
    return {"batch": Column(numpy.arange(3) + i)}


def written(form):
    return lambda folder: write_blocks(
        folder / f"a.{form}", form, ["batch"], block_of, 3, "q", beside=lambda: {folder / "a.meta": b"{}"}
    )


WRITERS = {
    "text": lambda folder: write_whole(folder / "a.txt", "new"),
    "bytes": lambda folder: write_bytes_whole(folder / "a.png", b"new"),
    "together": lambda folder: write_together({folder / "a.csv": b"new", folder / "a.csv.meta.json": b"{}"}),
    "csv": written("csv"),
    "jsonl": written("jsonl"),
    "parquet": written("parquet"),
}


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("what", ["write", "fsync", "rename"])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_failing_disk_leaves_what_was_there(tmp_path, monkeypatch, writer, before, what, number):
    if writer == "parquet":
        pytest.importorskip("pyarrow")
    WRITERS[writer](tmp_path)
    new = tree(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"as it was") if before else path.unlink()
    old = tree(tmp_path)
    with monkeypatch.context() as patch:
        failing = fail(patch, what, number)
        with contextlib.suppress(PerfModelError):
            WRITERS[writer](tmp_path)
    assert tree(tmp_path) == (old if failing.failed else new)


@pytest.mark.parametrize("what", ["write", "fsync", "rename"])
@pytest.mark.parametrize(
    "words",
    [
        ("estimate", *ASK, "-o", "a.json"),
        ("estimate", *ASK, "-o", "a.csv"),
        ("estimate", *ASK, "-o", "a.txt"),
        ("compare", *ASK, "--modes", "all", "-o", "a.csv"),
        ("sweep", *ASK, "--batch", "1:8:x2", "-o", "a.csv"),
        ("sweep", *ASK, "--batch", "1:8:x2", "-o", "a.jsonl"),
        ("plot", "waterfall", *ASK, "-o", "a.svg"),
        ("report", *ASK, "--html", "-o", "a.html"),
        ("report", "study.toml"),
        ("explain", *ASK, "-o", "a.txt"),
        ("solve", *ASK, "--unknown", "batch", "--target", "speedup=1.05", "-o", "a.json"),
        ("calibrate", "rows.csv", "-o", "a.toml"),
        ("models", "import", "config.json", "-o", "a.toml"),
        ("hardware", "new", "mine", "-o", "a.toml"),
        ("request", *ASK, "--prompt", "100", "--generate", "10", "-o", "a.json"),
        ("choose", "llama-3-8b", "a10,h100-sxm", "-o", "a.json"),
        ("advise", *ASK, "-o", "a.json"),
        ("explore", *ASK, "-o", "a.html"),
    ],
)
def test_every_command_with_a_failing_disk(run, tmp_path, monkeypatch, words, what):
    if words[0] in ("plot", "report", "explore"):
        pytest.importorskip("matplotlib")
    if what != "rename" and words[0] in ("report", "explore", "choose"):
        pytest.skip("takes seconds, and writes as the others do")
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)
    Path("rows.csv").write_text("model,hardware,time_per_step\nllama-3-8b,a10,0.04\n")
    Path("config.json").write_text(json.dumps(CONFIG))
    before = set(tree(tmp_path))
    with monkeypatch.context() as patch:
        failing = fail(patch, what, 1)
        answer = run(*words)
    assert failing.failed
    assert answer.code == 1
    assert answer.out == ""
    errors = [line for line in answer.err.splitlines() if not line.startswith("perfmodel: note: ")]
    assert len(errors) == 1
    assert "No space left on device" in errors[0]
    assert set(tree(tmp_path)) == before
    assert run(*words).code == 0
    assert set(tree(tmp_path)) > before


def test_an_old_pair_comes_back_whole(tmp_path, monkeypatch):
    """The sidecar is renamed first; where the table cannot follow, the old sidecar stands again."""
    table, sidecar = tmp_path / "a.csv", tmp_path / "a.csv.meta.json"
    write_together({table: b"old", sidecar: b"old"})
    for linked in (True, False):
        with monkeypatch.context() as patch:
            if not linked:
                patch.setattr(os, "link", Failing(os.link, 1))
            fail(patch, "rename", 2)
            with pytest.raises(PerfModelError, match="No space left"):
                write_together({table: b"new", sidecar: b"new"})
        assert tree(tmp_path) == {"a.csv": b"old", "a.csv.meta.json": b"old"}


# Several writers.


def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "a.csv"
    with only_writer(path):
        with pytest.raises(PerfModelError, match="another process is writing this file"):
            write_blocks(path, "csv", ["batch"], block_of, 3, "q")
        write_blocks(tmp_path / "b.csv", "csv", ["batch"], block_of, 3, "q")
        write_blocks(path, "csv", ["batch"], block_of, 3, "q", mark=".mine")
    write_blocks(path, "csv", ["batch"], block_of, 3, "q")
    assert sorted(tree(tmp_path)) == ["a.csv", "b.csv"]


def test_a_lock_left_by_a_killed_writer_holds_nobody(tmp_path):
    path = tmp_path / "a.csv"
    whole.hidden(path, "lock").write_bytes(b"")
    write_blocks(path, "csv", ["batch"], block_of, 3, "q")
    assert list(tree(tmp_path)) == ["a.csv"]


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def without(_descriptor):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_take", without)
    write_blocks(tmp_path / "a.csv", "csv", ["batch"], block_of, 3, "q")
    assert list(tree(tmp_path)) == ["a.csv"]


def command(*words):
    return [sys.executable, "-m", "perfmodel", *map(str, words)]


SLOW = (
    "sweep",
    "llama-3.1-8b",
    "a10",
    "--batch",
    "1:100:+1",
    "--context",
    "1k:60k:+1k",
    "--set",
    "modes.looped.stage=0us:1us:30",
)


def test_two_sweeps_into_one_file(repository, tmp_path):
    """One is told so; the file of the other is whole."""
    path, alone = tmp_path / "a.csv", tmp_path / "alone.csv"
    columns = ("--columns", "batch,context,modes.looped.stage,speedup.value")
    first = subprocess.Popen(command(*SLOW, *columns, "-o", path), cwd=repository, stderr=subprocess.PIPE, text=True)
    partial, _ = partial_paths(path)
    while first.poll() is None and not partial.exists():
        time.sleep(0.002)
    second = subprocess.run(
        command(*SLOW, *columns, "-o", path), cwd=repository, capture_output=True, text=True, check=False
    )
    _, err = first.communicate()
    assert (first.returncode, err) == (0, "")
    if second.returncode:  # else the first was done before the second began
        assert second.returncode == 1
        assert "another process is writing this file" in second.stderr
        assert second.stderr.count("\n") == 1
    subprocess.run(command(*SLOW, *columns, "-o", alone), cwd=repository, check=True)
    assert path.read_bytes() == alone.read_bytes()
    assert sorted(tree(tmp_path)) == ["a.csv", "a.csv.meta.json", "alone.csv", "alone.csv.meta.json"]


def test_many_answers_into_one_file(repository, tmp_path):
    """Each has a hidden name of its own; the last rename wins whole."""
    path = tmp_path / "a.json"
    asked = [
        subprocess.Popen(command("estimate", *ASK, "--batch", batch, "-o", path), cwd=repository) for batch in (1, 2, 3)
    ]
    assert [process.wait() for process in asked] == [0, 0, 0]
    assert json.loads(path.read_text())["batch"] in (1, 2, 3)
    assert list(tree(tmp_path)) == ["a.json"]


def test_an_interrupted_sweep_leaves_what_resumes(repository, tmp_path):
    path, alone = tmp_path / "a.csv", tmp_path / "alone.csv"
    partial, state = partial_paths(path)
    process = subprocess.Popen(command(*SLOW, "-o", path), cwd=repository)
    while process.poll() is None and not state.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    if process.wait() == 130:
        assert partial.exists()
        assert not path.exists()
        assert not Path(f"{path}.meta.json").exists()
    subprocess.run(command(*SLOW, "-o", path, "--resume"), cwd=repository, check=True)
    subprocess.run(command(*SLOW, "-o", alone), cwd=repository, check=True)
    assert path.read_bytes() == alone.read_bytes()


# Names.


@pytest.mark.parametrize("words", [("estimate", *ASK), ("sweep", *ASK), ("explain", *ASK)])
def test_names_that_no_file_can_have(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    ending = ".txt" if words[0] == "explain" else ".csv"
    for name in ("a" * 300 + ending, "\udcff" + ending, "absent/a" + ending, "a" * 5000 + ending):
        answer = run(*words, "-o", name)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.count("\n") == 1
        assert "Traceback" not in answer.err
    assert tree(tmp_path) == {}


def test_a_name_that_is_too_long_for_its_sidecar_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "a" * 245 + ".csv"
    for words in (("estimate", *ASK, "-o", name), ("sweep", *ASK, "-o", name)):
        answer = run(*words)
        assert (answer.code, answer.err.count("\n")) == (1, 1)
        assert tree(tmp_path) == {}
    assert run("sweep", *ASK, "-o", "a" * 240 + ".csv").code == 0
    assert len(tree(tmp_path)) == 2


def test_long_names_do_not_meet_in_a_hidden_one(tmp_path):
    first, second = tmp_path / ("é" * 100 + "1.csv"), tmp_path / ("é" * 100 + "2.csv")
    assert set(partial_paths(first)).isdisjoint(partial_paths(second))
    for path in (first, second):
        write_blocks(path, "csv", ["batch"], block_of, 3, "q")
    assert len(tree(tmp_path)) == 2


@pytest.mark.parametrize("words", [("trace",), ("loops",), ("estimate",), ("validate",), ("calibrate",), ("report",)])
def test_names_that_cannot_be_read(run, tmp_path, words):
    for name in ("a" * 300 + ".json", "\udcff.json", "a" * 300, "b/" * 3000 + "a.toml", str(tmp_path)):
        answer = run(*words, name, *(("a10",) if words == ("estimate",) else ()))
        assert answer.code in (1, 2)
        assert answer.out == ""
        assert answer.err.count("\n") == 1


# Consoles and pipes.

CONSOLE = [("--help",), ("estimate", *ASK), ("sweep", *ASK, "--csv"), ("loops", "llama-3-8b")]


def asked(repository, words, redirected, **environment):
    line = " ".join(map(str, command(*words)))
    return subprocess.run(
        ["bash", "-c", f"{line} {redirected}"],
        cwd=repository,
        capture_output=True,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", CONSOLE)
def test_a_stdout_that_takes_nothing(repository, words):
    for redirected, says in ((">/dev/full", b"No space left"), (">&-", b"stdout is closed")):
        done = asked(repository, words, redirected)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
        assert says in done.stderr
    assert asked(repository, words, "2>&-").returncode == 0


def test_a_file_needs_no_stdout(repository, tmp_path):
    assert asked(repository, ("estimate", *ASK, "-o", tmp_path / "a.json"), ">&-").returncode == 0
    assert asked(repository, ("nonsense",), "2>/dev/full").returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_consoles_of_few_characters(repository, tmp_path, encoding):
    """A model with a name that the console lacks is shown with escapes, which are JSON's own."""
    path = tmp_path / "m.toml"
    text = (repository / "models" / "llama-3-8b.toml").read_text(encoding="utf-8")
    path.write_text(text.replace('name = "llama-3-8b"', 'name = "模型-😀"', 1), encoding="utf-8")
    for words in (("estimate", path, "a10"), ("estimate", path, "a10", "--csv")):
        done = asked(repository, words, "", PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
        assert rb"\u6a21\u578b-\ud83d\ude00" in done.stdout
    done = asked(repository, ("estimate", path, "a10", "--json"), "", PYTHONIOENCODING=encoding)
    assert json.loads(done.stdout)["model"] == "模型-😀"


EVERY_COMMAND = [
    ("estimate", "M", "D"),
    ("loops", "M"),
    ("sweep", "M", "D", "--batch", "1:4:x2"),
    ("sweep", "M", "D", "--csv"),
    ("compare", "M", "D", "--modes", "all"),
    ("request", "M", "D", "--prompt", "100", "--generate", "10"),
    ("choose", "M", "D", "--batch", "1,8", "--devices", "1"),
    ("advise", "M", "D"),
    ("explore", "M", "D"),
    ("report", "M", "D"),
    ("solve", "M", "D", "--unknown", "batch", "--target", "speedup=1.05"),
    ("sensitivity", "M", "D"),
    ("explain", "M", "D", "--python"),
    ("explain", "M", "D", "--latex"),
    ("validate", "ROWS"),
    ("calibrate", "ROWS"),
    ("explain-gap", "M", "D", "--measured", "40ms"),
    ("conditional", "M", "D", "--run-with", "8-15=0.5"),
    ("plot", "waterfall", "M", "D"),
    ("schema", "models list"),
    ("trace", "TRACE"),
    ("models", "list", "qwen3"),
    ("models", "show", "M"),
    ("models", "check", "M"),
    ("models", "import", "CONFIG"),
    ("hardware", "list", "4090"),
    ("hardware", "show", "D"),
    ("hardware", "check", "D"),
    ("hardware", "new", "mine"),
    ("--help",),
    (),
]


@pytest.mark.skipif(not Path("/dev/full").exists() or not hasattr(os, "fork"), reason="no such consoles here")
def test_every_command_at_every_console(repository, tmp_path):
    """Of names that the console lacks: an answer in its letters, or one line that says why there is none."""
    named = {"M": ("models", "llama-3.2-1b"), "D": ("hardware", "a10")}
    given = {}
    for word, (folder, name) in named.items():
        given[word] = path = tmp_path / f"{name}.toml"
        text = (repository / folder / path.name).read_text(encoding="utf-8")
        path.write_text(re.sub("(?m)^(name|title) = .*", r'\1 = "模-é-😀"', text), encoding="utf-8")
    given |= {"ROWS": tmp_path / "rows.csv", "CONFIG": tmp_path / "config.json", "TRACE": tmp_path / "trace.json"}
    given["ROWS"].write_text("model,hardware,batch,time_per_step,source\nllama-3.2-1b,a10,1,0.006,模-é-😀\n", "utf-8")
    given["CONFIG"].write_text(json.dumps(CONFIG | {"_name_or_path": "模-é-😀"}))
    events = [
        {
            "ph": "X",
            "cat": "kernel",
            "name": f"模-é-😀{n % 3}",
            "ts": 9 * n,
            "dur": 8,
            "args": {"device": 0, "stream": 7},
        }
        for n in range(60)
    ]
    given["TRACE"].write_text(json.dumps({"traceEvents": events}), "utf-8")
    homes = load_command_line()._HOMES
    assert {words[0] for words in EVERY_COMMAND if words} >= (set(homes) | {"estimate"}) - {"mcp"}, "name the new one"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("consoles.py")],
        input=json.dumps([[str(given.get(word, word)) for word in words] for words in EVERY_COMMAND]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert len(ends) == 4 * len(EVERY_COMMAND)
    for one in ends:
        if one["words"][:1] == ["explore"]:
            assert (one["code"], one["out"], one["errors"]) == (0, "", []), one  # it writes a file
        elif one["console"] in ("full", "closed"):
            assert (one["code"], one["out"], len(one["errors"])) == (1, "", 1), one
            assert "No space left" in one["errors"][0] or "stdout is closed" in one["errors"][0], one
        else:
            assert (one["code"], one["errors"]) == (0, []), one
            assert one["out"], one


def test_no_file_is_opened_for_writing_elsewhere(repository):
    """Files get their names in these modules only; a test of faults elsewhere would miss them."""
    known = {whole.__name__, blocks.__name__, locks.__name__, clusters.__name__}
    for path in (repository / "perfmodel").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        name = ".".join(path.relative_to(repository).with_suffix("").parts)
        if any(word in text for word in ("write_text(", "write_bytes(", 'open("w', 'open("x', "NamedTemporaryFile")):
            assert name in known, f"{name} writes a file by itself"
