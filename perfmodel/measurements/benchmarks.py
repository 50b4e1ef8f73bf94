"""Read measured steps from the files that benchmarks write, by their content.

llama-bench (CSV, JSON, JSON lines, Markdown), vLLM (`vllm bench latency`, `throughput`, `serve`), SGLang
(`bench_one_batch`, `bench_one_batch_server`, `bench_serving`, `bench_offline_throughput`), and CSV with the columns of
validation/rows.csv. A record has what the file says, under the names of a row's columns; names of models and devices
are the file's own.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perfmodel.errors import SpecificationError, shown
from perfmodel.measurements.spellings import split_file_type
from perfmodel.measurements.tablecolumns import LARGEST, LLAMA_BENCH, TIMES, meaning
from perfmodel.specifications.files import read_text
from perfmodel.specifications.spellings import stored_as

LONGEST_CELL = 1_000_000  # characters
Record = dict[str, Any]  # a measurement in the columns of a row, with what is needed to work its time out

_STACKS = {
    "cuda": "cuda",
    "mtl": "metal",
    "metal": "metal",
    "rocm": "hip",
    "hip": "hip",
    "vulkan": "vulkan",
}  # llama.cpp's
_GRAPHS_SINCE = 3_000  # build of llama.cpp from which its CUDA backend runs graphs (May 2024)


def records_of(path: Path) -> list[Record]:
    """Return the measured decode steps of a file, as the file has them; those of prompts are left out.

    Raises SpecificationError, with one line, for a file of another kind.
    """
    text = read_text(path, LARGEST)
    source = {"source": path.name, "source_id": path.stem}
    start = text.lstrip("\ufeff \t\r\n")
    if start[:1] in ("{", "["):
        found = [record for n, one in enumerate(_objects(path, start), 1) for record in _of_object(path, one, n)]
    elif re.search(r"(?m)^\s*\|.*\bt/s\b.*\|\s*$", start):
        found = _markdown(path, start)
    else:
        found = _table(path, start)
    return [source | record for record in found]


def _objects(path: Path, text: str) -> list[Any]:
    """Return the objects of a JSON list, of JSON lines, or the one object."""
    try:
        value = json.loads(text)
        return value if isinstance(value, list) else [value]
    except RecursionError:
        raise SpecificationError(f"{path}: is nested too deeply") from None
    except ValueError as error:
        whole = str(error)
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise SpecificationError(f"{path}: is neither JSON nor JSON lines: {shown(whole, 100)}") from None


def _of_object(path: Path, one: Any, number: int) -> list[Record]:
    """Return the measurement that one object of JSON holds, none for a prompt alone."""
    for keys, reader in _READERS:
        if isinstance(one, dict) and keys <= one.keys():
            return [record | {"where": f"measurement {number}"} for record in reader(one, f"{path}: {number}")]
    raise SpecificationError(
        f"{path}: measurement {number} is no result I know; expected JSON of llama-bench, of vllm bench latency,"
        " throughput or serve, or of an SGLang benchmark"
    )


def _llama_bench(one: Mapping[str, Any], where: str) -> list[Record]:
    """Return a text generation of llama-bench (one sequence); prompts and mixtures of both are left out."""
    prompt, generated = (_whole(one.get(key), where, key) for key in ("n_prompt", "n_gen"))
    if prompt or not generated:
        return []
    model, kind = split_file_type(str(one.get("model_type", "")))
    devices = [name.strip() for name in str(one.get("gpu_info") or "").split(",") if name.strip()]
    backend = str(one.get("backends") or one.get("backend") or "").lower()
    stack = next((f"llama-cpp-{name}" for word, name in _STACKS.items() if word in backend), "")
    build = _whole(one.get("build_number"), where, "build_number")
    count = len(devices) or 1
    split = str(one.get("split_mode", "layer"))
    keys, values = str(one.get("type_k", "") or ""), str(one.get("type_v", "") or "")
    if keys != values:
        raise SpecificationError(f"{where}: the cache keeps keys in {keys} and values in {values}; one format is read")
    return [
        {
            "model": model,
            "file": str(one.get("model_filename", "")),
            "hardware": devices[0] if devices else "",
            "devices": count,
            "parallel": "" if count == 1 else f"{'tp' if split == 'row' else 'pp'}={count}",
            "weight_format": kind,
            "kv_format": keys,
            "batch": 1,
            "context": round(_whole(one.get("n_depth"), where, "n_depth") + generated / 2),
            "engine": f"llama.cpp b{build}" if build else "llama.cpp",
            "stack": stack,
            "mode": "stream" if stack == "llama-cpp-cuda" and 0 < build < _GRAPHS_SINCE else "",
            "tokens_per_second": positive(one.get("avg_ts"), where, "avg_ts"),
        }
    ]


def _whole(value: object, where: str, key: str) -> int:
    text = str(value or "0").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise SpecificationError(f"{where}: {key}: {shown(value)} is not a whole number")
    return int(text)


def _latency(one: Mapping[str, Any], where: str) -> list[Record]:
    """`vllm bench latency`: seconds from prompt to last token of a batch, whose sizes it does not say."""
    record = {"engine": "vLLM", "stack": "vllm", "latency": positive(one["avg_latency"], where, "avg_latency")}
    return [record | {"needs": ("batch",)}]


def _throughput(one: Mapping[str, Any], where: str) -> list[Record]:
    """`vllm bench throughput`: requests a second, of any number at a time."""
    rate = positive(one["requests_per_second"], where, "requests_per_second")
    return [{"engine": "vLLM", "stack": "vllm", "requests": rate, "needs": ("batch", "prompt", "generate")}]


def _serving(one: Mapping[str, Any], where: str) -> list[Record]:
    """`vllm bench serve` and SGLang's `bench_serving`: time per output token behind the first, at a concurrency."""
    key = "median_tpot_ms" if one.get("median_tpot_ms") else "mean_tpot_ms"
    done = positive(one.get("completed"), where, "completed")
    prompt, generated = (_amount(one, key, where) / done for key in ("total_input_tokens", "total_output_tokens"))
    model = str(one.get("model_id") or one.get("model") or "")
    sglang = "model_id" not in one
    return [
        {
            "model": model,
            "weight_format": stored_as(model),
            "batch": one.get("max_concurrency") or "",
            "context": round(prompt + generated / 2),
            "engine": "SGLang" if sglang else "vLLM",
            "stack": "sglang" if sglang else "vllm",
            "time_per_step": positive(one[key], where, key) / 1e3,
            "caveat": "time per output token of a server, between whose steps the prompts of others run",
            "needs": ("batch",),
        }
    ]


