"""The nearest cases by comparing a query with every one of them: one matrix product."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sonoprior.metrics.neighbours import Neighbours, best

from .store import Floats, Places

Bools = NDArray[np.bool_]

# So many similarities are held at once: 32 MB.
_HELD = 8_000_000
# Where fewer than one case in so many may be found, only they are compared; a row is copied for that.
_FEW = 8
_BLOCK = 512


class Exact:
    """An `Index` that misses nothing.

    Args:
        matrix: (n, D), the embeddings of all cases.
        groups: (n,), see `Vectors`.
    """

    def __init__(self, matrix: Floats, groups: Places) -> None:
        self._matrix, self._groups = matrix, groups

    def nearest(
        self, queries: Floats, k: int, leave_out: Places | None = None, among: Bools | None = None
    ) -> Neighbours:
        """See `Index.nearest`."""
        if among is not None and among.sum() * _FEW < len(among):
            return self._among_few(queries, k, leave_out, np.flatnonzero(among))
        if not len(queries) or not len(self._matrix):
            nobody = np.full((len(queries), k), -1, np.int64)
            return Neighbours(nobody, np.full(nobody.shape, -np.inf, np.float32))
        found = [top(near, k) for near in self._near(queries, leave_out, among)]
        return Neighbours(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _among_few(self, queries: Floats, k: int, leave_out: Places | None, rows: Places) -> Neighbours:
        found = Exact(self._matrix[rows], self._groups[rows]).nearest(queries, k, leave_out)
        return Neighbours(np.where(found.index < 0, -1, np.append(rows, -1)[found.index]), found.similarity)

    def _near(self, queries: Floats, leave_out: Places | None, among: Bools | None) -> Iterator[Floats]:
        """Cosines, some queries at a time (b, n); minus infinity where a pair is left out."""
        step = max(1, _HELD // len(self._matrix))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            near = queries[part] @ self._matrix.T
            if among is not None:
                np.copyto(near, -np.inf, where=~among)
            if leave_out is not None:
                np.copyto(near, -np.inf, where=leave_out[part, None] == self._groups)
            yield near


def top(near: Floats, k: int) -> tuple[Places, Floats]:
    """The k largest of each row (b, n) as `best` gives them, sooner where n is large.

    The k-th largest of the maxima of blocks is a bound: k values at least reach it, few others do.
    """
    blocks = near.shape[1] // _BLOCK
    if blocks < k:
        return best(near, k)
    maxima = near[:, : blocks * _BLOCK].reshape(len(near), blocks, _BLOCK).max(axis=2)
    bounds = np.partition(maxima, blocks - k, axis=1)[:, blocks - k]
    found = [_top_from(row, bound, k) for row, bound in zip(near, bounds, strict=True)]
    index, values = zip(*found, strict=True)
    return np.stack(index), np.stack(values)


def _top_from(row: Floats, bound: np.float32, k: int) -> tuple[Places, Floats]:
    places = np.flatnonzero(row >= bound)
    index, values = best(row[None, places], k)
    return np.where(index[0] < 0, -1, places[index[0]]), values[0]
