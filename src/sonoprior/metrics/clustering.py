"""Clustering: do the embeddings fall into groups that are the classes?"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from .classes import checked_classes
from .neighbours import prepared


def nmi(
    embeddings: ArrayLike, labels: ArrayLike, distance: str = "cosine", seed: int = 0, starts: int = 10
) -> float:
    """Normalised mutual information of the classes and as many clusters; NaN with one class only.

    The clusters are those of k-means (scikit-learn), the best of `starts` starts drawn from `seed`; for a
    cosine the embeddings are scaled to length 1. Normalised by the arithmetic mean of the two entropies.

    Args:
        embeddings: (n, d).
        labels: (n,) classes.
        distance: "cosine" or "euclidean".
        seed: of k-means.
        starts: how many times k-means starts.

    Raises:
        DataError: if a label is unknown or an embedding cannot be used.
    """
    points = prepared(embeddings, distance)
    given = checked_classes("clustering", labels, len(points))
    classes = len(np.unique(given))
    if classes < 2:
        return float("nan")
    clusters = KMeans(classes, n_init=starts, random_state=seed).fit_predict(points)  # pyright: ignore[reportArgumentType]
    return float(normalized_mutual_info_score(given, clusters))
