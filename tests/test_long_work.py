"""Long work at a terminal is seen, and stopped by a real SIGINT it says what was kept and how to go on."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from perfmodel.commands.watching import Watched

PATIENCE = 240  # seconds: other tests may take the cores


class AtTerminal:
    """A command whose stderr is a terminal."""

    def __init__(self, repository, folder, *words):
        self._ours, theirs = pty.openpty()
        environment = os.environ | {"PYTHONPATH": str(repository)}
        # Tests that run in the background may have been told to ignore it, and so would their children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perfmodel", *words],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.said = ""

    def read(self, seconds):
        """Read what is said within some seconds."""
        if select.select([self._ours], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # the other end is closed
                self.said += os.read(self._ours, 65_536).decode()

    def until(self, true):
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, self.said
            assert self.process.poll() is None, self.said
            self.read(0.1)

    def stop(self):
        """Send SIGINT, as Ctrl-C does; return the exit code and the last line."""
        self.process.send_signal(signal.SIGINT)
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.1)
        code = self.process.wait(PATIENCE)
        self.read(0.5)
        os.close(self._ours)
        return code, self.said.replace("\r\x1b[K", "\n").strip().splitlines()[-1].strip()


def test_a_stopped_sweep_names_what_it_keeps_and_goes_on(repository, tmp_path):
    words = ("sweep", "llama-3.2-1b", "h100-sxm", "--batch", "1:6000:+1", "--context", "0:1499:+1")
    words = (*words, "--columns", "batch,context,speedup.value", "-o", "x.csv")
    state = tmp_path / ".x.csv.state"
    run = AtTerminal(repository, tmp_path, *words, "--jobs", "1")  # slow enough to be stopped
    run.until(lambda: state.exists() and "left" in run.said)
    code, last = run.stop()
    assert code == 130
    assert last.startswith("perfmodel: stopped; '.x.csv.partial' keeps ")
    assert "--resume goes on" in last
    assert re.search(r"#+ +\d+% of 9,000,000 rows, \d+ (s|min) left", run.said)
    kept = json.loads(state.read_text())["blocks"]
    assert f"keeps {kept} of " in last
    assert (tmp_path / ".x.csv.partial").exists()
    assert not (tmp_path / "x.csv").exists()
    line = [sys.executable, "-m", "perfmodel", *words, "--resume"]
    subprocess.run(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(repository)}, check=True)
    with (tmp_path / "x.csv").open() as file:
        assert sum(1 for _ in file) == 9_000_001
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".x")]


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        (("validate", "--trust", "A"), "rows"),
        (("validate", "--calibrated"), "rows"),
        (
            ("choose", "llama-3.1-70b,qwen3-235b-a22b", "h100-sxm,h200-sxm,b200", "--weights", "bf16,fp8"),
            "ways to serve",
        ),
        (("compare", "llama-3.1-8b", "h100-sxm", "--batch", "1:20000:+1"), "choices"),
    ],
    ids=lambda words: " ".join(words[:2]) if isinstance(words, tuple) else words,
)
def test_long_work_shows_how_long_it_takes_and_stops(repository, tmp_path, words, counted):
    run = AtTerminal(repository, tmp_path, *words)
    run.until(lambda: "left" in run.said)
    assert re.search(rf"\d+% of [\d,]+ {counted}, [\d.]+ (s|min|h) left", run.said)
    assert run.stop() == (130, "perfmodel: stopped; nothing was written")
    assert not list(tmp_path.iterdir())


def test_a_stopped_parquet_file_leaves_nothing(repository, tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    words = ("sweep", "llama-3.2-1b", "h100-sxm", "--batch", "1:4000:+1", "--context", "0:3999:+1", "-o", "x.parquet")
    run = AtTerminal(repository, tmp_path, *words)
    run.until(lambda: (tmp_path / ".x.parquet.partial").exists() and "left" in run.said)
    code, last = run.stop()
    assert (code, last) == (
        130,
        "perfmodel: stopped; nothing of a .parquet file was kept, and 'x.parquet' is as it was",
    )
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_a_pipe_sees_no_bar(capsys):
    with Watched("rows") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""
