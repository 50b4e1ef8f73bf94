"""The documents are written in sentences that can be read aloud: short on average, none very long."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Wholly made from code: docs/generate.py writes them.
GENERATED = ("cli.md", "columns.md", "equations.md")
DOCUMENTS = sorted(
    path for path in (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")) if path.name not in GENERATED
)
MOST_ON_AVERAGE = 25
MOST_IN_A_SENTENCE = 45
SENTENCE_END = r"(?<=[.!?])[*)]* +|(?<=:)[*)]* +(?=[A-Z\"(*]|code\b)"
# Sentences longer than that, by how they begin: lists that would not read better cut in two.
EXCEPTIONS = (
    "Changed: the style code counts these copies",
    "On 2, 4 and 8 devices 17.6, 12.2 and 10.2 ms measured",
    "Cards that no row was looked at for",
)


def prose(text):
    """Return the paragraphs that people wrote: no code, tables, headings or generated parts."""
    text = re.sub(r"<!-- (?:generated|errors|climbs).*?<!-- end -->", "\n", text, flags=re.DOTALL)
    text = re.sub(r"^( *)```.*?^ *```", "\n", text, flags=re.DOTALL | re.MULTILINE)
    lines = []
    for line in text.splitlines():
        if re.match(r" *(\||#|<!--)|    +(?!\d)\S", line):
            line = ""  # noqa: PLW2901 - a table, a heading, a comment or indented code
        # An entry of a list is a paragraph of its own.
        lines.append(re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", line))
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", "\n".join(lines)) if paragraph.strip()]


def sentences(text):
    """Return the sentences of a document; a link counts as its words, names in code as one word."""
    found = []
    for paragraph in prose(text):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)
        plain = re.sub(r"`[^`]*`", "code", plain)
        plain = re.sub(r"code(?:, code|,? and code|,? or code)+", "code", plain)
        found += [one for one in re.split(SENTENCE_END, plain) if len(one.split()) > 1]
    return found


def words(sentence):
    """Return how many words a sentence has; what has no letter, such as a number, is read as one too."""
    return len(sentence.split())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_sentences_are_short(path):
    found = sentences(path.read_text(encoding="utf-8"))
    if not found:
        return  # only tables
    long = [one for one in found if words(one) > MOST_IN_A_SENTENCE and not one.startswith(EXCEPTIONS)]
    assert not long, "\n".join(f"{words(one)} words: {one}" for one in long)
    mean = sum(map(words, found)) / len(found)
    assert mean < MOST_ON_AVERAGE, f"{mean:.1f} words a sentence"
