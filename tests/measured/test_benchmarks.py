"""Results of benchmarks are read as measured steps; what they do not say is asked for in one line."""

import json
from pathlib import Path

import pytest

from perfmodel._layout import data_folder
from perfmodel.errors import PerfModelError
from perfmodel.measurements import predictions
from perfmodel.measurements.measured import read_measurements
from perfmodel.measurements.modepairs import mode_pairs
from perfmodel.measurements.predictions import predict
from perfmodel.measurements.spellings import model_name, split_file_type, stored_as
from perfmodel.measurements.tablecolumns import unread_columns
from perfmodel.measurements.validation import validate

CASES = Path(__file__).parent / "cases"
LLAMA = {
    "build_commit": "abc",
    "build_number": 6000,
    "gpu_info": "NVIDIA GeForce RTX 4090",
    "backends": "CUDA",
    "model_filename": "models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
    "model_type": "llama 8B Q4_K - Medium",
    "type_k": "f16",
    "type_v": "f16",
    "n_gpu_layers": 99,
    "split_mode": "layer",
    "n_prompt": 0,
    "n_gen": 128,
    "n_depth": 4096,
    "avg_ns": 1000000000,
    "avg_ts": 128.0,
}
MARKDOWN = """\
ggml_cuda_init: found 1 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
| model                          |       size |     params | backend    | ngl |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | --------------: | -------------------: |
| llama 8B Q4_K - Medium         |   4.58 GiB |     8.03 B | CUDA       |  99 |           pp512 |      10000.00 ± 9.00 |
| llama 8B Q4_K - Medium         |   4.58 GiB |     8.03 B | CUDA       |  99 |   tg128 @ d4096 |        128.00 ± 0.55 |

build: abc1234 (6000)
"""
SERVE = {
    "date": "20260101-000000",
    "backend": "vllm",
    "model_id": "Qwen/Qwen3-8B-FP8",
    "tokenizer_id": "Qwen/Qwen3-8B-FP8",
    "num_prompts": 64,
    "request_rate": float("inf"),
    "max_concurrency": 16,
    "duration": 10.0,
    "completed": 64,
    "total_input_tokens": 64 * 1000,
    "total_output_tokens": 64 * 200,
    "output_throughput": 1280.0,
    "mean_tpot_ms": 12.5,
    "median_tpot_ms": 12.0,
    "median_itl_ms": 11.5,
}
ONE_BATCH = {
    "run_name": "default",
    "batch_size": 8,
    "input_len": 1024,
    "output_len": 128,
    "prefill_latency": 0.1,
    "median_decode_latency": 0.008,
    "median_decode_throughput": 1000.0,
}


def written(folder, content, name="bench.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(folder, content, name="bench.json", aliases=None, **fill):
    return read_measurements(written(folder, content, name), {key: str(value) for key, value in fill.items()}, aliases)


def asked(folder, content, name="bench.json", **fill):
    with pytest.raises(PerfModelError) as stop:
        read(folder, content, name, **fill)
    assert "\n" not in str(stop.value)
    return str(stop.value)


def csv_of(one):
    return ",".join(one) + "\n" + ",".join(f'"{value}"' for value in one.values()) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps([LLAMA, LLAMA | {"n_prompt": 512, "n_gen": 0}])),
        ("a.jsonl", json.dumps(LLAMA | {"n_prompt": 512}) + "\n" + json.dumps(LLAMA) + "\n"),
        ("a.csv", csv_of(LLAMA)),
    ],
)
def test_llama_bench(tmp_path, name, content):
    (row,) = read(tmp_path, content, name)
    assert (row.model, row.hardware, row.devices, row.batch) == ("llama-3.1-8b", "rtx-4090", 1, 1)
    assert (row.weight_format, row.kv_format, row.mode) == ("q4_k_m", "fp16", "graph")
    assert row.context == 4096 + 64  # what is cached, and half of what is generated
    assert row.time_per_step == pytest.approx(1 / 128)
    assert row.stack == "llama-cpp-cuda"


def test_llama_bench_as_markdown(tmp_path):
    (row,) = read(tmp_path, MARKDOWN, "a.md", aliases={"llama 8B": "llama-3.1-8b"})
    assert (row.model, row.hardware, row.context) == ("llama-3.1-8b", "rtx-4090", 4160)
    assert row.time_per_step == pytest.approx(1 / 128)
    assert row.engine == "llama.cpp b6000"
    bare = "\n".join(line for line in MARKDOWN.splitlines() if line.startswith("|"))
    assert "--fill hardware=NAME" in asked(tmp_path, bare, "b.md")
    assert "--alias 'llama 8B'=NAME" in asked(tmp_path, MARKDOWN, "a.md")


