"""The page about the house: its tower is the tested one, and what its walks name exists."""

import ast
import re

import pytest

from tests.test_imports import FLOORS

SMALL = ("errors", "units", "_layout")


@pytest.fixture(scope="module")
def page(pytestconfig):
    return (pytestconfig.rootpath / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_tower_on_the_page_is_the_one_that_is_tested(page):
    table = page.partition("## The tower")[2].partition("## One recording")[0]
    floors = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    assert floors[:-1] == [list(floor) for floor in FLOORS[::-1] if floor[0] not in SMALL]
    assert set(floors[-1]) == set(SMALL)


def test_what_the_walks_name_exists(page, repository):
    walks = page.partition("## Four walks")[2].partition("## Adding")[0]
    named = re.findall(r"`(perfmodel/[\w/]+\.py)`(?:: `(\w+)`)?|`(\w+)` in `(perfmodel/[\w/]+\.py)`", walks)
    assert len(named) >= 6
    for path, name, other, where in named:
        tree = ast.parse((repository / (path or where)).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        assert (name or other) in {*defined, ""}, f"{path or where} has no {name or other}"


def test_files_that_the_page_names_exist(page, repository):
    for path in set(re.findall(r"`(perfmodel/[\w/]+\.py|tests/[\w/]+\.py)`", page)):
        assert (repository / path).exists(), path


@pytest.fixture(scope="module")
def modules(pytestconfig):
    """Each module of the package and the command line as (text, syntax tree) by its path."""
    root = pytestconfig.rootpath
    paths = [root / "cli.py", *(root / "perfmodel").rglob("*.py")]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return {path: (text, ast.parse(text)) for path, text in texts.items()}


def body_lines(function):
    """The lines of a function without its signature and its docstring."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1


def test_no_module_is_longer_than_300_lines(modules):
    assert not {path: lines for path, (text, _) in modules.items() if (lines := len(text.splitlines())) > 300}


def test_no_function_body_is_longer_than_60_lines(modules):
    functions = [
        (f"{path}: {node.name}", body_lines(node))
        for path, (_, tree) in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    assert not {name: lines for name, lines in functions if lines > 60}


def test_no_line_is_longer_than_120(modules):
    lines = [
        (path, number, line) for path, (text, _) in modules.items() for number, line in enumerate(text.split("\n"))
    ]
    assert not [f"{path}:{number + 1}" for path, number, line in lines if len(line) > 120]


def test_no_two_classes_have_one_name(modules):
    homes = {}
    for path, (_, tree) in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(path)
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}
