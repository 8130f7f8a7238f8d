"""The nearest neighbours of embeddings: exact, and in blocks, so that the whole matrix is never held.

A query never finds itself, and where groups are given, nothing of its own exam, patient or group of
duplicates: that a frame looks like the frame before it proves nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least, one_of
from sonoprior.core.errors import DataError

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
Array = NDArray[Any]

DISTANCES = ("cosine", "euclidean")

# So many similarities are held at once: 32 MB, and a few copies of them.
_HELD = 8_000_000
_NOBODY = -2


@dataclass(frozen=True)
class Embedded:
    """Cases as a network embedded them.

    Attributes:
        embeddings: (n, d) finite numbers.
        groups: what a query must not find its own of: (n,) for one kind of group, as the exam, (n, g) for
            several, as the exam and the group of duplicates. A case whose group is None or NaN is in none.
    """

    embeddings: ArrayLike
    groups: ArrayLike | None = None


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of each of q queries, nearest first; of equally near ones the first in the gallery.

    Attributes:
        index: (q, k) positions in the gallery, -1 where it has fewer than k that may be found.
        similarity: (q, k) cosine, or minus the Euclidean distance; minus infinity where the index is -1.
    """

    index: Places
    similarity: Floats


def nearest(
    queries: Embedded, gallery: Embedded | None = None, k: int = 10, distance: str = "cosine"
) -> Neighbours:
    """The k nearest neighbours of each query.

    Args:
        queries: q cases.
        gallery: the n cases to find; None: the queries themselves, each without itself.
        k: how many; may be more than there are.
        distance: "cosine" or "euclidean".

    Raises:
        DataError: as `similarities`.
        SonopriorError: if k is below 1.
    """
    at_least("k", k, 1)
    found = [best(block, k) for _, block in similarities(queries, gallery, distance)]
    return Neighbours(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def similarities(
    queries: Embedded, gallery: Embedded | None = None, distance: str = "cosine"
) -> Iterator[tuple[slice, Floats]]:
    """How near each query is to every case of the gallery, some queries at a time.

    Computed in single precision, so cosines that differ by less than about 1e-6 may change places.

    Args:
        queries: q cases.
        gallery: n cases; None: the queries themselves, each without itself.
        distance: "cosine", or "euclidean", whose similarity is minus the distance.

    Yields:
        which queries, and their similarities (b, n); minus infinity where a pair is left out.

    Raises:
        DataError: if lengths or groups do not fit; and as `prepared`.
    """
    found = queries if gallery is None else gallery
    left, right = (prepared(cases.embeddings, distance) for cases in (queries, found))
    if left.shape[1] != right.shape[1]:
        raise DataError(
            "queries and gallery must have embeddings of one length,"
            f" but got {left.shape[1]} and {right.shape[1]}."
        )
    if distance == "euclidean":
        middle = right.mean(axis=0)  # far from the origin, single precision would lose small distances
        left, right = left - middle, right - middle
    own, others = _groups(queries, found)
    for rows in _slices(len(left), max(1, _HELD // len(right))):
        block = _near(left[rows], right, distance)
        for column in range(own.shape[1]):
            block[own[rows, column, None] == others[:, column]] = -np.inf
        if gallery is None:
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = -np.inf
        yield rows, block


def best(similarity: Floats, k: int) -> tuple[Places, Floats]:
    """The k largest of each row (b, n), largest first and of equal ones the first: places and values (b, k).

    Minus infinity is nobody: its place is -1.
    """
    size = similarity.shape[1]
    kept = min(k, size)
    bound = np.partition(similarity, size - kept, axis=1)[:, size - kept]
    chosen = similarity >= bound[:, None]
    for row in np.flatnonzero(chosen.sum(axis=1) > kept):
        equal = np.flatnonzero(similarity[row] == bound[row])
        chosen[row, equal[kept - chosen[row].sum() :]] = False
    index = (np.flatnonzero(chosen) % size).reshape(-1, kept)
    order = np.argsort(-np.take_along_axis(similarity, index, axis=1), axis=1, kind="stable")
    index = np.take_along_axis(index, order, axis=1)
    values = np.take_along_axis(similarity, index, axis=1)
    index[np.isneginf(values)] = -1
    missing = ((0, 0), (0, k - kept))
    return np.pad(index, missing, constant_values=-1), np.pad(values, missing, constant_values=-np.inf)


def prepared(embeddings: ArrayLike, distance: str) -> Floats:
    """Embeddings (n, d) in single precision, scaled to length 1 for a cosine.

    Raises:
        DataError: if the distance is unknown, there is no case, or an embedding is not finite, or zero where
            a cosine is asked for.
    """
    one_of("distance", distance, DISTANCES, DataError)
    given = np.asarray(embeddings, dtype=np.float32)
    if given.ndim != 2 or 0 in given.shape:
        raise DataError(f"embeddings must have shape (cases, length), neither 0, but got {given.shape}.")
    bad = np.flatnonzero(~np.isfinite(given).all(axis=1))
    if len(bad):
        raise DataError(
            f"embeddings must be finite numbers, but {len(bad)} of {len(given)} cases have a NaN or infinite"
            f" one (first: case {bad[0]}); the training may have diverged."
        )
    if distance != "cosine":
        return given
    length = np.linalg.norm(given, axis=1, keepdims=True)
    if not length.all():
        raise DataError(
            f"a cosine needs embeddings other than zero, but {int((length == 0).sum())} of {len(given)} cases"
            f" have a zero one (first: case {int((length == 0).argmax())})."
        )
    return given / length


def _near(left: Floats, right: Floats, distance: str) -> Floats:
    product = left @ right.T
    if distance == "cosine":
        return product
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    return -np.sqrt(np.maximum(squares - 2 * product, 0))


def _slices(size: int, step: int) -> Iterator[slice]:
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def _groups(queries: Embedded, gallery: Embedded) -> tuple[Places, Places]:
    """Numbers of groups (q, g) and (n, g) that agree where two cases are of one group."""
    own, others = (_columns(cases) for cases in (queries, gallery))
    if own.shape[1] != others.shape[1]:
        raise DataError(
            "queries and gallery must have the same kinds of groups,"
            f" but got {own.shape[1]} and {others.shape[1]} kinds."
        )
    numbers = np.empty((len(own) + len(others), own.shape[1]), dtype=np.int64)
    for column in range(own.shape[1]):
        numbers[:, column] = pd.factorize(np.concatenate([own[:, column], others[:, column]]))[0]
    first = numbers[: len(own)]
    return np.where(first < 0, _NOBODY, first), numbers[len(own) :]


def _columns(cases: Embedded) -> Array:
    size = len(np.asarray(cases.embeddings))
    if cases.groups is None:
        return np.empty((size, 0), dtype=object)
    groups = np.asarray(cases.groups, dtype=object)
    if groups.ndim not in {1, 2} or len(groups) != size:
        raise DataError(f"groups must have shape ({size},) or ({size}, kinds), but got {groups.shape}.")
    return groups.reshape(size, -1)