def test_layers_split_over_devices_work_in_turn(tmp_path):
    (row,) = read(tmp_path, [LLAMA | {"gpu_info": "NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090"}])
    assert (row.devices, row.parallel, row.devices_at_work()) == (2, "pp=2", 1)


def test_the_case_of_llama_bench():
    path = CASES / "llama_bench.csv"
    (row,) = read_measurements(path, {"weight_format": "q4_k_m"})
    assert (row.model, row.hardware, row.context) == ("qwen3.5-27b", "m4-pro", 64)
    assert row.time_per_step == pytest.approx(1 / 11.56)


def test_the_case_of_vllm_latency():
    path = CASES / "vllm_latency.json"
    with pytest.raises(
        PerfModelError, match=r"does not say model, hardware, prompt, generate, batch; give --fill model="
    ):
        read_measurements(path)
    fill = {"model": "llama-3.1-8b", "hardware": "h100-sxm", "batch": "8", "prompt": "32", "generate": "128"}
    (row,) = read_measurements(path, fill)
    assert (row.batch, row.context, row.stack, row.mode) == (8, 96, "vllm", "graph")
    assert row.time_per_step == pytest.approx(2.51 / 128)
    assert "holds the prompt" in row.caveat


def test_vllm_serve(tmp_path):
    (row,) = read(tmp_path, SERVE, hardware="h100-sxm")
    assert (row.model, row.weight_format, row.batch, row.context) == ("qwen3-8b", "fp8", 16, 1100)
    assert row.time_per_step == pytest.approx(12e-3)
    assert asked(tmp_path, SERVE | {"max_concurrency": None}).endswith(
        "does not say hardware, batch; give --fill hardware=NAME --fill batch=SEQUENCES"
    )


def test_vllm_throughput(tmp_path):
    result = {"elapsed_time": 10.0, "num_requests": 100, "total_num_tokens": 64000, "requests_per_second": 10.0}
    (row,) = read(tmp_path, result, model="llama-3.1-8b", hardware="h100-sxm", batch=100, prompt=512, generate=128)
    assert row.time_per_step == pytest.approx(100 / (10 * 128))
    assert row.context == 576


def test_sglang(tmp_path):
    lines = "\n".join(json.dumps(ONE_BATCH | {"batch_size": batch}) for batch in (1, 8))
    one, eight = read(tmp_path, lines, "a.jsonl", model="qwen3-8b", hardware="h200-sxm")
    assert (one.batch, eight.batch, one.id, eight.id) == (1, 8, "default", "default-2")
    assert eight.time_per_step == pytest.approx(8e-3)
    assert eight.context == 1088
    server = {"batch_size": 8, "input_len": 1024, "output_len": 129, "latency": 1.38, "ttft": 0.1}
    (row,) = read(tmp_path, server, "b.jsonl", model="qwen3-8b", hardware="h200-sxm")
    assert row.time_per_step == pytest.approx(10e-3)
    serving = {key: value for key, value in SERVE.items() if key != "model_id"} | {"backend": "sglang"}
    (row,) = read(tmp_path, serving, "c.jsonl", model="qwen3-8b", hardware="h200-sxm")
    assert (row.stack, row.batch) == ("sglang", 16)
    offline = {
        "backend": "engine",
        "successful_requests": 10,
        "total_latency": 5.0,
        "total_input_tokens": 1000,
        "total_output_tokens": 2000,
        "output_throughput": 400.0,
    }
    (row,) = read(tmp_path, offline, "d.jsonl", model="qwen3-8b", hardware="h200-sxm", batch=10)
    assert (row.time_per_step, row.context) == (pytest.approx(10 / 400), 200)


def test_columns_of_other_names_mean_ours(tmp_path):
    table = "model,gpu,num_gpus,bs,quant,tok/s\nmeta-llama/Llama-3.1-8B-Instruct,NVIDIA H200,1,4,W4A16,400\n"
    (row,) = read(tmp_path, table, "a.csv")
    assert (row.model, row.hardware, row.batch, row.weight_format) == ("llama-3.1-8b", "h200-sxm", 4, "int4")
    assert (row.time_per_step, row.context, row.id) == (pytest.approx(0.01), 4096, "line-2")


