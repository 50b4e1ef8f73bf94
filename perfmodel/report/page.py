"""Answers as HTML: fragments for notebooks, and one self-contained page with pictures, equations and sources."""

from collections.abc import Sequence
from html import escape

from perfmodel.picturedata.captions import assumption_text, question_line
from perfmodel.picturedata.records import Picture, Report, Validated, WhatIf
from perfmodel.report.answer import document, verdict
from perfmodel.report.drawing import DARK_STYLE
from perfmodel.report.pictures import draw
from perfmodel.report.text import Document, Table
from perfmodel.results import Assumption, Estimate
from perfmodel.units import format_quantity

# What each term is, by the labels of docs/equations.md.
TERMS_IN_WORDS = (
    ("peak", "P1, P2", "All bytes that the step must read (each weight, cache entry and state once) over the datasheet bandwidth of all devices. The fraction of peak is this time over that of the step."),
    ("stream", "R1", "The bytes of each kind over the bandwidth that this kind sustains: a share of the datasheet's, at most what the loads in flight can carry."),
    ("compute", "R2", "Floating-point operations over the sustained arithmetic rate, as far as they take longer than streaming does."),
    ("boundary", "B1, L2", "Kernel calls times the cost of one call boundary: launch and drain of an empty kernel, ramp until enough bytes are in flight, tail; for fused kernels also filling their pipeline."),
    ("collective", "C1", "For each collective its latency, and its payload times the ring factor over the sustained link; inside a loop only what streaming does not hide."),
    ("latency", "L1", "Inside a loop: the chain of dependent stages, as far as neither streaming nor the prefetch window hides it."),
    ("host", "S1, S2", "What the host adds to a step; where the host issues each call, the step is not faster than the host."),
    ("step", "S1, L1, L2, L3", "The sum over calls of boundary and the longer of streaming and arithmetic. A loop of k iterations is one call; each takes the longest of streaming with stalls, serial chain, arithmetic."),
)  # fmt: skip

_STYLE = (
    """
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1a1a;--soft:#595959;--rule:#d9d9d9;--tint:#f3f5f7;--win:#0072b2}
@media (prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#ececec;--soft:#b4b8bd;--rule:#3a3f45;--tint:#202429;--win:#56b4e9}"""
    + DARK_STYLE
    + """}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:60rem;background:var(--paper);color:var(--ink);font:16px/1.5 Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--rule)}
.question,.note,figcaption,.foot{color:var(--soft)}
.verdict{font-size:1.15rem;font-weight:bold;border-left:4px solid var(--win);padding:.5rem .9rem;background:var(--tint)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;margin:.6rem 0}
th,td{padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
td.number,th.number{text-align:right;white-space:nowrap}
td.name{white-space:nowrap}
figure{margin:1.2rem 0}
figure svg{display:block;width:100%;min-width:40rem;height:auto}
figcaption,.note,.foot{font-size:.875rem}
code{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:.875em;overflow-wrap:anywhere}
@media print{h2,figure,tr{break-inside:avoid}}
"""
)


def estimate_fragment(answer: Estimate) -> str:
    """Return an Estimate as an HTML fragment: the same parts as the text, as paragraphs and tables."""
    return document_fragment(document(answer))


def document_fragment(document: Document) -> str:
    """Return any document as an HTML fragment of paragraphs and tables."""
    return "\n".join(_plain_table(part) if isinstance(part, Table) else f"<p>{escape(part)}</p>" for part in document.parts)


def page(report: Report, *, command: str, version: str) -> str:
    """Return one answer as a whole HTML page: no script, no network, light and dark.

    command: the line that makes the page again; version: of the program.
    """
    answer = report.answer
    devices = f"{answer.devices} x " if answer.devices > 1 else ""
    title = f"{answer.model} on {devices}{answer.hardware}: {answer.after.mode} against {answer.before.mode}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="question">How fast are tokens generated, what share of peak bandwidth is that, and what does {escape(answer.after.mode)} bring? {escape(question_line(answer))}.</p>',
        f'<p class="verdict">{escape(verdict(answer, report.last_paying_batch))}</p>',
        *(f'<p class="note">Note: {escape(note)}</p>' for note in answer.notes),
        _figures(answer), _loops(answer),
        "<h2>Pictures</h2>", *(_figure(picture, [assumption_text(a) for a in answer.assumptions]) for picture in report.pictures),
        "<h2>Where the numbers come from</h2>", _terms(answer),
        f"<h2>Next to this question</h2>{_what_ifs(answer, report.what_ifs)}",
        f"<h2>Assumptions</h2>{_assumptions(answer.assumptions)}",
        f'<p class="foot">Made by perfmodel {escape(version)}: <code>{escape(command)}</code></p>',
    ]  # fmt: skip
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(part for part in parts if part)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _figures(answer: Estimate) -> str:
    def between(low: str, high: str) -> str:
        return f"{low} to {high}"

    def row(name: str, peak: str, show: Sequence[str]) -> tuple[str, ...]:
        return (name, peak, *show)

    sides = (answer.before, answer.after)
    times, rates, shares = [], [], []
    for side in sides:
        times += [_time(side.time_per_step), between(_time(side.high.time_per_step), _time(side.low.time_per_step))]
        rates += [_rate(side.tokens_per_second), between(_rate(side.low.tokens_per_second), _rate(side.high.tokens_per_second))]
        shares += [_percent(side.fraction_of_peak), between(_percent(side.low.fraction_of_peak), _percent(side.high.fraction_of_peak))]
    rows = [
        row("time per step", _time(answer.peak.time_per_step), times), row("tokens per second", _rate(answer.peak.tokens_per_second), rates),
        row("fraction of peak", "100 %", shares), row("kernel calls", "", (f"{answer.before.kernel_calls:,}", "", f"{answer.after.kernel_calls:,}", "")),
        row("largest term", "", (answer.before.bound, "", answer.after.bound, "")),
    ]  # fmt: skip
    fits = answer.fits
    memory = f"{fits.bytes_needed / 1e9:,.2f} of {fits.bytes_available / 1e9:,.2f} GB on each device: {'fits' if fits.fits else 'does not fit'}"
    read = f"A step reads {answer.bytes_per_step / 1e9:,.4g} GB and does {format_quantity(answer.flops_per_step, 'FLOP')}. Memory: {memory}."
    head = ("", "peak", f"before: {answer.before.mode}", "interval", f"after: {answer.after.mode}", "interval")
    return f'{_table(head, rows, numbers=(1, 2, 3, 4, 5))}<p class="note">{escape(read)}</p>'


