"""Facts in SQLite: each text once with its cases, and how many they are and their sum to find damage by."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError, FolderError

from .sealed import opened, sealed

Places = NDArray[np.int64]
Fact = tuple[str, str]
"""Name and text."""


class Text(NamedTuple):
    """One text of one fact, as a row of the table `texts`.

    Attributes:
        number: by which cases hold it.
        name: of the fact.
        text: the text.
        cases: how many cases hold it.
        total: the sum of their numbers.
        seal: over all of this.
    """

    number: int
    name: str
    text: str
    cases: int
    total: int
    seal: bytes

    @staticmethod
    def of(number: int, name: str, text: str, cases: int, total: int) -> "Text":
        """A row with its seal."""
        return Text(number, name, text, cases, total, sealed(_said(name, text, cases, total), number))

    @property
    def whole(self) -> bool:
        """Whether nothing of it is damaged."""
        said = _said(self.name, self.text, self.cases, self.total)
        return opened(self.seal, self.number) == said


def _said(name: str, text: str, cases: int, total: int) -> bytes:
    return f"{name}\0{text}\0{cases}\0{total}".encode()


@dataclass(frozen=True)
class Facts:
    """The facts of a store, within a transaction of the caller's.

    Attributes:
        path: of the file, for messages.
        connection: to it.
    """

    path: Path
    connection: sqlite3.Connection

    def every(self, count: int) -> list[Text]:
        """All texts by name, the most frequent first.

        Raises:
            FolderError: if one is damaged, or they are not `count`.
        """
        query = "SELECT * FROM texts ORDER BY name, cases DESC, text"
        rows = [self._checked(Text(*row)) for row in self.connection.execute(query)]
        found = len({row.number for row in rows})
        if found != count:
            raise FolderError(f"{self.path} is damaged: it must hold {count} facts, but has {found}.")
        return rows

    def holders(self, name: str, texts: Sequence[str]) -> Places:
        """The numbers, ascending, of the cases that have one of the texts.

        Raises:
            DataError: if no case has a fact of this name.
            FolderError: if what is read is damaged.
        """
        if self.connection.execute("SELECT 1 FROM texts WHERE name = ?", (name,)).fetchone() is None:
            known = [each for (each,) in self.connection.execute("SELECT DISTINCT name FROM texts")]
            one_of("a field of the case base", name, known, DataError)
        found = [self._holders(row) for text in texts if (row := self.find(name, text)) is not None]
        if len(found) < len(texts):
            self._check_name(name)  # a text that no case has may be one that is damaged
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def find(self, name: str, text: str) -> Text | None:
        """One text of one fact; None where no case has it."""
        query = "SELECT * FROM texts WHERE name = ? AND text = ?"
        row = self.connection.execute(query, (name, text)).fetchone()
        return None if row is None else self._checked(Text(*row))

    def of(self, case: int) -> list[Fact]:
        """The facts of one case."""
        query = "SELECT name, texts.text FROM holds JOIN texts ON texts.number = holds.text WHERE case_id = ?"
        return self.connection.execute(query, (case,)).fetchall()

    def _holders(self, row: Text) -> Places:
        query = "SELECT case_id FROM holds WHERE text = ?"
        found = np.array([case for (case,) in self.connection.execute(query, (row.number,))], np.int64)
        if len(found) != row.cases or found.sum() != row.total:
            raise FolderError(
                f"{self.path} is damaged: the list of cases with {row.name}={row.text} is not as written."
            )
        return found

    def _check_name(self, name: str) -> None:
        for row in self.connection.execute("SELECT * FROM texts WHERE name = ?", (name,)):
            self._checked(Text(*row))

    def _checked(self, row: Text) -> Text:
        if not row.whole:
            raise FolderError(f"{self.path} is damaged: the fact {row.name}={row.text} is not as written.")
        return row


class Count:
    """Facts that cases are counted in or out of, kept until `write`.

    Args:
        facts: of the store, within the transaction that writes.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        (last,) = facts.connection.execute("SELECT max(number) FROM texts").fetchone()
        self._next = 1 + (last or 0)
        self._before: dict[Fact, Text] = {}
        self._by: dict[Fact, int] = {}
        self._total: dict[Fact, int] = {}

    def case(self, number: int, facts: Sequence[Fact], sign: int) -> list[int]:
        """Count a case in, sign 1, or out, sign -1; the numbers of its facts."""
        for fact in facts:
            if fact not in self._before:
                self._before[fact] = self._facts.find(*fact) or self._new(fact)
                self._by[fact] = self._total[fact] = 0
            self._by[fact] += sign
            self._total[fact] += sign * number
        return [self._before[fact].number for fact in facts]

    def _new(self, fact: Fact) -> Text:
        self._next += 1
        return Text.of(self._next - 1, *fact, 0, 0)

    def write(self) -> int:
        """Write what was counted; by how many the texts have become more."""
        after = {
            fact: Text.of(row.number, *fact, row.cases + self._by[fact], row.total + self._total[fact])
            for fact, row in self._before.items()
        }
        connection = self._facts.connection
        gone = [fact for fact, row in after.items() if row.cases == 0]
        connection.executemany("DELETE FROM texts WHERE name = ? AND text = ?", gone)
        kept = (row for row in after.values() if row.cases)
        connection.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?, ?, ?)", kept)
        return sum(row.cases == 0 for row in self._before.values()) - len(gone)


def facts_of(facts: Mapping[str, Sequence[str]]) -> list[Fact]:
    """The facts of a record, each once."""
    return list(dict.fromkeys((name, text) for name, texts in facts.items() for text in texts))
