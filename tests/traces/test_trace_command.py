"""perfmodel trace: the report, the pricing against a model, the saved profile; on made traces always,
on recorded ones where they are."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from perfmodel import estimate
from perfmodel.errors import PerfModelError
from perfmodel.specifications.catalogue import find_hardware
from perfmodel.specifications.profiles import find_profile, load_profile, profile_text, with_profile
from perfmodel.traces import read_trace
from perfmodel.traces.events import Event, build_trace
from perfmodel.traces.pricing import price_trace

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "traces"
MODEL, HARDWARE, LAYERS = "llama-3.2-1b", "h100-sxm", 16
BODY = ["norm", "qkv", "flash_fwd_kernel", "out", "norm", "gate_up", "silu", "down"]


def made_step(boundary, *, launches=None, bandwidth=3.35e12 * 0.9, extra=0):
    """Names and durations [ns] of a step whose kernels stream the model's bytes at `bandwidth`,
    each with `boundary` inside its duration."""
    answer = estimate(MODEL, HARDWARE, context=1024)
    weighty = {"qkv", "flash_fwd_kernel", "out", "gate_up", "down"}
    names = ["embed", *BODY * LAYERS, "norm", "head", "sample", *["extra"] * extra]
    streaming = answer.bytes_per_step / bandwidth / (LAYERS * len(weighty) + 1)
    return [(name, round(1e9 * (boundary + (streaming if name in weighty or name == "head" else 0)))) for name in names]


def graph_trace(steps=5, boundary=4e-6, between=100_000, gap=0, jitter=0.0):
    events, now = [], 0
    for number in range(steps):
        factor = 1 + jitter * (number - steps // 2)
        for name, duration in made_step(boundary):
            events.append(Event(now, round(duration * factor), name, "0", "7", "kernel", number, now - 50_000))
            now += round(duration * factor) + gap
        now += between
    return build_trace("made.json", "made", events, hardware="NVIDIA H100")


def eager_trace(steps=3, boundary=2e-6, every=30_000):
    """Each kernel launched by itself, later than the one before it ends."""
    events, now, number = [], 0, 0
    for _ in range(steps):
        for name, duration in made_step(boundary):
            events.append(Event(now + 6_000, duration, name, "0", "7", "kernel", number, now))
            now += max(every, duration + 8_000)
            number += 1
        now += 3_000_000
    return build_trace("eager.json", "made", events)


def kineto(trace, path):
    """Write a trace as a profiler does."""
    rows = []
    for number, k in enumerate(trace.kernels):
        correlation = 1 + (k.correlation or 0)
        rows.append(
            {
                "ph": "X",
                "cat": "kernel",
                "name": k.name,
                "pid": 0,
                "tid": 7,
                "ts": 1e6 + k.start * 1e6,
                "dur": k.duration * 1e6,
                "args": {"device": 0, "stream": 7, "correlation": correlation, "number": number},
            }
        )
        rows.append(
            {
                "ph": "X",
                "cat": "cuda_runtime",
                "name": "launch",
                "pid": 1,
                "tid": 1,
                "ts": 1e6 + k.launched * 1e6,
                "dur": 1,
                "args": {"correlation": correlation},
            }
        )
    path.write_text(json.dumps({"deviceProperties": [{"id": 0, "name": "NVIDIA H100"}], "traceEvents": rows}))
    return path


@pytest.fixture
def file(tmp_path):
    return kineto(graph_trace(gap=500), tmp_path / "decode.json")


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def within_80_columns(text):
    assert max(map(len, text.splitlines())) <= 80


# The report.


def test_report_without_a_model(run, file):
    answer = run("trace", file)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].startswith("Looping: 1.")
    assert all(part in lines[0] for part in ("gaps", "short kernels", "collectives"))
    within_80_columns(answer.out)
    for part in (
        "5 found, 5 complete",
        "16 of 8 kernels each",
        "between kernels",
        "bound by",
        "without the floor in each kernel too",
        "16 times a body of 8 events",
    ):
        assert part in answer.out, part
    assert "bytes over bandwidth" not in answer.out


def test_bandwidth_and_bytes_give_the_high_end(run, file):
    answer = run("trace", file, "--bandwidth", "3.35TB/s", "--bytes", "2.5GB", "--json")
    prize = json.loads(answer.out)["prize"]
    assert prize["bandwidth"]["time"] == pytest.approx(2.5 / 3350)
    assert prize["gaps_only"]["speedup"] <= prize["floors"]["speedup"] <= prize["bandwidth"]["speedup"]
    assert "bytes over bandwidth" in run("trace", file, "--bandwidth", "3.35TB/s", "--bytes", "2.5GB").out


def test_what_is_said_of_the_answer_is_text(run, file):
    asked = ("--model", MODEL, "--hardware", HARDWARE, "--context", "1024", "--offload", "weights=host:0.01")
    pricing = json.loads(run("trace", file, *asked, "--json").out)["pricing"]
    assert any("host" in note for note in pricing["notes"])


def test_measured_step_is_the_reference(run, file):
    answer = json.loads(run("trace", file, "--measured", "1.5ms", "--json").out)
    assert (answer["prize"]["basis"], answer["prize"]["reference"]) == ("measured", 1.5e-3)
    assert answer["pricing"] is None


def test_csv_columns_and_files(run, file, tmp_path):
    answer = run("trace", file, "--model", MODEL, "--hardware", HARDWARE, "--context", "1024", "--csv")
    (row,) = csv.DictReader(io.StringIO(answer.out))
    assert row["layers"] == "16"
    assert float(row["gaps.kernel.total"]) > 0
    assert float(row["pricing.predictions.looped.speedup.value"]) > 1
    assert run("trace", file, "--columns", "layers,kernels_per_step").out == "layers,kernels_per_step\n16,132\n"
    out = tmp_path / "answer.csv"
    assert run("trace", file, "-o", out).out == ""
    assert json.loads((tmp_path / "answer.csv.meta.json").read_text())["answer"]["layers"] == 16
    line = run("trace", file, "--measured", "1.5ms", "--command").out
    assert line == f"perfmodel trace {file} --measured 1.5ms\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", MODEL], "--model and --hardware belong together"),
        (["--hardware", HARDWARE], "--model and --hardware belong together"),
        (["--save", "x.toml"], "give --model and --hardware"),
        (["--save", "x.txt", "--model", MODEL, "--hardware", HARDWARE], "is a .toml file"),
        (["--bandwidth", "3TB/s"], "belong together"),
        (["--measured", "12"], "has no unit"),
        (["--measured", "-3ms"], "not a positive number"),
        (["--model", "nothing", "--hardware", HARDWARE], "not a model"),
        (["--model", MODEL, "--hardware", HARDWARE, "--mode", "looped"], "fuses layers"),
        (["--model", "llama-3.1-405b", "--hardware", HARDWARE], "cannot be read in"),
    ],
)
def test_what_cannot_be_answered_is_one_line(run, file, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    answer = run("trace", file, *words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2 if says == "has no unit" else 1, "", 1)
    assert says in answer.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["decode.json"]


def test_no_file_and_no_trace(run, tmp_path):
    assert run("trace", tmp_path / "none.json").code == 1
    text = tmp_path / "text.json"
    text.write_text("{}")
    assert run("trace", text, "--model", MODEL, "--hardware", HARDWARE).err.count("\n") == 1


def test_totals_have_no_step_to_price(run, tmp_path):
    path = tmp_path / "sum.csv"
    path.write_text("Time (%),Total Time (ns),Instances,Name\n60,60000,10,gemm\n40,40000,20,norm\n")
    assert run("trace", path).out.startswith("Totals only, no gaps: ")
    within_80_columns(run("trace", path).out)
    answer = run("trace", path, "--model", MODEL, "--hardware", HARDWARE)
    assert (answer.code, "no step to price" in answer.err) == (1, True)


# perfmodel loops takes a trace where it takes a model.


def test_loops_of_a_trace(run, file):
    answer = run("loops", file)
    assert answer.out.startswith("decode.json: 132 kernels a step, 5 looped")
    within_80_columns(answer.out)
    (row,) = json.loads(run("loops", file, "--json").out)
    assert (row["count"], row["layers"], row["body"].split()) == (16, "16", BODY)


def test_loops_of_a_model_is_as_before(run, tmp_path):
    assert run("loops", MODEL).out.startswith(MODEL)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "num_key_value_heads": 4,
        "vocab_size": 100,
        "torch_dtype": "bfloat16",
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "max_position_embeddings": 128,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run("loops", tmp_path / "config.json").code == 0
    assert run("loops", tmp_path).code == 0
    assert "not a model" in run("loops", "nothing").err


# Priced against the bytes of the model.


def test_boundary_and_share_of_a_known_step(run, file):
    """Kernels that stream at 0.9 of the datasheet rate, with 4 us in each and 0.5 us between them."""
    found = price_trace(read_trace(file), MODEL, HARDWARE, context=1024)
    assert (found.mode, found.style) == ("graph", "engine")
    assert (found.recorded_kernels, found.model_layers) == (132, 16)
    assert found.boundary.low <= 4.5e-6 <= found.boundary.high
    assert found.boundary.value == pytest.approx(4.5e-6, rel=0.35)
    assert found.streaming.value == pytest.approx(
        estimate(MODEL, HARDWARE, context=1024).bytes_per_step / (3.35e12 * 0.9), rel=0.15
    )
    assert found.streaming.low <= found.streaming.value <= found.streaming.high
    assert found.host.value == pytest.approx(0, abs=1e-9)
    assert [one.mode for one in found.predictions] == [
        "pdl",
        "layer-fused",
        "looped",
        "megakernel-generated",
        "megakernel",
    ]
    for one in found.predictions:
        assert one.against == "graph"
        assert one.speedup.low <= one.speedup.value <= one.speedup.high
        assert one.time.low <= one.time.value <= one.time.high
        # A generated megakernel may be slower than the graph it replaces, as published ones are.
        assert one.time.value < found.step or one.mode == "megakernel-generated"


@pytest.mark.parametrize("make", [graph_trace, lambda: graph_trace(jitter=0.02, gap=1000), eager_trace])
@pytest.mark.parametrize("measured", [None, 1.3e-3])
def test_saved_profile_gives_the_recorded_step(make, measured, tmp_path):
    trace = make()
    found = price_trace(trace, MODEL, HARDWARE, context=1024, step_time=measured)
    path = tmp_path / "mine.toml"
    path.write_text(profile_text(found.profile))
    back = load_profile(path)
    assert back.values == found.profile.values
    assert (
        with_profile(find_hardware(HARDWARE), back).modes == with_profile(find_hardware(HARDWARE), found.profile).modes
    )
    answer = estimate(MODEL, HARDWARE, context=1024, before=found.mode, profile=str(path))
    assert answer.before.time_per_step == pytest.approx(found.step, rel=1e-6)
    assert answer.before.high.time_per_step <= found.step <= answer.before.low.time_per_step
    looped = found.prediction("looped")
    if found.mode == "graph":
        assert answer.speedup.value == pytest.approx(looped.speedup.value)
        assert (answer.speedup.low, answer.speedup.high) == pytest.approx((looped.speedup.low, looped.speedup.high))


def test_lesson_5_busy_time_predicts_the_graph_step():
    """The eager recording is several times as long as its kernels: the graph takes the kernels' time,
    whatever the wall says."""
    eager = price_trace(eager_trace(every=30_000), MODEL, HARDWARE, context=1024, mode="eager")
    slower = price_trace(eager_trace(every=60_000), MODEL, HARDWARE, context=1024, mode="eager")
    busy = sum(duration for _, duration in made_step(2e-6)) / 1e9
    assert eager.step > 2 * busy
    assert slower.step > 1.4 * eager.step
    graphs = [one.prediction("graph") for one in (eager, slower)]
    for graph in graphs:
        assert graph.speedup.low > 1
        assert graph.time.value == pytest.approx(busy, rel=0.1)
        assert graph.against == "eager"
    assert graphs[0].time.value == pytest.approx(graphs[1].time.value, rel=0.02)
    # What the graph brings is not counted as the gain of looping.
    assert slower.prediction("looped").against == "graph"
    assert slower.prediction("looped").speedup.value == pytest.approx(
        eager.prediction("looped").speedup.value, rel=0.02
    )
    assert any("a step without the profiler" in note for note in eager.notes)
    # A measured step takes the doubt away.
    sure = price_trace(eager_trace(), MODEL, HARDWARE, context=1024, mode="eager", step_time=2e-3)
    assert sure.host.low == sure.host.value == pytest.approx(2e-3 - sure.active)
    assert not any("a step without the profiler" in note for note in sure.notes)


def test_mode_of_the_recording():
    assert price_trace(graph_trace(), MODEL, HARDWARE, context=1024).mode == "graph"
    assert (
        price_trace(eager_trace(), MODEL, HARDWARE, context=1024).mode == "stream"
    )  # an engine's kernels launched one by one


def test_larger_boundaries_gain_more_from_looping():
    gains = [
        price_trace(graph_trace(boundary=b), MODEL, HARDWARE, context=1024).prediction("looped").speedup.value
        for b in (2e-6, 5e-6, 12e-6)
    ]
    assert gains == sorted(gains)


def test_what_does_not_match_is_told():
    assert any(
        "repeats 16 layers, smollm2-135m has 30" in note
        for note in price_trace(graph_trace(), "smollm2-135m", HARDWARE).notes
    )
    with pytest.raises(PerfModelError, match="cannot be read in"):
        price_trace(graph_trace(), MODEL, HARDWARE, batch=512, context=8192)
    assert any(
        "has no collective" in note
        for note in price_trace(graph_trace(), MODEL, HARDWARE, devices=2, context=1024).notes
    )


def test_a_prefill_is_no_decode_step(run, tmp_path):
    """Kernels that compute ten times as long as their bytes take: no boundary explains that,
    and the verdict does not claim it."""
    events = [
        Event(200_000 * n, 199_000, name, "0", "7", "kernel", 1 + n // 131, 200_000 * n - 9_000)
        for n, name in enumerate(["embed", *BODY * LAYERS, "norm", "head"] * 2)
    ]
    trace = build_trace("prefill.json", "made", events)
    found = price_trace(trace, MODEL, HARDWARE, context=1024)
    assert not found.plausible
    assert "more than a boundary can be" in found.notes[0]
    verdict = run(
        "trace", kineto(trace, tmp_path / "p.json"), "--model", MODEL, "--hardware", HARDWARE
    ).out.splitlines()[0]
    assert " to " in verdict
    assert "(" not in verdict


def test_collectives_are_priced_as_recorded():
    events, now = [], 0
    for step in range(3):
        for name in ("embed", "prepare", "first"):
            events.append(Event(now, 5000, name, "0", "7", "kernel", step, now - 9000))
            now += 5000
        for _ in range(LAYERS):
            for name, duration in (
                ("norm", 4000),
                ("qkv", 9000),
                ("flash_fwd_kernel", 9000),
                ("out", 9000),
                ("ncclDevKernel_AllReduce", 25000),
                ("up", 12000),
                ("down", 12000),
                ("ncclDevKernel_AllReduce", 25000),
            ):
                events.append(Event(now, duration, name, "0", "7", "kernel", step, now - 9000))
                now += duration
        now += 100_000
    trace = build_trace("two.json", "made", events)
    found = price_trace(trace, MODEL, HARDWARE, devices=2, context=1024)
    assert found.collectives == pytest.approx(LAYERS * 50e-6)
    latency = found.profile.values["collectives.all_reduce.latency"]
    # What the library adds to each exchange (C4) stands beside the latency; together they give the recorded step.
    assert 1.5e-6 < latency.value < 25e-6
    assert found.recorded_as.value == pytest.approx(found.step, rel=1e-6)
    assert any("give the number of devices" in note for note in price_trace(trace, MODEL, HARDWARE, context=1024).notes)


def test_save_and_ask_again(run, file, tmp_path):
    mine = tmp_path / "mine.toml"
    answer = run("trace", file, "--model", MODEL, "--hardware", HARDWARE, "--context", "1024", "--save", mine)
    assert (answer.code, answer.err) == (0, "")
    within_80_columns(answer.out)
    assert answer.out.splitlines()[0].startswith("Looping: ")
    profile = find_profile(str(mine))
    assert (profile.name, profile.tested_on[:7]) == ("mine", "nothing")
    again = json.loads(
        run("estimate", MODEL, HARDWARE, "--context", "1024", "--before", "graph", "--profile", mine, "--json").out
    )
    summary = json.loads(run("trace", file, "--json").out)
    assert again["before"]["time_per_step"] == pytest.approx(summary["step_time"], rel=1e-6)
    assert str(tmp_path) not in mine.read_text()


# Recorded traces, where they are.


@pytest.mark.parametrize(
    ("name", "model", "layers"),
    [("sglang_qwen3-8b_decode.json.gz", "qwen3-8b", 36), ("vllm_decode_full.json.gz", "gpt-oss-20b", 24)],
)
def test_recorded_traces(run, tmp_path, name, model, layers):
    if not (FOLDER / name).exists():
        pytest.skip(f"{name} is not here")
    mine = tmp_path / "mine.toml"
    answer = run(
        "trace",
        FOLDER / name,
        "--model",
        model,
        "--hardware",
        "mi300x",
        "--batch",
        "32",
        "--context",
        "1024",
        "--save",
        mine,
    )
    assert answer.code == 0
    within_80_columns(answer.out)
    found = price_trace(read_trace(FOLDER / name), model, "mi300x", batch=32, context=1024)
    assert (found.mode, found.model_layers) == ("graph", layers)
    # A floor of 4.4 us sits in each kernel; the rest is boundary or slow streaming, which one step cannot tell apart.
    assert found.boundary.low == pytest.approx(4.45e-6, rel=0.03)
    assert found.boundary.low < found.boundary.value < found.boundary.high
    looped = found.prediction("looped")
    assert looped.speedup.low < looped.speedup.value < looped.speedup.high
    again = estimate(model, "mi300x", batch=32, context=1024, before="graph", profile=str(mine))
    assert math.isclose(again.before.time_per_step, found.step, rel_tol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "hf_qwen1.5-0.5b_h100.json.gz",
        "mi210_gpu_only.json.gz",
        "nsys_h100_text_encoder.sqlite",
        "nsys_kern_sum_deepseek-ocr_decode.csv",
    ],
)
def test_every_recorded_trace_has_a_report(run, name):
    if not (FOLDER / name).exists():
        pytest.skip(f"{name} is not here")
    answer = run("trace", FOLDER / name)
    assert (answer.code, answer.err) == (0, "")
    within_80_columns(answer.out)
    assert run("loops", FOLDER / name).code == 0
