"""axe-core finds no serious fault on the explorer and on a report, light and dark: `make accessibility`."""

import os
from pathlib import Path

import pytest
from browsers import ready, started

from perfmodel import estimate, find_hardware, find_model
from perfmodel.report.answerpage import answer_page
from perfmodel.report.explorer.page import explorer_page

AXE = os.environ.get("AXE", "")
RUN = """const done = arguments[0];
axe.run(document).then((found) => done(found.violations), (error) => done(String(error)))"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    explorer = explorer_page([find_model("llama-3.2-1b")], [find_hardware("h100-sxm"), find_hardware("rtx-4090")])
    report = answer_page(estimate("llama-3.1-8b", "h100-sxm"), command="perfmodel report llama-3.1-8b h100-sxm")
    for name, text in (("explorer", explorer), ("report", report)):
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.skipif(not AXE, reason="axe-core comes from npm: make accessibility")
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["explorer", "report"])
def test_axe_finds_no_serious_fault(pages, name, dark, width):
    with started(width=width, dark=dark) as browser:
        address = (pages / f"{name}.html").as_uri()
        browser.get(f"{address}#drafter=eagle" if name == "explorer" else address)
        if "explorer" in browser.page_source:
            ready(browser)
        for details in browser.find_elements("tag name", "details"):
            browser.execute_script("arguments[0].open = true", details)
        browser.execute_script(Path(AXE).read_text(encoding="utf-8"))
        found = browser.execute_async_script(RUN)
    serious = [
        (fault["impact"], fault["id"], fault["help"], [node["html"][:160] for node in fault["nodes"][:3]])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert [fault["id"] for fault in found] == []  # nor a lesser one
