"""Rank correlation: do two ways of comparing a case with others put them in the same order?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def spearman(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Spearman's correlation of each row with the row beside it, (b,).

    Args:
        first: (b, n) numbers; ties share their mean rank.
        second: (b, n) others. A pair of which either is not finite is left out.

    Returns:
        NaN for a row with fewer than two pairs, or with one side the same everywhere.
    """
    defined = np.isfinite(first) & np.isfinite(second)
    one, two = (_centred_ranks(values, defined) for values in (first, second))
    scale = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.divide((one * two).sum(axis=1), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def _centred_ranks(values: NDArray[Any], defined: NDArray[np.bool_]) -> Floats:
    """Ranks (b, n) of the defined less their mean; 0 for the others, which adds nothing to a sum."""
    ranks = rankdata(np.where(defined, values, np.inf), axis=1)  # what is left out ranks behind all others
    middle = (defined.sum(axis=1, keepdims=True) + 1) / 2
    return np.where(defined, ranks - middle, 0.0)
