"""Kinds of software: which is asked, what it brings, and a step that was measured."""

import math
import tomllib

import pytest

from perfmodel import advise, choose, compare, estimate, explain, sensitivity, solve, sweep
from perfmodel._layout import data_folder
from perfmodel.errors import PerfModelError, SpecificationError
from perfmodel.measurements.discrepancies import explain_gap
from perfmodel.measurements.predictions import predict
from perfmodel.measurements.rows import row_of
from perfmodel.report.answer import verdict
from perfmodel.specifications.devicetables import layer_of
from perfmodel.specifications.software import find_software, load_software, software_names


def test_a_measured_step_moves_both_sides_and_narrows_them():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": "server"}
    before = estimate(**asked)
    slower = estimate(**asked, measured="9ms")
    assert slower.before.time_per_step == pytest.approx(9e-3, rel=0.03)
    assert before.after.time_per_step < slower.after.time_per_step < slower.before.time_per_step
    launched = [estimate(**asked, before="stream", after="graph", **more) for more in ({}, {"measured": "9ms"})]
    width = [e.after.low.time_per_step / e.after.high.time_per_step for e in launched]
    # What one step differs by from the next stays; what software differs by is known.
    assert width[1] < 0.95 * width[0]
    # What is slow besides streaming is what looping removes.
    assert slower.speedup.value > before.speedup.value
    assert slower.to_dict()["measured"]["time_per_step"] == pytest.approx(9e-3)
    assert "memory.bandwidth" not in slower.measured.undetermined
    assert slower.measured.undetermined
    # A rate is summed over the batch.
    rate = estimate(**asked, batch=4, measured="500tok/s")
    assert rate.measured.time_per_step == pytest.approx(8e-3)


@pytest.mark.parametrize("text", ["0ms", "-1ms", "6.4", "fast", "3 GB"])
def test_what_is_no_measured_time_is_refused_in_one_line(text):
    with pytest.raises(PerfModelError) as failure:
        estimate("llama-3.1-8b", "h100-sxm", measured=text)
    assert "\n" not in str(failure.value)
    assert "measured" in str(failure.value)


def test_software_is_named_and_its_newest_year_is_taken():
    assert estimate("llama-3.1-8b", "h100-sxm").software == "engine-2025"
    assert estimate("llama-3.1-8b", "h100-sxm", software="server").software == "server-2026"
    assert estimate("llama-3.1-8b", "h100-sxm", software="ggml-2024").before.mode == "stream"
    assert estimate("llama-3.1-8b", "m4-max").software == "ggml-2025"
    assert estimate("llama-3.1-8b", "sn40l", devices=8).software is None
    with pytest.raises(PerfModelError, match=r"--software: 'servr' is not a kind of software.*server"):
        estimate("llama-3.1-8b", "h100-sxm", software="servr")


def test_a_setting_wins_over_software_and_software_over_the_device():
    plain, server = (estimate("llama-3.1-8b", "h100-sxm", software=kind) for kind in ("engine", "server-2025"))
    values = [{a.name: a.value for a in answer.assumptions} for answer in (plain, server)]
    assert values[1]["modes.graph.host"] > 5 * values[0]["modes.graph.host"]
    idle = estimate("llama-3.1-8b", "h100-sxm", software="server-2025", parameters={"modes.graph.host": "0us"})
    assert idle.before.time_per_step == pytest.approx(server.before.time_per_step - values[1]["modes.graph.host"])


def test_the_before_side_is_as_measured_and_the_ratio_narrower_than_without():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": "server"}
    plain, known = estimate(**asked), estimate(**asked, measured="8ms")
    low, high = known.before.high.time_per_step, known.before.low.time_per_step
    assert low < 8e-3 < high < 1.06 * low
    assert plain.before.low.time_per_step > 1.5 * plain.before.high.time_per_step
    # The gain is measured over predicted: its range is that of the after side alone.
    after = known.after.low.time_per_step / known.after.high.time_per_step
    assert known.speedup.high / known.speedup.low == pytest.approx(after, rel=0.06)
    assert known.speedup.high <= 8.2e-3 / known.peak.time_per_step
    # Parameters that one number cannot tell apart keep most of their spread each, though together they are known.
    widths = [
        {a.name: a.high / a.low for a in answer.assumptions if a.low < a.high and a.low > 0}
        for answer in (plain, known)
    ]
    assert widths[1]["modes.graph.host"] > widths[0]["modes.graph.host"] ** 0.5


