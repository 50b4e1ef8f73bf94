# ruff: noqa: INP001
"""Make rows.csv and dropped.csv, the validation set, from the tables of published measurements.

    python validation/build.py measured.csv measured2.csv [OUTPUT_FOLDER]

The tables named are read first, then those of this folder, measured*.csv, by name. Every row of the input ends in
exactly one of the two files; a difference of two rows carries both ids. Standard library only, same input same bytes.
All words are translated by names.toml; the rules are told in README.md, whose counts are written anew with files that
go to this folder.
"""

import csv
import io
import math
import os
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLUMNS = (
    "id",
    "source_id",
    "trust",
    "model",
    "hardware",
    "devices",
    "parallel",
    "weight_format",
    "weight_format_source",
    "kv_format",
    "batch",
    "context",
    "engine",
    "mode",
    "stack",
    "time_per_step",
    "class",
    "ladder",
    "settings",
    "source",
    "caveat",
)
REASONS = {
    "not-a-step-time": "ratios, utilisations, coefficients, bandwidths, costs of a primitive, times of operators",
    "speculative": "several tokens a step (speculative decoding, multi-token prediction)",
    "cpu": "computed by a CPU",
    "offload": "part of the model on a CPU",
    "hardware-unknown": "the device is not stated, or only a family whose bandwidths differ by more than a tenth",
    "mixed-devices": "devices of different kinds share the model",
    "devices-unknown": "the number of devices is not stated",
    "model-unknown": "no public shapes, or a model nobody can name",
    "format-unknown": "the weight format is not stated, is a mixture without a name, or is sparse",
    "batch-unknown": "the number of resident sequences is not stated or not what was offered",
    "length-unknown": "the context is not stated and would matter",
    "mode-unknown": "how kernels are called is not stated",
    "no-second-row": "time of whole requests, and no second row of the same question to subtract",
    "prefill": "the time of prompts is, or may be, more than the limit",
    "outlier": "contradicts its own table, or physics",
    "placeholder": "a round stand-in for a measurement",
    "superseded": "the same source has a later figure for the same question",
    "duplicate": "the same source repeats the figure for the same question",
    "broken-row": "columns of the source do not hold what they say",
}

# A prompt's arithmetic runs at least at this share of the 16-bit peak; below this many tokens a prompt takes one step.
PREFILL_SHARE_OF_PEAK = 0.4
PREFILL_IS_ONE_STEP = 64
# Largest share of the time that prompts may have: in whole requests and differences; in serving.
PREFILL_LIMIT = 0.05
PREFILL_LIMIT_SERVING = 0.10
# From here on the cache limits what is resident in the memgap runs (their own logs).
MEMGAP_BATCH_LIMIT = 256
# Serving rows of aic with outputs no longer than this carry a strong interference of prompts.
AIC_SHORT_OUTPUT = 500

STEP_METRICS: dict[str, Callable[[float, int], float]] = {
    "tok_s_per_seq": lambda value, _batch: 1 / value,
    "tok_s_out_incl_prefill": lambda value, batch: batch / value,
    "tok_s_aggregate": lambda value, batch: batch / value,
    "tpot_ms": lambda value, _batch: value / 1e3,
    "itl_ms": lambda value, _batch: value / 1e3,
    "step_us": lambda value, _batch: value / 1e6,
}
REQUEST_METRIC = "e2e_latency_ms"
BOTH_WAYS_METRIC = "tok_s_in_plus_out"
SIXTEEN_BITS = ("bf16", "fp16")

Source = dict[str, str]


