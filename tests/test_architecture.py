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