def test_modes_of_one_software_share_their_kernels():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "before": "stream", "after": "graph"}
    plain, slow = estimate(**asked), estimate(**asked, measured="9.5ms")
    moved = {a.name: a.value for a in slow.assumptions}
    assert moved["modes.stream.matrix"] > 1.005 * {a.name: a.value for a in plain.assumptions}["modes.stream.matrix"]
    assert moved["modes.graph.matrix"] == pytest.approx(moved["modes.stream.matrix"])
    # What the machine differs by as a whole holds for both launches, but for the noise of one row.
    assert 1 < moved["modes.graph.factor"] < moved["modes.stream.factor"]
    assert slow.after.time_per_step > 1.1 * plain.after.time_per_step
    # What the same kernels lose is in both times, so that the ratio does not rest on it.
    free = {"software.spread": 0, "software.noise": 0}
    assert estimate(**asked, parameters=free).speedup.low > 1
    apart = {"modes.graph.matrix": "2.6us..15us"}
    assert estimate(**asked, parameters=free | apart).speedup.low < 1
    # One row differs from another by more than its launch.
    assert plain.speedup.low < 1 < plain.speedup.value


def test_other_software_after_shares_the_machine_alone():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": "server", "after": "graph"}
    plain = estimate(**asked, after_software="engine")
    alone = estimate("llama-3.1-8b", "h100-sxm", software="engine")
    assert (plain.before.software, plain.after.software) == ("server-2026", "engine-2025")
    assert plain.after.time_per_step == pytest.approx(alone.before.time_per_step)
    assert plain.before.time_per_step == pytest.approx(estimate(**asked).before.time_per_step)
    names = [a.name for a in plain.assumptions]
    assert "after:modes.graph.host" in names
    assert len(names) == len(set(names))
    measured = estimate(**asked, after_software="engine", measured="9ms")
    values = [{a.name: a.value for a in answer.assumptions} for answer in (plain, measured)]
    assert values[0]["after:modes.graph.matrix"] == values[1]["after:modes.graph.matrix"]
    assert values[0]["modes.graph.matrix"] < values[1]["modes.graph.matrix"]
    assert values[0]["memory.sustained.weights"] > values[1]["memory.sustained.weights"]
    # Engines differ among each other, and nothing of that was measured.
    spread = find_software("engine").values["software.spread"].value
    assert measured.speedup.high / measured.speedup.low > math.exp(2 * spread)
    changed = estimate(**asked, after_software="engine", parameters={"after:modes.graph.host": "0us"})
    assert changed.before.time_per_step == plain.before.time_per_step
    host = values[0]["after:modes.graph.host"]
    assert changed.after.time_per_step == pytest.approx(plain.after.time_per_step - host)


def test_stages_are_the_reason_only_where_calls_are_fused():
    reason = "its stages cost more than the boundaries it removes"
    other = estimate("llama-3.1-8b", "h100-sxm", software="server", after="graph", after_software="server-2025")
    slow = estimate("llama-3.1-8b", "h100-sxm", parameters={"modes.looped.stage": "90us"})
    for answer, said in ((other, False), (slow, True)):
        (note,) = (note for note in answer.notes if note.kind == "speed")
        assert "would lose" in verdict(answer)
        assert [reason in text for text in (verdict(answer), note)] == [said, said]


def test_a_profile_after_is_named_and_stands_over_the_software_before():
    answer = estimate("llama-3.1-8b", "h100-sxm", devices=8, after="graph", after_profile="custom-all-reduce")
    assert (answer.before.profile, answer.after.profile) == (None, "custom-all-reduce")
    assert answer.before.software == answer.after.software == "engine-2025"
    assert answer.after.terms.collective != answer.before.terms.collective
    other = estimate("llama-3.1-8b", "h100-sxm", after="graph", after_profile="vllm")
    assert (other.after.software, other.after.profile) == ("server-2026", "vllm")
    with pytest.raises(PerfModelError, match=r"'vlm' is not a profile.*vllm"):
        estimate("llama-3.1-8b", "h100-sxm", after_profile="vlm")


