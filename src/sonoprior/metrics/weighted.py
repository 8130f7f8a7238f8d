"""The scalars of a classifier for weighted cases, for many weightings at once.

A weighting is one resample of the bootstrap: how often each case was drawn. All but the AUROC are
functions of weighted sums over cases, so a thousand resamples are one matrix product.

Shapes: B weightings, n cases, K classes; weights (B, n), labels (n,), probabilities (n, K), result (B,).
A weighting for which a number is not defined gives NaN.
"""

import numpy as np
from numpy.typing import NDArray

from .calibration import ECE_BINS, confidence_bins

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


def confusion(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Weighted counts (B, K, K): row the true class, column the predicted one."""
    classes = probabilities.shape[1]
    cell = labels * classes + probabilities.argmax(axis=1)
    return (weights @ np.eye(classes**2)[cell]).reshape(len(weights), classes, classes)


def accuracy(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Weighted share of cases that are right."""
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    return _ratio(weights @ right, weights.sum(axis=1))


def balanced_accuracy(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Mean over the classes with weight of the share found."""
    counts = confusion(weights, labels, probabilities)
    return _mean_of_defined(_ratio(np.einsum("bkk->bk", counts), counts.sum(axis=2)))


def macro_f1(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Mean F1 = 2 TP / (2 TP + FP + FN) over the classes that occur or are predicted."""
    counts = confusion(weights, labels, probabilities)
    both = counts.sum(axis=1) + counts.sum(axis=2)
    return _mean_of_defined(_ratio(2 * np.einsum("bkk->bk", counts), both))


def macro_precision(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Mean over the classes that are predicted of the share of their cases that are right."""
    counts = confusion(weights, labels, probabilities)
    return _mean_of_defined(_ratio(np.einsum("bkk->bk", counts), counts.sum(axis=1)))


def auroc(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Mean over classes of the area under the ROC curve, each class against the rest."""
    classes = range(probabilities.shape[1])
    areas = [_area(weights, labels == k, probabilities[:, k]) for k in classes]
    return _mean_of_defined(np.stack(areas, axis=-1))


def _area(weights: Floats, positive: NDArray[np.bool_], score: Floats) -> Floats:
    """The chance that a positive scores above a negative, ties counting half (Mann and Whitney)."""
    values, place = np.unique(score, return_inverse=True)
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(len(values)))
    ups = np.add.reduceat((weights * positive)[:, order], first, axis=1)  # (B, distinct scores)
    downs = np.add.reduceat((weights * ~positive)[:, order], first, axis=1)
    below = np.cumsum(downs, axis=1) - downs / 2
    return _ratio((ups * below).sum(axis=1), ups.sum(axis=1) * downs.sum(axis=1))


def ece(weights: Floats, labels: Labels, probabilities: Floats) -> Floats:
    """Weighted expected calibration error over `ECE_BINS` bins."""
    place, confidence, right = confidence_bins(labels, probabilities, ECE_BINS)
    gaps = weights @ (np.eye(ECE_BINS)[place] * (right - confidence)[:, None])
    return _ratio(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


def mean(weights: Floats, values: Floats) -> Floats:
    """Weighted mean of values (n,), of those that are defined (not NaN)."""
    defined = ~np.isnan(values)
    return _ratio(weights @ np.where(defined, values, 0.0), weights @ defined.astype(np.float64))