def _loops(answer: Estimate) -> str:
    if not answer.loops:
        return '<p class="note">No loop was found.</p>'
    said = "; ".join(f"{' + '.join(loop.body)} x {loop.count}" + (f" (layers {loop.layers})" if loop.layers else "") for loop in answer.loops)
    return f'<p class="note">Loops: {escape(said)}.</p>'


def _figure(picture: Picture, listed: Sequence[str]) -> str:
    """One picture; its caption gives the assumptions that the table of the page does not have."""
    if isinstance(picture, Validated):
        said = "Each measurement is a question of its own, with the assumptions of its own device."
    else:
        more = [assumption for assumption in picture.caption.assumptions if assumption not in listed]
        said = f"Assumptions: the {len(picture.caption.assumptions) - len(more)} in the table below{'; also ' + '; '.join(more) if more else ''}."
    return f'<figure><div class="wide">{draw(picture, inline=True)}</div><figcaption>{escape(said)}</figcaption></figure>'


def _terms(answer: Estimate) -> str:
    def times(name: str) -> tuple[str, str]:
        if name == "peak":
            return _time(answer.peak.time_per_step), _time(answer.peak.time_per_step)
        return tuple(_time(side.time_per_step if name == "step" else getattr(side.terms, name)) for side in (answer.before, answer.after))  # type: ignore[return-value]

    rows = [(name, *times(name), labels, words) for name, labels, words in TERMS_IN_WORDS]
    said = "The six terms from stream to host add up to the step. Labels are those of docs/equations.md, where each equation stands with its units and source."
    return f"<p>{said}</p>{_table(('term', 'before', 'after', 'equations', 'in words'), rows, numbers=(1, 2))}"


def _what_ifs(answer: Estimate, what_ifs: Sequence[WhatIf]) -> str:
    def cells(change: str, a: Estimate) -> tuple[str, ...]:
        speedup = f"{a.speedup.value:.3g} ({a.speedup.low:.3g} to {a.speedup.high:.3g})"
        return (change, a.before.mode, _rate(a.before.tokens_per_second), _percent(a.before.fraction_of_peak), a.after.mode, _rate(a.after.tokens_per_second),
                _percent(a.after.fraction_of_peak), speedup, "" if a.fits.fits else "does not fit")  # fmt: skip

    rows = [cells("as asked", answer), *(cells(w.change, w.answer) for w in what_ifs)]
    return _table(("what if", "before", "tok/s", "of peak", "after", "tok/s", "of peak", "speed-up [x]", ""), rows, numbers=(2, 3, 5, 6, 7))


def _assumptions(assumptions: Sequence[Assumption]) -> str:
    rows = []
    for a in assumptions:
        value, low, high = (format_quantity(x, a.unit) for x in (a.value, a.low, a.high))
        rows.append((a.name, value, "" if a.low == a.high else f"{low} to {high}", a.kind, a.source))
    said = "Each has a value, an interval from its 5th to its 95th percentile, and a source. Any can be changed with --set NAME=VALUE."
    return f"<p>{said}</p>{_table(('assumption', 'value', 'interval', 'kind', 'source'), rows, numbers=(1, 2))}"


def _time(seconds: float) -> str:
    return format_quantity(seconds, "s") if seconds else "0"


def _rate(rate: float) -> str:
    return f"{rate:,.4g}" if rate < 1e4 else f"{rate:,.0f}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int]) -> str:
    def cell(tag: str, i: int, words: str) -> str:
        kind = "number" if i in numbers else "name" if i == 0 else ""
        return f"<{tag}{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(words)}</{tag}>"

    top = "".join(cell("th", i, words) for i, words in enumerate(head))
    body = "".join(f"<tr>{''.join(cell('td', i, words) for i, words in enumerate(row))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _plain_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
