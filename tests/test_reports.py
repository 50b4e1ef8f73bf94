"""Reports and notebook answers: everything in one page, nothing fetched from anywhere,
read in a browser where there is one."""

import base64
import csv
import hashlib
import json
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET

import msgspec
import pytest

from perfmodel import compare, estimate, sweep
from perfmodel.report.answerpage import answer_page
from perfmodel.report.around import report_data, what_ifs
from perfmodel.report.pictures.choices import sweep_picture
from perfmodel.report.pictures.kinds import KINDS
from perfmodel.report.pictures.sidebars import comparison_bars
from perfmodel.specifications.catalogue import find_model

ASK = ("llama-3.1-8b", "sn40l", "--devices", "8")
STUDY = """
title = "Does <looping> pay?"
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
set = { "modes.looped.stage" = "0us:4us:+1us" }
[[sweep]]
name = "grid"
models = "llama-3.1-8b"
hardware = "sn40l"
batch = "1,8,64"
context = "1k,4k,16k"
[[sweep]]
name = "devices"
models = "llama-3.1-8b"
hardware = "h100-sxm,b200"
"""


@pytest.fixture(scope="module")
def answer():
    return estimate("llama-3.1-8b", "sn40l", devices=8)


@pytest.fixture(scope="module")
def html(answer):
    return answer_page(answer, command="perfmodel report llama-3.1-8b sn40l --devices 8 --html")


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def parsed(text):
    """Read a page as XML, which is stricter than any browser."""
    text = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    body = re.sub(r"<(meta)([^>]*)>", r"<\1\2/>", text.removeprefix("<!DOCTYPE html>\n"))
    return ET.fromstring(body)  # noqa: S314 - our own text


def assert_whole(text):
    """One file of sound parts that asks nothing of anybody."""
    assert len(text.encode()) < 1_000_000
    assert "default-src 'none'" in text
    code = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in code]
    assert (f"script-src 'sha256-{allowed[0]}'" if allowed else "script-src 'none'") in text
    text = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(link|iframe|object|embed|img|base)\b", text)
    assert not re.search(r"\b(src|srcset|action|poster)\s*=", text)
    targets = set(re.findall(r'href="([^"]*)"', text)) | set(re.findall(r"url\(([^)]*)\)", text))
    assert all(target.startswith("#") for target in targets)
    assert {target[1:] for target in targets} <= set(re.findall(r'\bid="([^"]*)"', text))
    assert "@import" not in text
    assert not re.search(r"<[^>]*https?:", text)  # an address may be a source, as text
    assert "prefers-color-scheme:dark" in text
    parsed(text)


def test_the_page_of_a_question_holds_everything_and_fetches_nothing(answer, html):
    assert_whole(html)
    assert html.count("<svg") == len(KINDS)
    assert "Looping brings 1.5" in html
    for assumption in answer.assumptions:
        assert assumption.name in html
        assert assumption.source.replace("&", "&amp;").replace("'", "&#x27;") in html
    for label in ("P1", "R1", "R2", "B1", "C1", "L1", "S1"):
        assert label in html
    for what_if in what_ifs(answer):
        assert what_if.change in html


def test_the_formula_of_the_page_adds_up_to_the_step(answer, html):
    tables = [table for table in parsed(html).iter("table") if "the sum of" in "".join(table.itertext())]
    assert len(tables) == 2
    for table, side in zip(tables, (answer.before, answer.after), strict=True):
        rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")][1:]
        units = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
        times = [float(row[2].split()[0]) * units[row[2].split()[1]] for row in rows]
        assert sum(times[:-1]) == pytest.approx(times[-1], rel=1e-3)
        assert times[-1] == pytest.approx(side.time_per_step, rel=1e-3)
        assert rows[1][0] == f"{side.kernel_calls} × modes.layer-fused.boundary"


def test_a_page_escapes_names():
    named = msgspec.structs.replace(find_model("llama-3.1-8b"), name='<script>alert("x")</script>')
    text = answer_page(estimate(named, "sn40l", devices=8), command="perfmodel '<b>'")
    assert_whole(text)
    assert "&lt;script" in text


def test_the_page_of_a_large_model_takes_less_than_five_seconds():
    big = estimate("deepseek-v3", "h200-sxm", devices=8, batch=16)
    start = time.process_time()
    page = answer_page(big, command="")
    assert time.process_time() - start < 5
    assert page.count("<svg") == len(KINDS)


