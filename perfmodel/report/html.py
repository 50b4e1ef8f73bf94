"""The parts of an HTML page: its shell and style, tables, pictures, and how numbers are written.

Nothing is fetched; the only script is the explorer's.
"""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from perfmodel.estimates.results import Assumption
from perfmodel.quoting import markup
from perfmodel.report.pictures.captions import assumption_text
from perfmodel.report.pictures.paper import VARIABLES, to_svg
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.scatters import Validated
from perfmodel.units import format_quantity

if TYPE_CHECKING:
    from perfmodel.report.explorer.page import Parts

# What each term is, by the labels of docs/equations.md.
TERMS_IN_WORDS = (
    (
        "peak",
        "P1, P2",
        (
            "All bytes that the step must read (each weight, cache entry and state once) over the datasheet bandwidth"
            " of all devices. The fraction of peak is this time over that of the step."
        ),
    ),
    (
        "stream",
        "R1",
        (
            "The bytes of each kind over the bandwidth that this kind sustains: a share of the datasheet's, at most"
            " what the loads in flight can carry."
        ),
    ),
    (
        "compute",
        "R2",
        "Floating-point operations over the sustained arithmetic rate, as far as they take longer than streaming does.",
    ),
    (
        "boundary",
        "B1, L2",
        (
            "Kernel calls times the cost of one call boundary: launch and drain of an empty kernel, ramp until enough"
            " bytes are in flight, tail; for fused kernels also filling their pipeline."
        ),
    ),
    (
        "collective",
        "C1",
        (
            "For each collective its latency, and its payload times the ring factor over the sustained link; inside a"
            " loop only what streaming does not hide."
        ),
    ),
    (
        "latency",
        "L1",
        "Inside a loop: the chain of dependent stages, as far as neither streaming nor the prefetch window hides it.",
    ),
    (
        "host",
        "S1, S2",
        "What the host adds to a step; where the host issues each call, the step is not faster than the host.",
    ),
    (
        "step",
        "S1, L1, L2, L3",
        (
            "The sum over calls of boundary and the longer of streaming and arithmetic. A loop of k iterations is one"
            " call; each takes the longest of streaming with stalls, serial chain, arithmetic."
        ),
    ),
)

_LONG_PAGE = 4  # parts of a page from which it has contents
# What is wider than its column scrolls by itself, with a shade where it goes on, and by the keyboard too.
_WIDE = '<div class="wide" tabindex="0">'
_LIGHT = "".join(f"{name}:{light};" for light, (name, _) in VARIABLES.items())
_DARK = "".join(f"{name}:{dark};" for name, dark in VARIABLES.values())
_STYLE = (
    f"""
:root{{color-scheme:light dark;{_LIGHT}--rule:#d9d9d9;--tint:#f3f5f7;--shade:#0003}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}--rule:#3a3f45;--tint:#202429;--shade:#fff4}}}}"""
    """
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:60rem;background:var(--paper);color:var(--ink);\
font:16px/1.5 Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--rule)}
.question,.note,figcaption,.foot{color:var(--soft)}
.verdict{font-size:1.15rem;font-weight:bold;border-left:4px solid var(--win);padding:.5rem .9rem;background:var(--tint)}
.wide{overflow-x:auto;\
background:linear-gradient(90deg,var(--paper) 40%,transparent) 0 0/2.5rem 100% no-repeat local,\
linear-gradient(270deg,var(--paper) 40%,transparent) 100% 0/2.5rem 100% no-repeat local,\
linear-gradient(90deg,var(--shade),transparent) 0 0/.9rem 100% no-repeat scroll,\
linear-gradient(270deg,var(--shade),transparent) 100% 0/.9rem 100% no-repeat scroll}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:1.2rem 0 0;font-size:.875rem}
nav a{color:var(--win)}
table{border-collapse:collapse;font-size:.875rem;margin:.6rem 0}
th,td{padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
td.number,th.number{text-align:right;white-space:nowrap}
td.name{white-space:nowrap}
td.code{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:.8125rem;\
min-width:18rem;overflow-wrap:anywhere}
td.words{min-width:16rem;overflow-wrap:anywhere}
summary{cursor:pointer;color:var(--soft);font-size:.875rem}
figure{margin:1.2rem 0}
figure svg{display:block;width:100%;min-width:40rem;height:auto}
figcaption,.note,.foot{font-size:.875rem}
code{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:.875em;overflow-wrap:anywhere}
@media print{h2,figure,tr{break-inside:avoid}}
"""
)


