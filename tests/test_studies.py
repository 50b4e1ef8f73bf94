"""Studies: the same inputs give the same bytes, faults are found before any work."""

import csv
import json
from hashlib import sha256

import pytest

from perfmodel import estimate
from perfmodel.report.files.studies import load_study, write_study

STUDY = """
title = "Two devices"
[[sweep]]
name = "batch"
models = ["llama-3.1-8b", "llama-3.2-1b"]
hardware = "h100-sxm,sn40l"
batch = "1:64:x4"
[[sweep]]
name = "stage"
models = "llama-3.1-8b"
hardware = "sn40l"
devices = 8
columns = "modes.looped.stage,speedup.value"
[sweep.set]
modes.looped.stage = "0us:4us:+1us"
"memory.bandwidth" = "2TB/s"
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_the_same_inputs_give_the_same_bytes(run, study, tmp_path):
    first = run("report", study, "-o", tmp_path / "a")
    assert first.code == 0
    assert [line.rsplit("/", 1)[1] for line in first.out.splitlines()] == [
        "batch.csv",
        "stage.csv",
        "summary.csv",
        "report.meta.json",
    ]
    run("report", study, "-o", tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_rows_are_estimates_and_the_sidecar_vouches_for_them(study, tmp_path):
    written = write_study(load_study(study), tmp_path / "out")
    rows = list(csv.DictReader(written[0].read_text().splitlines()))
    assert len(rows) == 16
    for row in rows[:3]:
        answer = estimate(row["model"], row["hardware"], batch=int(row["batch"]))
        assert float(row["speedup.low"]) == pytest.approx(answer.speedup.low, rel=1e-12)
    assert written[1].read_text().splitlines()[0] == "modes.looped.stage,speedup.value"
    meta = json.loads(written[-1].read_text())
    assert meta["study"]["sha256"] == sha256(study.read_bytes()).hexdigest()
    for name, digest in meta["files"].items():
        assert sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert set(meta["sha256"]) == {"models/llama-3.1-8b", "models/llama-3.2-1b", "hardware/h100-sxm", "hardware/sn40l"}
    assert meta["questions"]["stage"][0]["assumptions"]
    summary = list(csv.DictReader(written[-2].read_text().splitlines()))
    assert [row["rows"] for row in summary] == ["16", "5"]
    assert float(summary[0]["speedup.largest"]) == max(float(row["speedup.value"]) for row in rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = 'x'", "has no sweep, the sweeps [[sweep]]"),
        ("titel = 'x'", "did you mean 'title'"),
        ("[[sweep]]\nname = 'a'", "has no models"),
        ("[[sweep]]\nname = 'A b'\nmodels = 'llama-3.1-8b'\nhardware = 'sn40l'", "cannot name a file"),
        ("[[sweep]]\nname = '../a'\nmodels = 'llama-3.1-8b'\nhardware = 'sn40l'", "cannot name a file"),
        ("[[sweep]]\nname = 'a'\nmodel = 'x'", "did you mean 'models'"),
        ("[[sweep]]\nname = 'a'\nmodels = 'llama-3.1-8b'\nhardware = 'sn40x'", "sn40l"),
        ("[[sweep]]\nname = 'a'\nmodels = 'llama-3.1-8b'\nhardware = 'sn40l'\nbatch = '8:1:x2'", "reversed"),
        ("[[sweep]]\nname = 'a'\nmodels = 'llama-3.1-8b'\nhardware = 'sn40l'\nbatch = 0.5", "whole number"),
        ("[[sweep]]\nname = 'a'\nmodels = 3\nhardware = 'sn40l'", "MODELS"),
        ("x = ", "study.toml"),
    ],
)
def test_faults_are_one_line_and_nothing_is_written(run, tmp_path, text, says):
    path = tmp_path / "study.toml"
    path.write_text(text)
    answer = run("report", path, "-o", tmp_path / "out")
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert says in answer.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made(run, study):
    assert "cannot be made" in run("report", study, "-o", study / "inside").err
