"""The report of one question: one self-contained HTML page with pictures, formula and sources, or the same as text."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from perfmodel.analysis.closedforms import Explanation, SideForm
from perfmodel.analysis.explanations import explain
from perfmodel.errors import UsageError
from perfmodel.estimates.answers import Estimate
from perfmodel.quoting import markup
from perfmodel.report.answer import document, verdict
from perfmodel.report.around import Report, WhatIf, report_data, what_ifs
from perfmodel.report.bars import picture_table
from perfmodel.report.explorer.page import Parts, parts_of
from perfmodel.report.facts import Beside, beside_of, facts, how_sure, measured_nearby
from perfmodel.report.html import (
    ASSUMPTIONS_SAID,
    TERMS_IN_WORDS,
    assumption_cells,
    assumption_words,
    figure,
    foot,
    shell,
    table,
    unbroken,
)
from perfmodel.report.pictures.captions import counted, question_line, rate_unit
from perfmodel.report.pictures.curves import Curves
from perfmodel.report.pictures.maps import Map
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.pictures.waterfalls import Waterfall
from perfmodel.report.text import Document, Table
from perfmodel.report.words import how_many, percent, rate, ratio, term_label, time


def answer_page(answer: Estimate, *, command: str) -> str:
    """Return one answer as a whole HTML page: no network, light and dark.

    Where scripts run, sliders, curves and map are those of the explorer, if its page can ask the question; else, and
    where none run, they are pictures. command: the line that makes the page again.
    """
    return _page(report_data(answer), beside_of(answer), explain(**answer.asked.arguments), command)


def answer_document(answer: Estimate) -> Document:
    """Return the same as text: the answer, where its time goes as bars, the questions next to it, and the sources."""
    report = report_data(answer)
    parts = document(answer, beside_of(answer)).parts
    head, rows = _what_if_rows(answer, report.what_ifs)
    neighbours = Table(head, rows, frozenset({2, 3, 5, 6}))
    sources = list(dict.fromkeys(a.source for a in answer.assumptions))
    where = [f"{', '.join(a.name for a in answer.assumptions if a.source == source)}: {source}" for source in sources]
    parts[3] = picture_table(report.pictures[0])  # bars in place of the terms
    return Document([*parts, neighbours, "\n".join(where)])


def answer_dict(answer: Estimate) -> dict[str, Any]:
    """Return the same as plain dicts, lists, numbers and texts, in base units."""
    report = report_data(answer)
    return {
        "answer": answer.to_dict(),
        "formula": explain(**answer.asked.arguments).to_dict(),
        "what_ifs": [{"change": w.change, "answer": w.answer.to_dict()} for w in report.what_ifs],
        "pictures": msgspec.to_builtins(report.pictures),
    }


def answer_rows(answer: Estimate) -> list[dict[str, Any]]:
    """Return the answer and the questions next to it as flat rows."""
    return [
        {"change": change} | row
        for change, each in (("", answer), *((w.change, w.answer) for w in what_ifs(answer)))
        for row in each.rows()
    ]


_ASKED = {"token": "How fast are tokens generated", "step": "How fast does a step run"}


def _page(report: Report, beside: Beside, form: Explanation, command: str) -> str:
    from perfmodel._layout import __version__

    answer = report.answer
    devices = how_many(answer.devices, answer.hardware)
    title = f"{answer.model} on {devices}{answer.hardware}: {answer.after.mode} against {answer.before.mode}"
    listed = assumption_words(answer.assumptions)
    live = _live(answer)
    parts = [
        f"<h1>{markup(title)}</h1>",
        (
            f'<p class="question">{_ASKED[counted(answer)]}, what share of peak bandwidth is that, and what does'
            f" {markup(answer.after.mode)} bring? {markup(question_line(answer))}.</p>"
        ),
        f'<p class="verdict">{markup(unbroken(verdict(answer)))}</p>',
        *(f'<p class="note">Note: {markup(note)}</p>' for note in answer.notes),
        _figures(answer),
        _beside(answer, beside),
        "" if live is None else f'<div id="explorer"><h2>What if it were different?</h2>\n{live.body}</div>',
        "<h2>Pictures</h2>",
        *(_figure(picture, listed, live) for picture in report.pictures),
        "<h2>Where the numbers come from</h2>",
        _terms(answer),
        _formula("Before", form.before, form),
        _formula("After", form.after, form),
        f"<h2>Next to this question</h2>{_what_ifs(answer, report.what_ifs)}",
        "<h2>Assumptions</h2>",
        f"<p>{ASSUMPTIONS_SAID}</p>",
        table(
            ("assumption", "value", "interval", "kind", "source"),
            [assumption_cells(a) for a in answer.assumptions],
            numbers=(1, 2),
            words=(4,),
        ),
        foot(command, __version__),
    ]
    return shell(title, parts, live)


def _live(answer: Estimate) -> Parts | None:
    """Return the explorer at the question of an answer, None where its page cannot ask that."""
    try:
        return parts_of(answer)
    except UsageError:
        return None


def _figure(picture: Picture, listed: Collection[str], live: Parts | None) -> str:
    drawn = figure(picture, listed)
    explored = isinstance(picture, Waterfall | Map) or (isinstance(picture, Curves) and picture.axis != "devices")
    return f'<div class="still">{drawn}</div>' if live is not None and explored else drawn


def _figures(answer: Estimate) -> str:
    def between(low: str, high: str) -> str:
        return f"{low} to {high}"

    sides = (answer.before, answer.after)
    times, rates, shares = [], [], []
    for side in sides:
        times += [time(side.time_per_step), between(time(side.high.time_per_step), time(side.low.time_per_step))]
        rates += [
            rate(side.tokens_per_second),
            between(rate(side.low.tokens_per_second), rate(side.high.tokens_per_second)),
        ]
        shares += [
            percent(side.fraction_of_peak, 1),
            between(percent(side.low.fraction_of_peak, 1), percent(side.high.fraction_of_peak, 1)),
        ]
    rows = [
        ("time per step", time(answer.peak.time_per_step), *times),
        (f"{counted(answer)}s per second", rate(answer.peak.tokens_per_second), *rates),
        ("fraction of peak", "100 %", *shares),
        ("kernel calls", "", f"{answer.before.kernel_calls:,}", "", f"{answer.after.kernel_calls:,}", ""),
        ("largest term", "", term_label(answer.before.bound), "", term_label(answer.after.bound), ""),
    ]
    head = ("", "peak", f"before: {answer.before.mode}", "interval", f"after: {answer.after.mode}", "interval")
    return table(head, rows, numbers=(1, 2, 3, 4, 5))


def _beside(answer: Estimate, beside: Beside) -> str:
    """Return what stands beside the figures: the facts that the text has too, and what was measured nearby."""
    lines = [f"{name.capitalize()}: {text}." for name, text in facts(answer, beside)]
    if not answer.loops:
        lines.append("No loop was found.")
    stored = ", ".join(f"{p.part} {p.format} ({p.bytes / 1e9:.3g} GB)" for p in answer.parts)
    lines.append(f"Stored: {stored}.")
    lines.insert(0, how_sure(answer))
    if answer.nearby:
        told = "; ".join(f"{what}, {step} a step ({source})" for what, step, source in measured_nearby(answer))
        lines.append(f"Measured nearby: {told}.")
    return "".join(f'<p class="note">{markup(line)}</p>' for line in lines)


def _terms(answer: Estimate) -> str:
    def times(name: str) -> tuple[str, str]:
        if name == "peak":
            return time(answer.peak.time_per_step), time(answer.peak.time_per_step)
        before, after = (
            time(side.time_per_step if name == "step" else getattr(side.terms, name))
            for side in (answer.before, answer.after)
        )
        return before, after

    rows = [(name, *times(name), labels, words) for name, labels, words in TERMS_IN_WORDS]
    said = (
        "The six terms from stream to host add up to the step. Labels are those of docs/equations.md, where each"
        " equation stands with its units and source."
    )
    return (
        f"<p>{said}</p>{table(('term', 'before', 'after', 'equations', 'in words'), rows, numbers=(1, 2), words=(4,))}"
    )


def _formula(name: str, side: SideForm, form: Explanation) -> str:
    """Return the closed form of one side at this point as a sum, in the names of the assumptions."""
    names = {symbol.symbol: symbol.name for symbol in form.symbols}

    def written(formula: str) -> str:
        return (
            re.sub(r"\w+", lambda word: names.get(word[0], word[0]), formula)
            .replace("**", "^")
            .replace("*", " × ")
            .replace("/", " / ")
        )

    rows = [
        (written(a.formula), a.numbers.replace(" x ", " × "), time(a.time), percent(a.time / side.time_per_step, 1))
        for a in side.addends
    ]
    rows.append(("sum: time per step", "", time(side.time_per_step), ""))
    said = (
        f"{name} ({side.mode}), the closed form at this point, as perfmodel explain gives it; bandwidths in B/s, times"
        " in s."
    )
    sums = table(("the sum of", "with numbers", "time", "share"), rows, numbers=(2, 3), code=(0, 1))
    return f"<p>{markup(said)}</p>{sums}"


def _what_if_rows(answer: Estimate, neighbours: Sequence[WhatIf]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    def cells(change: str, a: Estimate) -> tuple[str, ...]:
        speedup = ratio(a.speedup.value, a.speedup.low, a.speedup.high)
        return (
            change + ("" if a.fits.fits else ", does not fit"),
            a.before.mode,
            rate(a.before.tokens_per_second),
            percent(a.before.fraction_of_peak),
            a.after.mode,
            rate(a.after.tokens_per_second),
            percent(a.after.fraction_of_peak),
            speedup,
        )

    unit = rate_unit(answer)
    return ("what if", "before", unit, "of peak", "after", unit, "of peak", "speed-up"), [
        cells("as asked", answer),
        *(cells(w.change, w.answer) for w in neighbours),
    ]


def _what_ifs(answer: Estimate, neighbours: Sequence[WhatIf]) -> str:
    head, rows = _what_if_rows(answer, neighbours)
    return table((*head[:-1], "speed-up [x]"), rows, numbers=(2, 3, 5, 6, 7))