def test_calls_as_they_were_counted():
    plain = estimate("llama-3.1-8b", "h100-sxm")
    counted = estimate("llama-3.1-8b", "h100-sxm", calls=400)
    assert (plain.before.kernel_calls, counted.before.kernel_calls) == (259, 400)
    boundary = {a.name: a.value for a in plain.assumptions}
    each = boundary["modes.graph.bare"] + boundary["modes.graph.ramp"]
    assert counted.before.time_per_step == pytest.approx(plain.before.time_per_step + 141 * each)
    # What looping makes of them is its own; another launch of the same kernels makes as many.
    assert counted.after.kernel_calls == plain.after.kernel_calls
    assert estimate("llama-3.1-8b", "h100-sxm", after="pdl", calls=400).after.kernel_calls == 400
    assert estimate("llama-3.1-8b", "h100-sxm", before="stream", after="graph", calls=400).after.kernel_calls == 400
    assert (
        estimate("llama-3.1-8b", "h100-sxm", calls=400, after="graph", after_software="server").after.kernel_calls < 400
    )
    with pytest.raises(PerfModelError, match="--calls: layer-fused fuses layers"):
        estimate("llama-3.1-8b", "sn40l", calls=400)


def test_a_late_host_is_told_from_slow_kernels():
    asked = {"model": "llama-3.2-1b", "hardware": "a100-sxm-80gb", "software": "framework", "after": "graph"}
    eager = estimate(**asked, before="eager", parameters={"modes.eager.issue": "10us..40us"})
    measured = eager.replace(measured="40ms")
    values = [{a.name: a.value for a in answer.assumptions} for answer in (eager, measured)]
    assert values[1]["modes.eager.issue"] > 1.3 * values[0]["modes.eager.issue"]
    assert values[1]["memory.sustained.weights"] == pytest.approx(values[0]["memory.sustained.weights"], rel=0.02)


def test_in_a_sweep_and_a_comparison_the_first_row_was_measured():
    asked = {"software": "server", "batch": [4, 1, 16]}
    plain, known = (
        sweep("llama-3.1-8b", "h100-sxm", columns="all", **asked, **more) for more in ({}, {"measured": "500tok/s"})
    )
    times = [found["before.time_per_step"] for found in (plain, known)]
    assert times[1][0] == pytest.approx(8e-3, rel=2e-3)
    alone = estimate("llama-3.1-8b", "h100-sxm", software="server", batch=4, measured="500tok/s")
    assert known["speedup.high"][0] == pytest.approx(alone.speedup.high)
    # What was slow there is slow at other batches too, and less sure.
    assert all(slow > usual for slow, usual in zip(times[1], times[0], strict=True))
    widths = [
        low / high
        for low, high in zip(known["before.low.time_per_step"], known["before.high.time_per_step"], strict=True)
    ]
    assert widths[0] < widths[1] < widths[2] or widths[0] < widths[2] < widths[1]
    assert alone.replace(batch=16).before.time_per_step == pytest.approx(times[1][2])
    ladder = compare("llama-3.1-8b", "h100-sxm", modes="stream,graph,looped", measured="9.5ms").choices
    assert ladder[0].time_per_step == pytest.approx(9.5e-3, rel=2e-3)
    usual = compare("llama-3.1-8b", "h100-sxm", modes="stream,graph,looped").choices
    assert ladder[1].time_per_step > 1.1 * usual[1].time_per_step
    both = compare("llama-3.1-8b", "h100-sxm,a100-sxm-80gb", software="server", measured="9ms").choices
    assert next(c for c in both if c.hardware == "h100-sxm").tokens_per_second_before == pytest.approx(
        1 / 9e-3, rel=2e-3
    )
    with pytest.raises(PerfModelError, match="--measured: choose tries many settings"):
        choose("llama-3.1-8b", "h100-sxm", measured="9ms")


def test_a_measurement_that_nothing_explains_is_refused():
    with pytest.raises(PerfModelError, match=r"--measured: '1ms' is a step of 1 ms, .*is it of this question"):
        estimate("llama-3.1-8b", "h100-sxm", measured="1ms")


@pytest.mark.parametrize("answered", [explain, advise, sensitivity])
def test_every_study_of_a_question_takes_the_measured_step(answered):
    plain, known = (answered("llama-3.1-8b", "h100-sxm", **more).to_dict() for more in ({}, {"measured": "9ms"}))
    assert plain != known
    if answered is explain:
        assert known["before"]["time_per_step"] == pytest.approx(9e-3, rel=2e-3)


