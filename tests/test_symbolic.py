"""The closed form is the estimate: same number, whichever way it is written out, and it says where it holds."""

import ast
import contextlib
import io
import json
import math
import shutil
import subprocess

import pytest
import sympy

from perfmodel import estimate, explain
from perfmodel.analysis.formulas import decided, identifier, numbers_of, symbols_of
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.figures import FIGURES, figure_at, parameters_in_use
from perfmodel.numbers.symbols import limit_of, powers, value_of

QUESTIONS = {
    "sn40l": ("llama-3.1-8b", "sn40l", {"devices": 8}),
    "sn40l-busy": ("llama-3.1-8b", "sn40l", {"devices": 16, "batch": 700, "context": 1000}),
    "h100": ("llama-3.1-8b", "h100-sxm", {"batch": 4}),
    "h100-pdl": ("llama-3.1-70b", "h100-sxm", {"devices": 8, "before": "pdl", "after": "looped", "batch": 32}),
    "megakernel": ("llama-3.2-1b", "h100-sxm", {"after": "megakernel", "context": 128}),
    "eager": ("qwen3-0.6b", "m2-ultra", {"before": "eager", "batch": 16}),
    "experts": ("mixtral-8x7b", "h100-sxm", {"devices": 4, "batch": 6}),
    "hybrid": ("jamba-v0.1", "h100-sxm", {"devices": 2, "batch": 3}),
    "pieces": ("mistral-7b", "a100-sxm-80gb", {"context": 9000, "loop_at_most": 5, "weights": "int4"}),
}
every = pytest.mark.parametrize("name", QUESTIONS)


def asked(name):
    model, hardware, rest = QUESTIONS[name]
    return (
        ask(model, hardware, **{k: v for k, v in rest.items() if k not in ("batch", "context")}),
        rest.get("batch", 1),
        rest.get("context", 4096),
    )


@every
def test_the_closed_form_at_the_numbers_is_the_estimate(name):
    model, hardware, rest = QUESTIONS[name]
    answer, explained = estimate(model, hardware, **rest), explain(model, hardware, **rest)
    for side in ("before", "after"):
        form, expected = getattr(explained, side), getattr(answer, side)
        assert form.time_per_step == pytest.approx(expected.time_per_step, rel=1e-12)
        assert math.fsum(addend.time for addend in form.addends) == pytest.approx(expected.time_per_step, rel=1e-12)
        assert form.kernel_calls == expected.kernel_calls
    assert explained.speedup == pytest.approx(answer.speedup.value, rel=1e-12)


@every
def test_every_figure_has_a_closed_form_that_gives_it(name):
    model, hardware, rest = QUESTIONS[name]
    question, batch, context = asked(name)
    numbers = numbers_of(question, batch, context)
    row = estimate(model, hardware, **rest).rows()[0]
    for figure in set(FIGURES) & set(row):
        value = value_of(decided(question, numbers, figure)[0], numbers)
        # A term may be what is left of two equal times.
        slack = 1e-12 * row[f"{figure.split('.')[0]}.time_per_step"] if ".terms." in figure else 0.0
        assert value == pytest.approx(row[figure], rel=1e-12, abs=slack), figure


@every
def test_the_python_program_runs_and_gives_the_same_number(name):
    model, hardware, rest = QUESTIONS[name]
    answer, program = estimate(model, hardware, **rest), explain(model, hardware, **rest).to_python()
    assert "import" not in program.replace("important", "")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "<explained>", "exec"), {"__name__": "__main__"})  # noqa: S102
    before, after, speedup = (float(word) for word in printed.getvalue().split())
    assert (before, after, speedup) == pytest.approx(
        (answer.before.time_per_step, answer.after.time_per_step, answer.speedup.value), rel=1e-12
    )