class Dropped(Exception):  # noqa: N818
    """A row that cannot be asked, with the reason and a word more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass
class Row:
    """One question with its measured answer, and the source row it came from."""

    source: Source
    values: dict[str, Any]
    remarks: list[str] = field(default_factory=list)

    def question(self) -> tuple[Any, ...]:
        """All that is asked but the lengths."""
        return tuple(
            self.values[name]
            for name in (
                "source_id",
                "engine",
                "model",
                "hardware",
                "devices",
                "parallel",
                "weight_format",
                "kv_format",
                "batch",
                "mode",
            )
        )

    def figure(self) -> tuple[Any, ...]:
        """What two rows share if one repeats the other: machine and model as spelled, question and answer."""
        asked = tuple(
            self.values[name]
            for name in (
                "source_id",
                "devices",
                "parallel",
                "weight_format",
                "kv_format",
                "batch",
                "context",
                "stack",
                "mode",
                "time_per_step",
            )
        )
        return (self.source["model"], self.source["hardware"], *asked)


def main(arguments: list[str]) -> int:
    """Read the tables, write both files to the folder named last (this one by default)."""
    paths = [Path(name) for name in arguments if name.endswith(".csv")]
    folders = [Path(name) for name in arguments if not name.endswith(".csv")]
    if not paths or len(folders) > 1:
        sys.stderr.write("usage: build.py MEASURED.csv [MORE.csv ...] [OUTPUT_FOLDER]\n")
        return 2
    sources: list[Source] = []
    for path in [*paths, *sorted(HERE.glob("measured*.csv"))]:
        with path.open(encoding="utf-8", newline="") as file:
            sources += csv.DictReader(file)
    names = tomllib.loads((HERE / "names.toml").read_text(encoding="utf-8"))
    rows, dropped = build(sources, names)
    folder = folders[0] if folders else HERE
    write(folder / "rows.csv", COLUMNS, rows)
    write(folder / "dropped.csv", ("id", "source_id", "reason", "detail"), dropped)
    sys.stdout.write(tables(rows, dropped))
    if folder == HERE:
        readme = HERE / "README.md"
        readme.write_text(with_counts(readme.read_text(encoding="utf-8"), rows, dropped), encoding="utf-8")
    return 0


def build(sources: list[Source], names: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of both files."""
    order = {source["id"]: number for number, source in enumerate(sources)}
    kept: list[Row] = []
    requests: list[Row] = []
    dropped: list[dict[str, Any]] = []

    def drop(source: Source, why: Dropped) -> None:
        dropped.append(
            {"id": source["id"], "source_id": source["source_id"], "reason": why.reason, "detail": why.detail}
        )

    for source in sources:
        try:
            row = translate(source, names)
            if (
                source["metric"] == REQUEST_METRIC
                and not first_token_time(source)
                and source["source_id"] not in names["prefill"]["whole"]
            ):
                requests.append(row)
            else:
                kept.append(one_step(row, names))
        except Dropped as why:
            drop(source, why)
    for long, short in (pair for group in grouped(requests) for pair in pairs(group)):
        try:
            kept.append(difference(long, short, names))
        except Dropped as why:
            drop(long.source, why)
            if short is not None:
                drop(short.source, why)
    kept.sort(key=lambda row: order[row.source["id"]])
    first: dict[tuple[Any, ...], Row] = {}
    for row in kept:
        if first.setdefault(row.figure(), row) is not row:
            drop(row.source, Dropped("duplicate", f"repeats {first[row.figure()].values['id']}"))
    dropped.sort(key=lambda row: order[row["id"]])
    return [finish(row, names) for row in first.values()], dropped


def translate(source: Source, names: dict[str, Any]) -> Row:
    """Return the row with everything but its time and context; raise Dropped where a word has no translation."""
    refuse_unusable(source, names)
    batch = whole(source["batch"], "batch-unknown")
    remarks: list[str] = []
    hardware, host = machine(source, names)
    if host:
        remarks.append(host)
    model = look_up(names["models"], source["model"], "model-unknown")
    stack, mode = system(source, hardware, names)
    weights = weight_format(source, model, names)
    devices = names["device_counts"].get(source["parallelism"]) or whole(source["devices"], "devices-unknown")
    parallel = look_up(names["parallel"], source["parallelism"], "mode-unknown")
    if source["source_id"] == "memgap" and batch >= MEMGAP_BATCH_LIMIT:
        raise Dropped("batch-unknown", "the cache limits what is resident")
    for table, key in (
        ("model_remarks", "model"),
        ("hardware_remarks", "hardware"),
        ("parallel_remarks", "parallelism"),
        ("format_remarks", "weight_format"),
    ):
        remarks += [names[table][source[key]]] if source[key] in names[table] else []
    remarks += [names["system_remarks"][key] for key in system_keys(source) if key in names["system_remarks"]]
    if source["source_id"] in names["quoted_modes"]["sources"]:
        remarks.append(f"mode in the source: {source['mode']}")
    if prompts_are(source, "concurrency", names) and batch > 1:
        remarks.append("batch is the number of clients")
    values = {
        "id": source["id"],
        "source_id": source["source_id"],
        "trust": trust(source, names),
        "model": model,
        "hardware": hardware,
        "devices": devices,
        "parallel": parallel,
        "weight_format": weights,
        "weight_format_source": source["weight_format"],
        "kv_format": cache_format(source, stack, weights, batch, remarks, names),
        "batch": batch,
        "engine": source["engine"].strip(),
        "mode": mode,
        "stack": stack,
        "source": source["source_ref"],
    }
    return Row(source, values, remarks)


