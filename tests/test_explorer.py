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
import time
from pathlib import Path

import pytest
from browsers import ready, started

from perfmodel import estimate, find_hardware, find_model
from perfmodel.errors import UsageError
from perfmodel.numbers.compact import LETTERS
from perfmodel.report.answerpage import answer_page
from perfmodel.report.explorer.page import MACHINES, MODELS, explorer_page

NAMES = ("llama-3.2-1b", "mixtral-8x7b", "gemma-3-4b"), ("h100-sxm", "sn40l", "rtx-4090")
KEPT = os.environ.get("EXPLORER_RESULT")
QUESTIONS = int(os.environ.get("EXPLORER_QUESTIONS", "200"))
OPERATIONS = {letter: name for name, letter in LETTERS.items()}


@pytest.fixture(scope="module")
def page():
    return explorer_page([find_model(m) for m in NAMES[0]], [find_hardware(h) for h in NAMES[1]])


@pytest.fixture(scope="module")
def data(page):
    return held_in(page)


def sides_of(data, question):
    """Where the recordings of both sides are, as the page finds them; None where a side cannot be asked."""
    modes = data["machines"][question["machine"]]["software"][question["software"]]["modes"]
    plans = data["plans"][f"{question['model']}|{question['devices']}|{question['drafter']}"]
    found = []
    for mode in (question["before"], question["after"]):
        style, layout = modes[mode]
        plan = plans[str(style)]
        cost = data["costs"].get(f"{layout}|{plan[2]}")
        found.append(None if cost is None else (plan, cost))
    return found


def ends_of(data, question, place):
    """Low, value and high of a parameter."""
    software = data["machines"][question["machine"]]["software"][question["software"]]
    drafts = data["draft_costs"][software["drafts"][data["models"][question["model"]]["formats"]]]
    return software["values"].get(str(place)) or drafts[str(place)]


def questions(data, number):
    """Random questions over the page's choices and sliders."""
    draw = random.Random(17)
    paths = [path for path, *_ in data["paths"]]
    while number:
        model, devices, drafter = draw.choice(list(data["plans"])).split("|")
        machine = draw.choice(list(data["machines"]))
        software = draw.choice(list(data["machines"][machine]["software"]))
        modes = list(data["machines"][machine]["software"][software]["modes"])
        question = {
            "model": model,
            "machine": machine,
            "software": software,
            "devices": int(devices),
            "drafter": drafter,
            "draft": draw.randint(1, 8) if drafter else 0,
            "acceptance": draw.randrange(20) / 20,
            "batch": round(2 ** (draw.randrange(41) / 4)),
            "context": draw.choice([0, 128, 1000, 4096, 32768, 200_000]),
            "before": draw.choice(modes),
            "after": draw.choice(modes),
        }
        sides = sides_of(data, question)
        if None in sides:  # several devices of a machine without links
            continue
        used = sorted({place for _, cost in sides for place in data["parameters"][cost[3]]})
        moved = draw.sample(used, draw.choice([0, 0, 1, 2]))
        values = {place: ends_of(data, question, place)[1] for place in moved}
        question["set"] = {paths[i]: value * draw.choice([0.5, 0.8, 0.95]) for i, value in values.items() if value > 0}
        number -= 1
        yield question


def figures(question):
    """The numbers of a question that the page shows, as `estimate` gives them."""
    names = ("devices", "batch", "context", "before", "after")
    asked = {name: question[name] for name in names} | {"parameters": question["set"] or None}
    if question["software"] != "none":
        asked["software"] = question["software"]
    if question["drafter"]:
        asked |= {name: question[name] for name in ("draft", "drafter", "acceptance")}
    answer = estimate(question["model"], question["machine"], **asked)
    sides = [
        (
            *side.terms,
            side.time_per_step,
            side.low.time_per_step,
            side.high.time_per_step,
            side.tokens_per_second,
            side.kernel_calls,
        )
        for side in (answer.before, answer.after)
    ]
    speedup = answer.speedup
    needed = (answer.fits.bytes_needed, float(answer.fits.fits))
    return [*sides[0], *sides[1], speedup.value, speedup.low, speedup.high, answer.peak.time_per_step, *needed]


