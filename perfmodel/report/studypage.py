"""The report of a study: one self-contained HTML page with an answer, a picture and a table for each of its sweeps."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perfmodel.estimates.results import Assumption
from perfmodel.quoting import markup
from perfmodel.report.html import (
    ASSUMPTIONS_SAID,
    TERMS_IN_WORDS,
    assumption_cells,
    figure,
    foot,
    shell,
    table,
    unbroken,
)
from perfmodel.report.pictures.picture import Picture
from perfmodel.report.text import Document, Table

_SHORT = 12  # rows of a table that is not folded


class Section(msgspec.Struct, frozen=True):
    """One sweep of a study: its name, the file with all its rows, the document a person reads, its picture if any."""

    name: str
    file: str
    document: Document
    picture: Picture | None


def study_html(
    title: str,
    sections: Sequence[Section],
    assumptions: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    command: str,
    version: str,
) -> str:
    """Return a study as a whole HTML page: no script, no network, light and dark.

    assumptions: device and assumption, of every question of its sweeps; command: the line that makes the page again.
    """
    parts = [
        f"<h1>{markup(title)}</h1>",
        (
            '<p class="question">How fast are tokens generated before and after looping, what does looping bring, and'
            " where?</p>"
        ),
        *(part for section in sections for part in _section(section)),
        "<h2>Where the numbers come from</h2>",
        (
            "<p>Six terms, from stream to host, add up to the step. Labels are those of docs/equations.md, where each"
            " equation stands with its units and source.</p>"
        ),
        table(("term", "equations", "in words"), TERMS_IN_WORDS, words=(2,)),
        "<h2>Assumptions</h2>",
        f"<p>{ASSUMPTIONS_SAID}</p>",
        _assumptions(assumptions),
        foot(command, version),
    ]
    return shell(title, parts)


def _section(section: Section) -> list[str]:
    first, *rest = section.document.parts
    parts = [f"<h2>{markup(section.name)}</h2>", f'<p class="verdict">{markup(unbroken(str(first)))}</p>']
    if section.picture is not None:
        parts.append(figure(section.picture, ()))
    parts += [_table(part) if isinstance(part, Table) else f'<p class="note">{markup(part)}</p>' for part in rest]
    return [*parts, f'<p class="note">All rows: {markup(section.file)} of the same study.</p>']


def _table(part: Table) -> str:
    """Return a table; a long one is folded up, for the picture says the same."""
    made = table(part.header, part.rows, numbers=part.right)
    return made if len(part.rows) <= _SHORT else f"<details><summary>{len(part.rows)} rows</summary>{made}</details>"


def _assumptions(assumptions: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return each assumption once for each device and value."""
    rows = dict.fromkeys(
        (hardware, *assumption_cells(msgspec.convert(assumption, Assumption))) for hardware, assumption in assumptions
    )
    return table(
        ("device", "assumption", "value", "interval", "kind", "source"), list(rows), numbers=(2, 3), words=(5,)
    )