def refuse_unusable(source: Source, names: dict[str, Any]) -> None:
    """Raise Dropped for what no translation can save."""
    if source["id"] in names["rows_dropped"]:
        raise Dropped(*names["rows_dropped"][source["id"]])
    for rule in names["rows_dropped_where"]:
        if source[rule["column"]] == rule["value"]:
            raise Dropped(rule["reason"], f"{rule['column']}: {rule['value']}")
    if source["metric"] not in (*STEP_METRICS, REQUEST_METRIC, BOTH_WAYS_METRIC):
        raise Dropped("not-a-step-time", source["metric"])
    if source["mode"].startswith("MTP") or any(
        word in source["notes"] + source["weight_format"]
        for word in ("speculative", "not one token per step", "MTP3", "NOT a plain decode")
    ):
        raise Dropped("speculative", source["mode"])
    if source["mode"] in ("CPU", "torch.compile CPU"):
        raise Dropped("cpu", source["hardware"])
    if source["mode"] == "GPU/CPU":
        raise Dropped("offload", source["hardware"])
    if source["source_id"] == "habana" and source["batch"] == "1" and float(source["value"]).is_integer():
        raise Dropped("placeholder", f"{source['value']} tok/s among figures of six digits")


def machine(source: Source, names: dict[str, Any]) -> tuple[str, str]:
    """Return the device's catalogue name, and a remark on its host."""
    spelled = source["hardware"]
    if spelled in names["hardware_dropped"]:
        raise Dropped(names["hardware_dropped"][spelled], spelled)
    if source["source_id"] != "geerling":
        return look_up(names["hardware"], spelled, "hardware-unknown"), ""
    if spelled in names["hosts"]:
        return names["hosts"][spelled], f"host: {spelled}"
    inside = [part.split(")")[0] for part in spelled.split("(")[1:]]
    gpus = [names["hosted_gpus"][part] for part in inside if part in names["hosted_gpus"]]
    if len(gpus) != 1:
        raise Dropped("hardware-unknown", spelled)
    slow = "a slow host on a narrow link: " if spelled.startswith(tuple(names["slow_hosts"]["starts"])) else "host: "
    return gpus[0], slow + spelled


def system_keys(source: Source) -> list[str]:
    """Keys of the systems table that may hold this row, the longest first."""
    parts = [source["source_id"], source["engine"], source["mode"]]
    return [" | ".join(parts[:count]) for count in (3, 2, 1)]


def system(source: Source, hardware: str, names: dict[str, Any]) -> tuple[str, str]:
    """Return stack and mode."""
    found = [names["systems"][key] for key in system_keys(source) if key in names["systems"]]
    if not found:
        raise Dropped("mode-unknown", f"{source['engine']}: {source['mode']}")
    stack, mode = found[0]
    if source["weight_format"] in names["unfused"]["formats"] or source["id"] in names["unfused"]["rows"]:
        stack += "-unfused"
    if stack == "llama-cpp-hip" and not hardware.startswith(("mi", "rx-", "radeon", "strix")):
        stack = "llama-cpp-cuda"
    if mode == "graph" and hardware in names["without_graphs"]["hardware"]:
        return stack, "stream"
    if mode != "by-device":
        return stack, mode
    nvidia = hardware.startswith("rtx-") or hardware == "dgx-spark"
    if stack == "llama-cpp":
        stack += "-cuda" if nvidia else "-hip" if hardware.startswith("rx-") else "-metal"
    if source["hardware"].startswith(tuple(names["slow_hosts"]["starts"])):
        stack += "-slow-host"
    return stack, "graph" if nvidia and not hardware.startswith("rtx-20") else "stream"


