"""The documents say what the program does: shown outputs are made anew and compared,
every symbol and key is described."""

import csv
import doctest
import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from perfmodel import equations
from perfmodel._layout import load_command_line
from perfmodel.report.files import studies
from perfmodel.specifications import devicefiles, devicetables, modelfiles, networks
from perfmodel.specifications.parameters import MODES, PARAMETERS

REPOSITORY = Path(__file__).resolve().parent.parent
EQUATIONS = {name: found for name in equations.__all__ if inspect.isfunction(found := getattr(equations, name))}


def test_generated_parts_are_current(repository):
    done = subprocess.run(
        [sys.executable, str(repository / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_notebook_is_one_that_jupyter_reads(repository):
    """Its cells are run and their outputs compared with the other generated parts;
    here is the shape that readers expect."""
    (path,) = (repository / "examples").glob("*.ipynb")
    held = json.loads(path.read_text(encoding="utf-8"))
    assert (held["nbformat"], held["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in held["cells"]}) == len(held["cells"])
    outputs = [output for cell in held["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert sum("text/html" in output["data"] for output in outputs) == 3
    assert all("text/plain" in output["data"] for output in outputs)


def test_every_parameter_of_every_equation_is_on_the_symbols_page_with_its_unit(repository):
    rows = re.findall(
        r"^\| [^|]+ \| `(\w+)` \| ([^|]+) \|",
        (repository / "docs" / "symbols.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    units = {}
    for name, unit in rows:
        units.setdefault(name, set()).add(unit.strip())
    used = set()
    for function in EQUATIONS.values():
        for name in inspect.signature(function).parameters:
            bracket = re.search(rf"^\s+{name}: .*\[([^\]]+)\]$", function.__doc__, re.MULTILINE)
            assert bracket, f"{function.__name__}: {name} has no unit"
            assert bracket[1] in units.get(name, set()), (
                f"{function.__name__}: {name} [{bracket[1]}] is not on the symbols page"
            )
            used.add(name)
    assert set(units) == used, "the symbols page names what no equation uses"


def commands(application, name="perfmodel"):
    """Yield every command of the command line with its name, those of groups among them."""
    for word, command in application.commands.items():
        inner = getattr(command, "commands", None)
        yield from commands(command, f"{name} {word}") if inner else [(f"{name} {word}", command)]


@pytest.fixture(scope="module")
def command_line():
    program = load_command_line()
    program.register_commands()
    return typer.main.get_command(program.app)


@pytest.fixture(scope="module")
def guides():
    """What people wrote: every document but the generated ones."""
    generated = ("cli.md", "columns.md", "equations.md")
    return "\n".join(
        path.read_text(encoding="utf-8")
        for path in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
        if path.name not in generated
    )


def test_every_command_has_an_example_that_can_be_asked(command_line, run, monkeypatch):
    monkeypatch.chdir(REPOSITORY / "examples")
    for name, command in commands(command_line):
        assert command.epilog, f"{name} has no example"
        example = command.epilog.removeprefix("Example: ")
        assert example.startswith(f"{name} "), name
        # Files that an example names are the reader's own; a page of sliders is no answer that a line could give again.
        if "--command" in {option for parameter in command.params for option in parameter.opts} and not re.search(
            r"[\w.]+\.(toml|csv|json|json\.gz|sqlite)\b", example.replace(" -o ", " -o=")
        ):
            assert run(*shlex.split(example)[1:], "--command").code == 0, example


def test_every_option_is_described_by_the_program_and_in_a_guide(command_line, guides):
    for name, command in commands(command_line):
        for parameter in command.params:
            assert parameter.help, f"{name}: {parameter.name} says nothing about itself"
            for option in (o for o in parameter.opts if o.startswith("--")):
                assert re.search(rf"{re.escape(option)}(?![\w-])", guides), (
                    f"{name} {option}: in no guide; describe it in docs/asking.md or in the page of its command"
                )


def test_every_command_and_every_equation_is_in_a_guide(command_line, guides):
    for name, _ in commands(command_line):
        assert re.search(rf"{name}\b", guides), f"{name}: in no guide"
    labels = set(re.findall(r"\(([A-Z]\d)\)", " ".join(function.__doc__ for function in EQUATIONS.values())))
    told = set(re.findall(r"\b([A-Z]\d)\b", guides))
    assert labels
    assert labels <= told, (
        f"no guide speaks of {sorted(labels - told)}; docs/model.md is the place for an equation in words"
    )
    page = (REPOSITORY / "docs" / "equations.md").read_text(encoding="utf-8")
    for name, function in EQUATIONS.items():
        assert function.__doc__, name
        assert f"### {name}\n" in page, f"{name}: its room is not among the topics of docs/generate.py"


def keys_of_files():
    """Every key that a file of ours may have, and the page that describes it."""
    yield from (
        ("hardware.md", key)
        for key in (*devicetables.HEAD, "sources", "kernels", "base", "value", "low", "high", "kind", "source", "note")
    )
    yield from (("hardware.md", parameter.key) for parameter in PARAMETERS)
    yield from (("hardware.md", key) for key in ("replicates", "fitted_on", "tested_on"))
    yield from (("hardware.md", style) for style in devicetables.KERNEL_STYLES)
    yield from (("asking.md", mode) for mode in MODES)
    yield from (("models.md", key) for key in (*modelfiles._KEYS, *modelfiles._KINDS))
    yield from (("models.md", key) for key in (*networks.NETWORK_KEYS, *networks._SEGMENT_KEYS, *networks._BLOCK_KEYS))
    yield from (("sweeps.md", key) for key in ("title", "sweep", *studies._KEYS))


@pytest.mark.parametrize("page", sorted({page for page, _ in keys_of_files()}))
def test_every_key_of_a_file_is_on_its_page(page):
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    words = set(re.findall(r"[\w.*-]+", " ".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))))
    missing = sorted({key for on, key in keys_of_files() if on == page and key not in words})
    assert not missing, f"docs/{page} does not describe {', '.join(missing)}"


def test_every_column_of_the_validation_set_is_described():
    with (REPOSITORY / "validation" / "rows.csv").open(encoding="utf-8") as file:
        columns = next(csv.reader(file))
    text = (REPOSITORY / "validation" / "README.md").read_text(encoding="utf-8")
    assert [column for column in columns if f"`{column}`" not in text] == []


def test_files_that_the_guides_show_can_be_read(tmp_path):
    def blocks(page):
        return re.findall(
            r"^```toml\n(.*?)^```", (REPOSITORY / "docs" / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )

    path = tmp_path / "shown.toml"
    device, mode = blocks("hardware.md")
    path.write_text(
        device.replace('name = "mine"', 'name = "mine"\ninherits = "ampere"') + "\n" + mode, encoding="utf-8"
    )
    assert devicefiles.load_hardware(path).values["modes.pdl.hidden"].value == 0.4
    for text in blocks("models.md"):
        if "[network]" in text:
            path.write_text(text, encoding="utf-8")
            assert modelfiles.load_model(path).layers
    (study,) = blocks("sweeps.md")
    path.write_text(study, encoding="utf-8")
    assert len(studies.load_study(path).sweeps) == 2


def test_links_between_documents_lead_somewhere():
    for path in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            page = path.parent / name if name else path
            assert page.exists(), f"{path.name}: {target}"
            if anchor:
                titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert anchor in anchors, f"{path.name}: {target}"


@pytest.mark.parametrize("page", ["README.md", "docs/asking.md", "docs/sweeps.md"])
def test_python_in_the_guides_gives_what_it_shows(page):
    results = doctest.testfile(str(REPOSITORY / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 1
    assert results.failed == 0


def test_documents_name_no_address_that_is_not_public(repository):
    for path in [repository / "README.md", *(repository / "docs").glob("*.md"), repository / "CHANGELOG.md"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(home|root|tmp|usr)/", text)
        assert str(repository.parent) + "/" not in text


def test_every_option_is_in_a_group(command_line):
    groups = {"Question", "Software", "What-if", "Output"}
    for name, command in commands(command_line):
        options = [one for one in command.params if one.param_type_name == "option"]
        assert {one.rich_help_panel for one in options} <= groups, name
