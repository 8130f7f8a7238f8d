"""Where cases that are being added wait, in a file of their own, until all of them are there.

To embed thousands of cases takes minutes. Until that is done nothing is written to the store, so that nobody
waits for it, and a kill leaves a file behind that the next writer removes: a living one is locked.
"""

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from secrets import token_hex

import numpy as np

from sonoprior.core.errors import DataError
from sonoprior.metrics.neighbours import prepared

from .record import Record
from .sqlite_file import reported
from .sqlite_rows import body_of, record_of
from .store import Floats, Space

_AT_ONCE = 1000
_SETTINGS = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "BEGIN EXCLUSIVE",
)
_SCHEMA = (
    "CREATE TABLE waiting"
    " (number INTEGER PRIMARY KEY, key TEXT UNIQUE, body BLOB, thumbnail BLOB, vector BLOB)"
)


class Staging:
    """Cases that wait; an `Adding`.

    Args:
        path: of the file that is written.
        space: that the embeddings are of.
    """

    def __init__(self, path: Path, space: Space) -> None:
        self.path, self.space = path, space
        with reported(path):
            self._connection = sqlite3.connect(path, isolation_level=None)
            for setting in _SETTINGS:
                self._connection.execute(setting)
            self._connection.execute(_SCHEMA)

    def put(self, records: Iterable[Record], embeddings: Floats) -> None:
        """See `Adding.put`."""
        cases = list(records)
        vectors = prepared(embeddings, "cosine")
        wanted = (len(cases), self.space.dimension)
        if vectors.shape != wanted:
            raise DataError(
                f"embeddings of {len(cases)} cases must have the shape {wanted}, as those in the case base,"
                f" but have {vectors.shape}."
            )
        with reported(self.path):
            for record, vector in zip(cases, vectors, strict=True):
                self._put(record, vector.tobytes())

    def _put(self, record: Record, vector: bytes) -> None:
        row = (record.key, body_of(record), record.thumbnail, vector)
        try:
            self._connection.execute("INSERT INTO waiting VALUES (NULL, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise DataError(f"a case must be added once, but '{record.key}' came twice.") from error

    def batches(self) -> Iterator[list[tuple[Record, Floats]]]:
        """All cases with their vectors, some at once, in the order in which they came."""
        rows = self._connection.execute("SELECT body, thumbnail, vector FROM waiting ORDER BY number")
        cases = ((record_of(body, jpeg), np.frombuffer(row, np.float32)) for body, jpeg, row in rows)
        while batch := list(islice(cases, _AT_ONCE)):
            yield batch

    def close(self) -> None:
        """Remove the file."""
        self._connection.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def staging(store: Path, space: Space) -> Generator[Staging, None, None]:
    """A place to wait beside a store, which vanishes at the end.

    The caller sees to it that nobody else begins at this moment, or a file that is not locked yet would be
    taken for one that was left behind.
    """
    for left in store.parent.glob(_name(store, "*")):
        _remove_if_left(left)
    place = Staging(store.with_name(_name(store, token_hex(6))), space)
    with closing(place):
        yield place


def _name(store: Path, token: str) -> str:
    return f"{store.stem}.adding-{token}{store.suffix}"


def _remove_if_left(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return
        except sqlite3.DatabaseError:
            pass  # killed while it was written, which nobody needs to repair
    path.unlink(missing_ok=True)
