"""The command line as a user meets it: the same answer in every form, written whole or not at all."""

import csv
import io
import json
import math

import pytest

from perfmodel import estimate
from perfmodel.report.files.delimited import DEFAULT_COLUMNS, to_csv
from perfmodel.report.text import to_terminal

ASK = ("estimate", "llama-3.1-8b", "sn40l", "--devices", "8", "--context", "4k")


def test_json_has_the_promised_keys_and_is_what_python_returns(run):
    answer = json.loads(run(*ASK, "--json").out)
    assert answer == json.loads(json.dumps(estimate("llama-3.1-8b", "sn40l", devices=8, context=4096).to_dict()))
    assert list(answer) == [
        "schema",
        "model",
        "hardware",
        "devices",
        "batch",
        "context",
        "weight_format",
        "kv_format",
        "bytes_per_step",
        "flops_per_step",
        "peak",
        "before",
        "after",
        "speedup",
        "fits",
        "loops",
        "assumptions",
        "notes",
        "parallel",
        "on_chip",
        "placement",
        "parts",
        "draft",
        "prompt",
        "software",
        "measured",
        "evidence",
        "nearby",
        "energy",
        "price",
        "breakeven_batch",
    ]
    assert list(answer["before"]) == [
        "mode",
        "kernel_calls",
        "time_per_step",
        "tokens_per_second",
        "tokens_per_second_per_sequence",
        "fraction_of_peak",
        "bound",
        "low",
        "high",
        "terms",
        "time_drafting",
        "software",
        "profile",
    ]
    assert list(answer["before"]["terms"]) == ["stream", "compute", "boundary", "collective", "latency", "host"]
    assert list(answer["before"]["low"]) == [
        "time_per_step",
        "tokens_per_second",
        "tokens_per_second_per_sequence",
        "fraction_of_peak",
    ]
    assert list(answer["assumptions"][0]) == ["name", "value", "low", "high", "unit", "kind", "source"]
    assert answer["loops"] == [{"body": ["decoder_layer"], "layers": "0-31", "count": 32}]
    assert isinstance(answer["bytes_per_step"], int)
    assert all(a["source"] and a["kind"] for a in answer["assumptions"])


def test_csv_has_a_header_and_one_row_of_the_same_figures(run):
    printed = run(*ASK, "--csv").out
    header, row = csv.reader(io.StringIO(printed))
    assert tuple(header) == DEFAULT_COLUMNS
    values = dict(zip(header, row, strict=True))
    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    assert float(values["after.tokens_per_second"]) == answer.after.tokens_per_second
    assert values["fits.fits"] == "true"
    everything = next(csv.DictReader(io.StringIO(run(*ASK, "--columns", "all").out)))
    assert everything["bytes_per_step"] == "15546720256"
    assert len(everything) > 50


def test_what_no_column_shows_is_not_worked_out():
    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    (main,) = answer.rows(DEFAULT_COLUMNS)
    assert "breakeven_batch" not in vars(answer)
    (whole,) = answer.rows()
    assert {name: main[name] for name in DEFAULT_COLUMNS} == {name: whole[name] for name in DEFAULT_COLUMNS}
    assert set(main) < set(whole)
    assert answer.rows(["breakeven_batch"])[0]["breakeven_batch"] == whole["breakeven_batch"]


def test_a_csv_file_has_its_loops_and_assumptions_beside_it(run, tmp_path):
    path = tmp_path / "answer.csv"
    written = run(*ASK, "-o", str(path))
    assert written.out == written.err == ""
    meta = json.loads((tmp_path / "answer.csv.meta.json").read_text())
    assert meta["loops"][0]["count"] == 32
    assert meta["command"].startswith("perfmodel estimate llama-3.1-8b sn40l")
    assert len(path.read_text().splitlines()) == 2


