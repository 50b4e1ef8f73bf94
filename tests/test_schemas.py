"""What is printed as data keeps to its description: JSON to its schema, columns to their table,
Parquet to its units."""

import csv
import io
import json
from fnmatch import fnmatchcase
from functools import cache

import jsonschema
import pytest
import typer

from perfmodel._layout import SCHEMA, load_command_line
from perfmodel.report.columntables import TABLES
from perfmodel.report.schemas import COMMANDS, every_schema, schema_of

QUESTION = ("llama-3.2-1b", "h100-sxm")
LINES = [
    ("estimate", *QUESTION),
    ("estimate", "llama-3.1-70b", "sn40l", "--devices", "3"),
    ("estimate", *QUESTION, "--prompt", "256", "--draft", "2", "--drafter", "ngram", "--accepted", "1"),
    ("estimate", "mixtral-8x7b", "rtx-4090", "--offload", "experts=host:compute"),
    ("estimate", *QUESTION, "--measured", "2ms", "--after", "megakernel", "--set", "price.rental=2USD/h"),
    ("request", *QUESTION, "--prompt", "128", "--generate", "16"),
    ("compare", "llama-3.2-1b", "h100-sxm,strix-halo", "--set", "memory.sustained.weights=0.9"),
    ("compare", *QUESTION, "--modes", "all"),
    ("choose", *QUESTION, "--devices", "1,2", "--batch", "1", "--tpot", "50ms"),
    ("choose", *QUESTION, "--devices", "1", "--batch", "1", "--prompt", "128", "--ttft", "1s"),
    ("advise", *QUESTION),
    ("sweep", "llama-3.2-1b", "h100-sxm,sn40l", "--batch", "1,4", "--set", "modes.looped.stage=1us,2us"),
    ("solve", *QUESTION, "--unknown", "boundary", "--target", "speedup=1.4"),
    ("solve", *QUESTION, "--question", "last-paying-batch"),
    ("sensitivity", *QUESTION),
    ("explain", *QUESTION),
    ("explain-gap", *QUESTION, "--measured", "400tok/s", "--context", "4k"),
    ("validate", "--source", "gptfast"),
    ("validate", "tests/measured/cases/llama_bench.csv", "--fill", "hardware=rtx-4090"),
    ("calibrate", "ROWS"),
    ("conditional", *QUESTION, "--run-with", "8-15=0.5"),
    ("loops", "gemma-3-27b"),
    ("loops", "examples/idle.json.gz"),
    ("trace", "examples/idle.json.gz"),
    ("trace", "examples/idle.json.gz", "--model", QUESTION[0], "--hardware", QUESTION[1]),
    ("models", "list", "llama"),
    ("models", "show", "mixtral-8x7b"),
    ("models", "check", "llama-3.2-1b"),
    ("hardware", "list", "--vendor", "AMD"),
    ("hardware", "show", "h100-sxm"),
    ("hardware", "check", "h100-sxm", "wse-3"),
    ("report", *QUESTION),
    *(("plot", kind, *QUESTION) for kind in ("waterfall", "roofline", "scaling", "context", "batch", "map", "tornado")),
    ("plot", "validation", *QUESTION),
    ("plot", "ladder", *QUESTION),
    *(("plot", kind, *QUESTION, "--batch", "1,2") for kind in ("sweep", "compare", "pareto")),
    ("plot", "choose", *QUESTION, "--devices", "1,2", "--batch", "1", "--tpot", "50ms"),
    ("plot", "request", *QUESTION, "--prompt", "128", "--generate", "16"),
]  # fmt: skip


@cache
def checker(command):
    schema = schema_of(command)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def command_of(words):
    return " ".join(words[:2]) if words[0] in ("models", "hardware") else words[0]


@pytest.fixture
def line(request, repository, monkeypatch, tmp_path):
    """Give a command line, its file of measurements written where it names one."""
    monkeypatch.chdir(repository)
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "model,hardware,mode,batch,context,tokens_per_second\n"
        "llama-3.2-1b,h100-sxm,graph,1,128,690\nllama-3.2-1b,h100-sxm,graph,4,128,2600\n"
    )
    return tuple(str(rows) if word == "ROWS" else word for word in request.param)


