# ruff: noqa: INP001
"""Make pairs.csv, rows of two launch modes of one question, from tables of ladders with both sides measured.

    python validation/pairs.py ladders.csv

The tables named are read first, then those of this folder, ladders*.csv, by name. Each side of a pair becomes a row as
in rows.csv, tagged with the pair. What cannot be asked is counted by reason. Same input, same bytes; standard library
only.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODES = ("eager", "stream", "graph", "pdl", "layer-fused", "looped", "megakernel")
# Words of the engines, first match first: the stack, and the mode where the stack's is another than the table says.
STACKS = (
    ("etx", "etx", ""),
    ("fleet", "fleet", ""),
    ("hazyresearch", "hazy-megakernels", ""),
    ("cohere megakernel", "cohere-megakernel", ""),
    ("luce megakernel", "luce-megakernel", ""),
    ("qwen_megakernel", "qwen-megakernel", ""),
    ("mirage", "mirage", ""),
    ("hf transformers", "hf-eager", ""),
    ("pegainfer glm", "pegainfer", ""),
    ("tensorrt edge-llm", "tensorrt-edge-llm", ""),
    ("zerfoo", "zerfoo", ""),
    ("pdl, fused kernels", "graph-and-pdl", ""),
    ("mega_triton", "triton-dist", "megakernel-generated"),
    ("triton_dist", "triton-dist", ""),
    ("torch + cudagraph", "pytorch-graph", ""),
    ("torch", "pytorch", ""),
    ("llama.cpp", "llama-cpp-cuda", ""),
    ("+ cuda graph", "llama-cpp-cuda", ""),
    ("same + pdl", "llama-cpp-cuda", ""),
    ("bias and glu", "llama-cpp-cuda", ""),
    ("sglang", "sglang", ""),
    ("+ torch.compile", "sglang", ""),
    ("vllm.cpp", "vllm-cpp", ""),
    ("vllm", "vllm", ""),
    ("+ xpu graph", "vllm", ""),
    ("mlc", "mlc-llm", ""),
    ("nxdi", "neuronx", ""),
    ("nki", "neuronx", ""),
    ("pdl", "sparkinfer", ""),
    ("main", "sparkinfer", ""),
    ("lucebox", "lucebox", ""),
    ("cuda graph + argmax", "lucebox", ""),
)
MODELS = {
    "gemma4-26b-a4b": "gemma-4-26b-a4b", "qwen2-14b": "qwen2.5-14b", "qwen3.5-27b (Qwen3.6-27B-FP8)": "qwen3.5-27b",
    "qwen3.5-35b-a3b (Qwen3.6)": "qwen3.5-35b-a3b", "kimi-k2.5 (Kimi-K2.6)": "kimi-k2.5",
}  # fmt: skip
HARDWARE = {
    "RX 7900 XTX (gfx1100 @340 W; card name inferred)": "rx-7900-xtx",
    "MI100 (gfx908 @190 W)": "mi100",
    "h100-sxm (GPU not stated; 7.06 ms is below the bf16 floor of A100 and H100 PCIe)": "h100-sxm",
    "h100-sxm (not stated)": "h100-sxm",
    "rtx-4090 (one of 6)": "rtx-4090",
    "Arc Pro B70": "arc-pro-b70",
}
PDL_ON_A_GUESS = "not in the excerpt (PR has sections for DGX Spark and larger Blackwell"
# Pairs that contradict physics or their own source.
OUTLIERS = {"pie348-eg": "39 GB of weights in 15.4 ms would need 2.5 TB/s of a device of 2.0"}
# What an engine says of itself, as --set takes it: an all-reduce by one-shot kernels of its own, where the framework
# has NCCL (EXCHANGE of effects.py).
SETTINGS = {"triton_dist AllReduce + cudagraph": "modes.graph.exchange=0us..2us;modes.graph.exchange_rise=0us..0.6us"}
FORMATS = {"q4f16_1": "q4f16", "q4f16_ft": "q4f16"}
COLUMNS = (
    "id", "source_id", "trust", "model", "hardware", "devices", "parallel", "weight_format", "weight_format_source",
    "kv_format", "batch",
    "context", "engine", "mode", "stack", "time_per_step", "class", "ladder", "settings", "source", "caveat",
)  # fmt: skip


def stack_of(engine: str, hardware: str) -> tuple[str, str]:
    """Return stack and mode of an engine as the table names it, '' for none."""
    found = next(((stack, mode) for words, stack, mode in STACKS if words in engine.lower()), ("", ""))
    if found[0] == "llama-cpp-cuda" and hardware.startswith(("rx-", "mi")):
        return "llama-cpp-hip", ""
    return found


def side(pair: dict[str, str], which: str, model: str, hardware: str) -> dict[str, str] | None:
    """Return one side of a pair as a row, None where its stack or mode is unknown."""
    engine = pair[f"engine_{which}"]
    stack, mode = stack_of(engine, hardware)
    if which == "after" and not stack:
        stack = stack_of(pair["engine_before"], hardware)[0]
    mode = mode or pair[f"mode_{which}"]
    if not stack or mode not in (*MODES, "megakernel-generated"):
        return None
    source = pair["source"].partition(" ")[0].removeprefix("github.com/").partition("/")[2].replace("/", "-")
    return {
        "id": f"{pair['id']}-{which}", "source_id": f"pair-{source.lower()}", "trust": pair["trust"], "model": model,
        "hardware": hardware,
        "devices": pair["devices"], "parallel": pair["parallel"] if "=" in pair["parallel"] else "",
        "weight_format": FORMATS.get(pair["weight_format"], pair["weight_format"]),
        "weight_format_source": pair["weight_format"], "kv_format": pair["kv_format"], "batch": pair["batch"],
        "context": pair["context"] or "128", "engine": engine, "mode": mode, "stack": stack,
        "time_per_step": pair[f"time_{which}_s"],
        "class": "pair", "ladder": f"a-{pair['id']}", "settings": SETTINGS.get(engine, ""),
        "source": pair["source"],
        "caveat": pair["caveat"] if pair["context"] else f"context assumed: 128; {pair['caveat']}",
    }  # fmt: skip


def sides(pair: dict[str, str]) -> list[dict[str, str]] | str:
    """Return both sides of a pair as rows, or why it cannot be asked."""
    hardware = HARDWARE.get(pair["hardware"], pair["hardware"])
    model = MODELS.get(pair["model"], pair["model"])
    if pair["id"] in OUTLIERS:
        return "contradicts physics"
    if not pair["batch"]:
        return "batch not stated"
    if pair["hardware"].startswith(PDL_ON_A_GUESS) or "not stated" in hardware or " " in hardware:
        return "device not stated, or not in the catalogue"
    if not pair["weight_format"] or pair["weight_format"] in ("not stated", "q2") or " " in pair["weight_format"]:
        return "format not stated"
    if pair["mode_before"] == pair["mode_after"]:
        return "the same mode: other kernels, which test call counts"
    if " " in model:
        return "model without a public shape"
    both = [row for which in ("before", "after") if (row := side(pair, which, model, hardware)) is not None]
    return both if len(both) == len(("before", "after")) else "engine or mode unknown"


def main(arguments: list[str]) -> int:
    """Read the tables named and those of this folder, write pairs.csv."""
    if not arguments:
        sys.stderr.write("usage: pairs.py LADDERS.csv [MORE.csv ...]\n")
        return 2
    reasons: Counter[str] = Counter()
    rows: list[dict[str, str]] = []
    for path in [*map(Path, arguments), *sorted(HERE.glob("ladders*.csv"))]:
        with path.open(encoding="utf-8", newline="") as file:
            for pair in csv.DictReader(file):
                both = sides(pair)
                if isinstance(both, str):
                    reasons[both] += 1
                else:
                    rows += both
    with (HERE / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    sys.stdout.write(
        f"{len(rows) // 2} pairs\n"
        + "".join(f"{count} left out: {reason}\n" for reason, count in reasons.most_common())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
