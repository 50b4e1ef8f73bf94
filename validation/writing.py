# ruff: noqa: INP001
"""Write what was fitted into software/*.toml, with low, high and sources. Imported by fit.py and drafts.py."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from scipy.sparse import diags

ROOT = Path(__file__).resolve().parent.parent
# Standard deviations from the value to the 5th and 95th percentile, of a normal and of a Student distribution of three degrees.
TO_PERCENTILE, TO_HEAVY_PERCENTILE = 1.645, 2.353
# Least sources from which a kind has a spread and a noise of its own; all kinds together have those of the others.
ENOUGH_SOURCES = 5
# Share of the rows of a source that its interval should hold, averaged over sources.
INSIDE = 0.85
TITLES = {
    "engine": "Engines whose kernels are launched from compiled code: gpt-fast, TensorRT-LLM, MLC-LLM, MLX, ExLlama's successors",
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
    "server": {"stream": "engine", "graph": "engine", "eager": "separate"},
}
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

    def __init__(self, fit: Any, covariance: np.ndarray, name: str) -> None:
        self.fit, self.covariance, self.name = fit, covariance, name
        self.kind = name.partition("-")[0]

    def value(
        self, parameter: str, place: str = "", mode: str = "graph", storage: str = "none"
    ) -> tuple[float, float, float]:
        """Return low, value and high of a parameter on an architecture, '' for any."""
        from fit import PARAMETERS

        return self._ends(PARAMETERS[parameter](self.name, place, mode, storage))

    def _ends(self, effects: Iterable[tuple[str, float, float]]) -> tuple[float, float, float]:
        known, total, variance = [], 0.0, 0.0
        for name, mean, spread in effects:
            index = self.fit.effects.index(name)
            if index is None:
                total, variance = total + mean, variance + spread**2
            else:
                known.append(index)
                total += float(self.fit.values[index])
        variance += float(self.covariance[np.ix_(known, known)].sum())
        half = TO_PERCENTILE * math.sqrt(max(variance, 1e-8))
        return math.exp(total - half), math.exp(total), math.exp(total + half)


def write_software(fit: Any, left_out: Path | None, folder: Path = ROOT / "software") -> None:
    """Write a file for each kind and year that rows speak of."""
    covariance = fit.covariance()
    seen = fit.seen
    beyond = _beyond(fit, covariance, left_out)
    errors = _errors(left_out)
    places = sorted(set(seen.architecture))
    for name in sorted(set(seen.software)):
        one = _Software(fit, covariance, name)
        path = folder / f"{name}.toml"
        text = _text(one, places, beyond.get(name.partition("-")[0], beyond[""]), errors.get(name, []))
        # What drafts.py wrote stays.
        old = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else {}
        if "drafts" in old:
            text = _with_drafts(text, old["drafts"], old["sources"]["drafts"])
        path.write_text(text, encoding="utf-8")


def write_drafts(kind: str, costs: dict[str, tuple[float, float, float]], source: str) -> None:
    """Write low, value and high [s] of the costs of drafts, by key, into the files of a kind of software.

    source: the rows that say so.
    """
    for path in sorted((ROOT / "software").glob(f"{kind}-*.toml")):
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
    if not place:
        lines += ["", "[kernels]", _line("tile", one.value("tile"), "", source)]
        lines.append(_line("added", one.value("added"), "", source, most=1.0))
    for mode in ("stream", "graph"):
        lines += ["", f"[{prefix}modes.{mode}]"]
        if not place and mode in STRUCTURE.get(one.kind, {}):
            lines.append(f'kernels = "{STRUCTURE[one.kind][mode]}"')
        lines.append(_line("host", one.value("host", place), "s", source))
        if not place:
            lines.append(_line("sequence", one.value("sequence"), "s", source))
        matrix = one.value("matrix", place)
        times = one.value("experts")[1]
        lines.append(_line("matrix", matrix, "s", source))
        lines.append(_line("experts", (matrix[0] * times, matrix[1] * times, matrix[2] * times), "s", source))
        lines.append(_line("exchange", one.value("exchange", place), "s", source))
        lines.append(_line("exchange_rise", one.value("rise", place), "s", source))
        if mode == "stream" and one.kind != "compiled":
            lines.append(_line("issue", one.value("issue", place, "stream"), "s", source))
    # What runs eagerly is a framework, whatever else the software is.
    one = (
        one if one.kind in ("framework", "server", "compiled") else _Software(one.fit, one.covariance, "framework-2024")
    )
    kind = one.kind
    lines += ["", f"[{prefix}modes.eager]"]
    if not place and "eager" in STRUCTURE.get(kind, {}):
        lines.append(f'kernels = "{STRUCTURE[kind]["eager"]}"')
    lines.append(_line("host", one.value("host", place), "s", source))
    if kind != "compiled":
        lines.append(_line("issue", one.value("issue", place, "eager"), "s", source))
    return lines


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


def _read(left_out: Path | None) -> dict[str, dict[str, str]]:
    if left_out is None:
        return {}
    with left_out.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def _errors(left_out: Path | None) -> dict[str, list[tuple[str, int, float]]]:
    """Return for each software the sources with their rows and median error."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in _read(left_out).values():
        error = abs(float(row["predicted"]) / float(row["measured"]) - 1)
        found.setdefault(row["software"], {}).setdefault(row["source_id"], []).append(error)
    return {
        software: [(source, len(errors), float(np.median(errors))) for source, errors in sorted(sources.items())]
        for software, sources in found.items()
    }


