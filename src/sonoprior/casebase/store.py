"""What a case base needs of whatever keeps it. Nothing above knows which store it is."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .record import Record

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


def number_of(name: str | None) -> int:
    """The number of a group or an exam, by which `Vectors` knows it; -1 of none.

    A hash of 63 bits: among a million names two agree by chance once in 18 million bases.
    """
    return -1 if name is None else int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 1


@dataclass(frozen=True)
class Space:
    """The embeddings of all cases by one bundle.

    Attributes:
        id: the `Manifest.space` of the bundle.
        dimension: D.
    """

    id: str
    dimension: int


@dataclass(frozen=True)
class Vectors:
    """All cases of the space in use, by row.

    Attributes:
        ids: (n,) the number of each case in the store, ascending.
        matrix: (n, D) of length 1, C-contiguous.
        groups: (n,) the `number_of` each case's group.
        exams: (n,) the same of exams; -1 where unknown.
        version: of the store when they were read.
        space: that they lie in, of the same moment; a query must be embedded by its bundle.
    """

    ids: Places
    matrix: Floats
    groups: Places
    exams: Places
    version: int
    space: Space


class Store(Protocol):
    """Cases, their embeddings by space, and the bundle in use.

    Every method that changes something does so as a whole or not at all, and a reader never waits for it.
    Damage is found when it is read, and raised as a `FolderError` that names the file and the case.
    """

    def space(self) -> Space:
        """The space in use."""
        ...

    def version(self) -> int:
        """A number that changes whenever anybody has changed anything."""
        ...

    def __len__(self) -> int:
        """How many cases there are."""
        ...

    def vectors(self) -> Vectors:
        """All cases of the space in use."""
        ...

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Cases by number, in this order."""
        ...

    def ids(self, keys: Sequence[str]) -> list[int]:
        """The numbers of cases by key.

        Raises:
            DataError: naming the first key that is unknown.
        """
        ...

    def where(self, facts: Mapping[str, Sequence[str]]) -> Places:
        """The numbers, ascending, of the cases that have for each named fact one of the texts.

        Raises:
            DataError: if no case has a fact of such a name; it offers the nearest.
        """
        ...

    def facts(self) -> dict[str, dict[str, int]]:
        """Every name of a fact with each text and how many cases have it, the most frequent first."""
        ...

    def adding(self) -> AbstractContextManager["Adding"]:
        """Cases to be added: all of them when the block ends well, and none otherwise."""
        ...

    def remove(self, ids: Sequence[int]) -> None:
        """Remove cases with all that belongs to them."""
        ...

    def problems(self) -> list[str]:
        """One sentence for everything that is damaged; reads all there is, which takes a while."""
        ...

    def close(self) -> None:
        """Let go of all files."""
        ...

    def reembedding(self, space: Space) -> AbstractContextManager["Reembedding"]:
        """A new space beside the old one, which takes its place when the block ends well."""
        ...


class Adding(Protocol):
    """What is being added."""

    @property
    def space(self) -> Space:
        """That the embeddings must lie in."""
        ...

    def put(self, records: Iterable[Record], embeddings: Floats) -> None:
        """Some more cases with their embeddings (n, D).

        Raises:
            DataError: if a key is in the base already, or the embeddings have another length.
        """
        ...


class Reembedding(Protocol):
    """A space that is being built. What was put stays when the block ends badly, and the next one goes on."""

    def missing(self, most: int) -> list[int]:
        """Numbers of cases that have no embedding in the new space yet; none when it is whole.

        From then on nobody else can write until the block ends, so that it stays whole.
        """
        ...

    def put(self, ids: Sequence[int], embeddings: Floats) -> None:
        """The embeddings (n, D) of these cases."""
        ...
