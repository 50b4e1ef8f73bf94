"""What loads when: heavy packages only where they are used, rooms only from rooms before them."""

import ast
import json
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from perfmodel._layout import load_command_line

HEAVY = ("numpy", "scipy", "sympy", "rich", "pandas", "polars", "pydantic", "matplotlib")

# The order of the rooms: a module imports only from rooms that stand before it.
ROOMS = (
    "errors", "_layout", "generic", "units", "straightline", "specfiles", "parameters", "formats", "equations", "collectives", "primitives", "model", "hardware", "routes", "profiles", "huggingface",
    "networkfiles", "modelfiles", "catalogue", "parallel", "work", "operations", "fusions", "loops", "schedule", "placement", "terms", "capacity", "parameterbox", "results", "questions", "intervals",
    "estimator", "conditions", "breakeven", "costs", "hardwarechecks", "loopreports", "adjustable", "measurements", "stacks", "validation", "calibration", "ladders", "gaps", "figures", "closedforms", "formulas", "symbolic", "explanations", "scaling", "targets", "solver", "sensitivities", "grids", "kernels", "programs", "recordedsides", "speedups", "arrays", "axes", "sweepblocks", "summaries", "sweeps", "comparisons", "traces", "tracepricing", "picturedata", "report", "studies", "clusters", "commands",
)  # fmt: skip


def modules_after(repository, *words):
    code = f"import sys, json; sys.argv = {['perfmodel', *words]!r}\nfrom perfmodel.__main__ import main\ntry:\n    main()\nexcept SystemExit: pass\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [("estimate", "llama-3.1-8b", "sn40l", "--json"), ("estimate", "llama-3.1-8b", "sn40l", "--csv"), ("estimate", "llama-3.1-8b", "sn40l"),
                                   ("models", "list", "--json"), ("hardware", "list", "--json")], ids=" ".join)  # fmt: skip
def test_heavy_packages_stay_out(repository, words):
    loaded = modules_after(repository, *words)
    assert "perfmodel.estimator" in loaded or words[0] != "estimate"
    assert not loaded & set(HEAVY)


def test_importing_the_package_loads_next_to_nothing(repository):
    done = subprocess.run([sys.executable, "-c", "import sys, typing; before = set(sys.modules); import perfmodel; print(*sorted(set(sys.modules) - before))"],
                          capture_output=True, text=True, cwd=repository, check=True)  # fmt: skip
    assert done.stdout.split() == ["perfmodel"]


@pytest.mark.parametrize("first", ["perfmodel.estimator", "perfmodel.catalogue", "perfmodel.results", "perfmodel.hardware", "perfmodel.model", "perfmodel.breakeven"])
def test_estimate_is_the_function_whatever_was_imported_before(repository, first):
    code = f"import {first}\nfrom perfmodel import estimate, Hardware, Model\nassert callable(estimate) and estimate.__name__ == 'estimate'\nassert isinstance(Hardware, type) and isinstance(Model, type)"
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True)


def test_no_module_bears_the_name_of_a_public_function(repository):
    import perfmodel

    modules = {path.stem for path in (repository / "perfmodel").rglob("*.py")}
    assert not modules & {name for name in perfmodel.__all__ if name.islower()}


def room_of(module):
    return module.split(".")[1] if module.count(".") else ""


def test_rooms_import_only_from_rooms_before_them(repository):
    package = repository / "perfmodel"
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        room = relative.parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        assert room in ROOMS, f"{relative}: has no place in the order of rooms"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # Imports inside functions are late on purpose and may look forward.
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("perfmodel."):
                other = room_of(node.module)
                assert ROOMS.index(other) <= ROOMS.index(room), f"{relative} imports {node.module}"


def test_nothing_below_the_command_line_prints_or_exits(repository):
    for path in (repository / "perfmodel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit"), path.name


def test_every_command_is_registered_by_the_module_that_has_it():
    """One command is built for one question; together they are all commands there are."""
    command_line = load_command_line()
    command_line.register_commands()
    every = set(typer.main.get_command(command_line.app).commands)
    assert every == {*command_line._HOMES, "estimate"}
    for word, home in command_line._HOMES.items():
        alone = typer.Typer()
        import_module(f"perfmodel.commands.{home}").register(alone)
        names = {command.name or command.callback.__name__ for command in alone.registered_commands} | {group.name for group in alone.registered_groups}
        assert word in names
