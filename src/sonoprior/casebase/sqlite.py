"""The store in one SQLite file.

Written ahead (WAL): readers see the last whole state and wait for nobody, writers wait for one another. The
numbers of the version are the store's own rather than `PRAGMA data_version`, which two processes cannot
compare.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from threading import local

import numpy as np

from sonoprior.core.errors import DataError, FolderError

from . import sqlite_file
from .record import Record
from .sealed import first_damaged
from .sqlite_facts import Count, Facts, facts_of
from .sqlite_file import connect, reported, transaction
from .sqlite_rebuilding import Rebuilding
from .sqlite_rows import body_of, head_of, record_in, record_row, vector_row, vector_type, vectors_in
from .sqlite_staging import Staging, staging
from .sqlite_state import Numbered, State, mark, read_state, write_state
from .store import Floats, Places, Space, Vectors

_AT_ONCE = 8192


class SqliteStore:
    """A `Store` in one file; may be used by several threads and processes at once.

    Args:
        path: of the file.

    Raises:
        FolderError: if it is missing, damaged or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = local()
        self._connections: list[sqlite3.Connection] = []
        self._known_facts: tuple[int, dict[str, dict[str, int]]] = 0, {}  # versions begin at 1
        self.version()

    @staticmethod
    def create(path: Path, space: Space) -> "SqliteStore":
        """An empty store.

        Args:
            path: of the file, which must not exist.
            space: of the embeddings that will come.
        """
        if path.exists():
            raise FolderError(f"{path} exists already.")
        sqlite_file.create(path)
        state = State(1, 0, 0, 0, 1, Numbered(1, space.id, space.dimension))
        with reported(path), closing(connect(path)) as connection, transaction(connection, "IMMEDIATE"):
            write_state(connection, state)
        return SqliteStore(path)

    def space(self) -> Space:
        """See `Store.space`."""
        with self._reading() as connection:
            return self._state(connection).space.space

    def version(self) -> int:
        """See `Store.version`."""
        with self._reading() as connection:
            return self._state(connection).version

    def __len__(self) -> int:
        with self._reading() as connection:
            return self._state(connection).cases

    def vectors(self) -> Vectors:
        """See `Store.vectors`."""
        with self._reading() as connection:
            state = self._state(connection)
            ids, groups, exams = (np.empty(state.cases, np.int64) for _ in range(3))
            matrix = np.empty((state.cases, state.space.dimension), np.float32)
            start = 0
            for rows in self._vector_rows(connection, state):
                part = slice(start, start + len(rows))
                found = vectors_in(rows, state.space.dimension)
                ids[part], groups[part], exams[part] = found["id"], found["group"], found["exam"]
                matrix[part] = found["vector"]
                start += len(rows)
            if not (np.diff(ids) > 0).all():
                raise FolderError(f"{self.path} is damaged: it holds the vector of a case twice.")
        return Vectors(ids, matrix, groups, exams, state.version, state.space.space)

    def _vector_rows(self, connection: sqlite3.Connection, state: State) -> Iterator[list[bytes]]:
        query = "SELECT body FROM vectors WHERE space = ? ORDER BY case_id"
        cursor = connection.execute(query, (state.space.number,))
        length, count = vector_type(state.space.dimension).itemsize, 0
        while rows := [row for (row,) in cursor.fetchmany(_AT_ONCE)]:
            wrong = first_damaged(rows, length)
            if wrong is not None:
                raise FolderError(self._vector_damaged(connection, state, count + wrong))
            count += len(rows)
            if count > state.cases:
                break
            yield rows
        if count != state.cases:
            raise FolderError(f"{self.path} is damaged: it must hold {state.cases} vectors, but has {count}.")

    def _vector_damaged(self, connection: sqlite3.Connection, state: State, place: int) -> str:
        query = "SELECT case_id FROM vectors WHERE space = ? ORDER BY case_id LIMIT 1 OFFSET ?"
        (case,) = connection.execute(query, (state.space.number, place)).fetchone()
        return f"{self.path} is damaged: the vector of {self._called(connection, case)} is not as written."

    def _key(self, connection: sqlite3.Connection, case: int) -> str | None:
        row = connection.execute("SELECT key FROM cases WHERE id = ?", (case,)).fetchone()
        return row[0] if row else None

    def _called(self, connection: sqlite3.Connection, case: int) -> str:
        key = self._key(connection, case)
        return f"case number {case}" if key is None else f"case '{key}'"

    def records(self, ids: Sequence[int]) -> list[Record]:
        """See `Store.records`."""
        with self._reading() as connection:
            return [self._record(connection, int(case)) for case in ids]

    def _record(self, connection: sqlite3.Connection, case: int) -> Record:
        row = connection.execute("SELECT body, thumbnail FROM records WHERE case_id = ?", (case,)).fetchone()
        if row is None and self._key(connection, case) is None:
            raise DataError(f"the case number {case} is not in {self.path} any more; search again.")
        record = None if row is None else record_in(case, *row)
        if record is None:
            raise FolderError(
                f"{self.path} is damaged: the record of {self._called(connection, case)} is not as written."
            )
        return record

    def ids(self, keys: Sequence[str]) -> list[int]:
        """See `Store.ids`."""
        with self._reading() as connection:
            return [self._id(connection, key) for key in keys]

    def _id(self, connection: sqlite3.Connection, key: str) -> int:
        row = connection.execute("SELECT id FROM cases WHERE key = ?", (key,)).fetchone()
        case = row[0] if row else None
        if case is None or self._key(connection, case) != key:  # a damaged index may lead astray
            case = self._keys(connection).get(key)
        if case is None:
            raise DataError(f"there is no case '{key}' in {self.path}.")
        return case

    def _keys(self, connection: sqlite3.Connection) -> dict[str, int]:
        """The numbers of all cases by key, ascending."""
        state = self._state(connection)
        found = {key: case for case, key in connection.execute("SELECT id, key FROM cases ORDER BY id")}
        if len(found) != state.cases or _marks(found) != state.keys:
            raise FolderError(f"{self.path} is damaged: the list of its cases is not as written.")
        return found

    def where(self, facts: Mapping[str, Sequence[str]]) -> Places:
        """See `Store.where`."""
        with self._reading() as connection:
            if not facts:
                return np.array([*self._keys(connection).values()], np.int64)
            known = Facts(self.path, connection)
            return reduce(np.intersect1d, (known.holders(name, texts) for name, texts in facts.items()))

    def facts(self) -> dict[str, dict[str, int]]:
        """See `Store.facts`; kept until somebody changes something, since every search by term asks."""
        with self._reading() as connection:
            state = self._state(connection)
            version, known = self._known_facts
            if version != state.version:
                known = self._facts(connection, state)
                self._known_facts = state.version, known
        return {name: dict(texts) for name, texts in known.items()}

    def _facts(self, connection: sqlite3.Connection, state: State) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for row in Facts(self.path, connection).every(state.texts):
            found.setdefault(row.name, {})[row.text] = row.cases
        return found

    @contextmanager
    def adding(self) -> Generator[Staging, None, None]:
        """See `Store.adding`."""
        with ExitStack() as stack:
            with self._writing() as connection:
                state = self._state(connection)
                place = stack.enter_context(staging(self.path, state.space.space))
            yield place
            with self._writing() as connection:
                self._take(connection, place)

    def _take(self, connection: sqlite3.Connection, place: Staging) -> None:
        state = self._state(connection)
        if state.space.space != place.space:
            raise DataError(f"{self.path} was embedded anew meanwhile; add the cases again.")
        count, added = Count(Facts(self.path, connection)), dict[str, int]()
        for batch in place.batches():
            first = state.following + len(added)
            self._insert(connection, state.space.number, first, batch, count)
            added |= {record.key: case for case, (record, _) in enumerate(batch, first)}
        self._keep(connection, state, added, 1, count)

    def _insert(
        self,
        connection: sqlite3.Connection,
        space: int,
        first: int,
        batch: Sequence[tuple[Record, Floats]],
        count: Count,
    ) -> None:
        cases = list(enumerate(batch, first))
        try:
            keys = ((case, record.key) for case, (record, _) in cases)
            connection.executemany("INSERT INTO cases VALUES (?, ?)", keys)
        except sqlite3.IntegrityError as error:
            raise DataError(self._first_known(connection, batch, first)) from error
        records = (record_row(case, body_of(record), record.thumbnail) for case, (record, _) in cases)
        connection.executemany("INSERT INTO records VALUES (?, ?, ?)", records)
        vectors = ((case, space, vector_row(head_of(case, record), row)) for case, (record, row) in cases)
        connection.executemany("INSERT INTO vectors VALUES (?, ?, ?)", vectors)
        holds = (
            (case, text)
            for case, (record, _) in cases
            for text in count.case(case, facts_of(record.facts), 1)
        )
        connection.executemany("INSERT INTO holds VALUES (?, ?)", holds)

    def _first_known(
        self, connection: sqlite3.Connection, batch: Sequence[tuple[Record, Floats]], first: int
    ) -> str:
        query = "SELECT 1 FROM cases WHERE key = ? AND id < ?"
        keys = (record.key for record, _ in batch)
        known = next(key for key in keys if connection.execute(query, (key, first)).fetchone())
        return f"the case '{known}' is in {self.path} already; remove it first."

    def remove(self, ids: Sequence[int]) -> None:
        """See `Store.remove`."""
        with self._writing() as connection:
            state = self._state(connection)
            facts = Facts(self.path, connection)
            there = {key: case for case in map(int, ids) if (key := self._key(connection, case)) is not None}
            count = Count(facts)
            for case in there.values():
                count.case(case, facts.of(case), -1)
                connection.execute("DELETE FROM cases WHERE id = ?", (case,))
            self._keep(connection, state, there, -1, count)

    @contextmanager
    def reembedding(self, space: Space) -> Generator[Rebuilding, None, None]:
        """See `Store.reembedding`."""
        with reported(self.path), closing(connect(self.path)) as connection:
            building = Rebuilding(self.path, connection, space)
            yield building
            building.switch()

    def problems(self) -> list[str]:
        """See `Store.problems`."""
        return [*self._structure(), *self._failures()]

    def _structure(self) -> list[str]:
        try:
            with self._reading() as connection:
                said = [text for (text,) in connection.execute("PRAGMA integrity_check(10)")]
        except FolderError as error:
            return [str(error)]
        return [f"{self.path} is damaged: {text}." for text in said if text != "ok"]

    def _failures(self) -> Iterator[str]:
        yield from _told(self.vectors)
        yield from _told(self._check_facts)
        yield from _told(lambda: self.where({}))
        every: list[int] = []
        yield from _told(lambda: every.extend(self._numbers()))
        for case in every:
            yield from _told(lambda case=case: self.records([case]))

    def _numbers(self) -> list[int]:
        with self._reading() as connection:
            return [case for (case,) in connection.execute("SELECT id FROM cases")]

    def _check_facts(self) -> None:
        with self._reading() as connection:
            every = self._facts(connection, self._state(connection))
        for name, texts in every.items():
            for text in texts:
                self.where({name: [text]})

    def close(self) -> None:
        """See `Store.close`."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._own = local()

    def _state(self, connection: sqlite3.Connection) -> State:
        return read_state(connection, self.path)

    def _keep(
        self, connection: sqlite3.Connection, state: State, cases: Mapping[str, int], sign: int, count: Count
    ) -> None:
        """Write the state with these cases, by key, more, sign 1, or less, sign -1."""
        after = replace(
            state,
            version=state.version + 1,
            cases=state.cases + sign * len(cases),
            keys=state.keys + sign * _marks(cases),
            texts=state.texts + count.write(),
            following=max([state.following, *(case + 1 for case in cases.values())]),
        )
        write_state(connection, after)

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection, None, None]:
        """One state of the store, whatever others write meanwhile."""
        with reported(self.path):
            if not hasattr(self._own, "connection"):
                self._own.connection = connect(self.path)
                self._connections.append(self._own.connection)
            with transaction(self._own.connection, "DEFERRED") as connection:
                yield connection

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection, None, None]:
        with (
            reported(self.path),
            closing(connect(self.path)) as connection,
            transaction(connection, "IMMEDIATE"),
        ):
            yield connection


def _told(check: Callable[[], object]) -> Iterator[str]:
    """What a check says of damage, if anything."""
    try:
        check()
    except FolderError as error:
        yield str(error)


def _marks(cases: Mapping[str, int]) -> int:
    return sum(mark(case, key) for key, case in cases.items())
