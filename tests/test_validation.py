"""Predictions beside published measurements, and what is built on them: the error table, calibration, gaps.

`python tests/test_validation.py` writes golden/validation.csv and the tables of docs/validation.md anew; say in
CHANGELOG.md under Predictions what moved.
"""

import csv
import json
import math
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from statistics import median

import msgspec
import pytest

from perfmodel import estimate
from perfmodel.errors import PerfModelError, SpecificationError
from perfmodel.estimates.question import formats_of, read_question
from perfmodel.measurements import rowfits
from perfmodel.measurements.calibration import as_profile, calibrate, validate_calibrated
from perfmodel.measurements.discrepancies import explain_gap
from perfmodel.measurements.fitting import adjustable
from perfmodel.measurements.ladders import CLIMBS, ladders, predicted_rungs
from perfmodel.measurements.predictions import predict, why_not
from perfmodel.measurements.rows import FILTERS, all_rows, read_rows, row_of, selected
from perfmodel.measurements.stacks import profile_of, software_of_row, why_apart
from perfmodel.measurements.validation import errors_of, percentile, summary, validate
from perfmodel.specifications.catalogue import find_model
from perfmodel.specifications.profiles import find_profile, load_profile, profile_names, profile_text

PINNED = Path(__file__).parent / "golden" / "validation.csv"
DIARY = Path(__file__).parent.parent / "docs" / "validation.md"
COLUMNS = ("way", "name", "sources", "rows", "median", "ninetieth", "bias", "inside", "width", "within_half")
CAREFUL_STACKS = ("gpt-fast", "torchao", "exllama", "exllamav2", "calm", "llama-cpp-cuda", "llama-cpp-metal")
CLASSES = ("well-made-16-bit", "looped", "megakernel", "megakernel-generated", "quantised", "batch", "eager", "server")


def groups(way, result):
    """The rows that are pinned: every source, every class, and the well-made stacks of trust A and B; with profiles,
    only of stacks that have one."""
    chosen = [p for p in result.predicted if p.profile] if way == "profiles" else list(result.predicted)
    found = {f"class {name}": [p for p in chosen if p.row.row_class == name] for name in CLASSES}
    careful = [
        p for p in chosen if p.row.trust in "AB" and p.row.row_class in ("well-made-16-bit", "looped", "megakernel")
    ]
    found |= {
        "well-made, looped, megakernel of trust A and B": careful,
        "the same without xdai and amk": [p for p in careful if p.row.source_id not in ("xdai", "amk")],
        "all": chosen,
    }
    found["of those, gpt-fast, torchao, ExLlama, calm and llama.cpp, the whole model in one graph or stream"] = [
        p for p in careful if p.row.stack in CAREFUL_STACKS and "tp=" not in p.row.parallel
    ]
    return {name: members for name, members in found.items() if members}


def figures(way, result):
    """Lines of golden/validation.csv: for a source its figures, for a group the medians over its sources."""
    parts = [(e.name, 1, e) for e in result.sources]
    parts += [
        (name, len(s.sources), s.over_sources)
        for name, members in groups(way, result).items()
        for s in (summary(way, members),)
    ]
    return [
        (way, name, count, e.rows, *(f"{getattr(e, field):.4f}" for field in COLUMNS[4:])) for name, count, e in parts
    ]


