"""The documents say what the program does: shown outputs are made anew and compared, every symbol and key is described."""

import doctest
import inspect
import json
import re
import subprocess
import sys

from perfmodel import equations


def test_generated_parts_are_current(repository):
    done = subprocess.run([sys.executable, str(repository / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_notebook_is_one_that_jupyter_reads(repository):
    """Its cells are run and their outputs compared with the other generated parts; here is the shape that readers expect."""
    (path,) = (repository / "examples").glob("*.ipynb")
    held = json.loads(path.read_text(encoding="utf-8"))
    assert (held["nbformat"], held["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in held["cells"]}) == len(held["cells"])
    outputs = [output for cell in held["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    assert sum("text/html" in output["data"] for output in outputs) == 3
    assert all("text/plain" in output["data"] for output in outputs)


def test_python_in_the_readme_gives_what_it_shows(repository):
    results = doctest.testfile(str(repository / "README.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 4
    assert results.failed == 0


def test_every_parameter_of_every_equation_is_on_the_symbols_page_with_its_unit(repository):
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \| ([^|]+) \|", (repository / "docs" / "symbols.md").read_text(encoding="utf-8"), re.MULTILINE)
    units = {}
    for name, unit in rows:
        units.setdefault(name, set()).add(unit.strip())
    used = set()
    for function in vars(equations).values():
        if not inspect.isfunction(function) or function.__module__ != equations.__name__:
            continue
        for name in inspect.signature(function).parameters:
            bracket = re.search(rf"^\s+{name}: .*\[([^\]]+)\]$", function.__doc__, re.MULTILINE)
            assert bracket, f"{function.__name__}: {name} has no unit"
            assert bracket[1] in units.get(name, set()), f"{function.__name__}: {name} [{bracket[1]}] is not on the symbols page"
            used.add(name)
    assert set(units) == used, "the symbols page names what no equation uses"


def test_documents_name_no_address_that_is_not_public(repository):
    for path in [repository / "README.md", *(repository / "docs").glob("*.md"), repository / "CHANGELOG.md"]:
        text = path.read_text(encoding="utf-8")
        assert "/work/" not in text
        assert "/tmp/" not in text
