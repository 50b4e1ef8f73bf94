"""What loads when: heavy packages only where they are used, rooms only from rooms before them."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from perfmodel._layout import load_command_line

HEAVY = ("numpy", "scipy", "sympy", "rich", "pandas", "polars", "pydantic", "matplotlib")

# The tower: a room imports only from rooms on lower floors, never from one above or beside it.
FLOORS = (
    ("errors",),
    ("units", "quoting", "_layout"),
    ("numbers",),
    ("equations",),
    ("specifications",),
    ("operations",),
    ("schedule",),
    ("estimates",),
    ("sweeps", "analysis", "measurements", "traces"),
    ("report",),
    ("commands",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def modules_after(repository, *words):
    code = f"""
import sys
sys.argv = {["perfmodel", *words]!r}
from perfmodel.__main__ import main
try:
    main()
except SystemExit: pass
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    [
        ("estimate", "llama-3.1-8b", "sn40l", "--json"),
        ("estimate", "llama-3.1-8b", "sn40l", "--csv"),
        ("estimate", "llama-3.1-8b", "sn40l"),
        ("models", "list", "--json"),
        ("hardware", "list", "--json"),
    ],
    ids=" ".join,
)
def test_heavy_packages_stay_out(repository, words):
    loaded = modules_after(repository, *words)
    assert "perfmodel.estimates.answers" in loaded or words[0] != "estimate"
    assert not loaded & set(HEAVY)


# What an estimate of the main figures on one device has no use for: it would start a fifth later with them.
NOT_FOR_MAIN_FIGURES = (
    "json",
    "perfmodel.commands.completing",
    "perfmodel.equations.prompts",
    "perfmodel.estimates.bestdrafts",
    "perfmodel.estimates.breakeven",
    "perfmodel.estimates.evidence",
    "perfmodel.estimates.parts",
    "perfmodel.estimates.prompts",
    "perfmodel.estimates.regression",
    "perfmodel.estimates.routes",
    "perfmodel.numbers.arrays",
    "perfmodel.numbers.python",
    "perfmodel.numbers.ranges",
    "perfmodel.operations.linear",
    "perfmodel.operations.networks",
    "perfmodel.report.answer",
    "perfmodel.specifications.huggingface.gpts",
    "perfmodel.specifications.huggingface.quantisation",
    "perfmodel.specifications.huggingface.readers",
    "perfmodel.specifications.indexes",
    "perfmodel.specifications.othernames",
    "perfmodel.specifications.primitives",
    "perfmodel.specifications.profiles",
    "perfmodel.specifications.publishedfiles",
    "perfmodel.specifications.spellings",
    "typing_extensions",
)


def test_main_figures_load_what_they_need(repository):
    loaded = modules_after(repository, "estimate", "llama-3.1-8b", "h100-sxm", "--csv")
    assert not loaded & set(NOT_FOR_MAIN_FIGURES)
    assert "perfmodel.report.files.delimited" in loaded
    rooms = {name for name in loaded if name.startswith(("perfmodel.sweeps", "perfmodel.analysis", "perfmodel.traces"))}
    assert not rooms
    assert sum(name.startswith("perfmodel") for name in loaded) <= 103
    with_all_fields = modules_after(repository, "estimate", "llama-3.1-8b", "h100-sxm", "--json")
    assert "perfmodel.estimates.evidence" in with_all_fields


def test_importing_the_package_loads_next_to_nothing(repository):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, typing; old = set(sys.modules); import perfmodel; print(*sorted(set(sys.modules) - old))",
        ],
        capture_output=True,
        text=True,
        cwd=repository,
        check=True,
    )
    assert done.stdout.split() == ["perfmodel"]


@pytest.mark.parametrize(
    "first",
    [
        "perfmodel.estimates.answers",
        "perfmodel.specifications.catalogue",
        "perfmodel.estimates.results",
        "perfmodel.specifications.hardware",
        "perfmodel.specifications.model",
        "perfmodel.estimates.breakeven",
    ],
)
def test_estimate_is_the_function_whatever_was_imported_before(repository, first):
    code = f"""
import {first}
from perfmodel import estimate, Hardware, Model
assert callable(estimate) and estimate.__name__ == "estimate"
assert isinstance(Hardware, type) and isinstance(Model, type)
"""
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True)


def test_no_module_bears_the_name_of_a_public_function(repository):
    import perfmodel

    modules = {path.stem for path in (repository / "perfmodel").rglob("*.py")}
    assert not modules & {name for name in perfmodel.__all__ if name.islower()}


def modules_of(package):
    """Each module's dotted name with the modules of the package that it imports, inside functions too."""
    paths = {
        ".".join(("perfmodel", *path.relative_to(package).with_suffix("").parts)): path
        for path in package.rglob("*.py")
    }
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items() if "_data" not in path.parts}
    imported = {}
    for name, path in paths.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if alias.name in paths}
            elif isinstance(node, ast.ImportFrom) and node.module in paths:
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (parts & set(paths)) or {node.module}
        imported[name] = found - {name, "perfmodel"}
    return imported


def test_rooms_import_only_from_lower_floors(repository):
    for name, imported in modules_of(repository / "perfmodel").items():
        if name in ("perfmodel", "perfmodel.__main__"):
            continue
        room = name.split(".")[1]
        assert room in FLOOR_OF, f"{name}: has no floor in the tower"
        for other in imported:
            other_room = other.split(".")[1]
            assert other_room == room or FLOOR_OF[other_room] < FLOOR_OF[room], f"{name} imports {other}"


def test_no_modules_import_each_other_in_a_circle(repository):
    graph = modules_of(repository / "perfmodel")
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for other in sorted(graph[module]):
            visit(other)
        path.pop()
        done.add(module)

    for module in sorted(set(graph) - {"perfmodel"}):
        visit(module)


def test_the_top_of_the_package_holds_rooms_and_a_few_small_files(repository):
    top = [path for path in (repository / "perfmodel").iterdir() if path.name not in ("__pycache__", "_data", "cli.py")]
    assert sum(path.is_dir() for path in top) <= 13
    assert sum(path.suffix == ".py" for path in top) <= 6


def test_only_recorded_numbers_overload_arithmetic(repository):
    arithmetic = {f"__{side}{name}__" for side in ("", "r") for name in ("mul", "truediv", "floordiv", "pow", "sub")}
    overloading = {
        path.relative_to(repository / "perfmodel").as_posix()
        for path in (repository / "perfmodel").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name in arithmetic
    }
    assert overloading == {"numbers/recorded.py"}


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
        names = {command.name or command.callback.__name__ for command in alone.registered_commands} | {
            group.name for group in alone.registered_groups
        }
        assert word in names