def pinned():
    """What is pinned, as dicts of text."""
    if not PINNED.exists():
        return []
    with PINNED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def diary_table(way):
    """The table of docs/validation.md for one way to predict, from what is pinned."""
    lines = [
        "| rows | sources | rows | median error | 90th percentile | bias | inside | width | within 1.5 x |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in pinned():
        if (
            row["way"] == way
            and int(row["sources"]) >= 1
            and (row["name"].startswith(("class ", "well-made,", "the same", "of those")) or row["name"] == "all")
        ):
            shares = [f"{float(row[field]):.1%}".replace("%", " %") for field in ("median", "ninetieth")]
            rest = [
                f"{float(row['bias']):+.1%}",
                f"{float(row['inside']):.0%}",
                f"{float(row['width']):.2f}",
                f"{float(row['within_half']):.0%}",
            ]
            cells = [
                row["name"].removeprefix("class "),
                row["sources"],
                row["rows"],
                *shares,
                *(cell.replace("%", " %") for cell in rest),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def climbs():
    """The table of docs/validation.md for ladders: of launch modes,
    and of devices and batches from their first rung."""
    lines = ["| ladder | figures | within the goal | median error |", "| --- | ---: | ---: | ---: |"]
    for way in (False, True):
        found = ladders(validate(all_rows(), profiles=way).predicted)
        right, near = sum(one.right_order for one in found), sum(abs(one.error) <= 0.15 for one in found)
        name = f"launch modes, {'profiles' if way else 'first principles'}"
        lines.append(
            f"| {name} | {len(found)} | {near} within 15 %, {right} in the right order | "
            f"{100 * percentile([abs(one.error) for one in found], 0.5):.1f} % |"
        )
    for climb in CLIMBS:
        by_source = {}
        for p in predicted_rungs(all_rows(), climb):
            by_source.setdefault(p.row.source_id, []).append(abs(p.error))
        for source, errors in sorted(by_source.items()):
            lines.append(
                f"| {climb}, {source} | {len(errors)} | {sum(e <= 0.1 for e in errors)} within 10 % | "
                f"{100 * percentile(errors, 0.5):.1f} % |"
            )
    return "\n".join(lines) + "\n"


def with_tables(text):
    """Return the diary with its tables made from what is pinned, and the counts of rows."""
    counts = f"holds {len(all_rows()):,} published measurements of {len({row.source_id for row in all_rows()})} sources"
    text = re.sub(r"holds [\d,]+ published measurements of \d+ sources", counts, text)
    return re.sub(
        r"(<!-- errors: ([a-z ]+) -->\n).*?(<!-- end -->)",
        lambda m: m[1] + diary_table(m[2]) + m[3],
        text,
        flags=re.DOTALL,
    )


@pytest.fixture(scope="module")
def ways():
    return {"first principles": validate(all_rows()), "profiles": validate(all_rows(), profiles=True)}


@pytest.fixture(scope="module")
def lines(ways):
    return {
        (line[0], line[1]): dict(zip(COLUMNS, map(str, line), strict=True))
        for way, result in ways.items()
        for line in figures(way, result)
    }


def test_the_diary_shows_what_is_pinned():
    text = DIARY.read_text(encoding="utf-8")
    assert text.count("<!-- errors: ") == 3
    assert with_tables(text) == text, "run python tests/test_validation.py"


@pytest.mark.parametrize(
    "row", [r for r in pinned() if r["way"] != "calibrated"], ids=lambda r: f"{r['way']} {r['name']}"
)
def test_the_error_table_does_not_move_unnoticed(row, lines):
    found = lines.get((row["way"], row["name"]))
    assert found is not None, f"{row['name']} can no longer be asked"
    told = "the error table moved: write it in CHANGELOG.md under Predictions and run python tests/test_validation.py"
    assert int(found["rows"]) >= int(row["rows"]), "rows that could be asked no longer can"
    # A model or device that is new to the catalogue brings rows, which may shift a median a little.
    slack = 2.0 if int(found["rows"]) > int(row["rows"]) else 1.0
    for field, absolute, relative in (
        ("median", 0.015, 0.05),
        ("bias", 0.02, 0.05),
        ("inside", 0.12, 0.0),
        ("width", 0.0, 0.05),
    ):
        assert float(found[field]) == pytest.approx(float(row[field]), abs=absolute * slack, rel=relative * slack), (
            f"{field}: {told}"
        )


def test_every_row_is_predicted_or_counted_with_a_reason(ways):
    for result in ways.values():
        assert len(result.predicted) + len(result.unasked) == len(all_rows())
        assert sum(result.reasons().values()) == len(result.unasked)
        assert {p.row.id for p in result.predicted}.isdisjoint(u.row.id for u in result.unasked)


def test_the_interval_holds_the_value_and_terms_add_up(ways):
    for p in ways["first principles"].predicted:
        assert 0 < p.low <= p.time <= p.high
        assert sum(p.terms.values()) == pytest.approx(p.time)


def test_the_two_ways_are_not_mixed(ways):
    assert not any(p.profile for p in ways["first principles"].predicted)
    assert all(p.profile == (profile_of(p.row) or "") for p in ways["profiles"].predicted)


def test_a_row_gets_what_estimate_answers():
    row = next(r for r in all_rows() if r.id == "gptfast-0008")
    answer = estimate(
        row.model, row.hardware, weights=row.weight_format, kv=row.kv_format, context=row.context, before=row.mode
    )
    p = predict(row)
    assert p.time == pytest.approx(answer.before.time_per_step)
    assert (p.low, p.high) == pytest.approx((answer.before.high.time_per_step, answer.before.low.time_per_step))


def test_a_layer_split_is_one_device_at_a_time():
    row = next(r for r in all_rows() if r.parallel == "pp=4")
    assert (row.devices, row.devices_at_work()) == (4, 1)
    assert next(r for r in all_rows() if r.parallel == "tp=8,pp=3").devices_at_work() == 8
    assert next(r for r in all_rows() if r.parallel == "tp=8").devices_at_work() == 8


def test_ladders_are_in_the_right_order(ways):
    found = ladders(ways["first principles"].predicted)
    # Three that are not: an application's own eager loop against its kernels; six: a megakernel whose tasks nobody
    # counted (docs/validation.md).
    uncounted = [ladder for ladder in found if "rtx-5090-laptop" in ladder.name]
    assert len(found) > 70
    assert len(uncounted) < 20
    assert sum(ladder.right_order for ladder in found if ladder not in uncounted) >= 0.95 * (
        len(found) - len(uncounted)
    )


def test_percentile_is_straight_between_neighbours():
    assert [percentile([1, 2, 4], share) for share in (0, 0.25, 0.5, 0.75, 1)] == [1, 1.5, 2, 3, 4]


def test_both_files_account_for_each_row_of_the_table_once(repository):
    with (repository / "validation" / "dropped.csv").open(encoding="utf-8", newline="") as file:
        dropped = [row["id"] for row in csv.DictReader(file)]
    used = [part for row in all_rows() for part in row.id.split("-minus-")]
    assert max(Counter(used + dropped).values()) == 1
    # In a difference both ids are whole.
    assert all(re.fullmatch(r"[a-z0-9-]+-\d{4}", name) for name in used + dropped)
    text = (repository / "validation" / "README.md").read_text(encoding="utf-8")
    assert f"Both CSV files together account for each of the {len(used) + len(dropped):,} rows" in text
    assert f"{len(all_rows()):,} rows of {len({row.source_id for row in all_rows()})} sources" in text


def test_rows_hold_what_the_readme_says():
    for row in all_rows():
        assert row.trust in ("A", "B", "C")
        assert row.mode in ("eager", "stream", "graph", "looped", "megakernel", "megakernel-generated")
        assert row.row_class in CLASSES
        assert row.batch >= 1
        assert row.context >= 1
        assert row.source
        assert row.stack


def test_the_set_is_built_from_the_table(repository, tmp_path):
    tables = [repository.parent / "shared" / "facts" / name for name in ("measured.csv", "measured2.csv")]
    if not all(table.exists() for table in tables):
        pytest.skip("the tables of measurements are not beside the repository")
    done = subprocess.run(
        [sys.executable, "validation/build.py", *map(str, tables), str(tmp_path)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("rows.csv", "dropped.csv"):
        assert (tmp_path / name).read_bytes() == (repository / "validation" / name).read_bytes()
    shown = (repository / "validation" / "README.md").read_text(encoding="utf-8")
    cells = {
        tuple(cell.strip() for cell in line.split("|")[1:-1] if cell.strip() not in ("", "-"))
        for line in shown.splitlines()
        if line.startswith("|")
    }
    for line in done.stdout.splitlines():
        counts = tuple(cell.strip() for cell in line.split("|")[1:-1] if cell.strip())
        if counts and any(cell.isdigit() for cell in counts):
            assert any(set(counts) <= set(row) for row in cells), line


def test_every_profile_says_what_it_was_fitted_and_tested_on(repository):
    with (repository / "validation" / "stacks.toml").open("rb") as file:
        stacks = tomllib.load(file)
    named = {*stacks["profiles"].values(), *stacks["engines"].values()}
    # Kinds of software by their old names, and libraries of collectives that stacks may use.
    assert named == set(profile_names()) - {"custom-all-reduce", "engine", "server", "nccl"}
    rows = all_rows()
    of_a_kind = {stack for members in stacks["software"].values() for stack in members}
    sides = read_rows(repository / "validation" / "pairs.csv")
    paired = {row.stack for row in (*rows, *sides)}
    assert of_a_kind | set(stacks["profiles"]) <= paired
    assert set(stacks["narrow_head"]) | set(stacks["ggml"]) <= {row.stack for row in rows}
    assert set(stacks["engines"]) <= {row.engine for row in (*rows, *sides)}
    for name in profile_names():
        profile = find_profile(name)
        assert len(profile.fitted_on) > 20
        assert len(profile.tested_on) > 20


def test_filters_choose_rows():
    assert set(FILTERS) == {"class", "source", "model", "hardware", "stack", "trust"}
    rows = selected(all_rows(), {"source": "gptfast,calm", "class": "looped"})
    assert rows
    assert {row.source_id for row in rows} == {"calm"}


# Calibration.


def write_rows(path, *lines):
    path.write_text(
        "\n".join(("model,hardware,devices,weight_format,kv_format,batch,context,mode,tokens_per_second", *lines))
        + "\n",
        encoding="utf-8",
    )
    return path


def made_up(hardware, changes, contexts=(64, 4096, 16384), model="llama-2-7b", mode="graph"):
    asked = {"before": mode, "software": "engine", "parameters": changes}
    times = [estimate(model, hardware, context=context, **asked).before.time_per_step for context in contexts]
    return [
        f"{model},{hardware},1,,,1,{context},{mode},{1 / time!r}" for context, time in zip(contexts, times, strict=True)
    ]


@pytest.mark.parametrize(
    "more", [{"devices": 8}, {"draft": 3, "accepted": 2.0, "drafter": "ngram"}, {"before": "looped", "loop_at_most": 8}]
)
def test_an_adjustable_step_at_its_values_is_the_estimate(more):
    asked = {"batch": 4, "before": "graph"} | more
    step = adjustable(read_question("llama-3.1-8b", "h100-sxm", **asked), 1e-2)
    assert step.time({}) == pytest.approx(estimate("llama-3.1-8b", "h100-sxm", **asked).before.time_per_step)
    moved = {f"modes.{asked['before']}.boundary": 2e-5}
    slower = step.time(moved)
    assert slower == pytest.approx(estimate("llama-3.1-8b", "h100-sxm", parameters=moved, **asked).before.time_per_step)
    assert step.time({}) < slower


def test_calibration_finds_what_was_put_in(tmp_path):
    truth = {"modes.graph.matrix": 6e-6, "memory.sustained.weights": 0.8}
    rows = read_rows(
        write_rows(
            tmp_path / "rows.csv",
            *made_up("a100-sxm-80gb", truth),
            *made_up("a100-sxm-80gb", truth, model="llama-3.2-1b"),
            *made_up("a100-sxm-80gb", truth, model="llama-2-13b"),
        )
    )
    result = calibrate(rows)
    found = {p.path: p for p in result.parameters}
    # Which of them it is stays open where another does the same: their products and sums are found.
    factor = found["modes.graph.factor"].value
    call = found["modes.graph.matrix"].value + found["modes.graph.bare"].value
    assert call * factor == pytest.approx(6e-6 + found["modes.graph.bare"].prior[1], rel=0.2)
    share = found["memory.sustained.weights"].value * found["reach.weights"].value
    assert share / factor == pytest.approx(0.8 * found["reach.weights"].prior[1], rel=0.02)
    assert result.error_after < 0.02 < result.error_before
    assert "kernels.added" in result.unidentified()
    assert max(left.largest for left in result.left_out) < result.error_before
    assert {left.what for left in result.left_out} == {"rows", "models"}
    assert all(p.low <= p.value <= p.high for p in result.parameters)


def test_one_row_helps_and_says_that_nothing_is_left_to_test_on(tmp_path):
    rows = read_rows(
        write_rows(
            tmp_path / "rows.csv", *made_up("a100-sxm-80gb", {"memory.sustained.weights": 0.75}, contexts=(512,))
        )
    )
    result = calibrate(rows)
    assert result.error_after < 0.01 * result.error_before
    assert result.left_out == ()
    # And another model of the same machine profits.
    profile = as_profile(result, "mine")
    other = read_rows(
        write_rows(
            tmp_path / "other.csv", *made_up("a100-sxm-80gb", {"memory.sustained.weights": 0.75}, model="llama-2-13b")
        )
    )
    assert abs(predict(other[0], profile).error) < abs(predict(other[0]).error)


@pytest.mark.parametrize(("mode", "stack"), [("graph", "vllm"), ("stream", "gpt-fast"), ("eager", "hf-eager")])
def test_one_row_calibrated_and_one_step_measured_say_the_same(tmp_path, mode, stack):
    said = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "mode": mode, "stack": stack}
    slow = 1.3 * predict(row_of(said | {"time_per_step": "1"}, "mine.csv: line 2", 2)).time
    row = row_of(said | {"time_per_step": repr(slow)}, "mine.csv: line 2", 2)
    path = tmp_path / "mine.toml"
    path.write_text(profile_text(as_profile(calibrate([row]), "mine")), encoding="utf-8")
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "before": mode}
    measured = {"software": software_of_row(row), "measured": f"{slow!r} s"}
    # The same launch and another one, kernels that are written anew, another batch, another number of devices.
    for more in ({"after": "pdl"}, {"after": "looped"}):
        known = estimate(**asked, **more, **measured)
        found = estimate(**asked, **more, profile=str(path))
        assert found.before.software == known.before.software
        assert found.before.time_per_step == pytest.approx(slow, rel=1e-3)
        assert found.after.time_per_step == pytest.approx(known.after.time_per_step, rel=2e-3)
        for change in ({"batch": 16}, {"devices": 4}):
            pairs = zip((known.replace(**change), found.replace(**change)), ("before", "after"), strict=True)
            one, other = ((answer.before, answer.after) for answer, _ in pairs)
            for side, same in zip(one, other, strict=True):
                assert same.time_per_step == pytest.approx(side.time_per_step, rel=2e-3)
    # What the source differs by is in the factor, with what one row leaves uncertain of it.
    plain = estimate(**asked, software=measured["software"])
    assert found.before.low.time_per_step / found.before.high.time_per_step < (
        plain.before.low.time_per_step / plain.before.high.time_per_step
    )


def test_a_calibrated_profile_is_where_another_calibration_starts():
    said = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "mode": "graph", "stack": "vllm"}
    rows = [row_of(said | {"time_per_step": time}, "mine.csv: line 2", 2) for time in ("0.009", "0.010")]
    first = calibrate(rows[:1])
    base = as_profile(first, "first")
    second = calibrate(rows[1:], base)
    factors = [next(p for p in each.parameters if p.path == "modes.graph.factor") for each in (first, second)]
    assert factors[0].value < factors[1].value
    assert factors[1].prior[1] == pytest.approx(factors[0].value)
    assert predict(rows[1], as_profile(second, "second", base)).error == pytest.approx(0, abs=1e-3)
    assert len({p.path for p in second.parameters}) == len(second.parameters)


def test_rows_of_one_stack_tell_its_factor_and_their_scatter(tmp_path):
    """Steps all a tenth slower than their kind's, but for a hundredth to either side."""
    lines = made_up("h100-sxm", {}) + made_up("h100-sxm", {}, model="llama-3.2-1b")
    rows = read_rows(write_rows(tmp_path / "rows.csv", *lines))
    slower = [
        msgspec.structs.replace(row, time_per_step=row.time_per_step * (1.1 + 0.01 * (-1) ** i))
        for i, row in enumerate(rows)
    ]
    result = calibrate(slower)
    factor = next(p for p in result.parameters if p.path == "modes.graph.factor")
    assert factor.low < 1.1 < factor.high
    assert result.noise < 0.025
    assert result.error_after < 0.02
    others = [p.value for p in result.parameters if p.path in ("modes.stream.factor", "modes.pdl.factor")]
    assert others == [others[0]] * 2
    assert 1 < others[0] < factor.value
    one = calibrate(slower[:1])
    assert factor.told > next(p.told for p in one.parameters if p.path == factor.path)
    assert not {"modes.looped.factor", "modes.eager.factor"} & {p.path for p in result.parameters}


def test_a_written_profile_is_read_as_what_was_fitted(tmp_path):
    base = find_profile("gpt-fast")
    rows = [r for r in all_rows() if r.source_id == "gptfast" and r.weight_format == "bf16"]
    result = calibrate(rows, base)
    path = tmp_path / "mine.toml"
    path.write_text(profile_text(as_profile(result, "mine", base)), encoding="utf-8")
    profile = load_profile(path)
    assert profile.replicates == base.replicates
    assert all(profile.values[p.path].value == p.value for p in result.parameters)
    assert all(q.kind == "derived" for q in profile.values.values())
    answer = estimate("llama-2-7b", "a100-sxm-80gb", context=105, before="graph", profile=str(path))
    assert answer.before.tokens_per_second == pytest.approx(104.9, rel=0.05)


def test_zero_rows_explain_themselves(run, tmp_path):
    with pytest.raises(SpecificationError, match="no row to fit"):
        calibrate([])
    answer = run("calibrate", str(write_rows(tmp_path / "rows.csv")))
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model,context\nllama-2-7b,5\n", "no column hardware"),
        ("model,hardware\nllama-2-7b,a100\n", "tokens_per_second"),
        ("model,hardware,time_per_step\nllama-2-7b,a100,fast\n", "line 2: time_per_step"),
        ("model,hardware,time_per_step\nllama-2-7b,a100,-1\n", "positive"),
        ("model,hardware,time_per_step,batch\nllama-2-7b,a100,1,1.5\n", "line 2: batch"),
        ("model,hardware,time_per_step\n,a100,1\n", "has no model"),
        ("model,hardware,time_per_step\nllama-2-7b,a100,\n", "neither"),
    ],
)
def test_rows_that_cannot_be_read_say_which_line(tmp_path, text, told):
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PerfModelError, match=told):
        read_rows(path)