def test_rows_without_ids_are_numbered_and_told_apart(tmp_path):
    rows = (",llama-3-8b,a10,0.03", ",llama-3-8b,a10,0.04", "x,llama-3-8b,a10,0.05", "x,llama-3-8b,a10,0.06")
    table = "\n".join(["id,model,hardware,time_per_step", *rows, ""])
    assert [row.id for row in read(tmp_path, table, "a.csv")] == ["line-2", "line-3", "x", "x-2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("{}", "no result I know"),
        ("[3]", "no result I know"),
        ("[]", "no measured decode step"),
        ('{"avg_ts": 1', "neither JSON nor JSON lines"),
        ("[" * 100_000, "nested"),
        (json.dumps([LLAMA | {"avg_ts": 0}]), "not a positive number"),
        (json.dumps([LLAMA | {"avg_ts": "9" * 5000}]), "not a positive number"),
        (json.dumps([LLAMA | {"n_gen": "9" * 5000}]), "not a whole number"),
        (json.dumps([LLAMA | {"type_v": "q8_0"}]), "one format is read"),
        (json.dumps([LLAMA | {"n_prompt": 512, "n_gen": 0}]), "no measured decode step"),
        ("a,b\n1,2\n", "neither a column time_per_step"),
        ("model,hardware,time_per_step\nllama-3-8b,a10,1e-320\n", "not a positive number"),
        (
            "model,hardware,parallel,time_per_step\nllama-3-8b,a10,tp=x,0.04\n",
            "line 2: parallel tp: 'x' is not a whole",
        ),
        (
            "model,hardware,parallel,time_per_step\nllama-3-8b,a10,zz=2,0.04\n",
            "line 2: parallel: 'zz' is not understood",
        ),
        ("model,model,hardware,time_per_step\nllama-3-8b,llama-2-7b,a10,0.04\n", "two columns say model"),
        ("model,gpu,device,time_per_step\nllama-3-8b,a10,h100-sxm,0.04\n", "two columns say hardware"),
        ("model,hardware,time_per_step\nllama-3-8b,a10,nan\n", "not a positive number"),
        ("model,hardware,time_per_step,batch\nllama-3-8b,a10,1," + "9" * 5000 + "\n", "not a whole number"),
        ("model,hardware,time_per_step\nllama-3-8b,a10," + "1" * 200_000 + "\n", "not a positive number"),
        ("model,hardware,time_per_step\nllama-3-8b,a10," + "1" * 2_000_000 + "\n", "is not CSV"),
        ('model,hardware,time_per_step\n"llama-3-8b,a10,1\n', "does not say"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, content, says):
    assert says in asked(tmp_path, content, "file")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_age(tmp_path, end):
    path = tmp_path / "a.csv"
    path.write_bytes(f"model,hardware,time_per_step{end}llama-3-8b,a10,0.03{end}llama-3-8b,a10,0.04{end}".encode())
    assert [row.time_per_step for row in read_measurements(path)] == [0.03, 0.04]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("llama 8B Q4_K - Medium", ("llama 8B", "q4_k_m")),
        ("llama 7B mostly Q4_0", ("llama 7B", "q4_0")),
        ("qwen3moe 30B.A3B IQ4_XS - 4.25 bpw", ("qwen3moe 30B.A3B", "iq4_xs")),
        ("llama 70B IQ3_S mix - 3.66 bpw", ("llama 70B", "iq3_m")),
        ("gpt-oss 20B MXFP4 MoE", ("gpt-oss 20B", "mxfp4")),
        ("llama 8B all F32", ("llama 8B", "f32")),
        ("gemma 4B BF16 (guessed)", ("gemma 4B", "bf16")),
        ("somebody's model", ("somebody's model", "")),
    ],
)
def test_file_types_of_llama_cpp(theirs, ours):
    assert split_file_type(theirs) == ours


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", "llama-3.1-70b"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("qwen3moe 30B.A3B", "qwen3-30b-a3b"),
        ("gemma3 27B", "gemma-3-27b"),
    ],
)
def test_names_of_models(theirs, ours):
    assert model_name(theirs) == ours


def test_names_that_say_too_little_are_refused():
    for theirs in ("llama 8B", "", "model", "../../etc"):
        with pytest.raises(PerfModelError):
            model_name(theirs)


def test_formats_in_names_of_checkpoints():
    assert [stored_as(f"org/model-{end}") for end in ("AWQ", "GPTQ-Int8", "FP8", "NVFP4", "Instruct")] == [
        "int4",
        "int8",
        "fp8",
        "nvfp4",
        "",
    ]


# The commands.


def test_calibrate_takes_a_benchmark(run, tmp_path):
    path = written(tmp_path, [LLAMA, LLAMA | {"n_depth": 16384, "avg_ts": 110.0}])
    answer = run("calibrate", path, "-o", tmp_path / "mine.toml")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("Fitted")
    assert run("estimate", "llama-3.1-8b", "rtx-4090", "--profile", tmp_path / "mine.toml").code == 0