def page_figures(question, answer):
    sides = [
        (
            *side["terms"],
            side["time"],
            side["slow"],
            side["fast"],
            question["batch"] * answer["tokens"] / side["time"],
            side["calls"],
        )
        for side in answer["sides"]
    ]
    shared = (answer["speedup"], answer["low"], answer["high"], answer["peak"], answer["needed"], float(answer["fits"]))
    return [*sides[0], *sides[1], *shared]


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
    for question in questions(data, 60):
        expected = figures(question)
        for place, (plan, cost) in zip((0, 11), sides_of(data, question), strict=True):
            shape, coefficients, _, stages = plan
            script, constants, signature, parameters = cost
            numbers = [
                question["set"].get(data["paths"][i][0], ends_of(data, question, i)[1])
                for i in data["parameters"][parameters]
            ]
            given = [question["draft"], stages, *numbers]
            costs = replay(data["scripts"][script], given, data["constants"][constants])
            script, constants = data["steps"][f"{shape}|{signature}"]
            workload = [question[name] for name in ("batch", "context", "draft")]
            given = [*workload, *data["coefficients"][coefficients], *costs]
            found = replay(data["scripts"][script], given, data["constants"][constants])
            assert found[:7] == pytest.approx(expected[place : place + 7], rel=1e-12, abs=1e-18), question
            assert found[7] == pytest.approx(expected[place + 10]), question


def test_every_question_has_the_intervals_it_may_need(data):
    for question in questions(data, 200):
        used = {place for _, cost in sides_of(data, question) for place in data["parameters"][cost[3]]}
        ends = {place: ends_of(data, question, place) for place in used}
        groups = {data["paths"][place][2] for place, (low, _, high) in ends.items() if low < high}
        beyond = data["machines"][question["machine"]]["software"][question["software"]]["beyond"]
        filled = max(8, 8 * math.ceil(len(groups) / 8))
        assert f"{filled}|{len(beyond)}" in data["combining"]


def test_one_structure_serves_many_models(data):
    models = {name.split("|")[0] for name in data["plans"]}
    sides = sum(len(plans) for plans in data["plans"].values())
    assert len(models) == 3
    assert len({plan[0] for plans in data["plans"].values() for plan in plans.values()}) < sides / 2


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
    file = tmp_path_factory.mktemp("explorer") / "explorer.html"
    file.write_text(page, encoding="utf-8")
    with started() as browser:
        browser.get(file.as_uri())
        ready(browser)
        yield browser


