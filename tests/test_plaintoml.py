"""What is read of plain TOML is what the general parser reads, or nothing."""

import tomllib
from random import Random

import pytest

from perfmodel._layout import data_folder
from perfmodel.errors import SpecificationError
from perfmodel.specifications.files import read_toml
from perfmodel.specifications.plaintoml import plain_tables

TEXTS = {
    path: path.read_text(encoding="utf-8")
    for kind in ("hardware", "software", "models", "profiles", "validation")
    for path in sorted(data_folder(kind).rglob("*.toml"))
}
# What is put into a text to see whether it is still read alike.
LETTERS = "\"[]{}=,#.\\ \n\r'-_0123456789eEabxnultrfi+:é\t"
WORDS = (
    *("null", "true", "1e400", "-0", "1E5", "01", "1_0", "+1", "1.0", "inf", "0x1F", "1979-05-27", "9" * 20),
    *("[1, 2]", '["a", "b"]', "[null]", "{ a = 1 }", "{ a.b = 1 }", "{ }", "[a.b]\n", "[[a]]\n"),
    *('"x"', '""', '"""', "''", " = ", ", ", " # note", "]\n", "\nvalue = 3\n"),
)


def parsed(text):
    """Return what the general parser reads, None for what it refuses."""
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def changed(text, random):
    """Return some lines of a text with a few letters left out, doubled or put in."""
    lines = text.split("\n")
    first = random.randrange(len(lines))
    text = "\n".join(lines[first : first + 9])
    for _ in range(random.randrange(1, 5)):
        place, end = random.randrange(len(text) + 1), random.randrange(len(text) + 1)
        put = random.choice([random.choice(LETTERS), random.choice(WORDS), text[place : min(end, place + 40)], ""])
        text = text[:place] + put + text[place + (not put) :]
    return text


def test_files_of_the_catalogue_are_read_alike():
    read = {path: plain_tables(text) for path, text in TEXTS.items()}
    # repr tells 1 from 1.0 and keeps the order of the keys.
    assert all(repr(tables) == repr(parsed(TEXTS[path])) for path, tables in read.items() if tables is not None)
    general = {path for path, tables in read.items() if tables is None}
    # Some models have lists of many lines; whatever there is of devices and software is plain.
    assert not {path for path in general if path.is_relative_to(data_folder("hardware"))}
    assert not {path for path in general if path.is_relative_to(data_folder("software"))}
    assert len(general) < 0.05 * len(TEXTS)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_read_is_what_the_general_parser_reads(seed):
    random, texts, read = Random(seed), list(TEXTS.values()), 0
    for _ in range(1500):
        text = changed(random.choice(texts), random)
        tables = plain_tables(text)
        if tables is not None:
            read += 1
            assert repr(tables) == repr(parsed(text)), text
    assert read > 100


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\nx = 2",
        'x = 1\n"x" = 2',
        "[a]\n[a]",
        "[a]\nb = 1\n[a.b]",
        "a = { b = 1 }\n[a]",
        "a = { b = 1 }\n[a.c]",
        "[a.b]\nx = 1\n[a]\nb = { y = 1 }",
        "x = { a = 1, a = 2 }",
        "x = null",
        "x = [[[null]]]",
        "x = " + "[" * 100_000,
        "[[a]]\nx = 1",
        "a.b = 1",
        "x = 'text'",
        'x = """text"""',
        'x = "\\u0041"',
        "x = 1 # note",
    ],
)
def test_what_is_not_plain_is_left_to_the_general_parser(text):
    assert plain_tables(text) is None


def test_errors_are_those_of_the_general_parser(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("x = 1\nx = 2\n", encoding="utf-8")
    with pytest.raises(SpecificationError, match="is not TOML: Cannot overwrite a value"):
        read_toml(path)
    path.write_text("x = " + "[" * 100_000, encoding="utf-8")
    with pytest.raises(SpecificationError, match="is nested too deeply"):
        read_toml(path)
