"""Thresholds of classes that are independent of each other: chosen on validation cases, applied to others."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.errors import DataError

from .multilabel import checked_multilabels

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def best_thresholds(labels: ArrayLike, scores: ArrayLike) -> Floats:
    """For each class the score from which on it is predicted, so that its F1 is the highest there is.

    Of several equally good ones the highest, which claims a class the least. A class without a positive case
    gets infinity: nothing says from which score on it is there, and it is never predicted.

    Args:
        labels: (n, C) bool, of validation cases, never of those that are tested on.
        scores: (n, C), larger where a class is likelier.

    Returns:
        (C,), each one of the scores of its class, or infinity.

    Raises:
        DataError: if there is no case, labels are not bool, shapes differ, or a score is not finite.
    """
    given = checked_multilabels("labels", labels)
    found = _checked_scores(scores, given.shape)
    return np.array([_best(given[:, c], found[:, c]) for c in range(given.shape[1])])


def midway(thresholds: ArrayLike, scores: ArrayLike, lowest: float = 0.0) -> Floats:
    """Thresholds (C,) moved halfway down to the next lower score of their class, or to `lowest` below all.

    They decide as before on these scores, and no longer hang on the last digits of one of them, which differ
    between machines and batches.

    >>> midway([0.8, 0.2], [[0.8, 0.5], [0.4, 0.2]]).round(2).tolist()
    [0.6, 0.1]

    Args:
        thresholds: (C,), as of `best_thresholds`.
        scores: (n, C), those that the thresholds were chosen on.
        lowest: what no score is below.

    Raises:
        DataError: if shapes do not fit, or a score is not finite.
    """
    limits = np.asarray(thresholds, dtype=np.float64)
    given = _checked_scores(scores, np.shape(scores)[:1] + limits.shape)
    below = np.where(given < limits, given, lowest).max(axis=0, initial=lowest)
    return (limits + below) / 2


def decided(scores: ArrayLike, thresholds: ArrayLike) -> Bools:
    """Which classes are predicted, (n, C): those whose score is at least their threshold.

    Args:
        scores: (n, C).
        thresholds: (C,), as of `best_thresholds`.

    Raises:
        DataError: if shapes do not fit, or a score is not finite.
    """
    given = np.asarray(scores, dtype=np.float64)
    limits = np.asarray(thresholds, dtype=np.float64)
    return _checked_scores(given, given.shape[:1] + limits.shape) >= limits


def _best(labels: Bools, scores: Floats) -> float:
    """The threshold of one class, of labels (n,) and scores (n,)."""
    if not labels.any():
        return float("inf")
    values, place = np.unique(-scores, return_inverse=True)  # the highest score first
    claimed = np.cumsum(np.bincount(place))
    right = np.cumsum(np.bincount(place, weights=labels))
    f1 = 2 * right / (claimed + labels.sum())
    return float(-values[f1.argmax()])


def _checked_scores(scores: ArrayLike, shape: tuple[int, ...]) -> Floats:
    given = np.asarray(scores, dtype=np.float64)
    if given.shape != shape:
        raise DataError(f"scores must have shape {shape}, cases by classes, but got {given.shape}.")
    bad = np.flatnonzero(~np.isfinite(given).all(axis=1))
    if len(bad):
        raise DataError(
            f"scores must be finite numbers, but {len(bad)} of {len(given)} cases have a NaN or infinite one"
            f" (first: case {bad[0]})."
        )
    return given
