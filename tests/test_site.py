"""The documentation site: each equation is rendered, the reference holds each public name, bad links are found."""

import importlib.util
import re
import sys
import xml.etree.ElementTree as ET

import pytest

import perfmodel


@pytest.fixture
def site(repository):
    """Modules of docs/site by name."""

    def load(name):
        specification = importlib.util.spec_from_file_location(
            f"site_{name}", repository / "docs" / "site" / f"{name}.py"
        )
        module = importlib.util.module_from_spec(specification)
        sys.modules[specification.name] = module
        specification.loader.exec_module(module)
        return module

    return load


def test_each_equation_is_rendered(site, repository):
    formulas = site("formulas")
    page = (repository / "docs" / "equations.md").read_text(encoding="utf-8")
    names = re.findall(r"^### (\w+)$", page, re.MULTILINE)
    assert len(names) > 60
    rendered = {name: formulas.formula(name) for name in names}
    steps = [name for name, text in rendered.items() if "```python" in text]
    assert set(steps) <= {
        "prefetch_windows",
        "waits_for_bytes",
        "combined_spread",
        "joint_spread",
        "joint_ratio_spread",
    }
    for name, text in rendered.items():
        if name not in steps:
            for block in text.split("\n"):
                math = ET.fromstring(block)  # noqa: S314 - our own text
                assert math.find(".//{*}math") is not None


def test_a_formula_is_what_its_function_does(site):
    text = site("formulas").formula("padded_flops")
    words = re.findall(r"<mi>([^<]*)</mi>", text)
    assert words[0] == "padded flops"
    assert sorted(words[1:]) == ["flops", "rows", "taken over", "tile"]
    assert "max" in text


def test_the_reference_holds_each_public_name(site):
    page = site("reference").reference()
    for name in perfmodel.__all__:
        if name != "__version__":
            assert f"\n## {name}\n" in page
    assert "- `batch`: " in page


def test_each_document_is_in_a_chapter(repository):
    chapters = (repository / "docs" / "site" / "build.py").read_text(encoding="utf-8")
    assert [path.stem for path in (repository / "docs").glob("*.md") if f'"{path.stem}"' not in chapters] == []


def test_links_that_lead_nowhere_are_found(site, tmp_path):
    pytest.importorskip("sphinx", reason="the site is built where sphinx is installed: make docs")
    faults = site("build").faults
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">x</a><a href="b.html">y</a><a href="#there">z</a>'
        '<script src="https://example.org/x.js"></script><a href="https://example.org">far</a></p>',
        encoding="utf-8",
    )
    assert faults(tmp_path) == [
        "a.html: loads https://example.org/x.js",
        "a.html: b.html is not there",
        "a.html: #there: no such place",
    ]


def test_each_question_of_the_tutorial_is_one_of_the_page(repository):
    text = (repository / "docs" / "tutorial.md").read_text(encoding="utf-8")
    asked = [
        dict(part.split("=") for part in line.split("&")) for line in re.findall(r"<!-- explorer: (\S+) -->", text)
    ]
    assert len(asked) == text.count("\n## ") == 6
    for question in asked:
        names = {key: question[key] for key in ("before", "after") if key in question}
        answer = perfmodel.estimate(
            question["model"],
            question["machine"],
            devices=int(question.get("devices", 1)),
            context=int(question.get("context", 4096)),
            parameters={key[4:]: float(value) for key, value in question.items() if key.startswith("set.")},
            **names,
        )
        assert answer.speedup.value > 1
