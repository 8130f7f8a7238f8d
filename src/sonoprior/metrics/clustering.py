"""Clustering: do the embeddings fall into groups that are the classes?"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .classes import checked_classes
from .neighbours import prepared

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Array = NDArray[Any]


def nmi(
    embeddings: ArrayLike, labels: ArrayLike, distance: str = "cosine", seed: int = 0, starts: int = 10
) -> float:
    """Normalised mutual information of the classes and as many clusters; NaN with one class only.

    The clusters are those of `clusters`. Normalised by the arithmetic mean of the two entropies.

    Args:
        embeddings: (n, d).
        labels: (n,) classes.
        distance: "cosine" or "euclidean".
        seed: of k-means.
        starts: how many times k-means starts.

    Raises:
        DataError: if a label is unknown or an embedding cannot be used.
    """
    given = checked_classes("clustering", labels, len(np.asarray(embeddings)))
    count = len(np.unique(given))
    found = clusters(embeddings, max(count, 1), distance, seed, starts)
    return MutualInformation()(given, found)


def clusters(
    embeddings: ArrayLike, count: int, distance: str = "cosine", seed: int = 0, starts: int = 10
) -> Places:
    """The cluster (n,) of each case, from 0, by k-means (scikit-learn): the best of some starts.

    Args:
        embeddings: (n, d); scaled to length 1 for a cosine.
        count: how many clusters, as the classes that occur.
        distance: "cosine" or "euclidean".
        seed: of k-means.
        starts: how many times k-means starts.

    Raises:
        DataError: if an embedding cannot be used.
    """
    from sklearn.cluster import KMeans  # slow to import, and recipes name metrics without computing any

    points = prepared(embeddings, distance)
    found = KMeans(count, n_init=starts, random_state=seed).fit_predict(points)  # pyright: ignore[reportArgumentType]
    return found.astype(np.int64)


class MutualInformation:
    """Normalised mutual information of labels (n,) and clusters (n,); NaN with one class only.

    Normalised by the arithmetic mean of the two entropies, as scikit-learn does.

    Attributes:
        rises_with_repeats: fewer different cases fall into clusters more tidily by chance alone, so that a
            bootstrap's resamples lie above the number; `bootstrap.resampled` moves them back.
    """

    rises_with_repeats = True

    def __call__(self, labels: Array, clusters: Array) -> float:
        """The number for cases that count alike."""
        if len(np.unique(labels)) < 2:
            return float("nan")
        from sklearn.metrics import (
            normalized_mutual_info_score,
        )  # slow to import, and a bundle answers without

        return float(normalized_mutual_info_score(labels, clusters))

    def weighted(self, weights: Floats, labels: Array, clusters: Array) -> Floats:
        """The numbers (B,) for weights (B, n), where a case of weight w counts as w equal cases."""
        _, of_label = np.unique(labels, return_inverse=True)
        columns, of_cluster = np.unique(clusters, return_inverse=True)
        # Only the pairs that occur: of many classes and as many clusters most cells are empty.
        _, of_both = np.unique(of_label * len(columns) + of_cluster, return_inverse=True)
        by_label, by_cluster, by_both = (_shares(weights, of) for of in (of_label, of_cluster, of_both))
        half = (_entropy(by_label) + _entropy(by_cluster)) / 2
        mutual = 2 * half - _entropy(by_both)
        several = (by_label > 0).sum(axis=1) > 1
        return np.divide(mutual.clip(min=0), half, out=np.full(len(weights), np.nan), where=several)


def _shares(weights: Floats, places: Array) -> Floats:
    """The share (B, k) of the weight (B, n) at each of k places (n,); 0 where there is no weight."""
    sums = weights @ np.eye(places.max(initial=-1) + 1)[places]
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)


def _entropy(shares: Floats) -> Floats:
    """In nats (B,), of shares (B, k)."""
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -np.einsum("bk,bk->b", shares, logarithms)  # b draws, k classes