def _one_batch(one: Mapping[str, Any], where: str) -> list[Record]:
    """SGLang's `bench_one_batch` and `bench_one_batch_server`."""
    batch, prompt, generated = (positive(one[key], where, key) for key in ("batch_size", "input_len", "output_len"))
    if "median_decode_latency" in one:
        time = positive(one["median_decode_latency"], where, "median_decode_latency")
    else:
        whole = positive(one.get("latency", one.get("total_latency")), where, "latency")
        first = _amount(one, "ttft" if one.get("ttft") else "prefill_latency", where)
        time = positive((whole - first) / max(generated - 1, 1), where, "latency less ttft")
    model = str(one.get("model_path") or one.get("model") or "")
    return [
        {
            "id": str(one.get("run_name") or ""),
            "model": model,
            "weight_format": stored_as(model),
            "batch": round(batch),
            "context": round(prompt + generated / 2),
            "engine": "SGLang",
            "stack": "sglang",
            "time_per_step": time,
        }
    ]


def _offline(one: Mapping[str, Any], where: str) -> list[Record]:
    """SGLang's `bench_offline_throughput`: tokens a second, of any number of requests at a time."""
    done = positive(one.get("successful_requests"), where, "successful_requests")
    prompt, generated = (_amount(one, key, where) / done for key in ("total_input_tokens", "total_output_tokens"))
    return [
        {
            "context": round(prompt + generated / 2),
            "engine": "SGLang",
            "stack": "sglang",
            "tokens_per_second": positive(one["output_throughput"], where, "output_throughput"),
            "caveat": "rate of whole requests: holds the processing of prompts",
            "needs": ("batch",),
        }
    ]