def test_what_is_solved_starts_from_the_measured_step():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": "server"}
    low, high = (solve(**asked, unknown="batch", target="speedup=1.2", **more) for more in ({}, {"measured": "7.5ms"}))
    assert high.to_dict() != low.to_dict()


def test_explaining_a_gap_is_the_measured_step_explained():
    gap = explain_gap("llama-3.1-8b", "h100-sxm", 9e-3, software="server")
    known = estimate("llama-3.1-8b", "h100-sxm", software="server", measured="9ms")
    assert gap.together.after == pytest.approx(known.after.time_per_step)
    assert gap.together.speedup.high == pytest.approx(known.speedup.high)
    values = {a.name: a.value for a in known.assumptions}
    assert all(values[path] == pytest.approx(value) for path, value in gap.together.values.items())
    first, *others = gap.together.deviations.values()
    assert all(abs(first) >= abs(other) for other in others)
    assert explain_gap("llama-3.1-8b", "h100-sxm", 1e-3).together.values is None


def test_a_rate_with_drafts_counts_the_accepted_tokens():
    drafted = {"draft": 3, "accepted": 2.0, "drafter": "ngram", "software": "server"}
    answer = estimate("llama-3.1-8b", "h100-sxm", measured="300tok/s", **drafted)
    assert answer.before.tokens_per_second == pytest.approx(300, rel=2e-3)
    assert answer.before.time_per_step == pytest.approx(3 / 300, rel=2e-3)


def test_calls_may_stand_in_a_row_of_measurements():
    said = {"model": "llama-2-7b", "hardware": "a100-sxm-80gb", "mode": "stream", "time_per_step": "0.0087"}
    plain, counted = (predict(row_of(said | more, "mine.csv: line 2", 2)) for more in ({}, {"calls": "700"}))
    assert counted.kernel_calls == 700
    assert counted.time > plain.time
    with pytest.raises(PerfModelError, match="calls: 'many' is not a whole number"):
        row_of(said | {"calls": "many"}, "mine.csv: line 2", 2)


@pytest.mark.parametrize("name", software_names())
def test_layers_read_when_they_are_asked_for_are_those_of_the_whole_file(name):
    path = data_folder("software") / f"{name}.toml"
    raw, software = tomllib.loads(path.read_text(encoding="utf-8")), load_software(path)
    on, sources = raw.pop("on"), raw["sources"]
    assert len(on) > 10
    assert set(on) <= {file.stem for file in (data_folder("hardware") / "architectures").glob("*.toml")}
    assert {each: software.on[each] for each in software.on} == {
        each: layer_of(tables | {"sources": sources}, path)[1:] for each, tables in on.items()
    }
    assert software.values == layer_of(raw, path, dict.fromkeys(("kind", "mode", "fitted_on", "tested_on"), str))[1]


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ("[on.hopper.reach]\nweights = true", r"mine.toml: reach.weights.value: "),
        ("[on.hopper.reach]\nweights =", r"mine.toml: is not TOML"),
        ('[on."my chip".reach]\n', r"mine.toml: on: '\"my chip\"' is not a file of hardware/architectures"),
        ("on = 3", r"mine.toml: 'on' is not a key"),
    ],
)
def test_a_faulty_layer_is_told_when_it_is_read(tmp_path, tables, told):
    path = tmp_path / "mine.toml"
    path.write_text(f'kind = "engine"\nyear = 2025\n{tables}\n', encoding="utf-8")
    with pytest.raises(SpecificationError, match=told):
        load_software(path).on["hopper"]


@pytest.mark.parametrize(
    ("model", "hardware"), [("llama-2-7b", "a100-sxm-80gb"), ("qwen3-8b", "rtx-4090"), ("llama-3.1-8b", "m4-max")]
)
def test_a_loop_streams_no_slower_than_plain_kernels_of_its_software(model, hardware):
    answer = estimate(model, hardware, context=16384)
    reach = {a.name: a.value for a in answer.assumptions if a.name.startswith("reach.")}
    assert max(reach.values()) > 1
    assert answer.after.terms.stream <= answer.before.terms.stream * (1 + 1e-12)
    # What plain kernels lose of the rate is theirs.
    slow = answer.replace(parameters={"reach.weights": 0.5, "reach.kv": 0.5, "reach.quantised": 0.5})
    assert slow.before.terms.stream > 1.4 * answer.before.terms.stream
    assert slow.after.terms.stream <= answer.after.terms.stream * 1.6
    slower = answer.replace(parameters={"reach.weights": 0.25, "reach.kv": 0.25, "reach.quantised": 0.25})
    assert slower.after.time_per_step == slow.after.time_per_step


