# ruff: noqa: INP001
"""Write what was fitted into software/*.toml, with low, high and sources. Imported by fit.py and drafts.py."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from effects import LINKED, PARAMETERS, ROWS, SPREADS, Effect, kind_of
from fused import with_kernels, written_kernels
from observations import EXPERTS_APART, MOST_COLUMNS, PLANS_AHEAD
from widths import independent_shares, package_halves

from perfmodel.equations.uncertainty import NORMAL_PERCENTILE

SOFTWARE = Path(__file__).resolve().parent.parent / "software"
# Standard deviations from the value to the 5th and 95th percentile of a Student distribution of three degrees of
# freedom.
STUDENT_PERCENTILE = 2.353
# What makes a standard deviation of a median of absolute deviations, of a normal distribution.
FROM_ABSOLUTE = 1.4826
TITLES = {
    "engine": "Engines whose kernels are launched from compiled code: gpt-fast, TensorRT-LLM, MLC-LLM, MLX, "
    "ExLlama's successors",
    "framework": "Frameworks that run each operation as it comes: Hugging Face transformers, LitGPT",
    "server": "Serving engines: vLLM, SGLang, TensorRT-LLM serve, TGI",
    "ggml": "llama.cpp and what is built on ggml: Ollama, mistral.rs",
    "python": "Fused kernels launched one by one from Python: AutoAWQ, TinyChat, ExLlama",
    "compiled": "Steps compiled ahead of time into one program: Neuron, Gaudi, TPU",
}
STRUCTURE = {
    "engine": {"stream": "engine", "graph": "engine"},
    "python": {"stream": "engine", "graph": "engine"},
    "ggml": {"stream": "separate", "graph": "separate"},
    "server": {"stream": "engine", "graph": "engine", "eager": "engine"},
}
# Where an all-reduce is one kernel with the norm behind it: vLLM's pass fuse_allreduce_rms, on by default on these with
# more than one device (docs.vllm.ai, design/fusions, from 0.16 on); SGLang and TensorRT-LLM have the same kernels.
JOINED = {("server-2026", "hopper"), ("server-2026", "blackwell")}
MODE = {
    "framework": "eager",
    "python": "stream",
    "server": "graph",
    "ggml": "graph",
    "ggml-2024": "stream",
    "compiled": "graph",
}


class _Software:
    """One kind and year of software while its file is made."""

    def __init__(self, fit: Any, covariance: np.ndarray, shares: dict[str, float], name: str) -> None:
        self.fit, self.covariance, self.shares, self.name = fit, covariance, shares, name
        self.kind = kind_of(name)

    def value(
        self, parameter: str, place: str = "", mode: str = "graph", storage: str = "none"
    ) -> tuple[float, float, float]:
        """Return low, value and high of a parameter on an architecture, '' for any."""
        return self._ends(PARAMETERS[parameter](self.name, place, mode, storage), self.shares[parameter])

    def experts(self, place: str) -> tuple[float, float, float]:
        """Return low, value and high of what a call with matrices of routed experts loses [s]."""
        both = [*PARAMETERS["matrix"](self.name, place, "graph", "none")]
        return self._ends([*both, *PARAMETERS["experts"](self.name, place, "graph", "none")], self.shares["experts"])

    def _ends(self, effects: Iterable[Effect], share: float) -> tuple[float, float, float]:
        known, total, variance = [], 0.0, 0.0
        for name, mean, level in effects:
            index = self.fit.effects.index(name)
            if index is None:
                total, variance = total + mean, variance + self.fit.spreads.get(level, SPREADS[level]) ** 2
            else:
                known.append(index)
                total += float(self.fit.values[index])
        variance += float(self.covariance[np.ix_(known, known)].sum())
        half = NORMAL_PERCENTILE * math.sqrt(max(share * variance, 1e-8))
        return math.exp(total - half), math.exp(total), math.exp(total + half)


def write_software(fit: Any, left_out: Path, folder: Path = SOFTWARE) -> None:
    """Write a file for each kind and year that rows speak of into a folder.

    Parameters have the low and high that make, as independent parts, the variance that the fit gives a time. What is
    left of the half-widths of sources left out, beside them and what the device's file is uncertain by, is the spread.
    In another folder than the package's spread and noise are as there.
    """
    covariance = fit.covariance()
    shares = independent_shares(fit, covariance)
    rows = _read(left_out)
    if folder != SOFTWARE:
        _write(fit, covariance, shares, _written_beyond(), rows, folder)
        return
    _write(fit, covariance, shares, {}, rows, folder)
    halves = package_halves(fit.seen)
    _write(fit, covariance, shares, _beyond(fit.seen, halves, rows), rows, folder)


def _written_beyond() -> dict[str, tuple[float, float]]:
    """Return spread and noise by kind as the package's files have them."""
    found = {}
    for path in sorted(SOFTWARE.glob("*.toml")):
        told = tomlkit.parse(path.read_text(encoding="utf-8"))["software"]
        found[kind_of(path.stem)] = float(told["spread"]["value"]), float(told["noise"]["value"])
    return found


