"""Files made to take time or memory, or to run something: answered or refused, in one line and within bounds."""

import json
import sqlite3
import subprocess
import sys

import pytest

from perfmodel.errors import SpecificationError
from perfmodel.specifications.files import read_toml
from perfmodel.traces import TraceError, read_trace

resource = pytest.importorskip("resource")
LONGEST, MOST = 10, 2 << 30  # s of a processor, B
TABLES = """
    CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);
    CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER,
        correlationId INTEGER, globalPid INTEGER, demangledName INTEGER);
"""


def asked(run_in, *words):
    """Run the command line in a process of its own with 2 GB of memory; return exit code, output and messages."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "perfmodel", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=run_in,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST)),
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < LONGEST
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == done.returncode
    return done


def kernels(events):
    """Return a Chrome trace of (name, start [us], duration [us], stream)."""
    return json.dumps(
        {
            "traceEvents": [
                {"ph": "X", "cat": "kernel", "name": name, "ts": start, "dur": time, "args": {"device": 0, "stream": s}}
                for name, start, time, s in events
            ]
        }
    )


BOMBS = {
    "50,000 overlapping streams": lambda: kernels((f"k{n % 50}", n / 100, 1000.0, n) for n in range(50_000)),
    "1,000 distinct layers": lambda: kernels(
        ("attention" * (place == 4) + f"k{place}_{layer}", 5.0 * (12 * layer + place), 4.0, 7)
        for layer in range(1000)
        for place in range(12)
    ),
    "1,000 distinct layers, three of each": lambda: kernels(
        (f"k{place}_{layer}", 5.0 * (36 * layer + 12 * turn + place), 4.0, 7)
        for layer in range(1000)
        for turn in range(3)
        for place in range(12)
    ),
    "one event of 70 MB": lambda: kernels([("x" * 70_000_000, 1, 2, 7)]),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_slow_traces(tmp_path, repository, bomb):
    path = tmp_path / "trace.json"
    path.write_text(BOMBS[bomb]())
    asked(repository, "trace", path)


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 40_000 + " = 1\n",
        "[a" + " . 'b'" * 40_000 + "]\nx = 1\n",
        '"."' + '."."' * 40_000 + " = 1\n",  # dots inside of parts; 460 MB for 10,000 of them
        '"\\""' + '."\\""' * 40_000 + " = 1\n",
        ".".join(["a" * 201] * 10_000) + " = 1\n",
        'x = """\n"""\n# "\n' + "a" + ".a" * 40_000 + " = 1\n",
    ],
)
def test_a_key_of_40000_parts(tmp_path, text):
    path = tmp_path / "model.toml"
    path.write_text(text)
    with pytest.raises(SpecificationError, match="more than 60 parts"):
        read_toml(path)


def test_dots_in_texts_are_no_key(tmp_path):
    path = tmp_path / "model.toml"
    dotted = "a" + ".a" * 500
    path.write_text(f'a = "see {"." * 500} there"\n# {dotted}\nt = """\n{dotted}\n"""\nu = \'{dotted}\'\nb.c.d = 1\n')
    assert read_toml(path)["b"] == {"c": {"d": 1}}


def database(path, script, rows=50, page=1024):
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.executescript(script)
        if rows:
            connection.executemany("INSERT INTO StringIds VALUES (?, ?)", [(n, f"k{n}") for n in range(5)])
            connection.executemany(
                "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (?, ?, 0, 7, ?, 1, ?)",
                [(10 * n, 10 * n + 5, n, n % 5) for n in range(rows)],
            )
    connection.close()
    return path


def test_what_a_database_would_run_is_not_run(tmp_path):
    """An index on a function, a trigger and a virtual table lie beside the tables that are read."""
    path = database(
        tmp_path / "a.sqlite",
        TABLES
        + """
        CREATE TRIGGER t AFTER INSERT ON StringIds BEGIN SELECT 1; END;
        CREATE INDEX i ON CUPTI_ACTIVITY_KIND_KERNEL (abs(start));
        CREATE TABLE TARGET_INFO_GPU_2 (name TEXT DEFAULT (hex(zeroblob(100))));
        CREATE VIEW TARGET_INFO_GPU AS SELECT hex(zeroblob(300000000)) AS name;
        """,
    )
    trace = read_trace(path)
    assert len(trace.kernels) == 50
    assert trace.hardware == ""


def test_computed_columns_are_refused(tmp_path):
    path = database(
        tmp_path / "a.sqlite", TABLES.replace("value TEXT", "value TEXT AS (hex(zeroblob(40000000))) VIRTUAL"), rows=0
    )
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO StringIds (id) VALUES (1)")
        connection.execute("INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1, 2, 0, 7, 1, 1, 1)")
    connection.close()
    with pytest.raises(TraceError, match="is computed"):
        read_trace(path)


def test_a_view_in_place_of_a_table_is_not_read(tmp_path):
    path = database(
        tmp_path / "a.sqlite",
        TABLES.replace("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);", "")
        + "CREATE VIEW StringIds AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r)"
        " SELECT id, hex(zeroblob(100000)) AS value FROM r;",
        rows=0,
    )
    with pytest.raises(TraceError, match="lacks the names of kernels"):
        read_trace(path)


def test_a_tree_that_leads_to_one_page_again_and_again(tmp_path):
    path = database(tmp_path / "a.sqlite", TABLES, rows=10_000, page=512)
    data, page = bytearray(path.read_bytes()), 512
    inner = [number for number in range(1, len(data) // page) if data[number * page] == 5]
    leaf = max(number for number in range(1, len(data) // page) if data[number * page] == 13)
    for place, number in enumerate(inner):
        following = inner[place + 1] if place + 1 < min(len(inner), 12) else leaf
        start = number * page
        for cell in range(int.from_bytes(data[start + 3 : start + 5], "big")):
            pointer = int.from_bytes(data[start + 12 + 2 * cell : start + 14 + 2 * cell], "big")
            data[start + pointer : start + pointer + 4] = (following + 1).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(TraceError, match=r"than a file of this size can|malformed"):
        read_trace(path)


@pytest.mark.parametrize("old", [b"CREATE TABLE StringIds", b"INTEGER PRIMARY KEY", b"deviceId INTEGER", b"CUPTI_ACT"])
def test_damaged_schemas_are_one_line(tmp_path, old):
    path = database(tmp_path / "a.sqlite", TABLES)
    path.write_bytes(path.read_bytes().replace(old, b"(" * len(old)))
    with pytest.raises(TraceError) as stop:
        read_trace(path)
    assert "\n" not in str(stop.value)


@pytest.mark.parametrize("stamp", ["1e999999999", "9" * 5000, "-1e999999999", "1e-999999999"])
def test_stamps_beyond_any_clock(tmp_path, stamp):
    """The smallest of them is a time; the others would not fit into memory if they were written out."""
    chrome = tmp_path / "a.json"
    chrome.write_text(kernels([("a", 7, 2, 7)]).replace('"ts": 7', f'"ts": {stamp}'))
    table = tmp_path / "a.csv"
    table.write_text(f"Start (ns),Duration (ns),Name\n{stamp},3,a\n")
    for path in (chrome, table):
        if stamp == "1e-999999999":
            assert len(read_trace(path).kernels) == 1
            continue
        with pytest.raises(TraceError) as stop:
            read_trace(path)
        assert "\n" not in str(stop.value)


def test_long_cells_are_read_and_longer_lines_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Start (ns),Duration (ns),Name\n1,3," + "a" * 200_000 + "\n")
    assert len(read_trace(path).kernels[0].name) == 200_000
    path.write_text('Start (ns),Duration (ns),Name\n1,3,"' + "a,\n" * 500_000)
    with pytest.raises(TraceError, match="is not CSV"):
        read_trace(path)