def test_a_report_leaves_out_what_has_no_answer():
    """A split over devices is for one number of them; a network without a cache knows no context;
    its rates count steps."""
    split = report_data(estimate("llama-3.1-70b", "h100-sxm", devices=8, parallel="tp=2,pp=4"))
    assert not [picture for picture in split.pictures if getattr(picture, "axis", "") == "devices"]
    assert not [w for w in split.what_ifs if "devices" in w.change]
    network = estimate("adm-64-unet", "a100-sxm-80gb")
    assert not [picture for picture in report_data(network).pictures if getattr(picture, "axis", "") == "context"]
    text = answer_page(network, command="")
    assert_whole(text)
    assert "steps per second" in text
    assert "[steps/s]" in text
    assert "tok/s" not in text
    assert "context 4,096" not in text


def test_what_ifs_are_the_questions_they_say(answer):
    found = {w.change: w.answer for w in what_ifs(answer)}
    assert found["16 devices"].devices == 16
    assert found["batch 8"].batch == 8
    half = found["each call boundary costs half"]
    name = "modes.layer-fused.boundary"
    values = [next(a.value for a in each.assumptions if a.name == name) for each in (half, answer)]
    assert values[0] == values[1] / 2
    # What was set stays set.
    kept = {
        w.change: w.answer
        for w in what_ifs(estimate("llama-3.1-8b", "sn40l", parameters={"memory.bandwidth": "2TB/s"}))
    }
    assert (
        next(a.value for a in kept["each call boundary costs half"].assumptions if a.name == "memory.bandwidth") == 2e12
    )


def test_a_question_as_page_text_json_and_csv(run, tmp_path, answer):
    path = tmp_path / "answer.html"
    assert run("report", *ASK, "-o", path) == (0, "", "")
    text = path.read_text(encoding="utf-8")
    assert_whole(text)
    assert "perfmodel report llama-3.1-8b sn40l --devices 8 -o" in text
    assert run("report", *ASK, "--html").out.count("<svg") == len(KINDS)
    plain = run("report", *ASK).out
    assert plain.startswith("Looping brings 1.5")
    assert "█" in plain
    assert "arXiv 2410.23668" in plain
    data = json.loads(run("report", *ASK, "--json").out)
    assert data["answer"] == json.loads(json.dumps(answer.to_dict()))
    assert [p["change"] for p in data["what_ifs"]] == [w.change for w in what_ifs(answer)]
    rows = list(csv.DictReader(run("report", *ASK, "--csv").out.splitlines()))
    assert [row["change"] for row in rows] == ["", *(w.change for w in what_ifs(answer))]
    assert float(rows[0]["speedup.value"]) == answer.speedup.value
    assert run("report", *ASK, "--html", "--command").out == "perfmodel report llama-3.1-8b sn40l --devices 8 --html\n"


def test_a_study_as_page_and_as_folder(run, study, tmp_path):
    path = tmp_path / "study.html"
    assert run("report", study, "-o", path) == (0, "", "")
    text = path.read_text(encoding="utf-8")
    assert_whole(text)
    assert text.count("<svg") == 4
    assert "Does &lt;looping&gt; pay?" in text
    for words in (
        "modes.looped.stage [us]",
        "batch [sequences in a step]",
        "context [tokens; k = 1,024]",
        "16 rows",
        "arXiv 2405.07518",
    ):
        assert words in text
    assert run("report", study, "--html").out == text.replace(f"{study} -o {path}", f"{study} --html")
    done = run("report", study, "--html", "-o", tmp_path / "out")
    assert [line.rsplit("/", 1)[1] for line in done.out.splitlines()] == [
        "batch.csv",
        "stage.csv",
        "grid.csv",
        "devices.csv",
        "summary.csv",
        "report.html",
        "report.meta.json",
    ]
    assert_whole((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "report.html" in json.loads((tmp_path / "out" / "report.meta.json").read_text(encoding="utf-8"))["files"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("report", "llama-3.1-8b"), 2, "needs HARDWARE"),
        (("report", "study.toml", "--batch", "4"), 2, "--batch is for a question"),
        (("report", *ASK, "--resume"), 2, "for a study"),
        (("report", *ASK, "--html", "--json"), 2, "--html excludes"),
        (("report", *ASK, "-o", "answer.htmx"), 1, "did you mean '.html'"),
        (("report", *ASK, "--html", "-o", "answer.txt"), 2, "a page is a .html file"),
        (("report", "none.toml"), 1, "none.toml"),
    ],
)
def test_wrong_reports_say_what_would_be_right(run, monkeypatch, tmp_path, words, code, says):
    monkeypatch.chdir(tmp_path)
    answer = run(*words)
    assert answer.code == code
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert says in answer.err
    assert not list(tmp_path.iterdir())


