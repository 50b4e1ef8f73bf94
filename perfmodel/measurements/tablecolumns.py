"""The columns of a table of measured steps: which are read, under which of their names, and which are not."""

import csv
import io
from pathlib import Path

from perfmodel.errors import nearest, shown
from perfmodel.measurements.rows import COLUMNS
from perfmodel.specifications.files import read_text

LARGEST = 64_000_000  # B; vllm bench serve --save-detailed writes every request
# A table has one of these; one of llama-bench has those.
TIMES = frozenset(("time_per_step", "tokens_per_second", "milliseconds"))
LLAMA_BENCH = frozenset(("avg_ts", "n_gen"))
_READ = (*COLUMNS, "calls", "tokens_per_second", "milliseconds")
_MOST_NAMED = 6
# Columns of other people's tables that mean one of ours.
_MEANS = {
    "gpu": "hardware", "device": "hardware", "accelerator": "hardware", "gpu_name": "hardware",
    "gpus": "devices", "num_gpus": "devices", "n_gpus": "devices", "tp": "devices",
    "bs": "batch", "batch_size": "batch", "concurrency": "batch",
    "ctx": "context", "context_length": "context", "ctx_len": "context",
    "quant": "weight_format", "quantization": "weight_format", "format": "weight_format", "dtype": "weight_format",
    "weights": "weight_format", "kv": "kv_format", "kv_cache_dtype": "kv_format",
    "tok/s": "tokens_per_second", "t/s": "tokens_per_second", "tps": "tokens_per_second",
    "tokens/s": "tokens_per_second", "tok_s": "tokens_per_second", "tokens_per_sec": "tokens_per_second",
    "time_per_step_ms": "milliseconds", "tpot_ms": "milliseconds", "ms_per_token": "milliseconds",
    "model_name": "model",
}  # fmt: skip


def meaning(column: str) -> str:
    """Return which of our columns one of a table is, '' for none."""
    name = column.strip().lower()
    return _MEANS.get(name, name if name in _READ else "")


def unread_columns(path: Path) -> str:
    """Return what is said of the columns of a table that are not read, '' for nothing.

    A result of a benchmark has many more columns than are read, as its readers know; nothing is said of those.
    """
    start = read_text(path, LARGEST).lstrip("\ufeff \t\r\n")
    try:
        header = next(csv.reader(io.StringIO(start.partition("\n")[0])), [])
    except csv.Error:  # one line of JSON
        return ""
    meant = {name.strip(): meaning(name) for name in header if name.strip()}
    unread = [name for name, ours in meant.items() if not ours]
    if not unread or not TIMES & {*meant.values()} or {*meant} >= LLAMA_BENCH:
        return ""
    named = ", ".join(f"{shown(name)}{nearest(name, (*_READ, *_MEANS))}" for name in unread[:_MOST_NAMED])
    more = f" and {len(unread) - _MOST_NAMED} more" if len(unread) > _MOST_NAMED else ""
    read = ", ".join(name if name == ours else f"{name} as {ours}" for name, ours in meant.items() if ours)
    return f"{path}: not read: {named}{more}; read are {read}"