def weight_format(source: Source, model: str, names: dict[str, Any]) -> str:
    """Return the storage format of the weights."""
    spelled = source["weight_format"]
    if spelled.startswith("4-bit (engine-specific"):
        return look_up(names["engine_formats"], source["engine"], "format-unknown")
    if spelled.startswith("Ollama default") and model.startswith("gpt-oss"):
        return "mxfp4"
    own = f"{source['source_id']}: {spelled}"
    found = look_up(names["formats"], own if own in names["formats"] else spelled, "format-unknown")
    return str(names["published_as"].get(model, {}).get(found, found))


def cache_format(
    source: Source, stack: str, weights: str, batch: int, remarks: list[str], names: dict[str, Any]
) -> str:
    """Return the storage format of the cache, empty where it is not stated (and say so where it matters)."""
    known = look_up(names["kv_formats"], source["kv_format"], "format-unknown")
    if known or batch == 1:
        return known
    if (stack, weights) == ("tensorrt-llm-serve", "fp8") and source["model"].startswith("Llama"):
        remarks.append(
            "cache format not stated; fp8, since with 16 bits the fastest of these rows would exceed the datasheet "
            "bandwidth"
        )
        return "fp8"
    remarks.append("cache format not stated")
    return ""


def trust(source: Source, names: dict[str, Any]) -> str:
    """Return the letter of the source."""
    return next(str(letter) for letter, ids in names["trust"].items() if source["source_id"] in ids)


def look_up(table: dict[str, str], word: str, reason: str) -> str:
    """Return the translation of `word`; raise Dropped with `reason` where there is none."""
    if word not in table:
        raise Dropped(reason, word)
    return table[word]


def whole(text: str, reason: str) -> int:
    """Return a count."""
    if not text:
        raise Dropped(reason)
    return int(float(text))


def one_step(row: Row, names: dict[str, Any]) -> Row:
    """Complete a row whose metric is a rate or a time of one step."""
    source, values = row.source, row.values
    if (
        source["metric"] in ("tok_s_out_incl_prefill", "tok_s_aggregate")
        and not source["mean_context"]
        and values["batch"] > 1
        and source["source_id"] != "habana"
    ):
        raise Dropped("length-unknown")
    values["time_per_step"] = time_of_step(source, values["batch"])
    values["context"] = context(row, names)
    bound_prefill(row, names)
    return row


def prompts_are(source: Source, how: str, names: dict[str, Any]) -> bool:
    """Whether the time of a source, or of one engine of it, has prompts in it as a list of names.toml says."""
    return any(key in names["prefill"][how] for key in system_keys(source))


def first_token_time(source: Source) -> float:
    """Return the time to the first token of a request that a note gives [s], 0 where it does not."""
    stated = re.search(r"ttft_ms=([0-9.]+) measured separately", source["notes"])
    return float(stated[1]) / 1e3 if stated else 0.0


def time_of_step(source: Source, batch: int) -> float:
    """Return the time of one step of a row that gives it without a second one [s]."""
    value = float(source["value"])
    if source["metric"] == REQUEST_METRIC:
        first = first_token_time(source)
        return (value / 1e3 - first) / (float(source["output_tokens"]) - bool(first))
    if source["metric"] == BOTH_WAYS_METRIC:
        return (
            (float(source["prompt_tokens"]) + float(source["output_tokens"])) / value / float(source["output_tokens"])
        )
    return STEP_METRICS[source["metric"]](value, batch)


def context(row: Row, names: dict[str, Any]) -> int:
    """Return the mean tokens in the cache, at least the one being decoded."""
    stated = row.source["mean_context"]
    if stated:
        return max(1, round(float(stated)))
    source_id = row.source["source_id"]
    if source_id not in names["assumed_context"]:
        raise Dropped("length-unknown")
    assumed = int(names["assumed_context"][source_id])
    row.remarks.append(f"context assumed: {assumed}")
    return assumed