# The keys that tell a result, and its reader; the first that fits.
_READERS: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any], str], list[Record]]], ...] = (
    (LLAMA_BENCH, _llama_bench),
    (frozenset(("batch_size", "input_len", "output_len")), _one_batch),
    (frozenset(("median_tpot_ms", "completed")), _serving),
    (frozenset(("mean_tpot_ms", "completed")), _serving),
    (frozenset(("avg_latency", "latencies")), _latency),
    (frozenset(("requests_per_second", "elapsed_time")), _throughput),
    (frozenset(("output_throughput", "successful_requests")), _offline),
)


def _markdown(path: Path, text: str) -> list[Record]:
    """Return the text generations of a table of llama-bench; the device is in the lines before it, if at all."""
    devices = re.findall(r"(?m)^\s*Device \d+: ([^,\n]+)", text) or re.findall(r"GPU name:\s*(\S.*\S)", text)
    build = re.search(r"build: \w+ \((\d+)\)", text)
    header: list[str] = []
    found: list[Record] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|") or set("".join(cells)) <= set("-: "):
            continue
        if "t/s" in cells:
            header = cells
            continue
        one = dict(zip(header, cells, strict=False))
        test = re.fullmatch(r"tg\s*(\d+)(?: @ d(\d+))?", one.get("test", ""))
        if not test or not one.get("t/s"):
            continue
        where = f"line {number}"
        found += [
            record | {"where": where, "line": number}
            for record in _llama_bench(
                {
                    "model_type": one.get("model", ""),
                    "gpu_info": ", ".join(devices),
                    "backends": one.get("backend", ""),
                    "split_mode": one.get("sm", "layer"),
                    "type_k": one.get("type_k", ""),
                    "type_v": one.get("type_v", one.get("type_k", "")),
                    "n_gen": test[1],
                    "n_depth": test[2] or "0",
                    "build_number": build[1] if build else "0",
                    "avg_ts": one["t/s"].partition("±")[0].strip(),
                },
                f"{path}: {where}",
            )
        ]
    return found


def _table(path: Path, text: str) -> list[Record]:
    """Return the lines of a CSV: of llama-bench, or with the columns of a row under whichever of their names."""
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=None))
        raw = [
            (reader.line_num, {key: value.strip() for key, value in line.items() if key and isinstance(value, str)})
            for line in reader
        ]
    except csv.Error as error:
        raise SpecificationError(f"{path}: is not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)
    names = [name.strip() for name in reader.fieldnames or ()]
    if {*names} >= LLAMA_BENCH:
        found = [(n, record) for n, line in raw for record in _llama_bench(line, f"{path}: line {n}")]
        return [record | {"where": f"line {n}", "line": n} for n, record in found]
    meant = [meaning(name) for name in names]
    if not TIMES & {*meant}:
        raise SpecificationError(
            f"{path}: has neither a column time_per_step [s] nor tokens_per_second; the columns are those of"
            " validation/rows.csv, or those of a benchmark (llama-bench, vllm bench, SGLang)"
        )
    if twice := next((name for name, times in Counter(meant).items() if name and times > 1), None):
        raise SpecificationError(f"{path}: two columns say {twice}; leave one of them out")
    return [
        {"where": f"line {number}", "line": number}
        | {ours: text for key, text in line.items() if (ours := meaning(key))}
        for number, line in raw
    ]


def _amount(one: Mapping[str, Any], key: str, where: str) -> float:
    """Return a number of 0 or more, 0 where there is none."""
    return positive(one[key], where, key) if one.get(key) else 0.0


def positive(value: object, where: str, key: str) -> float:
    """Return a number above 0 from a file; raise SpecificationError with `where` and `key` otherwise."""
    try:
        number = float(str(value)[:400])
    except ValueError:
        number = float("nan")
    if not 0 < number < 1e18:
        raise SpecificationError(f"{where}: {key}: {shown(value)} is not a positive number")
    return number
