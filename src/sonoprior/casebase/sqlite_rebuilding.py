"""A new space of embeddings beside the old one, in SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sonoprior.core.errors import DataError, FolderError
from sonoprior.metrics.neighbours import prepared

from .sealed import opened
from .sqlite_file import transaction
from .sqlite_rows import HEAD, vector_row
from .sqlite_state import Numbered, State, read_state, write_state
from .store import Floats, Space


class Rebuilding:
    """A `Reembedding`. What another one of the same space has put is used.

    Args:
        path: of the store.
        connection: to it, for this alone.
        space: that is built. Another half-built one is given up.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, space: Space) -> None:
        self._path, self._connection, self._space = path, connection, space
        with transaction(connection, "IMMEDIATE"):
            state = self._state()
            if state.space.id == space.id:
                raise DataError(f"{path} is embedded by this network already.")
            if state.building is None or state.building.space != space:
                state = self._begun(state)
            assert state.building is not None  # just begun
            self._number = state.building.number

    def _begun(self, state: State) -> State:
        last = state.space.number
        if state.building is not None:
            last = max(last, state.building.number)
            self._connection.execute("DELETE FROM vectors WHERE space = ?", (state.building.number,))
        state = replace(state, building=Numbered(1 + last, self._space.id, self._space.dimension))
        write_state(self._connection, state)
        return state

    def missing(self, most: int) -> list[int]:
        """See `Reembedding.missing`."""
        if self._connection.in_transaction:
            return []
        if found := self._missing(most):
            return found
        self._connection.execute("BEGIN IMMEDIATE")
        found = self._missing(most)
        if found:
            self._connection.execute("ROLLBACK")
        return found

    def _missing(self, most: int) -> list[int]:
        query = (
            "SELECT id FROM cases WHERE NOT EXISTS"
            " (SELECT 1 FROM vectors WHERE case_id = id AND space = ?) ORDER BY id LIMIT ?"
        )
        return [case for (case,) in self._connection.execute(query, (self._number, most))]

    def put(self, ids: Sequence[int], embeddings: Floats) -> None:
        """See `Reembedding.put`; of cases that were removed meanwhile nothing is kept."""
        vectors = prepared(embeddings, "cosine")
        if vectors.shape != (len(ids), self._space.dimension):
            raise DataError(
                f"embeddings of {len(ids)} cases must have the shape ({len(ids)}, {self._space.dimension}),"
                f" but have {vectors.shape}."
            )
        with transaction(self._connection, "IMMEDIATE"):
            state = self._check()
            for case, vector in zip(ids, vectors, strict=True):
                head = self._head(int(case), state.space.number)
                if head is not None:
                    row = (int(case), self._number, vector_row(head, vector))
                    self._connection.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", row)

    def _head(self, case: int, space: int) -> bytes | None:
        query = "SELECT body FROM vectors WHERE case_id = ? AND space = ?"
        row = self._connection.execute(query, (case, space)).fetchone()
        if row is None:
            return None
        content = opened(row[0])
        if content is None:
            raise FolderError(f"{self._path} is damaged: the vector of case number {case} is not as written.")
        return content[:HEAD]

    def switch(self) -> None:
        """Take the place of the space in use.

        Raises:
            DataError: if a case has no embedding yet.
        """
        missing = self.missing(1)
        if missing:
            raise DataError(f"{self._path}: the case number {missing[0]} has not been embedded anew.")
        state = self._check()
        assert state.building is not None  # checked
        self._connection.execute("DELETE FROM vectors WHERE space = ?", (state.space.number,))
        changed = replace(state, version=state.version + 1, space=state.building, building=None)
        write_state(self._connection, changed)
        self._connection.execute("COMMIT")

    def _check(self) -> State:
        """The state, in which this space is still the one that is built."""
        state = self._state()
        if state.building is None or state.building.number != self._number:
            raise DataError(
                f"{self._path} was embedded anew by another process meanwhile, or is going to be; this one"
                " was given up."
            )
        return state

    def _state(self) -> State:
        return read_state(self._connection, self._path)
