"""What every metric of a classifier asks of its labels and probabilities."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.errors import DataError

# Probabilities come back from a CSV rounded, and from half precision with few digits.
_SUM_TOLERANCE = 1e-2


def checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and probabilities as arrays, if metrics can be computed from them.

    Args:
        labels: (n,) class numbers from 0 to K - 1; cases of unknown label are left out before.
        probabilities: (n, K), rows that sum to one.

    Returns:
        labels (n,) int64 and probabilities (n, K) float64.

    Raises:
        DataError: if there is no case, a shape does not fit, a label is unknown, or a probability is
            not a number, lies outside [0, 1] or belongs to a row that does not sum to one.
    """
    found = np.asarray(labels)
    given = np.asarray(probabilities, dtype=np.float64)
    _check_shapes(found, given)
    if found.min() < 0 or found.max() >= given.shape[1]:
        wrong = int(found[(found < 0) | (found >= given.shape[1])][0])
        raise DataError(
            f"labels must lie between 0 and {given.shape[1] - 1}, but got {wrong};"
            " leave out the cases whose label is unknown."
        )
    _check_rows(given)
    return found.astype(np.int64), given


def _check_shapes(labels: NDArray[np.generic], probabilities: NDArray[np.float64]) -> None:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels must be whole numbers of shape (n,), but got {labels.dtype} of shape {labels.shape}."
        )
    if probabilities.ndim != 2 or len(probabilities) != len(labels) or probabilities.shape[1] < 2:
        raise DataError(
            f"probabilities must have shape ({len(labels)}, classes) with 2 classes or more,"
            f" but got {probabilities.shape}."
        )
    if len(labels) == 0:
        raise DataError("metrics need at least one case with a known label, but got none.")


def _check_rows(probabilities: NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(bad):
        raise DataError(
            f"probabilities must be finite numbers, but {len(bad)} of {len(probabilities)} cases have a NaN"
            f" or infinite one (first: case {bad[0]}); the training may have diverged."
        )
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise DataError(
            "probabilities must lie between 0 and 1, but got values from"
            f" {probabilities.min():g} to {probabilities.max():g}; apply a softmax to logits first."
        )
    sums = probabilities.sum(axis=1)
    if np.abs(sums - 1).max() > _SUM_TOLERANCE:
        worst = int(np.abs(sums - 1).argmax())
        raise DataError(f"probabilities of a case must sum to 1, but case {worst} sums to {sums[worst]:g}.")