def test_calibrate_writes_a_profile_whole(run, tmp_path):
    rows = write_rows(tmp_path / "rows.csv", *made_up("h100-sxm", {"modes.graph.boundary": 8e-6}))
    written = run("calibrate", str(rows), "-o", str(tmp_path / "mine.toml"))
    assert written.code == 0
    assert written.out.startswith("Fitted ")
    assert "do not tell" in written.out
    assert load_profile(tmp_path / "mine.toml").name == "mine"
    assert json.loads(run("calibrate", str(rows), "--json").out)["rows"] == 3
    fitted = list(csv.DictReader(run("calibrate", str(rows), "--csv").out.splitlines()))
    assert {row["parameter"] for row in fitted} >= {
        "memory.sustained.weights",
        "modes.graph.bare",
        "modes.graph.factor",
    }
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in fitted)
    assert run("calibrate", str(rows), "-o", "mine.json").code == 1


# Explaining a gap.


def test_a_gap_of_boundary_is_found_and_looping_removes_it():
    measured = estimate(
        "llama-2-7b", "a100-sxm-80gb", before="graph", parameters={"modes.graph.boundary": 3e-5}
    ).before.time_per_step
    gap = explain_gap("llama-2-7b", "a100-sxm-80gb", measured, before="graph")
    alone = {path: (one.values[path], one) for one in gap.alone if one.values for path in one.values}
    assert alone["modes.graph.boundary"][0] == pytest.approx(3e-5, rel=1e-6)
    boundary, share = alone["modes.graph.boundary"][1], alone["memory.sustained.weights"][1]
    # What is boundary can be looped away; what is bandwidth cannot.
    assert boundary.speedup.value > share.speedup.value
    assert not gap.inside
    again = estimate("llama-2-7b", "a100-sxm-80gb", before="graph", parameters=gap.together.values)
    assert again.before.time_per_step == pytest.approx(measured, rel=2e-3)


