"""Build the documentation site into build/site: `make docs`.

Its first page is the explorer; then come docs/*.md, each equation rendered, and a reference of the Python interface. At
last every link within the site is followed, and nothing may be loaded from elsewhere.
"""

import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]

from formulas import formula  # noqa: E402
from reference import reference  # noqa: E402
from sphinx.cmd.build import build_main  # noqa: E402

from perfmodel import find_hardware, find_model  # noqa: E402
from perfmodel.report.explorer.page import MACHINES, MODELS, explorer_page  # noqa: E402

BUILD = ROOT / "build"
SOURCE, SITE = BUILD / "site-source", BUILD / "site"
FIRST = "index.html"  # the explorer
CHAPTERS = {
    "Begin": ("tutorial", "asking", "explorer", "model"),
    "Guides": ("sweeps", "solving", "traces", "pictures", "hardware", "models", "software"),
    "Reference": ("cli", "python", "equations", "symbols", "columns", "trust", "validation", "misses", "architecture"),
}
LINKS = {
    "Six questions": "tutorial.html",
    "Options": "asking.html",
    "Equations": "equations.html",
    "All documents": "contents.html",
}
# Tags that load something, with the attribute that says what; other links are for the reader to follow.
LOADING = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "embed": "src",
}


def prepare() -> None:
    """Write the source of the site."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "megakernel.ipynb", SOURCE)
    for path in (ROOT / "docs").glob("*.svg"):
        shutil.copy(path, SOURCE)
    for path in (ROOT / "docs").glob("*.md"):
        (SOURCE / path.name).write_text(_page(path.read_text(encoding="utf-8"), path.stem), encoding="utf-8")
    (SOURCE / "python.md").write_text(reference(), encoding="utf-8")
    (SOURCE / "contents.md").write_text(_contents(), encoding="utf-8")


def _page(text: str, name: str) -> str:
    text = text.replace("](../examples/", "](")
    ask = f'<p class="ask"><a href="{FIRST}#\\1">Ask this on the page</a></p>'
    text = re.sub(r"<!-- explorer: (\S+) -->", ask, text)
    if name != "equations":
        return text
    return re.sub(r"^### (\w+)$", lambda found: f"{found[0]}\n\n{formula(found[1])}", text, flags=re.MULTILINE)


def _contents() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    parts = [re.sub(r"\]\(docs/", "](", readme), f'\n<p class="ask"><a href="{FIRST}">The explorer</a></p>\n']
    for caption, pages in CHAPTERS.items():
        parts.append(f"```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n```\n")
    missing = {path.stem for path in (ROOT / "docs").glob("*.md")} - {
        page for pages in CHAPTERS.values() for page in pages
    }
    if missing:
        sys.exit(f"documents in no chapter of docs/site/build.py: {', '.join(sorted(missing))}")
    return "\n".join(parts)


class _Links(HTMLParser):
    """The links of a page, what it loads, and the places that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        held = {name: value or "" for name, value in attrs}
        self.places |= {held[name] for name in ("id", "name") if name in held}
        if tag in LOADING and LOADING[tag] in held and held.get("rel") not in ("canonical", "author"):
            self.loads.append(held[LOADING[tag]])
        elif "href" in held:
            self.links.append(held["href"])


def faults(site: Path) -> list[str]:
    """Return links that lead nowhere, and what is loaded from elsewhere."""
    pages = {path: _Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        here = path.relative_to(site)
        for target in (*page.loads, *page.links):
            if re.match(r"(https?:)?//", target):
                if target in page.loads:
                    found.append(f"{here}: loads {target}")
                continue
            if re.match(r"(data|mailto|javascript):", target):
                continue
            where, _, place = target.partition("#")
            file = (path.parent / unquote(where.partition("?")[0])).resolve() if where else path
            if not file.exists():
                found.append(f"{here}: {target} is not there")
            elif place and file.name != FIRST and file in pages and unquote(place) not in pages[file].places:
                found.append(f"{here}: {target}: no such place")
    for path in site.rglob("*.css"):
        loaded = re.findall(r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')]*)", path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: loads {target}" for target in loaded]
    return found


def main() -> None:
    """Build the site and check it."""
    prepare()
    shutil.rmtree(SITE, ignore_errors=True)
    if build_main(["-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE), str(SOURCE), str(SITE)]):
        sys.exit("the site was not built")
    machines = [find_hardware(name) for name in (*MACHINES, "sambarack-sn40l-16")]
    page = explorer_page([find_model(name) for name in MODELS], machines, links=LINKS)
    (SITE / FIRST).write_text(page, encoding="utf-8")
    found = faults(SITE)
    if found:
        sys.exit("\n".join(found))
    pages = list(SITE.rglob("*.html"))
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(
        f"{SITE / FIRST}: {len(pages)} pages, {size / 1e6:.1f} MB; every link leads somewhere, nothing is loaded "
        "from elsewhere"
    )


if __name__ == "__main__":
    main()