def _write(
    fit: Any,
    covariance: np.ndarray,
    shares: dict[str, float],
    beyond: dict[str, tuple[float, float]],
    rows: dict[str, dict[str, str]],
    folder: Path,
) -> None:
    seen = fit.seen
    errors = _errors(rows)
    # Which library carries exchanges goes by the architecture, also where no row is.
    places = sorted({*seen.architecture, *LINKED})
    for name in sorted(set(seen.software)):
        one = _Software(fit, covariance, shares, name)
        text = _text(one, places, beyond.get(one.kind, (0.0, 0.0)), errors.get(name, []))
        path = folder / f"{name}.toml"
        # What fused.py and drafts.py wrote stays.
        text = with_kernels(text, *written_kernels(name))
        old = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else {}
        if "drafts" in old:
            text = _with_drafts(text, old["drafts"], old["sources"]["drafts"])
        path.write_text(text, encoding="utf-8")


def write_drafts(kind: str, costs: dict[str, tuple[float, float, float]], source: str) -> None:
    """Write low, value and high [s] of the costs of drafts, by key, into the files of a kind of software.

    source: the rows that say so.
    """
    for path in sorted(SOFTWARE.glob(f"{kind}-*.toml")):
        drafts = tomlkit.parse("\n".join(_line(key, ends, "s", "drafts") for key, ends in costs.items()))
        path.write_text(_with_drafts(path.read_text(encoding="utf-8"), drafts, source), encoding="utf-8")


def _with_drafts(text: str, drafts: Any, source: Any) -> str:
    found = tomlkit.parse(text)
    for table, value in ((found, drafts), (found["sources"], source)):
        table.pop("drafts", None)
        table["drafts"] = value
    # A table of its own, behind all others.
    table = tomlkit.table()
    table.update(found.pop("drafts"))
    return tomlkit.dumps(found).rstrip("\n") + "\n\n" + tomlkit.dumps({"drafts": table}).strip() + "\n"


