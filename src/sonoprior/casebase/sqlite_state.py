"""What a store in SQLite says of itself, in one sealed row."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

from sonoprior.core.errors import FolderError

from .sealed import opened, sealed
from .store import Space


@dataclass(frozen=True)
class Numbered:
    """A space, and its number in the table of vectors."""

    number: int
    id: str
    dimension: int

    @property
    def space(self) -> Space:
        """The space itself."""
        return Space(self.id, self.dimension)


@dataclass(frozen=True)
class State:
    """What holds for the whole store.

    Attributes:
        version: one more after each change.
        cases: how many there are.
        keys: the sum of `mark` of their keys, by which a wrong one is found.
        texts: how many texts of facts there are.
        following: the number of the next case; none is used twice.
        space: in use.
        building: the space that is being built beside it, if any.
    """

    version: int
    cases: int
    keys: int
    texts: int
    following: int
    space: Numbered
    building: Numbered | None = None


def mark(case: int, key: str) -> int:
    """What a case adds to the sum of keys."""
    return crc32(f"{case} {key}".encode())


def read_state(connection: sqlite3.Connection, path: Path) -> State:
    """The state of a store.

    Raises:
        FolderError: if it is damaged.
    """
    row = connection.execute("SELECT body FROM state").fetchone()
    content = opened(row[0]) if row else None
    if content is None:
        raise FolderError(f"{path} is damaged: what it says of itself is not as written.")
    said = json.loads(content)
    building = said["building"]
    spaces = {"space": Numbered(**said["space"]), "building": Numbered(**building) if building else None}
    return State(**(said | spaces))


def write_state(connection: sqlite3.Connection, state: State) -> None:
    """Say it."""
    content = json.dumps(asdict(state)).encode()
    connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (sealed(content),))