def test_pictures_of_sweeps_hold_their_numbers():
    found = sweep("llama-3.1-8b", "h100-sxm,sn40l", devices=8, batch="1:64:x4")
    data = sweep_picture(found.to_dict(), found.axes, found.shape)
    assert [line.name for line in data.lines] == ["h100-sxm", "sn40l"]
    assert data.at == (1, 4, 16, 64)
    assert [value for line in data.lines for value in line.after] == found["after.tokens_per_second"].tolist()
    drawn = [point for line in found.plot().child_axes[0].lines for point in map(tuple, line.get_xydata().tolist())]
    assert (16, estimate("llama-3.1-8b", "sn40l", devices=8, batch=16).after.tokens_per_second) in drawn

    grid = sweep("llama-3.1-8b", "sn40l", batch="1,8,64", context="1k,4k,16k")
    cells = sweep_picture(grid.to_dict(), grid.axes, grid.shape)
    assert cells.speedup[2][1] == pytest.approx(estimate("llama-3.1-8b", "sn40l", batch=8, context=16384).speedup.value)

    many = sweep("llama-3.1-8b", "sn40l", batch="1:8:+1", parameters={"memory.bandwidth": "1TB/s:9TB/s:9"})
    data = sweep_picture(many.to_dict(), many.axes, many.shape)
    assert data.axis == "memory.bandwidth"
    assert (len(data.lines), data.left_out) == (5, 3)
    assert [data.lines[i].name for i in (0, -1)] == ["batch 1", "batch 8"]
    one = sweep("llama-3.1-8b", "sn40l")
    assert sweep_picture(one.to_dict(), one.axes, one.shape) is None


def test_bars_of_a_comparison_are_in_proportion():
    found = compare("llama-3.2-1b", "h100-sxm", modes="all")
    widths = [patch.get_width() for patch in found.plot().patches]
    assert widths == [choice.tokens_per_second for choice in found.choices]
    assert [bar.name for bar in comparison_bars(found).bars] == [choice.mode for choice in found.choices]


@pytest.mark.parametrize(
    "made",
    [
        lambda: estimate("llama-3.1-8b", "sn40l", devices=8),
        lambda: sweep("llama-3.1-8b", "h100-sxm,sn40l", batch="1:64:x2"),
        lambda: compare("llama-3.1-8b", "h100-sxm,b200"),
    ],
    ids=["estimate", "sweep", "comparison"],
)
def test_a_notebook_shows_a_picture_and_a_table(made):
    text = made()._repr_html_()
    parsed(f"<div>{text}</div>")
    assert text.count("<svg") == 1
    assert "prefers-color-scheme:dark" in text
    assert "<table" in text
    assert len(text) < 100_000
    assert not re.search(r"(<script|\bon\w+=|\bhref=.[^#]|\bsrc=)", text)


def test_a_browser_loads_the_pages(html, run, study, tmp_path):
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if browser is None:
        pytest.skip("no Chromium here: the pages were not loaded in a browser")
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    run("report", study, "-o", tmp_path / "study.html")
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    )

    def call(*words):
        return subprocess.run(
            [browser, *flags, f"--user-data-dir={tmp_path / 'browser'}", *words],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    shots = []
    for scheme in ("0", "1"):
        shot = tmp_path / f"{scheme}.png"
        call(
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=900,1200",
            f"--screenshot={shot}",
            path.as_uri(),
        )
        shots.append(shot.read_bytes())
    assert all(shot.startswith(b"\x89PNG") and len(shot) > 20_000 for shot in shots)
    assert shots[0] != shots[1], "dark and light look the same"
    assert call("--dump-dom", path.as_uri()).count("<svg") == len(KINDS)
    assert call("--dump-dom", (tmp_path / "study.html").as_uri()).count("<svg") == 4