def test_rungs_start_from_the_first_and_leave_it_out():
    rows = [row for row in all_rows() if row.source_id == "gptfast"]
    rungs = predicted_rungs(rows, "devices")
    assert {p.row.devices for p in rungs} == {4, 8}
    # One GPU, or two, tell what four and eight will do: tensor parallel adds collectives, and nothing else. What the
    # library adds to each is that of engines of 2025, and gpt-fast's is quicker.
    assert all(abs(p.error) < 0.14 for p in rungs)
    assert all(p.profile == "first rung" for p in rungs)


def test_a_row_may_say_more_of_its_question():
    row = next(r for r in all_rows() if r.id == "amk-0004")
    assert row.settings == "modes.megakernel-generated.tasks=3202"
    few = predict(row)
    assert few.time > 3 * predict(msgspec.structs.replace(row, settings="")).time
    assert few.low < row.time_per_step < few.high


def test_what_software_a_row_is_of_is_known_before_it_is_measured(repository):
    served = next(r for r in all_rows() if r.stack == "vllm" and r.mode == "graph" and r.batch == 1)
    assert software_of_row(served).startswith("server-")
    assert predict(served).profile == ""
    assert predict(served).terms["host"] > 3e-4
    kinds = {r.engine: software_of_row(r) for r in [*all_rows(), *read_rows(repository / "validation" / "pairs.csv")]}
    assert kinds["vLLM 0.6.3"] == "server-2024"
    assert kinds["vllm 0.18.0"] == kinds["vLLM 2026"] == kinds["SGLang 0.5.9"] == "server-2026"
    assert kinds["vllm 0.12.0"] == kinds["vLLM V1"] == kinds["vLLM 2025"] == kinds["SGLang 0.5.7"] == "server-2025"
    assert kinds["TensorRT-LLM 0.5"] == "engine-2024"
    assert all("-" in name for name in kinds.values())


