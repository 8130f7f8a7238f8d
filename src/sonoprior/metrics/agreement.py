"""Agreement: are images that mean similar things near each other? Spearman's rank correlation (scipy).

On one side the similarity of embeddings, on the other that of what is known of the images, as the similarity
of their sets of terms.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from sonoprior.core.errors import DataError

from .neighbours import Embedded, similarities

Floats = NDArray[np.float64]


def agreement(
    queries: Embedded, known: ArrayLike, gallery: Embedded | None = None, distance: str = "cosine"
) -> Floats:
    """For each query, the rank correlation over the gallery of its similarities with the known ones, (q,).

    A number a query, for means and intervals as in `retrieval`. NaN where fewer than two cases can be
    compared, or one of the sides is the same for all.

    Args:
        queries: q cases.
        known: (q, n) similarities, NaN where nothing is known.
        gallery: n cases; None: the queries themselves, each without itself.
        distance: "cosine" or "euclidean".

    Raises:
        DataError: if the known similarities have another shape; and as `similarities`.
    """
    return np.array([_spearman(*row) for row in _compared(queries, known, gallery, distance)])


def agreement_of_pairs(
    queries: Embedded, known: ArrayLike, gallery: Embedded | None = None, distance: str = "cosine"
) -> float:
    """The rank correlation over all pairs at once, which are all held, for arguments as in `agreement`."""
    rows = list(_compared(queries, known, gallery, distance))
    return _spearman(*(np.concatenate(side) for side in zip(*rows, strict=True)))


def _compared(
    queries: Embedded, known: ArrayLike, gallery: Embedded | None, distance: str
) -> Iterator[tuple[Floats, Floats]]:
    """Similarities of embeddings and known ones, of the pairs that count, a query at a time."""
    given = np.asarray(known, dtype=np.float64)
    shape = tuple(len(np.asarray(cases.embeddings)) for cases in (queries, gallery or queries))
    if given.shape != shape:
        raise DataError(f"known similarities must have shape {shape}, but got {given.shape}.")
    for rows, block in similarities(queries, gallery, distance):
        for found, expected in zip(block, given[rows], strict=True):
            counts = ~np.isneginf(found) & ~np.isnan(expected)
            yield found[counts].astype(np.float64), expected[counts]


def _spearman(found: Floats, expected: Floats) -> float:
    if len(found) < 2 or np.ptp(found) == 0 or np.ptp(expected) == 0:
        return float("nan")
    result: Any = spearmanr(found, expected)
    return float(result.statistic)
