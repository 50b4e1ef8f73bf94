"""Regenerate what the documents show: `python docs/generate.py` writes, `--check` only compares, exit 1 if they differ.

Generated are the output of each `$ perfmodel ...` line in a console block (`| head -n 12` keeps its first lines),
docs/equations.md from the docstrings of the equations, docs/cli.md from the help of the commands, the tables between
`<!-- generated: NAME -->` and `<!-- end -->`, the outputs of the notebooks in examples/,
docs/waterfall.svg, and index.json of the hardware and the models, from which commands list them and find their names.
Of the picture `--check` compares the texts only, since the drawing may differ between versions of matplotlib.
"""

import ast
import contextlib
import csv
import importlib
import inspect
import io
import json
import os
import re
import shlex
import sys
import tempfile
import textwrap
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import typer  # noqa: E402

from perfmodel import equations  # noqa: E402
from perfmodel._layout import load_command_line  # noqa: E402
from perfmodel.estimates.answers import estimate  # noqa: E402
from perfmodel.estimates.evidence import groups, name_of  # noqa: E402
from perfmodel.measurements.rows import all_rows  # noqa: E402
from perfmodel.measurements.validation import predict  # noqa: E402
from perfmodel.report.columntables import TABLES as COLUMN_TABLES  # noqa: E402
from perfmodel.report.explorer.page import Explorer  # noqa: E402
from perfmodel.report.listed import read_list  # noqa: E402
from perfmodel.specifications.catalogue import read_called  # noqa: E402
from perfmodel.specifications.indexes import INDEX_FILE, index_text  # noqa: E402
from perfmodel.specifications.parameters import PARAMETERS  # noqa: E402

