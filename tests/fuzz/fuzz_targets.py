"""What is fuzzed: each target takes bytes and must answer, or refuse in one line, with numbers that are numbers."""

import contextlib
import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

from commandline import answered
from fuzz_inputs import CORPUS

from perfmodel import estimate, solve
from perfmodel.errors import PerfModelError

MOST_POINTS = 64  # of a grid that is worked out
DEVICE, MODEL = "a10", "llama-3.2-1b"
# Files that stand beside a command line, by the word for each.
BESIDE = {
    "rows.csv": "measurements/rows.csv",
    "trace.json": "traces/chrome.json",
    "config.json": "configs/dense-plain.json",
    "device.toml": "devices/h100-sxm.toml",
    "profile.toml": "profiles/vllm.toml",
    "study.toml": "studies/two.toml",
    "head.json": "drafters/eagle3.json",
}


@contextlib.contextmanager
def file_of(data: bytes, name: str) -> Iterator[Path]:
    """Yield a file with these bytes, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def numbers(value: Any) -> None:
    """Raise ValueError for a number that is none, somewhere in an answer."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a number that is none: {value}")
    if isinstance(value, dict):
        for one in value.values():
            numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            numbers(one)


def checked(answer: Any) -> None:
    """Check that the figures of an estimate are numbers, and can be written."""
    json.dumps(answer.to_dict(), allow_nan=False)


def trace(data: bytes) -> None:
    """A recorded profile, summarised and shown."""
    from perfmodel.report.text import to_plain
    from perfmodel.report.traced import trace_document, trace_loops_document
    from perfmodel.traces import read_trace, summarise

    with file_of(data, "trace") as path:
        summary = summarise(read_trace(path), measured=1e-3)
    numbers(summary.to_dict())
    to_plain(trace_document(summary))
    to_plain(trace_loops_document(summary))


def config(data: bytes) -> None:
    """A config.json of Hugging Face."""
    with file_of(data, "config.json") as path:
        checked(estimate(str(path), DEVICE))


def device(data: bytes) -> None:
    """A device's TOML file."""
    with file_of(data, "device.toml") as path:
        checked(estimate(MODEL, str(path)))


def model(data: bytes) -> None:
    """A model's TOML file."""
    with file_of(data, "model.toml") as path:
        checked(estimate(str(path), DEVICE))


def profile(data: bytes) -> None:
    """A profile of a software stack."""
    with file_of(data, "profile.toml") as path:
        checked(estimate(MODEL, "h100-sxm", profile=str(path)))


def measurements(data: bytes) -> None:
    """Measured steps, of a benchmark or a table."""
    from perfmodel.measurements.measured import read_measurements

    fill = {"hardware": DEVICE, "model": MODEL, "batch": "2", "prompt": "10", "generate": "10"}
    with file_of(data, "measured") as path:
        for given in ({}, fill):
            with contextlib.suppress(PerfModelError):
                for row in read_measurements(path, given, lenient=True):
                    assert 0 < row.time_per_step < math.inf
        read_measurements(path)


def study(data: bytes) -> None:
    """A study of several sweeps, whose grids are made and not worked out."""
    from perfmodel.report.files.studies import load_study
    from perfmodel.sweeps.sweeps import make_grid

    with file_of(data, "study.toml") as path:
        for sweep in load_study(path).sweeps:
            make_grid(**sweep.arguments)


def words(data: bytes) -> None:
    """A command line, one word a line; what it prints and how it ends."""
    line = [word for word in data.decode("utf-8", "surrogateescape").split("\n") if "\0" not in word]
    # Clusters, large grids, and all rows of the validation set take long by right.
    whole = "validate" in line and not any(word.startswith("--source") for word in line)
    if whole or any(word.startswith("--dask") for word in line) or not _small(line):
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.chdir(folder):
        for word in BESIDE.keys() & set(line):
            shutil.copy(CORPUS / BESIDE[word], word)
        code, text, said = answered(line)
    errors = [one for one in said.splitlines() if not one.startswith("perfmodel: note: ")]
    assert code in (0, 1, 2), f"exit code {code}"
    assert len(errors) == (1 if code else 0) or "validate" in line or "check" in line, f"{len(errors)} lines: {errors}"
    assert not any(word in text.lower().replace("\n", " ").split() for word in ("nan", "inf", "-inf")), "nan or inf"
    if "--json" in line and code == 0 and text.startswith(("{", "[")):
        for one in text.splitlines() if line[0] == "sweep" else [text]:
            json.loads(one, parse_constant=_no_constant)