def test_the_browser_answers_as_estimate_does(browser, data):
    asked = list(questions(data, QUESTIONS))
    answers = browser.execute_script("return arguments[0].map((q) => explorer.ask(q))", asked)
    worst = 0.0
    for question, answer in zip(asked, answers, strict=True):
        shown, expected = page_figures(question, answer), figures(question)
        assert shown == pytest.approx(expected, rel=1e-9, abs=1e-18), question
        worst = max([worst, *(abs(a / b - 1) for a, b in zip(shown, expected, strict=True) if abs(b) > 1e-12)])
    if KEPT:  # `make explorer-check` keeps what it found
        result = {"questions": len(asked), "figures": len(asked) * len(expected), "largest_relative_difference": worst}
        Path(KEPT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def test_every_choice_makes_a_question_that_can_be_answered(browser, data):
    """Whatever an address asks for becomes the nearest that the page can answer."""
    draw = random.Random(5)
    asked = []
    for _ in range(60):
        machine = draw.choice([*data["machines"], "nothing"])
        asked.append(
            {
                "model": draw.choice([*data["models"], ""]),
                "machine": machine,
                "software": draw.choice(["", "server-2026", "ggml-2025", "none"]),
                "devices": draw.choice([0, 1, 3, 8, 512]),
                "drafter": draw.choice(["", "eagle", "mtp", "ngram"]),
                "draft": draw.choice([0, 2, 99]),
                "acceptance": draw.choice([-1, 0.5, 1]),
                "batch": draw.choice([0, 7, 1e9]),
                "context": draw.choice([-5, 4096]),
                "before": draw.choice(["", "graph", "eager", "no such mode"]),
                "after": "looped",
                "set": {"memory.bandwidth": 1e12, "no.such.key": 1},
            }
        )
    script = "return arguments[0].map((q) => [explorer.settled(q), explorer.ask(q)])"
    for question, answer in browser.execute_script(script, asked):
        assert page_figures(question, answer) == pytest.approx(figures(question), rel=1e-9, abs=1e-18), question


def test_its_words_give_the_same_answer(browser, run):
    address = "#model=mixtral-8x7b&machine=h100-sxm&software=server-2026&devices=2&batch=3&drafter=eagle&draft=4"
    browser.execute_script("location.hash = arguments[0]", address + "&set.modes.looped.stage=3e-6")
    time.sleep(0.5)
    said = browser.execute_script("return ['command', 'python'].map((id) => document.getElementById(id).textContent)")
    shown = browser.execute_script("return explorer.ask(explorer.now()).speedup")
    answer = run(*said[0].split()[1:], "--json")
    assert json.loads(answer.out)["speedup"]["value"] == pytest.approx(shown, rel=1e-9)
    head, _, call = said[1].partition("\n")
    assert head == "from perfmodel import estimate"
    assert eval(call, {"estimate": estimate}).speedup.value == pytest.approx(shown, rel=1e-9)  # noqa: S307 - our own
    assert "software=server-2026" in browser.execute_script("return location.hash")


def test_the_page_shows_numbers_and_complains_of_nothing(browser):
    text = browser.execute_script("return document.body.innerText")
    assert re.search(r"looped brings [\d.]+\s× over \w+", text)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert "undefined" not in text
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_no_request_leaves_the_page(browser):
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert all(address.startswith(("file:", "data:", "blob:")) for address in addresses)


def held_in(page):
    packed = re.search(r'<script id="data"[^>]*>([^<]*)</script>', page)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_an_estimate_shows_the_explorer_in_a_notebook():
    shown = estimate("llama-3.2-1b", "h100-sxm", batch=4, software="server").explore()
    assert shown._repr_html_().startswith("<iframe srcdoc=")
    held = held_in(shown.html)
    assert list(held["models"]) == ["llama-3.2-1b"]
    assert list(held["machines"]) == ["h100-sxm"]
    assert (held["question"]["batch"], held["question"]["software"]) == (4, "server-2026")


@pytest.mark.parametrize(
    "given",
    [
        {"weights": "int4", "kv": "fp8"},
        {"draft": 3, "drafter": "eagle", "accepted": 1.2},
        {"profile": "gpt-fast"},
        {"parameters": {"modes.looped.stage": "2us..5us"}, "software": "server"},
    ],
)
def test_an_explorer_starts_at_the_answer_it_was_asked_for(given):
    answer = estimate("llama-3.1-8b", "h100-sxm", batch=2, **given)
    held = held_in(answer.explore().html)
    question = {"drafter": "", "draft": 0, **held["question"]}
    for (plan, cost), side in zip(sides_of(held, question), (answer.before, answer.after), strict=True):
        numbers = [ends_of(held, question, i)[1] for i in held["parameters"][cost[3]]]
        script, constants = cost[:2]
        costs = replay(held["scripts"][script], [question["draft"], plan[3], *numbers], held["constants"][constants])
        script, constants = held["steps"][f"{plan[0]}|{cost[2]}"]
        workload = [2, 4096, question["draft"]]
        numbers = [*workload, *held["coefficients"][plan[1]], *costs]
        assert replay(held["scripts"][script], numbers, held["constants"][constants])[6] == pytest.approx(
            side.time_per_step, rel=1e-9
        )
    assert held["fixed"]["options"] == {key: given[key] for key in ("weights", "kv", "profile") if key in given} | (
        {"software": "server"} if "parameters" in given else {}
    )


def test_what_the_page_cannot_ask_is_refused():
    with pytest.raises(UsageError, match=r"the page cannot ask --loop-at-most, --parallel other than tp"):
        estimate("llama-3.1-8b", "h100-sxm", loop_at_most=4, parallel="pp=2").explore()


def test_the_command_writes_the_page_whole(run, tmp_path):
    file = tmp_path / "it.html"
    answer = run("explore", "llama-3.2-1b", "h100-sxm", "-o", file)
    assert answer.code == 0
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    refused = run("explore", "llama-3.2-1b", "h100-sxm", "-o", tmp_path / "it.pdf")
    assert (refused.code, "is an .html file" in refused.err) == (1, True)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_report_is_the_explorer_where_scripts_run_and_pictures_where_not(tmp_path, scripts):
    answer = estimate("llama-3.1-8b", "h100-sxm", batch=4, software="server")
    file = tmp_path / "report.html"
    file.write_text(answer_page(answer, command="perfmodel report"), encoding="utf-8")
    with started(scripts=scripts) as browser:
        browser.get(file.as_uri())
        if scripts:
            ready(browser)
            assert browser.execute_script("return explorer.ask(explorer.now()).speedup") == pytest.approx(
                answer.speedup.value, rel=1e-9
            )
        assert browser.find_element("id", "explorer").is_displayed() is scripts
        stills = browser.find_elements("css selector", ".still")
        assert len(stills) == 4
        assert all(still.is_displayed() is not scripts for still in stills)
        others = browser.find_elements("css selector", "figure svg")
        assert sum(picture.is_displayed() for picture in others) == len(others) - (4 if scripts else 0)


def test_a_report_that_the_page_cannot_ask_has_pictures_alone():
    page = answer_page(estimate("llama-3.1-8b", "h100-sxm", loop_at_most=4), command="perfmodel report")
    assert "<script" not in page
    assert page.count("<svg") >= 7