CONSOLE = re.compile(r"(^( *)```console\n *\$ (perfmodel[^\n]*)\n)(.*?)(^ *```)", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
# The rooms of perfmodel/equations in the order a reader needs them.
EQUATION_TOPICS = (
    "streaming",
    "calls",
    "exchanges",
    "looping",
    "rates",
    "experts",
    "drafting",
    "prompts",
    "hosts",
    "conditional",
    "uncertainty",
)

COLUMNS_HEAD = """# Columns

`--csv`, `-o FILE.csv` and data frames have these columns. `--columns all` gives every one of a command, `--columns A,B`
those you name. Numbers stand in base units. `-` is a number without a unit; a text has none. Parquet files hold the
units as metadata of their columns. JSON has the same names, nested: `before.time_per_step` is `time_per_step` inside
`before`. `perfmodel schema COMMAND` prints its JSON Schema.

`to_pandas(flat=True)` and `to_polars(flat=True)` write the names with underscores: `before_time_per_step`."""


def printed(line: str) -> str:
    """Return what a command line prints, run in this process from the root of the repository.

    A line may end in `| head -n N`, which keeps the first N lines as a shell does.
    """
    line, _, kept = line.partition(" | head -n ")
    out = io.StringIO()
    arguments, folder = sys.argv, Path.cwd()
    sys.argv = shlex.split(line)
    os.chdir(ROOT)
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            load_command_line().main()
    finally:
        sys.argv = arguments
        os.chdir(folder)
    return "".join(out.getvalue().splitlines(keepends=True)[: int(kept) if kept else None])


def equations_page() -> str:
    """Return docs/equations.md: each equation's docstring as it stands in the code."""
    parts = ["# Equations\n"]
    parts.append(
        "Generated from `perfmodel/equations/`; each stands there once and serves numbers, arrays and symbols.\n"
    )
    parts.append("```text\n" + inspect.getdoc(equations) + "\n```\n")
    for topic in EQUATION_TOPICS:
        module = importlib.import_module(f"perfmodel.equations.{topic}")
        parts.append(f"## {module.__doc__.rstrip('.')}\n")
        for name, function in vars(module).items():
            own = inspect.isfunction(function) and function.__module__ == module.__name__
            if own and not name.startswith("_"):
                signature = str(inspect.signature(function)).replace(": 'Number'", "").replace(" -> 'Number'", "")
                parts.append(f"### {name}\n\n```text\n{name}{signature}\n\n{inspect.getdoc(function)}\n```\n")
    return re.sub(
        r": Any|: Iterable\[Any\]|: Sequence\[Any\]| -> Any|: typing\.Any| -> typing\.Any|: "
        r"collections\.abc\.\w+\[typing\.Any\]",
        "",
        "\n".join(parts),
    )


def command_page() -> str:
    """Return docs/cli.md: the help of every command, as the program prints it."""
    os.environ["TERMINAL_WIDTH"] = "80"
    parts = ["# Command line\n"]
    parts.append(
        "Generated from the program. Exit codes: 0 answered; 1 an error, or a check that found a fault; 2 usage.\n"
    )
    parts.append(f"```console\n$ perfmodel\n{printed('perfmodel')}```\n")
    load_command_line().register_commands()
    application = typer.main.get_command(load_command_line().app)
    paths = [(name, child) for name, child in application.commands.items()]
    paths += [
        (f"{name} {inner}", grandchild)
        for name, child in application.commands.items()
        for inner, grandchild in getattr(child, "commands", {}).items()
    ]
    for name, command in sorted(paths, key=lambda item: item[0]):
        if not getattr(command, "commands", None):
            text = "\n".join(line.rstrip() for line in printed(f"perfmodel {name} --help").strip("\n").splitlines())
            parts.append(f"## perfmodel {name}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(parts)


def columns_page() -> str:
    """Return docs/columns.md."""
    parts = [COLUMNS_HEAD]
    for table in COLUMN_TABLES:
        parts.append(f"## {', '.join(f'`{command}`' for command in table.commands)}")
        parts += [table.said] if table.said else []
        rows = "\n".join(f"| `{name}` | {unit} | {meaning} |" for name, unit, meaning in table.rows())
        parts.append(f"| column | unit | meaning |\n| --- | --- | --- |\n{rows}")
    return "\n\n".join(parts) + "\n"


def keys_table() -> str:
    """Return the table of keys that a hardware file may hold."""
    rows = [f"| `{p.key}` | {p.unit} | {p.meaning} |" for p in PARAMETERS]
    return "\n".join(["| key | unit | meaning |", "| --- | --- | --- |", *rows]) + "\n"


# Rows of validation/rows.csv that the README shows, hits and misses, each with the question in words.
SHOWN_ROWS = {
    "gptfast-0008": "Llama 2 7B on one A100, graph (gpt-fast)",
    "gptfast-0021": "Llama 2 70B on 4 x A100, graph (gpt-fast)",
    "calm-0001": "Llama 3 8B on one RTX 4090, looped (calm)",
    "llamacpp-apple-0062": "Llama 2 7B on M3 Ultra (llama.cpp)",
    "aic-0528": "Qwen3 235B in fp8, batch 4, on 2 x H200 (SGLang)",
    "xdai-0213": "Llama 3 8B on one A100 (llama.cpp of May 2024)",
    "trtllm-perf-0026": "Llama 2 70B in fp8, batch 64, on 4 x H100 (TensorRT-LLM)",
    "trtllm-blog1-0003": "DeepSeek-R1 in nvfp4 on 8 x B200 (TensorRT-LLM)",
    "metaseq-0002": "OPT 175B on 8 x A100 (metaseq)",
    "qwen2-speed-0025": "Qwen2.5 0.5B at 15,360 tokens on one A100 (vLLM of 2024)",
    "amk-0005": "SmolLM2 135M on one H100, generated megakernel (AutoMegaKernel)",
}


def left_out() -> list[dict[str, str]]:
    """Return the predictions of measurements by fits that had not seen their source."""
    with (ROOT / "validation" / "left_out.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def published_table() -> str:
    """Return the README's table of published times of a step beside predictions, hits and misses."""

    def milliseconds(*times: float) -> str:
        return " to ".join(f"{time * 1e3:.2f}" for time in times) + " ms"

    one_billion = estimate("llama-3.2-1b", "h100-sxm", context=128, after="megakernel")
    sockets = estimate("llama-3.1-8b", "sn40l", devices=16).after
    papers = [
        ("Llama 3.2 1B on one H100, graph", (1.41e-3, 1.48e-3), one_billion.before),
        ("Llama 3.2 1B on one H100, megakernel", (0.946e-3,), one_billion.after),
        ("Llama 3.1 8B on 8 x H100, graph", (2.95e-3,), estimate("llama-3.1-8b", "h100-sxm", devices=8).before),
        ("Llama 3.1 8B on 16 x SN40L, looped, measured over the public API", (0.96e-3,), sockets),
        ("the same, by the paper on kernel looping (3.7 x a DGX H100)", (0.80e-3,), sockets),
    ]
    shown = [
        (question, published, side.time_per_step, side.high.time_per_step, side.low.time_per_step, "")
        for question, published, side in papers
    ]
    measured = {row.id: row for row in all_rows()}
    unseen = {row["id"]: milliseconds(float(row["predicted"])) for row in left_out()}
    for name, question in SHOWN_ROWS.items():
        one = predict(measured[name])
        shown.append((question, (one.row.time_per_step,), one.time, one.low, one.high, unseen.get(name, "")))
    lines = [
        "| question | published step | predicted (range) | without its source | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for question, published, value, low, high, blind in shown:
        inside = low <= max(published) and min(published) <= high
        verdict = "inside" if inside else f"**outside**: {published[0] / value:.2g} x the prediction"
        span = f"{milliseconds(value)} ({milliseconds(low, high)})"
        lines.append(f"| {question} | {milliseconds(*published)} | {span} | {blind} | {verdict} |")
    return "\n".join(lines) + "\n"


def trust_line() -> str:
    """Return how often measurements are predicted well by fits that had not seen their source."""
    ratios: dict[str, list[float]] = {}
    for row in left_out():
        ratios.setdefault(row["source_id"], []).append(float(row["predicted"]) / float(row["measured"]))
    every = [ratio for of_source in ratios.values() for ratio in of_source]
    middle = median(median(abs(ratio - 1) for ratio in of_source) for of_source in ratios.values())

    def within(factor: float) -> str:
        return f"{sum(1 / factor <= ratio <= factor for ratio in every) / len(every) * 100:.0f} %"

    return (
        f"{len(every):,} published measurements of {len(ratios)} sources were each predicted without that source. "
        "Half of the\n"
        f"sources are off by {middle * 100:.0f} % or less. Of the measurements {within(1.25)} are within a factor of "
        "1.25 and "
        f"{within(1.5)} within 1.5.\n"
    )


def notebook(text: str) -> str:
    """Return a notebook with its cells run in order and what their last lines give as outputs."""
    held = json.loads(text)
    names: dict[str, object] = {}
    count = 0
    for cell in held["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        value = last_value("".join(cell["source"]), names)
        shown = {"text/plain": repr(value).splitlines(keepends=True)}
        if isinstance(value, Explorer):  # a whole page, which only a notebook that runs can show
            shown = {"text/plain": ["<Explorer>"]}
        elif hasattr(value, "_repr_html_"):
            shown = {
                "text/html": value._repr_html_().splitlines(keepends=True),
                "text/plain": [f"<{type(value).__name__}>"],
            }
        outputs = (
            [{"data": shown, "execution_count": count, "metadata": {}, "output_type": "execute_result"}]
            if value is not None
            else []
        )
        cell |= {"execution_count": count, "outputs": outputs}
    return json.dumps(held, indent=1, ensure_ascii=False) + "\n"


def last_value(source: str, names: dict[str, object]) -> object:
    """Run the code of a cell and return what its last line gives, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)  # noqa: S102 - the repository's own notebook
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if isinstance(last, ast.Expr) else None  # noqa: S307


def device_file() -> str:
    """Return the smallest hardware file."""
    return f"```toml\n{(ROOT / 'examples' / 'mine.toml').read_text(encoding='utf-8')}```\n"


def kept(name: str) -> list[list[str]]:
    """Return the lines of a file of figures that a program of validation/ has written."""
    with (ROOT / "validation" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def markdown(lines: list[list[str]]) -> str:
    """Return lines, of which the first is the head, as a table."""
    head, *rows = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, f"| --- |{' ---: |' * (len(lines[0]) - 1)}", *rows]) + "\n"


# Groups of rows that docs/trust.md shows: software, mode and width as in validation/evidence.csv.
TRUSTED = (
    ("engine-2025", "graph", "16"), ("engine-2025", "", "below"), ("engine-2024", "", ""),
    ("server-2026", "", ""), ("server-2025", "", ""), ("server-2024", "", ""),
    ("ggml-2025", "", ""), ("ggml-2024", "", ""),
    ("python-2024", "", ""), ("framework-2024", "eager", ""), ("compiled-2024", "", ""),
    ("", "looped", ""), ("", "megakernel", ""), ("", "megakernel-generated", ""), ("", "", ""),
)  # fmt: skip


def trusted_times() -> str:
    """Return how right times are, by kind of software and mode."""
    lines = [["rows", "sources", "rows asked", "median error", "inside"]]
    for key in TRUSTED:
        found = groups().get(key)
        if found is not None:
            error, inside = (f"{share * 100:.0f} %" for share in (found.median_error, found.inside))
            lines.append([name_of(found), str(found.sources), f"{found.rows:,}", error, inside])
    return markdown(lines)


def trusted_ratios() -> str:
    """Return how right gains are, in the columns that matter: within 15 %, and inside."""
    head, *lines = kept("ratios")
    chosen = [i for i, name in enumerate(head) if i < 4 or not name.startswith("width")]
    return markdown([[line[i] for i in chosen] for line in (head, *lines) if not line[0].startswith("-")])


TABLES = {
    "keys": keys_table,
    "published": published_table,
    "trust": trust_line,
    "device_file": device_file,
    "ratios": lambda: markdown(kept("ratios")),
    "rungs": lambda: markdown(kept("rungs")),
    "calibrated": lambda: markdown(kept("calibrated")),
    "trusted_times": trusted_times,
    "trusted_ratios": trusted_ratios,
}


def picture() -> str:
    """Return docs/waterfall.svg: where the time goes in the README's first answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "waterfall.svg"
        printed(f"perfmodel plot waterfall llama-3.1-8b h100-sxm -o {path}")
        return path.read_text(encoding="utf-8")


def words(drawing: str) -> list[str]:
    """Return the texts in an SVG drawing."""
    return re.findall(r">([^<>]+)</(?:text|tspan|title|desc)>", drawing)


def regenerated(path: Path) -> str:
    """Return the text of a document with its generated parts made anew."""
    if path.suffix == ".svg":
        new, old = picture(), path.read_text(encoding="utf-8") if path.exists() else ""
        return old if words(new) == words(old) else new
    if path.name == "equations.md":
        return equations_page()
    if path.name == "cli.md":
        return command_page()
    if path.name == "columns.md":
        return columns_page()
    if path.name == INDEX_FILE:
        return index_text(path.parent.name, read_called(path.parent.name), read_list(path.parent.name))
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return notebook(text)
    text = CONSOLE.sub(lambda match: match[1] + textwrap.indent(printed(match[3]), match[2]) + match[5], text)
    return GENERATED.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], text)


def main() -> int:
    """Write or check the documents; return the exit code."""
    check = "--check" in sys.argv[1:]
    # Outputs are those of a pipe, whole lines, whoever asks: a test runner may say how wide its terminal is.
    os.environ.pop("COLUMNS", None)
    stale = []
    for path in [
        *(ROOT / kind / INDEX_FILE for kind in ("hardware", "models")),  # first: commands read them
        ROOT / "README.md",
        *sorted({*(ROOT / "docs").glob("*.md"), ROOT / "docs" / "columns.md"}),
        ROOT / "docs" / "waterfall.svg",
        *sorted((ROOT / "examples").glob("*.ipynb")),
    ]:
        new = regenerated(path)
        if not path.exists() or new != path.read_text(encoding="utf-8"):
            stale.append(path.relative_to(ROOT))
            if not check:
                path.write_text(new, encoding="utf-8")
    for name in stale:
        sys.stderr.write(
            f"{name}: {'differs from what the program gives; run python docs/generate.py' if check else 'made anew'}\n"
        )
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