def bound_prefill(row: Row, names: dict[str, Any]) -> None:
    """Raise Dropped where prompts may take too large a share of the time; say the share otherwise."""
    source, values = row.source, row.values
    serving = prompts_are(source, "serving", names)
    if not serving and not prompts_are(source, "request", names):
        return
    if not source["output_tokens"]:
        return
    outputs, step = float(source["output_tokens"]), values["time_per_step"]
    if source["source_id"] == "aic" and outputs <= AIC_SHORT_OUTPUT:
        raise Dropped("prefill", "short outputs: strong interference of prompts")
    prompt = float(source["prompt_tokens"] or values["context"] - outputs / 2)
    prompts = (values["batch"] - 1 if serving else values["batch"]) * prompt
    one_step_free = 0.0 if serving else step
    share = max(0.0, prefill_time(prompts, step, values, names) - one_step_free) / (outputs * step) if prompts else 0.0
    refuse_share(row, share, PREFILL_LIMIT_SERVING if serving else PREFILL_LIMIT)


def refuse_share(row: Row, share: float, limit: float) -> None:
    """Raise Dropped above the limit; remark on shares from half a percent."""
    if share > limit:
        raise Dropped("prefill", f"prompts may take {share:.0%} of the time")
    if share >= 0.005:
        row.remarks.append(f"prompts take at most {share:.1%} of the time")


def prefill_time(tokens: float, step: float, values: dict[str, Any], names: dict[str, Any]) -> float:
    """Return an upper bound of the time of prompts of so many tokens in all [s]."""
    if tokens <= PREFILL_IS_ONE_STEP:
        return step
    parameters, peak = names["active_parameters"].get(values["model"]), names["peak_16_bit"].get(values["hardware"])
    if parameters is None or peak is None:
        raise Dropped("prefill", "its share cannot be bounded")
    return float(max(step, 2 * parameters * 1e9 * tokens / (PREFILL_SHARE_OF_PEAK * peak * 1e12 * values["devices"])))