@every
def test_the_program_is_the_formula_at_other_numbers_too(name):
    model, hardware, rest = QUESTIONS[name]
    changed = rest | {"batch": 3, "context": 777, "parameters": {"memory.bandwidth": 1.1e12}}
    answer = estimate(model, hardware, **changed)
    program = explain(model, hardware, **rest).to_python()
    lines = program.splitlines()
    for symbol, value in (("batch", 3), ("context", 777), ("memory_bandwidth", 1.1e12)):
        lines = [f"{symbol} = {value}" if line.startswith(f"{symbol} = ") else line for line in lines]
    scope = {"__name__": "explained"}
    exec(compile("\n".join(lines), "<explained>", "exec"), scope)  # noqa: S102
    assert scope["speedup"] == pytest.approx(answer.speedup.value, rel=1e-12)
    assert scope["after_time_per_step"] == pytest.approx(answer.after.time_per_step, rel=1e-12)


@every
def test_a_reduced_form_holds_where_its_conditions_hold(name):
    question, batch, context = asked(name)
    numbers = numbers_of(question, batch, context)
    form, choices = decided(question, numbers, "after.time_per_step")
    symbols = symbols_of(question)
    parameters = {path: symbols[path] for path in parameters_in_use(question)}

    def whole(there):
        values = {path: there[symbol] for path, symbol in parameters.items()}
        return figure_at(question, "after.time_per_step", there[symbols["batch"]], there[symbols["context"]], values)

    assert value_of(form, numbers) == pytest.approx(whole(numbers), rel=1e-12)
    held = broken = 0
    for factor in (0.02, 0.5, 0.9, 1.1, 3, 40, 3000):
        for symbol in (symbols["batch"], symbols["context"], symbols["memory.bandwidth"]):
            there = numbers | {symbol: numbers[symbol] * factor}
            sides = [(kind, value_of(a, there), value_of(b, there)) for kind, a, b in choices]
            if all(a == b or (a > b) == (kind == "larger") for kind, a, b in sides):
                held += 1
                assert value_of(form, there) == pytest.approx(whole(there), rel=1e-12)
            else:
                broken += 1
    assert held
    assert broken


def test_conditions_say_at_which_batch_the_choice_switches():
    explained = explain("llama-3.1-8b", "h100-sxm", devices=8)
    switching = [c for c in explained.before.conditions if c.batch is not None]
    assert switching
    question = ask("llama-3.1-8b", "h100-sxm", devices=8)
    for condition in switching:
        symbols = {str(symbol): symbol for symbol in symbols_of(question).values()}
        numbers = numbers_of(question, condition.batch, 4096)
        winner, loser = (
            value_of(sympy.sympify(side, locals=symbols), numbers) for side in (condition.winner, condition.loser)
        )
        assert winner == pytest.approx(loser, rel=1e-3)  # the texts have five digits


def test_what_is_wholly_beside_the_device_leaves_no_terms_that_cancel():
    bound = explain("gpt2", "h200-sxm", software="server", context=128)
    assert [addend.formula for addend in bound.before.addends] == ["modes_graph_host"]
    assert bound.before.addends[0].time == pytest.approx(bound.before.time_per_step)
    part = explain("gpt2", "h200-sxm", software="server", context=128, parameters={"modes.graph.beside": 0.5})
    assert sum(addend.time for addend in part.before.addends) == pytest.approx(part.before.time_per_step)
    assert any("modes_graph_beside" in addend.formula for addend in part.before.addends)


def test_limits_are_what_the_estimate_tends_to():
    explained = explain("llama-3.1-8b", "sn40l", devices=8)
    limits = {limit.name: limit.value for limit in explained.before.limits}
    infinite = estimate("llama-3.1-8b", "sn40l", devices=8, parameters={"memory.bandwidth": 1e29}).before.time_per_step
    free = estimate(
        "llama-3.1-8b", "sn40l", devices=8, parameters={"modes.layer-fused.boundary": 0.0}
    ).before.time_per_step
    crowd = estimate("llama-3.1-8b", "sn40l", devices=8, batch=10_000_000).before
    assert limits["time per step, infinite bandwidth"] == pytest.approx(infinite, rel=1e-9)
    assert limits["time per step, zero boundary"] == pytest.approx(free, rel=1e-12)
    # What the on-chip memory holds of the activations dwindles with the batch.
    assert limits["time per step and sequence, large batch"] == pytest.approx(
        crowd.time_per_step / 10_000_000, rel=2e-4
    )