def test_rows_that_stand_apart_have_a_reason():
    apart = [row for row in all_rows() if why_apart(row)]
    assert 20 < len(apart) < len(all_rows()) / 14
    assert not why_apart(next(row for row in all_rows() if row.source_id == "gptfast"))


def test_estimate_and_validation_of_a_row_give_the_same_figure():
    """The same question in two ways, over kinds of software, launch modes and formats."""
    from perfmodel.measurements.stacks import row_formats

    asked = 0
    for row in all_rows()[::97]:
        if row.settings or "pp=" in row.parallel or why_not(row) is not None:
            continue
        model = find_model(row.model)
        formats = row_formats(row, model)
        if formats != formats_of(model, row.weight_format or None, row.kv_format or None):
            continue  # a stack whose files keep some parts in another format
        answer = estimate(
            row.model,
            row.hardware,
            devices=row.devices,
            batch=row.batch,
            context=row.context,
            weights=row.weight_format or None,
            kv=row.kv_format or None,
            before=row.mode or None,
            parallel=row.parallel or None,
            software=software_of_row(row),
        )
        assert answer.before.time_per_step == pytest.approx(predict(row).time, rel=1e-9), row.id
        asked += 1
    assert asked > 8


def test_a_profile_inherits_its_kind_and_no_other(tmp_path):
    assert find_profile("vllm").software == "server-2026"
    assert find_profile("llama-cpp-cuda").software == "ggml-2024"
    mine = tmp_path / "mine.toml"
    mine.write_text('inherits = "servers"\n', encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"inherits: 'servers' is not a profile .*server"):
        load_profile(mine)