def test_validate_asks_rows_of_a_user(run, tmp_path):
    table = (
        "model,gpu,mode,weights,tok/s\nllama-3.1-8b,h200,graph,bfloat16,180\nllama-3.1-8b,h200,eager,bf16,90\n"
        "nobody-7b,h200,graph,bf16,100\n"
    )
    answer = run("validate", written(tmp_path, table, "mine.csv"))
    assert (answer.code, answer.err) == (0, "")
    assert "eager to graph: line-3, line-2" in answer.out  # two spellings of one format
    assert "2 x" in answer.out
    assert "not asked: 1 rows" in answer.out
    found = json.loads(run("validate", tmp_path / "mine.csv", "--json").out)
    (pair,) = found["pairs"]
    assert (pair["modes"], pair["measured"]) == (["eager", "graph"], pytest.approx(2.0))
    assert len(found["rows"]) == 2
    only = run("validate", tmp_path / "mine.csv", "--model", "llama-3.1-8b")
    assert "not asked" not in only.out
    assert run("validate", "--fill", "hardware=a10").code == 2
    assert run("validate", tmp_path / "mine.csv", "--fill", "hardwear=a10").err.count("\n") == 1


def test_explain_gap_takes_a_benchmark(run, tmp_path):
    path = written(tmp_path, [LLAMA, LLAMA | {"n_depth": 0}])
    answer = run("explain-gap", path)
    assert answer.code == 1
    assert "--row: measurement" not in answer.err
    assert "say which with --row" in answer.err
    for words in (
        ("explain-gap", path, "--row", "line-1"),
        ("explain-gap", "llama-3.1-8b", "rtx-4090", "--measured", path, "--row", "line-2"),
    ):
        answer = run(*words)
        assert (answer.code, answer.err) == (0, "")
        assert "Measured 7.812 ms" in answer.out
    found = json.loads(run("explain-gap", path, "--row", "line-1", "--context", "8k", "--json").out)
    assert found["measured"] == pytest.approx(1 / 128)
    assert run("explain-gap", "llama-3.1-8b").code == 2
    assert run("explain-gap", "llama-3.1-8b", "rtx-4090", "--measured", tmp_path / "absent.json").err.count("\n") == 1


def test_rows_of_one_question_are_predicted_once(tmp_path, monkeypatch):
    """Each is beside the one prediction; of two modes the rows of the median time are compared."""
    times = {"eager": (9e-3, 8e-3, 7e-3), "graph": (6e-3, 5e-3)}
    lines = [f"{mode},llama-3.1-8b,h100-sxm,{mode},{time}" for mode, of_mode in times.items() for time in of_mode]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["source_id,model,hardware,mode,time_per_step", *lines]))
    asked = []
    monkeypatch.setattr(predictions, "predict", lambda row: asked.append(row) or predict(row))
    found = validate(read_measurements(path))
    assert [row.mode for row in asked] == ["eager", "graph"]
    assert sorted(one.row.time_per_step for one in found.predicted) == [5e-3, 6e-3, 7e-3, 8e-3, 9e-3]
    assert all(one.time == predict(one.row).time for one in found.predicted)
    (pair,) = mode_pairs(found.predicted)
    assert (pair.slower.row.time_per_step, pair.faster.row.time_per_step) == (8e-3, 5e-3)


def test_a_column_that_is_not_read_is_named(run, tmp_path):
    """In one note, with what it may have meant and what is read; what a benchmark writes besides is none."""
    table = "model,GPU,contxt,Batch,latency,needs,time_per_step,\nllama-3.1-8b,h100-sxm,100,1,3,x,0.006,\n"
    answer = run("validate", written(tmp_path, table, "mine.csv"))
    assert answer.code == 0
    assert answer.err.startswith("perfmodel: note: ")
    assert answer.err.endswith(
        "mine.csv: not read: 'contxt' (did you mean 'context'?), 'latency', 'needs'; read are model, GPU as hardware,"
        " Batch as batch, time_per_step\n"
    )
    many = written(
        tmp_path, "model,hardware,time_per_step,a,b,c,d,e,f,g\nllama-3.1-8b,h100-sxm,0.006" + ",1" * 7, "b.csv"
    )
    for command in ("validate", "calibrate", "explain-gap"):
        assert "'f' and 1 more; read are model" in run(command, many).err
    for ours in (written(tmp_path, [LLAMA]), written(tmp_path, MARKDOWN, "table.md")):
        assert "not read" not in run("calibrate", ours).err
    assert unread_columns(data_folder("validation") / "rows.csv") == ""