def test_kernels_of_a_mode_of_its_own_have_a_spread_of_their_own():
    def width(answer, side="after"):
        figures = getattr(answer, side)
        return figures.low.time_per_step / figures.high.time_per_step

    for software in ("engine", "server"):
        asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": software, "after": "megakernel"}
        answer = estimate(**asked)
        values = find_software(software).values
        assert values["modes.megakernel-generated.spread"].value >= values["modes.megakernel.spread"].value
        wide = answer.replace(parameters={"modes.megakernel.spread": 0.4})
        assert width(wide) > width(answer)
        assert width(answer, "before") == width(wide, "before")
        assert answer.after.time_per_step == wide.after.time_per_step
        # A measured step says nothing of kernels that are written anew; a loop has what its software has.
        known = [one.replace(measured="9ms") for one in (answer, wide)]
        assert width(known[1]) > width(known[0])
        looped = estimate(**asked | {"after": "looped"})
        assert looped.replace(parameters={"software.spread": 0.5}).speedup.high > looped.speedup.high


def test_sequences_after_the_first_add_products_in_vector_units_up_to_the_eighth():
    def added(batch, weights):
        with_columns, without = (
            estimate(
                "qwen2.5-7b",
                "dgx-spark",
                software="ggml",
                weights=weights,
                batch=batch,
                parameters={"kernels.column": column},
            ).before.time_per_step
            for column in (2.75, 0.0)
        )
        return with_columns - without

    assert added(1, "q8_0") == 0
    assert added(8, "q8_0") == pytest.approx(7 * added(2, "q8_0"))
    assert added(32, "q8_0") == pytest.approx(added(8, "q8_0"))
    assert added(8, "bf16") == 0


def test_a_tile_is_of_rows_and_only_kernels_for_many_pad_to_it():
    def compute(batch, tile, **more):
        answer = estimate(
            "qwen2.5-7b", "a100-sxm-80gb", batch=batch, parameters={"kernels.tile": tile, "kernels.added": 1.0}, **more
        )
        return answer.before.terms.compute

    # Padding is felt where the rows are fewer than the tile, and by rows whatever the weights are stored in.
    assert compute(1, 64) > 20 * compute(1, 1)
    assert compute(64, 64) == pytest.approx(compute(64, 1))
    wide, narrow = (compute(1, 64, weights=weights) for weights in ("bf16", "int8"))
    assert narrow == pytest.approx(wide, rel=0.3)
    # ggml has kernels for up to eight that pad nothing.
    few = {"software": "ggml", "weights": "q8_0", "parameters": {"kernels.column": 0.0, "kernels.added": 1.0}}

    def ggml(batch, tile):
        asked = few | {"parameters": few["parameters"] | {"kernels.tile": tile}}
        return estimate("qwen2.5-7b", "a100-sxm-80gb", batch=batch, **asked).before.terms.compute

    assert ggml(8, 32) == ggml(8, 1)
    assert ggml(9, 32) > 3 * ggml(9, 1)


def test_ggml_reads_experts_for_each_token_apart_under_metal_up_to_31():
    def streamed(batch, device="m2-ultra", **more):
        return estimate("gpt-oss-20b", device, software="ggml", batch=batch, **more).before.terms.stream

    once = {"parameters": {"kernels.experts_apart": 1}}
    assert streamed(1) == pytest.approx(streamed(1, **once))
    # Sixteen tokens choose 64 of 32 experts, of which 28 are distinct.
    assert streamed(16) > 1.7 * streamed(16, **once)
    assert streamed(32) == streamed(32, **once)
    assert "kernels.experts_apart" not in {a.name for a in estimate("gpt-oss-20b", "rtx-4090").assumptions}
    # A dense model has none.
    dense = estimate("qwen2.5-7b", "m2-ultra", software="ggml")
    assert "kernels.experts_apart" not in {a.name for a in dense.assumptions}