def test_what_was_predicted_needs_no_explanation():
    gap = explain_gap("llama-2-7b", "a100-sxm-80gb", estimate("llama-2-7b", "a100-sxm-80gb").before.time_per_step)
    assert gap.inside
    assert gap.together.inside
    assert max(map(abs, gap.together.deviations.values())) < 0.01


def test_no_value_explains_what_is_faster_than_the_memory():
    gap = explain_gap("llama-2-7b", "a100-sxm-80gb", 1e-4)
    assert all(one.values is None for one in gap.alone)


def test_explain_gap_in_every_form(run):
    ask = ("explain-gap", "llama-2-7b", "a100-sxm-80gb", "--measured", "104.9tok/s", "--context", "105")
    assert run(*ask).out.startswith("Measured 9.533 ms, predicted ")
    answer = json.loads(run(*ask, "--json").out)
    assert answer["inside"] is True
    assert {"alone", "together", "measured", "predicted"} <= set(answer)
    assert run(*ask, "--csv").out.startswith("explanation,parameter,value,unit")
    assert run(*ask[:4], "9.53ms").code == 0
    for wrong, code in (("fast", 2), ("-3 tok/s", 2), ("0tok/s", 2), ("5 GB", 2), ("absent.csv", 1)):
        answer = run(*ask[:4], wrong)
        assert (answer.code, answer.out, answer.err.count("\n")) == (code, "", 1)
    # A time is read, and refused, as `estimate --measured` does.
    for wrong in ("fast", "-3 tok/s", "0s", "1e400tok/s"):
        assert run(*ask[:4], wrong) == run("estimate", *ask[1:4], wrong)