def grouped(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows that ask the same question but for the lengths."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.question(), []).append(row)
    yield from groups.values()


def lengths(row: Row) -> tuple[float, float]:
    """Return prompt and output tokens of a request."""
    return float(row.source["prompt_tokens"]), float(row.source["output_tokens"])


def pairs(group: list[Row]) -> Iterator[tuple[Row, Row | None]]:
    """Pair requests of long outputs with ones of at most half the output and the nearest prompt, each once."""
    left = sorted(group, key=lambda row: (-lengths(row)[1], lengths(row)[0]))
    while left:
        long = left.pop(0)
        prompt, output = lengths(long)
        fitting = [row for row in left if lengths(row)[1] <= output / 2]
        short = min(fitting, key=lambda row: abs(lengths(row)[0] - prompt), default=None)
        if short is not None:
            left.remove(short)
        yield long, short


def difference(long: Row, short: Row | None, names: dict[str, Any]) -> Row:
    """Return the decode step between two whole requests: what both spend besides falls out."""
    if short is None:
        raise Dropped("no-second-row")
    (prompt, output), (short_prompt, short_output) = lengths(long), lengths(short)
    steps = output - short_output
    seconds = (float(long.source["value"]) - float(short.source["value"])) / 1e3
    step = seconds / steps
    if step <= 0:
        raise Dropped("outlier", "the longer request takes less time")
    batch = long.values["batch"]
    prefills = prefill_time(batch * prompt, step, long.values, names) - prefill_time(
        batch * short_prompt, step, long.values, names
    )
    row = Row(long.source, dict(long.values), list(long.remarks))
    refuse_share(row, prefills / seconds, PREFILL_LIMIT)
    row.values["id"] = f"{long.source['id']}-minus-{short.source['id']}"
    row.values["time_per_step"] = step
    row.values["context"] = round(
        (output * (prompt + output / 2) - short_output * (short_prompt + short_output / 2)) / steps
    )
    row.remarks.append(
        f"difference of requests of {prompt:g} + {output:g} and {short_prompt:g} + {short_output:g} tokens"
    )
    return row


def finish(row: Row, names: dict[str, Any]) -> dict[str, Any]:
    """Return the row as written: class, ladders and caveat added."""
    leave_graph(row, names)
    notes = [note.strip() for note in row.source["notes"].replace(", ladder=", "; ladder=").split(";")]
    ladders = [note.removeprefix("ladder=").split(" (")[0] for note in notes if note.startswith("ladder=")]
    remarks = row.remarks + [note for note in notes if note and not note.startswith("ladder=")]
    if row.source["confidence"] != "read-verbatim":
        remarks.append(row.source["confidence"])
    tasks = re.search(r"(\d+) tasks", row.source["mode"])
    settings = f"modes.{row.values['mode']}.tasks={tasks[1]}" if tasks else ""
    return row.values | {
        "settings": settings,
        "class": class_of(row.values, names),
        "ladder": " ".join(ladders),
        "caveat": "; ".join(remarks),
        "time_per_step": repr(row.values["time_per_step"]),
    }


def leave_graph(row: Row, names: dict[str, Any]) -> None:
    """Ask a row eagerly where its engine has no graph: on that device in that year, or beyond so many tokens."""
    key = " | ".join((row.source["source_id"], row.source["engine"]))
    if row.values["hardware"] in names["eager_on"].get(key, ()):
        row.remarks.append("0.27 ms a layer on any number of devices: bound by the host; asked as eager")
    elif row.values["context"] > names["graph_at_most"].get(key, math.inf):
        row.remarks.append(f"vLLM left its graph above {names['graph_at_most'][key]} tokens; asked as eager")
    else:
        return
    row.values["mode"] = "eager"


def class_of(values: dict[str, Any], names: dict[str, Any]) -> str:
    """Return the first class whose rule holds (README)."""
    if values["mode"] in ("megakernel", "megakernel-generated", "looped"):
        return str(values["mode"])
    if values["stack"] in names["classes"]["serving"]:
        return "server"
    if values["mode"] == "eager":
        return "eager"
    if values["batch"] > 1:
        return "batch"
    if values["weight_format"] not in (*SIXTEEN_BITS, "fp32"):
        return "quantised"
    return "well-made-16-bit" if values["stack"] in names["classes"]["well_made"] else "server"


def tables(rows: list[dict[str, Any]], dropped: list[dict[str, Any]]) -> str:
    """Return the counts by source, class and reason, as README shows them."""
    used = Counter(source_id for row in rows for source_id in [row["source_id"]] * len(row["id"].split("-minus-")))
    made, classes, reasons = (
        Counter(row[key] for row in table) for table, key in ((rows, "source_id"), (rows, "class"), (dropped, "reason"))
    )
    lost = Counter(row["source_id"] for row in dropped)
    letter = {row["source_id"]: row["trust"] for row in rows}
    lines = ["| source | trust | rows | of | dropped |", "| --- | --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {letter.get(name, '')} | {made[name]} | {used[name] + lost[name]} | {lost[name]} |"
        for name in sorted({*made, *lost}, key=lambda name: (-made[name], name))
    ]
    lines += [
        f"| all | | {len(rows)} | {used.total() + len(dropped)} | {len(dropped)} |",
        "",
        "| class | rows |",
        "| --- | ---: |",
    ]
    lines += [f"| {name} | {count} |" for name, count in classes.most_common()]
    lines += ["", "| reason | rows | meaning |", "| --- | ---: | --- |"]
    lines += [f"| {name} | {count} | {REASONS[name]} |" for name, count in reasons.most_common()]
    return "\n".join(lines) + "\n"


def with_counts(text: str, rows: list[dict[str, Any]], dropped: list[dict[str, Any]]) -> str:
    """Return README.md with the counts of these rows: in its sentences, its table of classes and its last chapter."""
    differences = sum("-minus-" in row["id"] for row in rows)
    whole = len(rows) - differences
    text = re.sub(
        r"[\d,]+ rows of \d+ sources", f"{len(rows):,} rows of {len({row['source_id'] for row in rows})} sources", text
    )
    text = re.sub(
        r"each of the [\d,]+ rows of the tables, once: [\d,]+ rows are asked as they are,"
        r" [\d,]+ as [\d,]+ differences of two, [\d,]+ are",
        f"each of the {whole + 2 * differences + len(dropped):,} rows of the tables, once: {whole:,} rows are asked as"
        f" they are, {2 * differences} as {differences} differences of two, {len(dropped):,} are",
        text,
    )
    for name, count in Counter(row["class"] for row in rows).items():
        text = re.sub(rf"(?m)^(\| \d \| {re.escape(name)} \| .*\| )\d+ \|$", rf"\g<1>{count} |", text)
    sources, _, rest = tables(rows, dropped).partition("\n\n")
    reasons = rest.partition("\n\n")[2]
    return text[: text.index("## Counts")] + f"## Counts\n\n{sources}\n\n{reasons}"


def write(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write a CSV whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, tuple(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
