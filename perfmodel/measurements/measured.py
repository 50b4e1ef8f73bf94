"""Measured steps of a file as rows: what a benchmark wrote, what the caller fills in, and the catalogue's names."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from perfmodel import quoting
from perfmodel.errors import PerfModelError, SpecificationError, UnknownNameError, nearest, shown
from perfmodel.measurements.benchmarks import Record, positive, records_of
from perfmodel.measurements.rows import COLUMNS, Row, row_of
from perfmodel.measurements.spellings import format_name, model_name
from perfmodel.operations.parallel import read_parallel
from perfmodel.specifications.catalogue import find_hardware, find_model

_FILLED = (*COLUMNS, "calls", "prompt", "generate", "tokens_per_second")
# Launch modes of a stack, the first that the device has; what a file does not say of a stack is left to the device.
_MODES = {"llama-cpp-cuda": ("graph", "stream"), "vllm": ("graph",), "sglang": ("graph",)}
_EXAMPLES = {
    "model": "NAME",
    "hardware": "NAME",
    "batch": "SEQUENCES",
    "context": "TOKENS",
    "prompt": "TOKENS",
    "generate": "TOKENS",
}


def read_measurements(
    path: Path,
    fill: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
    *,
    lenient: bool = False,
) -> tuple[Row, ...]:
    """Return the measured steps in the file at `path` as rows.

    fill: what the file does not say, or is to be taken in its place, by the column of a row (also `prompt` and
    `generate`, in tokens). aliases: names in the file and what the catalogue calls them. lenient: whether names that
    the catalogue does not know stay as they are, where it knows those of another row.
    Raises SpecificationError or UnknownNameError, with one line, for a file of another kind and for what is missing.
    """
    fill, aliases = fill or {}, aliases or {}
    for key in fill:
        if key not in _FILLED:
            raise UnknownNameError(f"--fill: {shown(key)} is not a column{nearest(key, _FILLED)}")
    records = [record | dict(fill) for record in records_of(path)]
    if not records:
        raise SpecificationError(f"{path}: holds no measured decode step; prompts alone say nothing of one")
    missing = dict.fromkeys(key for record in records for key in _missing(record))
    if missing:
        asked = " ".join(f"--fill {key}={_EXAMPLES[key]}" for key in missing)
        raise SpecificationError(f"{path}: does not say {', '.join(missing)}; give {asked}")
    rows = []
    taken: dict[str, int] = {}
    known = 0
    for number, record in enumerate(records, start=1):
        where = f"{path}: {record.pop('where', f'measurement {number}')}"
        timed = _timed(record, where)
        try:
            texts = _named(timed, where, aliases)
            known += 1
        except UnknownNameError:
            if not lenient or (number == len(records) and not known):
                raise
            texts = _texts(timed)
        row = row_of(texts, where, record.get("line", number))
        # Rows are told apart by their ids, here and in what was left out.
        count = taken[row.id] = taken.get(row.id, 0) + 1
        rows.append(row if count == 1 else _renamed(row, count))
    return tuple(rows)


def _renamed(row: Row, count: int) -> Row:
    return msgspec.structs.replace(row, id=f"{row.id}-{count}")


def _missing(record: Record) -> list[str]:
    """Return what is needed to ask the question of a record and is not there."""
    needed = ["model", "hardware", *(("prompt", "generate") if "latency" in record else ()), *record.get("needs", ())]
    return [key for key in dict.fromkeys(needed) if not str(record.get(key) or "").strip()]


def _timed(record: Record, where: str) -> Record:
    """Return the record with the time of a step [s] or the rate, and the mean context."""
    if "milliseconds" in record and not record.get("time_per_step"):
        record["time_per_step"] = positive(record.pop("milliseconds"), where, "time") / 1e3
    if "latency" in record:
        generated = positive(record["generate"], where, "generate")
        record.setdefault("context", round(positive(record["prompt"], where, "prompt") + generated / 2))
        record["time_per_step"] = record["latency"] / generated
        record["caveat"] = "time of whole requests over the tokens generated: holds the prompt's processing"
    if "requests" in record:  # whole requests through a server
        generated = positive(record["generate"], where, "generate")
        record.setdefault("context", round(positive(record["prompt"], where, "prompt") + generated / 2))
        record["tokens_per_second"] = record["requests"] * generated
        record["caveat"] = "rate of whole requests: holds the processing of prompts"
    return record


def _texts(record: Record) -> dict[str, str]:
    return {key: "" if value is None else str(value) for key, value in record.items()}


def _named(record: Record, where: str, aliases: Mapping[str, str]) -> dict[str, str]:
    """Return the record as texts, with the catalogue's names of model, device and formats, and the launch mode."""
    text = _texts(record)
    theirs, device = text["model"], text["hardware"]
    try:
        text["model"] = model_name(aliases.get(theirs, theirs), "" if theirs in aliases else text.get("file", ""))
    except UnknownNameError as error:
        raise UnknownNameError(f"{where}: {error}; say which with --alias {quoting.shell(theirs)}=NAME") from None
    try:
        text["hardware"] = find_hardware(aliases.get(device, device)).name
    except UnknownNameError as error:
        raise UnknownNameError(f"{where}: {error}; say which with --alias {quoting.shell(device)}=NAME") from None
    if text.get("parallel"):
        try:
            read_parallel(text["parallel"], find_model(text["model"]))
        except PerfModelError as error:
            raise SpecificationError(f"{where}: {str(error).removeprefix('--')}") from None
    for key in ("weight_format", "kv_format"):
        if text.get(key):
            text.setdefault(f"{key}_source", text[key])
            try:
                text[key] = format_name(aliases.get(text[key], text[key]), where)
            except UnknownNameError as error:
                why = str(error).partition("; known are")[0]
                raise UnknownNameError(f"{why}; say which with --alias {quoting.shell(text[key])}=FORMAT") from None
    if not text.get("mode") and text.get("stack"):
        modes = find_hardware(text["hardware"]).modes
        wanted = _MODES.get(text["stack"], ("stream",) if text["stack"].startswith("llama-cpp") else ())
        text["mode"] = next((mode for mode in wanted if mode in modes), "")
    return text