def test_validate_in_every_form(run, tmp_path):
    text = run("validate", "--source", "gptfast").out
    assert text.startswith("Median error ")
    assert "worst ten" in text
    answer = json.loads(run("validate", "--source", "gptfast", "--profiles", "--json").out)
    assert answer["way"] == "profiles"
    assert len(answer["rows"]) == answer["over_rows"]["rows"]
    run("validate", "--source", "gptfast", "-o", str(tmp_path / "v.csv"))
    assert len((tmp_path / "v.csv").read_text().splitlines()) == 1 + len(answer["rows"])
    assert "way" in json.loads((tmp_path / "v.csv.meta.json").read_text())
    assert run("validate", "--source", "gtpfast").code == 1
    assert run("validate", "--source", "gptfast", "--class", "eager").code == 1
    assert run("validate", "--profiles", "--calibrated").code == 2


def test_calibrated_is_a_way_of_its_own(run):
    answer = json.loads(run("validate", "--source", "calm", "--calibrated", "--json").out)
    assert answer["way"].startswith("calibrated on 3 rows")
    assert answer["over_rows"]["median"] < 0.06
    assert len(answer["rows"]) < len([r for r in all_rows() if r.source_id == "calm" and why_not(r) is None])


def test_errors_are_of_the_time():
    p = predict(next(r for r in all_rows() if r.id == "gptfast-0008"))
    assert p.error == pytest.approx(p.time / p.row.time_per_step - 1)
    assert errors_of("one", [p]).median == pytest.approx(abs(p.error))