def _text(one: _Software, places: list[str], beyond: tuple[float, float], errors: list[tuple[str, int, float]]) -> str:
    seen = one.fit.seen
    own = [i for i, software in enumerate(seen.software) if software == one.name]
    by_place = {p: [i for i in own if seen.architecture[i] == p] for p in places}
    sources = {"fit": _told(seen, own)}
    sources |= {
        p: _told(seen, rows)
        if rows
        else f"no row of this software on {p}: what others lose and reach there, over what it does elsewhere"
        for p, rows in by_place.items()
    }
    sources["spread"] = (
        "what sources that were left out of the fit are off by beyond their parameters (validation/left_out.csv)"
    )
    if one.kind == "ggml":
        sources["columns"] = "MMVQ_MAX_BATCH_SIZE of ggml/src/ggml-cuda/mmvq.cuh"
        sources["metal"] = "ne21_mm_id_min of ggml/src/ggml-metal/ggml-metal-ops.cpp; below it mul_mv_id for each token"
    if one.name in PLANS_AHEAD:
        sources["ahead"] = (
            "vLLM plans a step while the one before runs by default from 0.14 on (pull request 27614), SGLang and"
            " TensorRT-LLM by their overlap schedulers"
        )
    mode = MODE.get(one.name, MODE.get(one.kind, ""))
    tested = ", ".join(f"{source} {median:.0%} ({count})" for source, count, median in errors)
    lines = [
        "# Written by validation/fit.py; what is changed here by hand is lost with the next fit.",
        f'title = "{TITLES[one.kind]}, as of {one.name[-4:]}"',
        f'kind = "{one.kind}"',
        f"year = {one.name[-4:]}",
        *([f'mode = "{mode}"'] if mode else []),
        f'fitted_on = "{_told(seen, own)}"',
        f'tested_on = "median error of each source with itself left out (rows): {tested or "not yet"}"',
        "",
        "[sources]",
        *(f'{key} = "{text}"' for key, text in sources.items()),
        "",
        "[software]",
        _line("spread", (beyond[0], beyond[0], beyond[0]), "", "spread", most=3.0),
        _line("noise", (beyond[1], beyond[1], beyond[1]), "", "spread", most=3.0),
    ]
    formats = sorted({f for f in seen.format if f != "none"})
    lines += _tables(one, "", "", formats, "fit")
    for place in places:
        there = sorted(
            {seen.format[i] for i, p in enumerate(seen.architecture) if p == place and seen.format[i] != "none"}
        )
        lines += _tables(one, f"on.{place}.", place, there, place)
    return "\n".join(lines) + "\n"


def _tables(one: _Software, prefix: str, place: str, formats: list[str], source: str) -> list[str]:
    lines = ["", f"[{prefix}reach]", _line("weights", one.value("weights", place), "", source, most=1.5)]
    lines.append(_line("quantised", one.value("narrow", place), "", source, most=1.5))
    lines.append(_line("kv", one.value("kv", place), "", source, most=1.5))
    for storage in formats:
        key = storage if storage.replace("-", "").isalnum() else f'"{storage}"'
        lines.append(_line(key, one.value("narrow", place, storage=storage), "", source, most=1.5))
    lines += ["", f"[{prefix}units]", _line("stream", one.value("stream", place), "B/s", source)]
    lines += ["", f"[{prefix}kernels]", _line("tile", one.value("tile", place), "", source)]
    if not place:
        lines.append(_line("added", one.value("added"), "", source, most=1.0))
    if not place or (one.kind, place) in ROWS:
        lines.append(_line("arithmetic", one.value("arithmetic", place), "", source, most=1.0))
    if one.kind == "ggml":
        lines.append(_line("column", one.value("column", place), "", source))
        if not place:
            lines.append(_line("most_columns", (MOST_COLUMNS,) * 3, "", "columns"))
        if place == "apple":
            lines.append(_line("experts_apart", (EXPERTS_APART,) * 3, "", "metal"))
    for mode in ("stream", "graph"):
        lines += ["", f"[{prefix}modes.{mode}]"]
        lines += _style(one, place, mode)
        lines += _host(one, place, source)
        if not place:
            lines.append(_line("sequence", one.value("sequence"), "s", source))
        lines.append(_line("matrix", one.value("matrix", place), "s", source))
        lines.append(_line("experts", one.experts(place), "s", source))
        lines.append(_line("exchange", one.value("exchange", place), "s", source))
        lines.append(_line("exchange_rise", one.value("rise", place), "s", source))
        if mode == "stream" and one.kind != "compiled":
            lines.append(_line("issue", one.value("issue", place, "stream"), "s", source))
    if style := _style(one, place, "pdl"):
        lines += ["", f"[{prefix}modes.pdl]", *style]
    # What runs eagerly is a framework, whatever else the software is.
    one = (
        one
        if one.kind in ("framework", "server", "compiled")
        else _Software(one.fit, one.covariance, one.shares, "framework-2024")
    )
    kind = one.kind
    lines += ["", f"[{prefix}modes.eager]"]
    lines += _style(one, place, "eager")
    lines += _host(one, place, source)
    if kind != "compiled":
        lines.append(_line("issue", one.value("issue", place, "eager"), "s", source))
    return lines


