"""Single values of measures on disk, by the contents of the two layers that they relate.

A training run grows by one snapshot at a time, and a reader looks at ever other selections of
snapshots: what was computed once for two layers is found again, whatever it was asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tb_modelcompare.errors import CacheDirectoryError

MAX_VALUES = 5_000_000
"""Some 80 bytes each on the disk; beyond it, a fifth of them, the oldest, make room."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS pairs "
    "(key BLOB PRIMARY KEY, value REAL, at REAL NOT NULL) WITHOUT ROWID"
)
_AT_ONCE = 500  # SQLite's smallest limit on parameters of a statement is 999
_LOCK_SECONDS = 30.0


def pair_key(measure: str, symmetric: bool, x: str, y: str) -> bytes:
    """The key of `measure` between layers whose files have the SHA-256 `x` and `y`.

    `measure` also names whatever else the value depends on: precision, version, code.
    """
    first, second = sorted((x, y)) if symmetric else (x, y)
    return hashlib.sha256(f"{measure}\n{first}\n{second}".encode()).digest()


class PairValues:
    """Values by key; None stands for a pair on which the measure is not defined.

    Safe for several processes at once. `file` None keeps them in memory only.
    """

    def __init__(self, file: Path | None, limit: int = MAX_VALUES) -> None:
        self._file = file
        self._limit = limit
        self._bounded = False
        self._known: dict[bytes, float | None] = {}

    def find(self, keys: Sequence[bytes]) -> Mapping[bytes, float | None]:
        """Those of the values that are known.

        Raises
        ------
        CacheDirectoryError
            If the file cannot be read.
        """
        missing = [key for key in keys if key not in self._known]
        if self._file is not None and missing and self._file.exists():
            with self._connection(self._file) as connection:
                for start in range(0, len(missing), _AT_ONCE):
                    some = missing[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(some))
                    query = f"SELECT key, value FROM pairs WHERE key IN ({marks})"
                    self._known.update(connection.execute(query, some))
        return {key: self._known[key] for key in keys if key in self._known}

    def add(self, values: Mapping[bytes, float | None]) -> None:
        """Keep values.

        Raises
        ------
        CacheDirectoryError
            If the file cannot be written.
        """
        self._known.update(values)
        if self._file is None or not values:
            return
        now = time.time()
        with self._connection(self._file) as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO pairs VALUES (?, ?, ?)",
                ((key, value, now) for key, value in values.items()),
            )
            if not self._bounded:  # counting takes a moment, so once per job
                self._bounded = True
                (count,) = connection.execute("SELECT COUNT(*) FROM pairs").fetchone()
                if count > self._limit:
                    connection.execute(
                        "DELETE FROM pairs WHERE key IN "
                        "(SELECT key FROM pairs ORDER BY at LIMIT ?)",
                        (count - self._limit * 4 // 5,),
                    )

    @contextlib.contextmanager
    def _connection(self, file: Path) -> Iterator[sqlite3.Connection]:
        """A transaction on the file, which is made if need be."""
        try:
            with contextlib.closing(sqlite3.connect(file, timeout=_LOCK_SECONDS)) as connection:
                connection.execute("PRAGMA synchronous = OFF")  # what is lost is computed again
                with connection:
                    connection.execute(_SCHEMA)
                    yield connection
        except sqlite3.Error as error:
            raise CacheDirectoryError(
                f"the cache of values {file} cannot be used ({error}); delete that file"
            ) from error
