"""Open an SQLite file of a stranger so that nothing in it runs: tables are read, row by row, and nothing else.

SQLite itself refuses functions, views, triggers, other tables and writing (its authorizer), stops after a time that
follows from the file's size, and cuts values at that size. A damaged tree may lead to one page again and again, so
rows and text are counted against what a file of that size can hold.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from perfmodel.traces.events import TraceError

_SCHEMA = frozenset(("sqlite_master", "sqlite_schema"))
_LEAST_ROW = 4  # B; no row of two columns is shorter
_PATIENCE, _SPEED = 8.0, 2e6  # s, and B/s below which no disk and no machine reads
_STEPS = 100_000  # instructions of SQLite between two looks at the clock
_COMPUTED = (2, 3)  # what table_xinfo says of generated columns


class Database:
    """The ordinary tables of one file that `wanted` names, and their columns."""

    def __init__(self, path: Path, connection: sqlite3.Connection, wanted: Callable[[str], bool]) -> None:
        self.path = path
        self._connection = connection
        self._room = path.stat().st_size
        self.columns: dict[str, frozenset[str]] = {}
        self._readable: set[str] = set()
        connection.set_authorizer(self._allow)
        found = connection.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
        self.names = frozenset(str(name) for name, kind, _ in found if kind == "table")
        for name, kind, sql in found:
            if kind == "table" and wanted(str(name)) and str(sql).lstrip().upper().startswith("CREATE TABLE"):
                self._readable.add(name)
                described = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
                computed = [str(row[1]) for row in described if row[6] in _COMPUTED]
                if computed:
                    raise TraceError(
                        f"{path}: column {computed[0]} of {name} is computed, which no profiler writes; export it again"
                    )
                self.columns[name] = frozenset(str(row[1]) for row in described)

    def _allow(
        self, action: int, table: str | None, _column: str | None, _database: str | None, through: str | None
    ) -> int:
        """Let SQLite itself refuse whatever is not a plain read of a table on the list."""
        if action == sqlite3.SQLITE_SELECT or (action == sqlite3.SQLITE_PRAGMA and table == "table_xinfo"):
            return sqlite3.SQLITE_OK
        plain = action == sqlite3.SQLITE_READ and through is None and table in self._readable | _SCHEMA
        return sqlite3.SQLITE_OK if plain else sqlite3.SQLITE_DENY

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of `table` with these columns, None for one that it lacks.

        Raises TraceError for more rows or text than the file can hold.
        """
        found = ", ".join(quoted(column) if column in self.columns[table] else "NULL" for column in columns)
        query = f"SELECT {found} FROM {quoted(table)} NOT INDEXED"  # noqa: S608 (quoted names)
        cursor = self._connection.execute(query)
        text = 0
        for number, row in enumerate(cursor, start=1):
            text += sum(len(value) for value in row if isinstance(value, str | bytes))
            if number * _LEAST_ROW > self._room or text > self._room:
                raise TraceError(f"{self.path}: {table} holds more than a file of this size can; it is damaged")
            yield row


def quoted(name: str) -> str:
    """Return `name` as SQL takes the name of a table or column."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_database(path: Path, wanted: Callable[[str], bool]) -> Iterator[Database]:
    """Yield the tables of an SQLite file that `wanted` names, opened read-only; no lock and no journal is written.

    Raises TraceError, with one line, for a file that is damaged, takes too long, or holds what no trace has.
    """
    deadline = time.monotonic() + _PATIENCE + path.stat().st_size / _SPEED
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
        ) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(1_000, min(path.stat().st_size, 64_000_000)))
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            for setting in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
                connection.execute(f"PRAGMA {setting}")
            yield Database(path, connection, wanted)
    except sqlite3.Error as error:
        reason = "it takes too long" if time.monotonic() > deadline else " ".join(str(error).split())
        raise TraceError(
            f"{path}: is not a database that can be read: {reason}; export it again (nsys export --type sqlite,"
            " rocprofv3 --output-format rocpd)"
        ) from None
    except (OverflowError, MemoryError, RecursionError, UnicodeDecodeError):
        raise TraceError(f"{path}: holds values that no trace has; export it again") from None