def _style(one: _Software, place: str, mode: str) -> list[str]:
    """Return the line that says in which calls a mode's operations are made, where the software says so."""
    style = "" if place else STRUCTURE.get(one.kind, {}).get(mode, "")
    if (one.name, place) in JOINED and mode != "eager":
        style = "joined"
    return [f'kernels = "{style}"'] if style else []


def _host(one: _Software, place: str, source: str) -> list[str]:
    """Return the lines of a mode's host time; of a host that plans ahead it is the same on every architecture."""
    ahead = one.name in PLANS_AHEAD
    if ahead and place:
        return []
    lines = [_line("host", one.value("host", place), "s", source)]
    return [*lines, _line("beside", (1.0, 1.0, 1.0), "", "ahead")] if ahead else lines


def _line(key: str, ends: tuple[float, float, float], unit: str, source: str, most: float = math.inf) -> str:
    numbers = [_number(min(end, most), unit) for end in ends]
    parts = ("value",) if len(set(numbers)) == 1 else ("low", "value", "high")
    shown = numbers[1:2] if len(parts) == 1 else numbers
    told = ", ".join(f"{part} = {number}" for part, number in zip(parts, shown, strict=True))
    return f'{key} = {{ {told}, kind = "derived", source = "{source}" }}'


def _number(value: float, unit: str) -> str:
    if not unit:
        return f"{value:.4g}"
    scale, prefix = {"s": (1e6, "u"), "B/s": (1e-9, "G")}[unit]
    return f'"{value * scale:.4g} {prefix}{unit}"'


def _told(seen: Any, rows: list[int]) -> str:
    counts: dict[str, int] = {}
    for i in rows:
        counts[seen.source[i]] = counts.get(seen.source[i], 0) + 1
    named = ", ".join(
        f"{source} {count}" for source, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    only = "the one source" if len(counts) == 1 else f"{len(counts)} sources"
    return f"{len(rows)} rows of {only}: {named}" if rows else "no row"


def _read(left_out: Path) -> dict[str, dict[str, str]]:
    if not left_out.exists():
        return {}
    with left_out.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def _errors(rows: dict[str, dict[str, str]]) -> dict[str, list[tuple[str, int, float]]]:
    """Return for each software the sources with their rows and median error."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows.values():
        error = abs(float(row["predicted"]) / float(row["measured"]) - 1)
        found.setdefault(row["software"], {}).setdefault(row["source_id"], []).append(error)
    return {
        software: [(source, len(errors), float(np.median(errors))) for source, errors in sorted(sources.items())]
        for software, sources in found.items()
    }


def _beyond(seen: Any, halves: np.ndarray, rows: dict[str, dict[str, str]]) -> dict[str, tuple[float, float]]:
    """Return spread between sources and noise of a row by kind of software, as half-widths of logarithms [-].

    Together they are what is left, in the median over sources, of the half-width of a row whose source was left out
    beside that of its parameters; the noise is the scatter within a source.
    """
    left: dict[str, dict[str, list[float]]] = {}
    scatter: dict[str, dict[str, list[float]]] = {}
    for row, software, source, half in zip(seen.rows, seen.software, seen.source, halves, strict=True):
        told = rows.get(row.id)
        if told is None:
            continue
        whole = math.log(float(told["high"]) / float(told["low"])) / 2
        left.setdefault(kind_of(software), {}).setdefault(source, []).append(whole**2 - half**2)
        error = math.log(float(told["predicted"]) / row.time_per_step)
        scatter.setdefault(kind_of(software), {}).setdefault(source, []).append(error)
    found = {}
    for kind, sources in left.items():
        total = max(float(np.median([np.median(squares) for squares in sources.values()])), 0.0)
        many = [np.array(errors) for errors in scatter[kind].values() if len(errors) > 4]
        each = float(np.median([np.median(np.abs(errors - np.median(errors))) for errors in many])) if many else 0.05
        noise = min(NORMAL_PERCENTILE * FROM_ABSOLUTE * each, math.sqrt(total / 2))
        found[kind] = math.sqrt(total - noise**2), noise
    return found