def test_limits_of_what_grows_and_what_vanishes():
    x, y = sympy.symbols("x y", positive=True)
    assert limit_of(x + y, x, infinite=True) == sympy.oo
    assert limit_of(y / x + 2 * y, x, infinite=True) == 2 * y
    assert limit_of(y * (1 - sympy.Rational(1, 4) ** x), x, infinite=True) == y
    assert limit_of(x + y, x, infinite=False) == y


def test_powers_of_an_unknown():
    x, y = sympy.symbols("x y", positive=True)
    assert powers((x + y) * (1 + y / x), x) == {1: 1, 0: 2 * y, -1: y**2}
    assert powers(y**x, x) is None
    assert powers(sympy.Integer(7), x) == {0: 7}


def test_symbols_are_python_names():
    assert identifier("modes.layer-fused.boundary") == "modes_layer_fused_boundary"
    assert identifier("lambda") == "lambda_"


def test_latex_is_balanced_and_names_every_side():
    text = explain("llama-3.1-8b", "sn40l", devices=8).to_latex()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert text.count(r"\begin{aligned}") == text.count(r"\end{aligned}") == 2
    assert r"\beta" in text
    assert r"s_{\mathrm{layer-fused}}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
def test_latex_compiles(tmp_path):
    text = (
        explain("llama-3.1-8b", "sn40l", devices=8)
        .to_latex()
        .replace(r"\begin{aligned}", r"\[\begin{aligned}")
        .replace(r"\end{aligned}", r"\end{aligned}\]")
    )
    (tmp_path / "x.tex").write_text(
        "\\documentclass{article}\\usepackage{amsmath}\\begin{document}\n" + text + "\\end{document}\n"
    )
    assert (
        subprocess.run(
            ["pdflatex", "-halt-on-error", "x.tex"], cwd=tmp_path, capture_output=True, check=False
        ).returncode
        == 0
    )


def test_explain_in_every_form(run, tmp_path):
    ask_words = ("explain", "llama-3.1-8b", "sn40l", "--devices", "8")
    text = run(*ask_words).out
    assert text.startswith("The step takes ")
    assert "35*modes_layer_fused_boundary" in text
    assert "holds while" in text
    whole = json.loads(run(*ask_words, "--json").out)
    assert whole == {"schema": "1.0"} | json.loads(json.dumps(explain("llama-3.1-8b", "sn40l", devices=8).to_dict()))
    assert run(*ask_words, "--csv").out.splitlines()[0] == "side,mode,formula,numbers,time"
    program = tmp_path / "step.py"
    assert run(*ask_words, "--python", "-o", str(program)).out == ""
    assert program.read_text() == run(*ask_words, "--python").out
    assert r"\begin{aligned}" in run(*ask_words, "--latex").out
    assert run(*ask_words, "--latex", "--command").out == "perfmodel explain llama-3.1-8b sn40l --devices 8 --latex\n"
    assert run(*ask_words, "--latex", "--python").code == 2


def test_explain_errors_are_one_line(run):
    for words in (
        ("explain", "llama-3.1-8b", "h100-smx"),
        ("explain", "llama-3.1-8b", "sn40l", "--set", "memory.bandwith=1TB/s"),
        ("explain", "llama-3.1-8b", "sn40l", "--batch", "0"),
    ):
        answer = run(*words)
        assert answer.code == 1
        assert answer.out == ""
        assert answer.err.count("\n") == 1


def test_only_the_symbolic_room_and_the_generic_choice_import_sympy(repository):
    importing = set()
    for path in (repository / "perfmodel").rglob("*.py"):
        names = [
            a.name
            for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(n, ast.Import)
            for a in n.names
        ]
        modules = [
            n.module or ""
            for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(n, ast.ImportFrom)
        ]
        if any(name.split(".")[0] == "sympy" for name in names + modules):
            importing.add(path.name)
    assert importing == {"formulas.py", "symbols.py", "explanations.py", "choices.py"}