def tool(data: bytes) -> None:
    """A call of a tool of `perfmodel mcp`: its name and arguments as JSON."""
    from perfmodel.commands.serving import answer

    try:
        name, arguments = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        raise PerfModelError("no call") from None
    # The protocol's own package refuses arguments that are no object.
    if not isinstance(name, str) or not isinstance(arguments, dict) or not _small([str(v) for v in arguments.values()]):
        raise PerfModelError("no call")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.chdir(folder):
        found = answer(name, arguments)
        assert not list(Path(folder).iterdir()), "a tool wrote a file"
    numbers(found)


def drafter(data: bytes) -> None:
    """The config.json of what drafts."""
    with file_of(data, "config.json") as path:
        checked(estimate("qwen3-4b", DEVICE, draft=3, acceptance=0.7, drafter=str(path)))


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} in JSON")


def _small(line: list[str]) -> bool:
    """Whether the grid of a sweep or a comparison has few points, by its words: large ones are slow by right."""
    points = 1.0
    for word in line:
        value = word.partition("=")[2] or word
        low, _, rest = value.partition(":")
        high, _, step = rest.partition(":")
        if step:
            start, stop, by = (_leading(text) for text in (low, high, step.lstrip("x+")))
            if step.startswith("x"):
                points *= math.log(max(stop / max(start, 1e-9), 1.0)) / math.log(by) if by > 1 else 1.0
            else:
                points *= (stop - start) / by if step.startswith("+") and by else by
        points *= 1 + value.count(",")
        if not points <= MOST_POINTS:
            return False
    return True


def _leading(text: str) -> float:
    """Return the number that a text begins with, thousands and all."""
    match = re.match(r"\s*-?[0-9.]+(e[-+]?[0-9]+)?", text)
    number = (
        float(match[0])
        if match and match[0].strip("-. ").replace(".", "", 1)[:1].isdigit() and match[0].count(".") < 2
        else 0.0
    )
    return number * (1024 if text[match.end() :][:1] in "kK" and text[match.end() :] else 1) if match else 0.0


def texts(data: bytes) -> None:
    """A quantity, grid, format, split or target, as options hold them: one text, read in every way."""
    text = data.decode("utf-8", "replace").strip("\n")
    for read in _readings():
        with contextlib.suppress(PerfModelError):
            value = read(text)
            if isinstance(value, float):
                numbers(value)


def _readings() -> list[Callable[[str], Any]]:
    from perfmodel.specifications.formats import storage_format
    from perfmodel.units import parse_quantity

    given = {"weights kv before after parallel loop_only offload software profile after_software after_profile": {}}
    given |= {"measured calls": {}, "decoding chunk": {"prompt": 64}, "drafter": {"draft": 2, "accepted": 1.0}}
    asked: list[Callable[[str], Any]] = [
        lambda text, key=key, beside=beside: checked(estimate(MODEL, DEVICE, **{key: text} | beside))
        for names, beside in given.items()
        for key in names.split()
    ]
    return [
        *asked,
        *(lambda text, unit=unit: parse_quantity(text, unit, "x") for unit in ("s", "B/s", "B", "FLOP/s", "1")),
        lambda text: storage_format(text, "x"),
        lambda text: checked(estimate(MODEL, DEVICE, parameters={"memory.bandwidth": text})),
        lambda text: checked(estimate(MODEL, DEVICE, parameters={text.partition("=")[0]: text.partition("=")[2]})),
        lambda text: solve(MODEL, DEVICE, unknown="memory.bandwidth", target=text),
    ]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "traces": trace,
    "configs": config,
    "devices": device,
    "models": model,
    "profiles": profile,
    "measurements": measurements,
    "studies": study,
    "words": words,
    "texts": texts,
    "tools": tool,
    "drafters": drafter,
}


def tried(target: str, data: bytes) -> str:
    """Return how a target ended: answered or refused; raise what it must not raise."""
    try:
        TARGETS[target](data)
    except PerfModelError as error:
        message = str(error)
        assert "\n" not in message.strip(), "a message of several lines"
        return "refused"
    return "answered"
