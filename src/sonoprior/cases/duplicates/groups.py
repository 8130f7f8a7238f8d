"""Which images belong together: equal pixels first, then near-duplicates, joined into groups."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.cores import cores
from sonoprior.core.progress import bar

from .alignment import SAME, aligned_correlation, coarse_look
from .candidates import DESCRIPTION, candidates, describe
from .sketches import Grey, Sketches

Pair: TypeAlias = tuple[int, int, float]
"""Two positions, the smaller first, and the aligned correlation between them."""

_ROWS = 256  # images compared with all others at a time
_AT_ONCE = 512  # candidates verified before looking which of the next ones are already joined
_LOOKS = 2**16  # coarse looks kept, of 4 kB each


@dataclass(frozen=True)
class Duplicates:
    """What was found among n images.

    Attributes:
        groups: int64 (n,), the position of the first image of each image's group; alone, its own.
        exact: pairs of equal size and pixels, each with the first image of that kind.
        near: pairs that are not equal but nearly; enough of them to hold each group together.
    """

    groups: NDArray[np.int64]
    exact: list[tuple[int, int]]
    near: list[Pair]


def near_duplicates(images: Sequence[Grey]) -> list[Pair]:
    """Pairs of images that show the same picture, among them equal ones (with correlation 1).

    In a group of many, not all pairs are listed but enough to hold it together: an image that is
    known to belong to a group is not compared with the rest of the group.

    Args:
        images: uint8 (H, W) each; anything with a length and positions, each is asked for once.

    Raises:
        DataError: if an image cannot be read.
    """
    sketches = Sketches.read(images.__getitem__, len(images))
    sketches.require_all()
    found = duplicates_among(sketches)
    return sorted([(i, j, 1.0) for i, j in found.exact] + found.near)


def duplicates_among(sketches: Sketches, *, threads: int | None = None) -> Duplicates:
    """Exact and near-duplicates among sketches; unreadable images belong to nothing.

    Args:
        sketches: of n images.
        threads: how many candidates are verified at a time; as many as there are cores where None.
    """
    groups = Groups(len(sketches.digests))
    exact = _equal(sketches.digests)
    for i, j in exact:
        groups.join(i, j)
    different = np.setdiff1d(np.arange(len(groups)), [j for _, j in exact] + list(sketches.errors))
    near = _search(sketches.pictures, different, groups, threads or cores())
    return Duplicates(groups.roots(), exact, near)


class Groups:
    """A union-find forest over n things, whose groups are named by their first member."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def __len__(self) -> int:
        return len(self._parent)

    def root(self, member: int) -> int:
        """The first member of a group."""
        while self._parent[member] != member:
            self._parent[member] = self._parent[self._parent[member]]
            member = int(self._parent[member])
        return member

    def join(self, one: int, other: int) -> None:
        """Make one group of two."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low

    def roots(self) -> NDArray[np.int64]:
        """The first member of every member's group, (n,)."""
        roots = self._parent
        while np.any(roots[roots] != roots):
            roots = roots[roots]
        return roots.astype(np.int64)


def _equal(digests: list[str]) -> list[tuple[int, int]]:
    """Pairs of equal digests, each with the first of its kind."""
    first: dict[str, int] = {}
    return [(first[d], i) for i, d in enumerate(digests) if d and first.setdefault(d, i) != i]


def _search(pictures: Grey, positions: NDArray[np.int64], groups: Groups, threads: int) -> list[Pair]:
    """Verify the candidates among the pictures at `positions` and join what is the same."""
    near: list[Pair] = []
    with ThreadPoolExecutor(threads) as pool, bar("comparing images", -(-len(positions) // _ROWS)) as tick:
        verifier = _Verifier(pictures, groups, pool)
        for first, second, _ in candidates(_descriptions(pictures, positions, pool), tall=_ROWS):
            pairs = list(zip(positions[first].tolist(), positions[second].tolist(), strict=True))
            for start in range(0, len(pairs), _AT_ONCE):
                near += verifier.joined(pairs[start : start + _AT_ONCE])
            tick()
    return sorted(near)


class _Verifier:
    """Decides which candidates show the same picture, several at a time, and joins their groups."""

    def __init__(self, pictures: Grey, groups: Groups, pool: ThreadPoolExecutor) -> None:
        self._pictures = pictures
        self._groups = groups
        self._pool = pool
        self._look = lru_cache(_LOOKS)(lambda position: coarse_look(pictures[position]))

    def joined(self, pairs: list[tuple[int, int]]) -> list[Pair]:
        """Of these pairs, those that are the same and were not in one group before; now they are."""
        root = self._groups.root
        apart = [(i, j) for i, j in pairs if root(i) != root(j)]
        correlations = self._pool.map(self._correlation, apart)
        same = [(i, j, found) for (i, j), found in zip(apart, correlations, strict=True) if found >= SAME]
        for i, j, _ in same:
            self._groups.join(i, j)
        return same

    def _correlation(self, pair: tuple[int, int]) -> float:
        i, j = pair
        return aligned_correlation(self._pictures[i], self._pictures[j], (self._look(i), self._look(j)))


def _descriptions(
    pictures: Grey, positions: NDArray[np.int64], pool: ThreadPoolExecutor
) -> NDArray[np.float32]:
    """The descriptions (n, 6, 104) of the pictures at n positions."""
    found = np.zeros((len(positions), *DESCRIPTION), np.float32)
    for row, description in enumerate(pool.map(lambda position: describe(pictures[position]), positions)):
        found[row] = description
    return found