def test_a_generated_megakernel_is_asked_by_what_other_makers_of_such_tiles_lose(program):
    generated = program("generated")
    costs = {
        name: median(generated.cost(row) for row in rows.values()) for name, rows in generated.rows_of_makers().items()
    }
    others = generated.cost_of_others("mirage", "pair-mirage")
    assert others.value == pytest.approx(math.sqrt(costs["automegakernel"] * costs["etx"]))
    assert others.low < costs["mirage"] < others.high
    # Two makers of one source leave together; plain kernels have no tiles of a maker.
    tuned = generated.cost_of_others("etx with fleet's tiles", "pair-etx-megakernel")
    assert tuned.value == pytest.approx(math.sqrt(costs["fleet"] * costs["triton-dist"]))
    assert generated.cost_of_others("vllm", "pair-mirage") is None


if __name__ == "__main__":
    results = {
        "first principles": validate(all_rows()),
        "profiles": validate(all_rows(), profiles=True),
        "calibrated": validate_calibrated(all_rows()),
    }
    with PINNED.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(line for way, result in results.items() for line in figures(way, result))
    diary = re.sub(
        r"(<!-- climbs -->\n).*?(<!-- end -->)",
        lambda m: m[1] + climbs() + m[2],
        DIARY.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    DIARY.write_text(with_tables(diary), encoding="utf-8")


def test_rows_of_one_question_calibrate_as_their_mean_does(monkeypatch):
    """Taken one by one they say the same, in more time."""
    some = [row for row in all_rows() if row.source_id == "gptfast"][:3]
    rows = [
        msgspec.structs.replace(row, id=f"{row.id}-{i}", time_per_step=row.time_per_step * (0.97 + 0.02 * i))
        for row in some
        for i in range(3)
    ]
    together = calibrate(rows)
    assert together.rows == 9
    monkeypatch.setattr(rowfits, "question_of_row", lambda row: (row.id,))
    apart = calibrate(rows)
    for one, other in zip(together.parameters, apart.parameters, strict=True):
        assert (one.value, one.told) == pytest.approx((other.value, other.told), rel=1e-6)
    assert together.noise == pytest.approx(apart.noise, rel=1e-6)
    assert together.error_after == pytest.approx(apart.error_after, rel=1e-6)
    for one, other in zip(together.left_out, apart.left_out, strict=True):
        assert (one.rows, one.largest) == pytest.approx((other.rows, other.largest), rel=1e-4)
