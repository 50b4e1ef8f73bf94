"""The explorer: what its page computes is what `estimate` says, and nothing leaves it.

Its recordings are run here by a reader of a few lines, and by the page itself where a browser is installed.
"""

import base64
import gzip
import json
import math
import os
import random
import re
import shutil

import pytest

from perfmodel import estimate, find_hardware, find_model
from perfmodel.numbers.compact import LETTERS
from perfmodel.report.explorer.page import MACHINES, MODELS, explorer_page

NAMES = ("llama-3.2-1b", "mixtral-8x7b", "gemma-3-4b"), ("h100-sxm", "sn40l", "rtx-4090")
QUESTIONS = int(os.environ.get("EXPLORER_QUESTIONS", "200"))
OPERATIONS = {letter: name for name, letter in LETTERS.items()}


@pytest.fixture(scope="module")
def page():
    return explorer_page([find_model(m) for m in NAMES[0]], [find_hardware(h) for h in NAMES[1]])


@pytest.fixture(scope="module")
def data(page):
    packed = re.search(r'<script id="data"[^>]*>([^<]*)</script>', page)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def questions(data, number):
    """Random questions over the page's choices and sliders."""
    draw = random.Random(17)
    paths = [path for path, *_ in data["paths"]]
    keys = list(data["counts"])
    for _ in range(number):
        key = draw.choice(keys)
        model, machine, devices = key.split("|")
        modes = [mode for mode in data["machines"][machine]["modes"] if f"{key}|{mode}" in data["sides"]]
        before, after = draw.choice(modes), draw.choice(modes)
        used = sorted({i for mode in (before, after) for i in data["parameters"][data["sides"][f"{key}|{mode}"][2]]})
        moved = draw.sample(used, draw.choice([0, 0, 1, 2]))
        values = data["machines"][machine]["values"]
        yield {
            "model": model,
            "machine": machine,
            "devices": int(devices),
            "batch": round(2 ** (draw.randrange(41) / 4)),
            "context": draw.choice([0, 128, 1000, 4096, 32768, 200_000]),
            "before": before,
            "after": after,
            "set": {
                paths[i]: values[str(i)][1] * draw.choice([0.5, 0.8, 0.95]) for i in moved if values[str(i)][1] > 0
            },
        }


def figures(question):
    """The numbers of a question that the page shows, as `estimate` gives them."""
    names = ("devices", "batch", "context", "before", "after")
    asked = {name: question[name] for name in names} | {"parameters": question["set"] or None}
    answer = estimate(question["model"], question["machine"], **asked)
    sides = [
        (*side.terms, side.time_per_step, side.low.time_per_step, side.high.time_per_step)
        for side in (answer.before, answer.after)
    ]
    speedup = answer.speedup
    return [*sides[0], *sides[1], speedup.value, speedup.low, speedup.high, answer.peak.time_per_step]


def page_figures(answer):
    sides = [(*side["terms"], side["time"], side["slow"], side["fast"]) for side in answer["sides"]]
    return [*sides[0], *sides[1], answer["speedup"], answer["low"], answer["high"], answer["peak"]]


# --- a reader of the recordings in Python


def replay(text, given, constants):
    numbers, results = iter(constants), []

    def value(operand):
        if operand == "":
            return next(numbers)
        return given[int(operand[1:], 36)] if operand[0] == "." else results[-int(operand, 36)]

    body, _, returned = text.rpartition("r")
    for line in re.findall(r"[a-z][^a-z]*", body):
        name = OPERATIONS[line[0]]
        a, *rest = [value(operand) for operand in line[1:].split(",")]
        b = rest[0] if rest else None
        results.append(
            {
                "+": lambda a=a, b=b: a + b,
                "-": lambda a=a, b=b: a - b,
                "*": lambda a=a, b=b: a * b,
                "/": lambda a=a, b=b: a / b,
                "//": lambda a=a, b=b: a // b,
                "**": lambda a=a, b=b: a**b,
                "maximum": lambda a=a, b=b: max(a, b),
                "minimum": lambda a=a, b=b: min(a, b),
                "greater": lambda a=a, b=b: float(a > b),
                "log": lambda a=a: math.log(a),
                "exp": lambda a=a: math.exp(a),
                "is": lambda a=a: a,
            }[name]()
        )
    return [value(operand) for operand in returned.split(",")]