def _beyond(fit: Any, covariance: np.ndarray, left_out: Path | None) -> dict[str, tuple[float, float]]:
    """Return spread between sources and noise of a row by kind of software, as half-widths of logarithms; '' for all kinds."""
    rows = _read(left_out)
    seen = fit.seen
    if not rows:
        return {"": (0.2, 0.1)}
    _, slopes = fit.slopes(fit.values)
    known = np.ones(slopes.shape[1])
    known[fit.effects.parts["source"][:, 0]] = 0.0
    without_sources = (slopes @ diags(known)).tocsr()
    variance = np.asarray(without_sources @ covariance)
    half = TO_PERCENTILE * np.sqrt(np.maximum(np.asarray(without_sources.multiply(variance).sum(1)).ravel(), 0))
    error = np.array(
        [math.log(float(rows[r.id]["predicted"]) / r.time_per_step) if r.id in rows else np.nan for r in seen.rows]
    )
    kinds = {software.partition("-")[0] for software in seen.software}
    found = {"": _fitted_beyond(seen, error, half, set(range(len(seen.rows))).__contains__)}
    for kind in sorted(kinds):
        mine = [i for i, software in enumerate(seen.software) if software.startswith(kind)]
        if len({seen.source[i] for i in mine}) >= ENOUGH_SOURCES:
            chosen = set(mine)
            found[kind] = _fitted_beyond(seen, error, half, chosen.__contains__)
    return found


def _fitted_beyond(seen: Any, error: np.ndarray, half: np.ndarray, chosen: Any) -> tuple[float, float]:
    sources: dict[str, list[int]] = {}
    for i, source in enumerate(seen.source):
        # Pairs test a ratio: their engines are of every sort. Headlines of trust C say little of a spread.
        if chosen(i) and not np.isnan(error[i]) and not source.startswith("pair-") and seen.rows[i].trust in "AB":
            sources.setdefault(source, []).append(i)
    scatter = [np.median(np.abs(error[rows] - np.median(error[rows]))) for rows in sources.values() if len(rows) > 4]
    noise = TO_PERCENTILE * 1.4826 * float(np.median(scatter)) if scatter else 0.1
    for spread in np.arange(0.0, 1.5, 0.01):
        inside = [
            np.mean(np.abs(error[rows]) <= np.sqrt(half[rows] ** 2 + spread**2 + noise**2)) for rows in sources.values()
        ]
        if np.mean(inside) >= INSIDE:
            break
    return float(spread), noise