# Where scripts run, the explorer stands in place of the pictures that it draws itself.
_LIVE = "#explorer{display:none}[data-ready] #explorer{display:block}[data-ready] .still{display:none}"


def shell(title: str, parts: Sequence[str], live: "Parts | None" = None) -> str:
    """Return a whole page; parts: its HTML, empty ones left out; live: the explorer, whose body is among them."""
    allowed = f"'sha256-{live.policy}'" if live else "'none'"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        f" script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">"
        f"<title>{markup(title)}</title><style>{_STYLE}{live.style + _LIVE if live else ''}</style>"
    )
    body = _with_contents("\n".join(part for part in parts if part))
    code = (
        f'<script id="data" type="application/octet-stream">{live.data}</script>\n<script>{live.code}</script>\n'
        if live
        else ""
    )
    top = f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n'
    return f"{top}<body>\n<main>\n{body}\n</main>\n{code}</body>\n</html>\n"


def _with_contents(body: str) -> str:
    """Return the body of a page with a list of its parts before the first of them, where there are several."""
    headings = re.findall(r"<h2>(.*?)</h2>", body)
    if len(headings) < _LONG_PAGE:
        return body
    for number, heading in enumerate(headings, 1):
        body = body.replace(f"<h2>{heading}</h2>", f'<h2 id="part-{number}">{heading}</h2>', 1)
    listed = "".join(f'<li><a href="#part-{number}">{heading}</a></li>' for number, heading in enumerate(headings, 1))
    contents = f'<nav aria-label="Contents"><ul>{listed}</ul></nav>'
    return body.replace('<h2 id="part-1">', f'{contents}<h2 id="part-1">', 1)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    code: Collection[int] = (),
    words: Collection[int] = (),
    styled: bool = False,
) -> str:
    """Return a table that scrolls by itself where it is too wide.

    numbers, code, words: columns that hold these. styled: for a notebook, which has no style sheet of ours.
    """

    def looks(i: int) -> str:
        if styled:
            return "" if i in numbers else ' style="text-align:left"'
        kind = "number" if i in numbers else "code" if i in code else "words" if i in words else "" if i else "name"
        return f' class="{kind}"' if kind else ""

    def line(tag: str, cells: Sequence[str]) -> str:
        named = [(tag if text or tag == "td" else "td", i, text) for i, text in enumerate(cells)]
        return f"<tr>{''.join(f'<{each}{looks(i)}>{markup(text)}</{each}>' for each, i, text in named)}</tr>"

    top = f"<thead>{line('th', head)}</thead>" if any(head) else ""
    made = f"<table>{top}<tbody>{''.join(line('td', row) for row in rows)}</tbody></table>"
    return made if styled else f"{_WIDE}{made}</div>"


def figure(picture: Picture, listed: Collection[str]) -> str:
    """Return one picture; its caption gives the assumptions that the table of the page, `listed`, does not have."""
    if isinstance(picture, Validated):
        said = "Each measurement is a question of its own, with the assumptions of its own device."
    else:
        more = [assumption for assumption in picture.caption.assumptions if assumption not in listed]
        said = (
            "Assumptions:"
            f" {'the ' + str(len(picture.caption.assumptions) - len(more)) if picture.caption.assumptions else 'those'}"
            f" in the table below{'; also ' + '; '.join(more) if more else ''}."
        )
    return f"<figure>{_WIDE}{to_svg(picture, inline=True)}</div><figcaption>{markup(said)}</figcaption></figure>"


def assumption_cells(a: Assumption) -> tuple[str, ...]:
    """Return an assumption as cells: name, value, interval, kind, source."""
    value, low, high = (format_quantity(x, a.unit) for x in (a.value, a.low, a.high))
    return a.name, value, "" if a.low == a.high else f"{low} to {high}", a.kind, a.source


def assumption_words(assumptions: Sequence[Assumption]) -> frozenset[str]:
    """Return assumptions as captions write them."""
    return frozenset(assumption_text(a) for a in assumptions)


ASSUMPTIONS_SAID = (
    "Each has a value, an interval from its 5th to its 95th percentile, and a source. Any can be changed with --set"
    " NAME=VALUE."
)


def foot(command: str, version: str) -> str:
    """Return the last line of a page: what made it and how to make it again."""
    return f'<p class="foot">Made by perfmodel {markup(version)}: <code>{markup(command)}</code></p>'


def unbroken(words: str) -> str:
    """Return a sentence in which a number and its sign stay on one line."""
    return words.replace(" %", "\u00a0%").replace(" x ", "\u00a0x ")