every_line = pytest.mark.parametrize("line", LINES, indirect=True, ids=lambda words: " ".join(words)[:60])


@every_line
def test_json_is_what_its_schema_says(run, line):
    answer = run(*line, "--json")
    assert answer.code == 0, answer.err
    check = checker(command_of(line))
    if line[0] == "sweep":
        for one in answer.out.splitlines():
            check.validate(json.loads(one))
        return
    printed = json.loads(answer.out)
    check.validate(printed)
    if isinstance(printed, dict):
        assert next(iter(printed)) == "schema"
        assert printed["schema"] == SCHEMA
        with pytest.raises(jsonschema.ValidationError):
            check.validate(printed | {"unheard_of": 1})


@every_line
def test_every_column_is_in_its_table_with_unit_and_meaning(run, line):
    answer = run(*line, "--csv", "--columns", "all")
    assert answer.code == 0, answer.err
    header = next(csv.reader(io.StringIO(answer.out)))
    command = " ".join(line[:2]) if line[0] in ("models", "hardware", "plot") else line[0]
    table = next(table for table in TABLES if command in table.commands)
    known = {name: (unit, meaning) for name, unit, meaning in table.rows()}
    if command in ("solve", "report"):
        known |= {name: words for name, *words in next(t for t in TABLES if "estimate" in t.commands).rows()}
    own = line[1] if command.startswith("plot ") else None
    for name in header:
        described = name in known or any(fnmatchcase(name, pattern) for pattern in known)
        assert described or name in ("devices", "batch", "context") or ("=" in " ".join(line) and "." in name), (
            own,
            name,
        )
    assert all(meaning for _, meaning in known.values())
    if command in ("estimate", "request", "choose", "sensitivity", "calibrate", "advise"):
        assert header == list(known)


def test_every_command_with_json_has_a_schema():
    module = load_command_line()
    module.register_commands()

    def with_json(command, name):
        for word, one in getattr(command, "commands", {}).items():
            yield from with_json(one, f"{name} {word}".strip())
        if any("--json" in parameter.opts for parameter in command.params):
            yield name

    assert set(with_json(typer.main.get_command(module.app), "")) == set(COMMANDS)


def test_one_schema_holds_them_all(run):
    whole = every_schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    check = jsonschema.Draft202012Validator(whole)
    check.validate(json.loads(run("estimate", *QUESTION, "--json").out))
    check.validate(json.loads(run("advise", *QUESTION, "--json").out))
    with pytest.raises(jsonschema.ValidationError):
        check.validate({"schema": SCHEMA, "model": "llama-3.2-1b"})


def test_the_command_prints_it(run, tmp_path):
    assert json.loads(run("schema", "estimate").out) == schema_of("estimate")
    assert json.loads(run("schema", "models", "list").out) == schema_of("models list")
    assert json.loads(run("schema").out) == json.loads(json.dumps(every_schema()))
    file = tmp_path / "estimate.json"
    assert run("schema", "estimate", "-o", file).code == 0
    assert json.loads(file.read_text())["version"] == SCHEMA
    refused = run("schema", "estimat")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "did you mean 'estimate'" in refused.err


def test_empty_lists_keep_their_header(run):
    assert run("hardware", "check", "h100-sxm", "--csv").out == "name,key,severity,message\n"


def test_parquet_holds_units(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    path = tmp_path / "a.parquet"
    line = ("sweep", "llama-3.2-1b", "h100-sxm,sn40l", "--set", "modes.looped.stage=1us,2us", "--columns", "all")
    assert run(*line, "-o", path).code == 0
    units = {field.name: field.metadata[b"unit"].decode() for field in parquet.read_schema(path)}
    assert units["before.time_per_step"] == units["modes.looped.stage"] == "s"
    assert (units["speedup.value"], units["model"], units["price.after"]) == ("-", "", "USD")
    assert parquet.read_table(path).column("price.after").to_pylist()[-1] is None
