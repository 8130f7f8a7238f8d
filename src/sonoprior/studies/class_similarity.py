"""How alike classes are: by their images, and whether that follows how alike they are by their names."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.metrics.neighbours import prepared
from sonoprior.metrics.rank_correlation import spearman

Floats = NDArray[np.float64]


def class_similarity(embeddings: ArrayLike, labels: ArrayLike, classes: Sequence[str]) -> Floats:
    """The mean cosine of the cases of two classes, (K, K); on the diagonal between different cases.

    Args:
        embeddings: (n, d) finite numbers, none of them zero.
        labels: (n,) names of classes; a case of none of the classes is left out.
        classes: K names.

    Returns:
        NaN where no pair of cases is there to compare: a class without cases, and the diagonal of a class
        with one.

    Raises:
        DataError: as `prepared`.
    """
    own = np.asarray(labels)[:, None] == np.asarray(classes, dtype=np.str_)  # (n, K)
    units = prepared(embeddings, "cosine").astype(np.float64)
    sums, counts = own.T.astype(np.float64) @ units, own.sum(axis=0).astype(np.float64)
    totals, pairs = sums @ sums.T, np.outer(counts, counts)
    totals[np.diag_indices_from(totals)] -= counts  # each case with itself has a cosine of 1
    pairs[np.diag_indices_from(pairs)] -= counts
    return np.divide(totals, pairs, out=np.full_like(totals, np.nan), where=pairs > 0)


def agreement(image: ArrayLike, text: ArrayLike) -> float:
    """Spearman's correlation of two similarity matrices (K, K) over their pairs of different classes.

    NaN where fewer than two pairs have both, or one side is the same for all of them.
    """
    first, second = (_pairs(np.asarray(matrix, dtype=np.float64)) for matrix in (image, text))
    return float(spearman(first[None], second[None])[0])


def _pairs(matrix: Floats) -> Floats:
    """Each pair once: the mean of both directions, since a text's likeness may depend on the direction."""
    upper = np.triu_indices(len(matrix), k=1)
    return (matrix[upper] + matrix.T[upper]) / 2
