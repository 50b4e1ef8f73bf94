"""The index beside each catalogue says what its files say, and is used only for the files it was made of."""

import os
import shutil

import pytest

from perfmodel._layout import data_folder
from perfmodel.estimates.evidence import _inside, _rows_with
from perfmodel.measurements.rows import all_rows
from perfmodel.report.listed import listed, read_list
from perfmodel.specifications import indexes
from perfmodel.specifications.catalogue import read_called
from perfmodel.specifications.indexes import INDEX_FILE, index_of, index_text

KINDS = ("hardware", "models")


@pytest.fixture(params=KINDS)
def copied(request, tmp_path, monkeypatch):
    """A copy of a catalogue, and a function that reads its index anew."""
    folder = tmp_path / request.param
    shutil.copytree(data_folder(request.param), folder)
    monkeypatch.setattr(indexes, "data_folder", lambda kind: tmp_path / kind)
    return folder, lambda: index_of.__wrapped__(request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_is_current_and_used(kind):
    rows = read_list(kind)
    kept = (data_folder(kind) / INDEX_FILE).read_text(encoding="utf-8")
    assert kept == index_text(kind, read_called(kind), rows), "run python docs/generate.py"
    assert index_of(kind) is not None
    assert listed(kind) == rows


def test_an_index_of_other_files_is_not_used(copied):
    folder, read = copied
    assert read() is not None
    (folder / "mine.toml").write_text("aliases = []\n", encoding="utf-8")
    assert read() is None
    (folder / "mine.toml").unlink()
    assert read() is not None
    one = next(folder.rglob("*.toml"))
    one.write_text(one.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert read() is None


def test_an_index_is_not_used_for_a_file_changed_later_at_the_same_size(copied):
    folder, read = copied
    later = (folder / INDEX_FILE).stat().st_mtime + 3600
    os.utime(next(folder.glob("*.toml")), (later, later))
    assert read() is None


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"files": {}}'])
def test_an_index_that_cannot_be_read_is_not_used(copied, content):
    folder, read = copied
    (folder / INDEX_FILE).unlink()
    if content is not None:
        (folder / INDEX_FILE).write_bytes(content)
    assert read() is None


def test_the_rows_near_a_question_are_those_of_the_whole_file():
    every = all_rows()
    pairs = sorted({(row.model, row.hardware) for row in every})
    assert len(pairs) > 100
    for model, hardware in pairs:
        wanted = [row.id for row in every if (row.model, row.hardware) == (model, hardware)]
        assert [row["id"] for row in _rows_with(model, hardware)] == wanted
    lines = (data_folder("validation") / "inside.csv").read_text(encoding="utf-8").split()[1:]
    for name, _, told in (line.partition(",") for line in lines):
        assert _inside(name) is (told == "true")
    assert _inside("no-such-row") is None
    assert _rows_with("no-such-model", "h100-sxm") == []
