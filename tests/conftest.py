"""What the tests share: the command line in-process, and the paths of the repository."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from hypothesis import settings

from perfmodel._layout import load_command_line

# Where a change is judged the examples are the same each time; on a developer's machine they are new ones.
settings.register_profile("judged", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("judged")

# Development programs that need torch and transformers.
collect_ignore = ["oracle"]

REPOSITORY = Path(__file__).resolve().parent.parent


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def any_width(monkeypatch):
    """Text is laid out for no width but the one that a test sets: workers of pytest-xdist set one for themselves."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line with these words; give exit code, stdout and stderr."""

    def call(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["perfmodel", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            load_command_line().main()
        captured = capsys.readouterr()
        return Answer(stop.value.code or 0, captured.out, captured.err)

    return call


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def program(repository) -> Callable[[str], ModuleType]:
    """Programs of validation/, which is no package, as modules by name."""

    def load(name: str) -> ModuleType:
        specification = importlib.util.spec_from_file_location(name, repository / "validation" / f"{name}.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module

    return load