def test_the_same_question_gives_the_same_bytes(run, tmp_path):
    for name in ("a.json", "b.json"):
        run(*ASK, "-o", str(tmp_path / name))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_file_is_whole_or_untouched(run, tmp_path):
    path = tmp_path / "answer.json"
    path.write_text("as it was")
    tmp_path.chmod(0o500)
    try:
        answer = run(*ASK, "-o", str(path))
    finally:
        tmp_path.chmod(0o700)
    assert path.read_text() in ("as it was", estimate_text())  # root may write everywhere
    assert answer.code in (0, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["answer.json"]


def estimate_text():
    from perfmodel.report.files.delimited import to_json

    return to_json(estimate("llama-3.1-8b", "sn40l", devices=8).to_dict())


def test_the_first_line_is_the_verdict_and_no_line_is_wider_than_a_terminal(run, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    printed = run(*ASK).out
    first, *rest = printed.splitlines()
    assert first.startswith("Looping brings 1.5")
    assert "% of the step is boundary" in first
    assert "stops paying" in first
    assert max(len(line) for line in rest if not line.startswith("How sure: ")) <= 80  # a sentence, as the verdict
    assert "\x1b" not in printed


def test_the_batch_above_which_looping_stops_paying_is_one_that_fits():
    """A batch that no memory holds is no answer; where it pays up to there, that is said."""
    from perfmodel.estimates.breakeven import last_paying_batch
    from perfmodel.report.answer import verdict

    answer = estimate("llama-3.1-8b", "h100-sxm")
    assert not answer.replace(batch=last_paying_batch(answer.asked, answer.prepared)).fits.fits
    assert answer.breakeven_batch is None
    assert verdict(answer).endswith("; it pays (1.05 x or more) at every batch that fits.")
    few = estimate("llama-3.1-8b", "sn40l", devices=8)
    assert few.replace(batch=few.breakeven_batch).fits.fits
    assert f"stops paying (under 1.05 x) above batch {few.breakeven_batch}" in verdict(few)
    # Where the batch asked does not fit, memory is out of the question.
    assert answer.replace(batch=256).breakeven_batch > 256
    assert estimate("llama-3.1-8b", "h100-sxm", after="graph").breakeven_batch is None
    assert "pay" not in verdict(estimate("llama-3.1-8b", "h100-sxm", after="graph"))


def test_a_terminal_gets_the_same_figures(run):
    from perfmodel.report.answer import document

    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    shown = to_terminal(document(answer), width=80)
    assert f"{answer.after.tokens_per_second:,.4g}" in shown
    assert "\x1b[" in shown


def test_command_prints_the_line_that_reproduces_the_answer(run):
    line = run(*ASK, "--set", "modes.layer-fused.boundary=5us..8us", "--command").out
    assert (
        line
        == "perfmodel estimate llama-3.1-8b sn40l --devices 8 --context 4k --set modes.layer-fused.boundary=5us..8us\n"
    )


def test_set_closes_or_sets_an_interval(run):
    closed = json.loads(run(*ASK, "--json", "--set", "modes.layer-fused.boundary=5us").out)
    ranged = json.loads(run(*ASK, "--json", "--set", "modes.layer-fused.boundary=5us..8us").out)
    value = {a["name"]: (a["low"], a["value"], a["high"]) for a in closed["assumptions"]}["modes.layer-fused.boundary"]
    assert value == pytest.approx((5e-6, 5e-6, 5e-6))
    value = {a["name"]: (a["low"], a["high"]) for a in ranged["assumptions"]}["modes.layer-fused.boundary"]
    assert value == pytest.approx((5e-6, 8e-6))


def test_every_assumption_can_be_set_by_its_name(run):
    for assumption in json.loads(run(*ASK, "--json").out)["assumptions"]:
        unit = {"1": "", "s": " s", "B": " B", "B/s": " B/s", "FLOP/s": " FLOP/s"}[assumption["unit"]]
        again = json.loads(run(*ASK, "--json", "--set", f"{assumption['name']}={assumption['value']!r}{unit}").out)
        assert again["after"]["time_per_step"] == json.loads(run(*ASK, "--json").out)["after"]["time_per_step"]


@pytest.mark.parametrize("what", ["models", "hardware"])
def test_lists_are_arrays_of_named_objects(run, what, repository):
    listed = json.loads(run(what, "list", "--json").out)
    assert sorted(item["name"] for item in listed) == sorted(path.stem for path in (repository / what).glob("*.toml"))
    assert run(what, "list").out.splitlines()[0].startswith("name")
    assert len(run(what, "list", "--csv").out.splitlines()) == len(listed) + 1


def test_a_device_shows_every_value_with_its_source(run):
    shown = run("hardware", "show", "h100-sxm").out
    assert "memory.bandwidth" in shown
    assert "[1]" in shown
    assert all(
        math.isfinite(row["value"]) and row["source"]
        for row in json.loads(run("hardware", "show", "h100-sxm", "--json").out)
    )


def test_help_and_version(run):
    assert run("--version").out.startswith("perfmodel ")
    for words in (["--help"], ["estimate", "-h"], ["models", "list", "--help"]):
        answer = run(*words)
        assert answer.code == 0
        assert "Usage" in answer.out


def test_cells_that_look_like_formulas_are_quoted():
    assert (
        to_csv([{"name": "=1+1", "x": None, "y": True, "z": -1.5}], ["name", "x", "y", "z"])
        == "name,x,y,z\n'=1+1,,true,-1.5\n"
    )


def test_replace_and_rows_and_html():
    answer = estimate("llama-3.1-8b", "sn40l", devices=8)
    assert answer.replace(devices=16).devices == 16
    assert answer.rows()[0]["before.terms.boundary"] == answer.before.terms.boundary
    assert "<table>" in answer._repr_html_()
    with pytest.raises(AttributeError):
        answer.model = "other"