def test_recordings_give_the_terms_of_estimate(data):
    for question in questions(data, 40):
        values = data["machines"][question["machine"]]["values"]
        expected = figures(question)
        for place, mode in ((0, question["before"]), (9, question["after"])):
            key = "|".join(map(str, (question["model"], question["machine"], question["devices"], mode)))
            script, constants, parameters, _ = data["sides"][key]
            numbers = [
                question["set"].get(data["paths"][i][0], values[str(i)][1]) for i in data["parameters"][parameters]
            ]
            given = [question["batch"], question["context"], *numbers]
            found = replay(data["scripts"][script], given, data["constants"][constants])
            assert found == pytest.approx(expected[place : place + 7], rel=1e-12, abs=1e-18), question


def test_every_side_has_the_intervals_it_may_need(data):
    for key in data["sides"]:
        machine = data["machines"][key.split("|")[1]]
        used = data["parameters"][data["sides"][key][2]]
        groups = {data["paths"][i][2] for i in used if machine["values"][str(i)][0] < machine["values"][str(i)][2]}
        assert f"{2 * len(groups)}|{machine['beyond']}" in data["combining"]


# --- the page


def test_the_page_is_one_file_that_asks_nothing_of_anybody(page):
    head = page.partition("<body>")[0]
    assert "default-src 'none'" in head
    assert not re.search(r'(?:src|href)="(?!#)(?!data:)', page.partition("<script>")[0])
    assert not re.search(r"@[A-Z]+@", page.partition("<script>")[0])


def test_the_chosen_set_is_in_the_catalogue():
    assert len(MODELS) == len(MACHINES) == 20
    assert all(find_model(name) for name in MODELS)
    assert all(find_hardware(name) for name in MACHINES)


def test_names_are_escaped_in_the_page(page):
    assert "<img" not in page.partition("<script>")[0]


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    pytest.importorskip("selenium", reason="the page is tried in a browser where selenium is installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("the page is tried in a browser where chromium and chromedriver are installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1200,1600",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    file = tmp_path_factory.mktemp("explorer") / "explorer.html"
    file.write_text(page, encoding="utf-8")
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as started:
        started.get(file.as_uri())
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(started, 30).until(lambda d: d.execute_script("return document.documentElement.dataset.ready"))
        yield started


def test_the_browser_answers_as_estimate_does(browser, data):
    asked = list(questions(data, QUESTIONS))
    answers = browser.execute_script("return arguments[0].map((q) => explorer.ask(q))", asked)
    for question, answer in zip(asked, answers, strict=True):
        assert page_figures(answer) == pytest.approx(figures(question), rel=1e-9, abs=1e-18), question


def test_the_page_shows_numbers_and_complains_of_nothing(browser):
    text = browser.execute_script("return document.body.innerText")
    assert re.search(r"looped brings [\d.]+ × over \w+", text)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert "undefined" not in text
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_no_request_leaves_the_page(browser):
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert all(address.startswith(("file:", "data:", "blob:")) for address in addresses)


def test_an_estimate_shows_the_explorer_in_a_notebook():
    shown = estimate("llama-3.2-1b", "h100-sxm", batch=4).explore()
    assert shown._repr_html_().startswith("<iframe srcdoc=")
    packed = re.search(r'<script id="data"[^>]*>([^<]*)</script>', shown.html)[1]
    held = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert (held["question"]["batch"], list(held["models"]), list(held["machines"])) == (
        4,
        ["llama-3.2-1b"],
        ["h100-sxm"],
    )


def test_the_command_writes_the_page_whole(run, tmp_path):
    file = tmp_path / "it.html"
    answer = run("explore", "llama-3.2-1b", "h100-sxm", "-o", file)
    assert answer.code == 0
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    refused = run("explore", "llama-3.2-1b", "h100-sxm", "-o", tmp_path / "it.pdf")
    assert (refused.code, "is an .html file" in refused.err) == (1, True)
