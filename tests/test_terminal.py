"""Tables in a terminal of 80 columns: nothing runs over, numbers stay whole, words break where a reader would."""

import re

import pytest

from perfmodel import compare, estimate, explain, sensitivity
from perfmodel.report import answer, bars, solutions, tables
from perfmodel.report.answerpage import answer_document
from perfmodel.report.pictures.kinds import CHOICE_KINDS, KINDS, choices_data, picture_data
from perfmodel.report.text import Document, Table, fitted, to_plain, to_terminal
from perfmodel.sweeps.sweeps import make_grid

CODES = re.compile(r"\x1b\[[0-9;]*m")
QUESTION = ("llama-3.1-8b", "sn40l")


def documents():
    found = estimate(*QUESTION, devices=8)
    yield "estimate", answer.document(found)
    yield "report", answer_document(found)
    yield "sensitivity", solutions.sensitivity_document(sensitivity(*QUESTION, devices=8))
    yield "explain", solutions.explanation_document(explain(*QUESTION, devices=8))
    yield "compare", tables.comparison_document(compare("llama-3.1-8b", "h100-sxm,h200-sxm,b200", batch="1,32"))
    yield "ladder", tables.comparison_document(compare("llama-3.2-1b", "h100-sxm", modes="all"))
    yield (
        "sweep",
        tables.sweep_document(
            make_grid("llama-3.1-8b,llama-3.1-70b", "h100-sxm,sn40l", devices="1,8", batch="1:64:x8"), 24
        ),
    )
    for kind in KINDS:
        yield kind, bars.document(picture_data(kind, found))
    for kind in CHOICE_KINDS:
        yield f"plot {kind}", bars.document(choices_data(kind, *QUESTION, {"devices": "1,8", "batch": "1:64:x8"}))


DOCUMENTS = dict(documents())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_terminal_shows_is_80_columns_wide(name):
    lines = CODES.sub("", to_terminal(DOCUMENTS[name], width=80)).splitlines()
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", DOCUMENTS)
def test_numbers_are_never_broken(name):
    """Columns of numbers are as wide as their numbers."""
    for part in DOCUMENTS[name].parts:
        if isinstance(part, Table):
            widths = fitted(part, 80)
            for i in part.right:
                assert widths[i] >= max((len(row[i]) for row in part.rows), default=0)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_pipe_gets_each_row_in_one_line_without_colours(name):
    text = to_plain(DOCUMENTS[name])
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    for part in DOCUMENTS[name].parts:
        if isinstance(part, Table):
            for row in part.rows:
                assert any(all(cell.strip() in line for cell in row) for line in text.splitlines()), row


def test_words_break_after_dots_and_dashes_but_numbers_do_not():
    table = Table(("parameter", "low to high"), [("collectives.all_reduce.sustained", "1.584 to 1.585")])
    shown = CODES.sub("", to_terminal(Document([table]), width=34))
    assert [line.rstrip() for line in shown.splitlines()] == [
        "parameter         low to high",
        "collectives.all_  1.584 to 1.585",
        "reduce.sustained",
    ]
    assert fitted(table, 200) == [32, 14]