def test_servers_of_2026_plan_a_step_while_the_one_before_runs():
    def step(model, beside, device="h100-sxm", **more):
        settings = {"modes.graph.beside": beside, "modes.graph.host": "1ms"}
        return estimate(model, device, software="server", parameters=settings, **more).before

    apart, together = step("llama-3.1-8b", 0.0), step("llama-3.1-8b", 1.0)
    assert apart.time_per_step - together.time_per_step == pytest.approx(1e-3)
    assert apart.terms.host - together.terms.host == pytest.approx(1e-3)
    assert apart.terms[:-1] == together.terms[:-1]
    half = step("llama-3.1-8b", 0.5)
    assert half.time_per_step == pytest.approx((apart.time_per_step + together.time_per_step) / 2)
    # A step that the device does sooner than the host plans the next one takes what the host needs.
    assert step("gpt2", 1.0).time_per_step == pytest.approx(1e-3)
    # So a megakernel brings what the device no longer needs, down to the host's time.
    after = {"after": "megakernel", "software": "server", "parameters": {"modes.graph.host": "1.2ms"}}
    assert estimate("llama-3.2-1b", "h100-sxm", **after).after.time_per_step == pytest.approx(1.2e-3)
    assert estimate("llama-3.1-8b", "h100-sxm", software="server").software == "server-2026"


def test_what_is_a_measured_rows_own_is_not_another_models():
    asked = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "software": "server"}
    measured = estimate(**asked, measured="9ms")

    def factor(answer):
        return {a.name: a.value for a in answer.assumptions}["modes.graph.factor"]

    def width(answer):
        return answer.before.low.time_per_step / answer.before.high.time_per_step

    assert factor(measured.replace(batch=16)) == factor(measured.replace(devices=4)) == factor(measured)
    others = [measured.replace(weights="fp8"), measured.replace(model="llama-3.2-3b")]
    for other, plain in zip(
        others, (estimate(**asked, weights="fp8"), estimate(**asked | {"model": "llama-3.2-3b"})), strict=True
    ):
        assert 1 < factor(other) < factor(measured)
        assert factor(other) == factor(others[0])
        assert width(measured) < width(other) < width(plain)
    # Back at its question it is met again.
    again = others[1].replace(model="llama-3.1-8b")
    assert again.before.time_per_step == pytest.approx(9e-3)
    assert again.before.low.time_per_step == measured.before.low.time_per_step


def test_kernels_of_few_rows_reach_a_share_of_the_arithmetic_rate_looped_or_not():
    def steps(share):
        answer = estimate("llama-3.1-8b", "h100-sxm", batch=2000, context=16, parameters={"kernels.arithmetic": share})
        return answer.before.terms.compute, answer.after.time_per_step

    plain, looped = zip(*(steps(share) for share in (1.0, 0.5)), strict=True)
    # Arithmetic binds at 2,000 sequences, so that neither side gains by what both lose.
    assert plain[1] > 1.8 * plain[0]
    assert looped[1] > 1.8 * looped[0]


def test_an_all_reduce_of_servers_of_2026_is_one_kernel_with_the_norm_behind_it():
    def calls(software, device="h100-sxm", devices=8, mode="graph"):
        answer = estimate("llama-3.1-70b", device, devices=devices, software=software, before=mode, batch=1)
        return answer.before.kernel_calls

    # Two all-reduces in each of 80 layers.
    assert calls("server-2025") - calls("server-2026") == 160
    assert calls("server-2025", "b200") - calls("server-2026", "b200") == 160
    assert calls("server-2026", mode="pdl") == calls("server-2026")
    assert calls("server-2026", "a100-sxm-80gb") == calls("server-2025", "a100-sxm-80gb")
    assert calls("server-2026", devices=1) == calls("server-2025", devices=1)
    # What runs eagerly is not compiled.
    assert calls("server-2026", mode="eager") == calls("server-2025", mode="eager")


def test_one_shot_all_reduces_add_less_than_nccl():
    def collective(device, software):
        answer = estimate("llama-3.1-70b", device, devices=4, software=software, before="graph")
        return answer.before.terms.collective

    # Servers have kernels of their own where devices reach each other over NVLink.
    assert collective("a100-sxm-80gb", "server-2025") < 0.5 * collective("a100-sxm-80gb", "engine-2024")
    assert collective("a100-sxm-80gb", "server-2025") < 0.7 * collective("rtx-3090", "server-2025")
