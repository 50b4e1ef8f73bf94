"""How sure an answer is: rows like it in the validation set, and measurements nearby."""

import csv
import json

from perfmodel import estimate, sweep
from perfmodel.estimates.evidence import groups, rows_like
from perfmodel.measurements.rows import all_rows


def test_an_answer_says_how_right_rows_like_it_were():
    server = estimate("llama-3.1-8b", "h100-sxm", software="server", after="megakernel")
    found = server.evidence
    assert found.sources >= 3
    assert 0.01 < found.median_error < 1
    assert 0.5 < found.inside <= 1
    assert found.text.startswith("servers of 2026 in a graph, 16 bit: ")
    assert "megakernels by hand: " in found.text
    assert "generated ones took " in found.text
    # Other software, another mode and narrower weights are other rows.
    eager = estimate("llama-3.1-8b", "h100-sxm", software="framework", before="eager", after="graph")
    assert eager.evidence != found
    narrow = server.replace(weights="fp8").evidence
    assert narrow.text.startswith("servers of 2026")
    assert narrow.rows != found.rows
    plain = server.to_dict()
    assert plain["evidence"]["sources"] == found.sources
    assert json.dumps(plain["nearby"])
    row = server.rows()[0]
    assert row["evidence.median_error"] == found.median_error
    swept = sweep("llama-3.1-8b", "h100-sxm", software="server", after="megakernel", columns="all")
    assert swept["evidence.text"][0] == found.text
    assert swept["evidence.rows"][0] == found.rows


def test_a_kind_with_few_sources_is_judged_by_its_wider_one():
    known = groups()
    assert rows_like("engine-2025", "graph", "16") is known["engine-2025", "graph", "16"]
    few = next(key for key, group in known.items() if all(key) and group.sources < 3)
    assert rows_like(*few).sources >= 3
    assert rows_like("", "no-such-mode", "16") is known["", "", ""]


def test_groups_hold_each_row_that_does_not_stand_apart_once_a_level(repository):
    known = groups()
    whole = known["", "", ""]
    assert whole.rows == sum(group.rows for key, group in known.items() if key[:2] == ("", "") and key[2])
    modes = {row.mode for row in all_rows()}
    assert whole.rows == sum(known["", mode, ""].rows for mode in modes if mode)
    with (repository / "validation" / "left_out.csv").open(encoding="utf-8", newline="") as file:
        sources = {row["source_id"] for row in csv.DictReader(file)}
    assert whole.sources >= len({s for s in sources if not s.startswith("pair-")})


def test_measurements_nearby_are_of_the_same_model_and_machine_and_some_speak_against():
    answer = estimate("smollm2-135m", "h100-sxm", after="megakernel", weights="bf16", context=5)
    assert answer.nearby
    rows = {row.id: row for row in all_rows()}
    for one in answer.nearby:
        assert (rows[one.id].model, rows[one.id].hardware) == ("smollm2-135m", "h100-sxm")
        assert rows[one.id].time_per_step == one.time_per_step
    outside = next(row for row in all_rows() if row.source_id == "metaseq" and row.mode == "graph")
    against = estimate(
        outside.model, outside.hardware, devices=outside.devices, batch=outside.batch, context=outside.context
    )
    assert any(one.inside is False for one in against.nearby)
    assert len(against.nearby) <= 5
    assert estimate("llama-3.1-8b", "wse-3").nearby == ()


def test_the_text_and_the_page_say_how_sure_it_is_below_the_verdict(run, tmp_path):
    said = "How sure: engines of 2025 in a graph, 16 bit: "
    question = ("llama-3.1-8b", "h100-sxm")
    assert said in " ".join(run("estimate", *question).out.split())
    run("report", *question, "-o", str(tmp_path / "page.html"))
    assert said in (tmp_path / "page.html").read_text(encoding="utf-8")
