"""One SQLite file: opened with care, and its errors in our words."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from sonoprior.core.errors import FolderError
from sonoprior.core.folder import refuse_newer

FORMAT = 1
_PATIENCE = 300.0
"""How many seconds a writer waits for another one, which may be taking over some hundred thousand cases."""

# A row of vectors stays on one page up to a length of about 1,000.
_PAGE = 16384
_SETTINGS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_size_limit = 0",
)
_SCHEMA = (
    "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL)",
    "CREATE TABLE cases (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
    """CREATE TABLE records (
        case_id INTEGER PRIMARY KEY REFERENCES cases ON DELETE CASCADE,
        body BLOB NOT NULL, thumbnail BLOB NOT NULL)""",
    """CREATE TABLE vectors (
        case_id INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE, space INTEGER NOT NULL,
        body BLOB NOT NULL, PRIMARY KEY (case_id, space)) WITHOUT ROWID""",
    """CREATE TABLE texts (
        number INTEGER NOT NULL UNIQUE, name TEXT NOT NULL, text TEXT NOT NULL, cases INTEGER NOT NULL,
        total INTEGER NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (name, text)) WITHOUT ROWID""",
    """CREATE TABLE holds (
        case_id INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE, text INTEGER NOT NULL,
        PRIMARY KEY (case_id, text)) WITHOUT ROWID""",
    "CREATE INDEX holders ON holds (text, case_id)",
)
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def create(path: Path) -> None:
    """Write an empty store.

    Raises:
        FolderError: if it cannot be written.
    """
    with reported(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        for statement in _SCHEMA:
            connection.execute(statement)


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a store that is there; the caller begins and ends transactions.

    Raises:
        FolderError: if it is missing, damaged, or of a newer format.
    """
    if not path.is_file():
        raise FolderError(f"{path} is missing.")
    with reported(path):
        # Not created where it vanishes meanwhile; closed by whoever closes the store, in any thread.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for setting in _SETTINGS:
        connection.execute(setting)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        raise FolderError(f"{path} is damaged: it is no store of cases.")
    refuse_newer(path, "case base", found, FORMAT)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Generator[sqlite3.Connection, None, None]:
    """What is done in the block as a whole, or not at all; "DEFERRED" reads, "IMMEDIATE" writes."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def reported(path: Path) -> Generator[None, None, None]:
    """Turn what SQLite says of a file into one sentence.

    Raises:
        FolderError: naming the file.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        raise FolderError(_sentence(path, error)) from error
    except UnicodeDecodeError as error:  # a damaged name of a table, which SQLite wants to tell
        raise FolderError(f"{path} is damaged: {error}.") from error


def _sentence(path: Path, error: sqlite3.DatabaseError) -> str:
    # What the module itself finds, text that is no UTF-8, has no code: damage as well.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return f"cannot write {path}: the disk is full; the case base is as it was."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is being written by another process for more than {_PATIENCE:g} s; try again later."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"{path} must be readable and its folder writable, but SQLite says: {error}."
    if code in _DAMAGED:
        return f"{path} is damaged: {error}."
    return f"{path} cannot be read or written: {error}."
