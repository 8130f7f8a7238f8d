"""Clusters as classifiers of several classes: each is given the labels of the cases that fall into it.

Source: Dadoun et al., "Deep clustering for abdominal organ classification in ultrasound imaging", Journal of
Medical Imaging 10(3), 2023, section 2.2.3 and algorithm 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least
from sonoprior.core.errors import DataError

from .multilabel import checked_multilabels
from .thresholds import best_thresholds, decided

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class MatchedClusters:
    """What each of K clusters stands for.

    Attributes:
        labels: (K, C), the share of each class in the cluster, as `cluster_labels` has it.
        thresholds: (C,), the share from which on a class is predicted.
    """

    labels: Floats
    thresholds: Floats

    def predict(self, clusters: ArrayLike) -> Bools:
        """The classes (n, C) of cases in clusters (n,), for `multilabel_scores`.

        Raises:
            DataError: if a cluster is none of the K.
        """
        return decided(self.labels[_checked_clusters(clusters, len(self.labels))], self.thresholds)


def matched_clusters(clusters: ArrayLike, labels: ArrayLike, count: int) -> MatchedClusters:
    """Clusters matched with the labels of the development set, and the thresholds that are best there.

    Args:
        clusters: (n,) numbers from 0, of development cases: the most probable one of each.
        labels: (n, C) bool, their classes.
        count: K, how many clusters there are.

    Raises:
        DataError: as `cluster_labels`.

    >>> found = matched_clusters([0, 0, 1], [[True, False], [True, True], [False, True]], count=3)
    >>> found.labels.round(2)
    array([[1.  , 0.5 ],
           [0.  , 1.  ],
           [0.67, 0.67]])
    >>> found.predict([1, 0])
    array([[False,  True],
           [ True,  True]])
    """
    matched = cluster_labels(clusters, labels, count)
    return MatchedClusters(matched, best_thresholds(labels, matched[np.asarray(clusters)]))


def cluster_labels(clusters: ArrayLike, labels: ArrayLike, count: int) -> Floats:
    """Algorithm 1: the mean label vector of the cases in each cluster; of all cases, for an empty one.

    Args:
        clusters: (n,) numbers from 0, of development cases.
        labels: (n, C) bool, their classes.
        count: K, how many clusters there are.

    Returns:
        (K, C), in [0, 1].

    Raises:
        DataError: if there is no case, labels are not bool, there is not a cluster for each case, or one is
            none of the K.
        SonopriorError: if `count` is below 1.
    """
    at_least("count", count, 1)
    given = checked_multilabels("labels", labels)
    member = np.eye(count)[_checked_clusters(clusters, count, len(given))]  # (n, K)
    sizes = member.sum(axis=0)[:, None]
    prior = np.broadcast_to(given.mean(axis=0), (count, given.shape[1]))
    return np.divide(member.T @ given, sizes, out=prior.copy(), where=sizes > 0)


def label_combinations(labels: ArrayLike) -> Places:
    """The number (n,) from 0 of each case's combination of classes, as one class of its own.

    With these, clusters are measured by purity, adjusted Rand index and mutual information.

    >>> label_combinations([[True, False], [True, True], [True, False]])
    array([0, 1, 0])

    Args:
        labels: (n, C) bool. A case without any class has a combination like any other.

    Raises:
        DataError: if there is no case, or labels are not bool.
    """
    _, places = np.unique(checked_multilabels("labels", labels), axis=0, return_inverse=True)
    return places.reshape(-1).astype(np.int64)


def cluster_count(labels: ArrayLike, least: int = 1) -> int:
    """K: how many combinations of classes occur.

    Args:
        labels: (n, C) bool.
        least: how many cases a combination must have to count; the source keeps "the number of plausible and
            most common combinations" and gives no number.

    Raises:
        DataError: if there is no case, labels are not bool, or no combination is left.
        SonopriorError: if `least` is below 1.
    """
    at_least("least", least, 1)
    sizes = np.bincount(label_combinations(labels))
    count = int((sizes >= least).sum())
    if count == 0:
        raise DataError(
            f"no combination of classes has {least} cases; the most common one has {sizes.max()}."
        )
    return count


def _checked_clusters(clusters: ArrayLike, count: int, size: int | None = None) -> Places:
    """Cluster numbers (n,) as an array, if each is one of the K; n must be `size` where that is given."""
    given = np.asarray(clusters)
    wanted = (len(given) if given.ndim else 0) if size is None else size
    if given.shape != (wanted,) or not np.issubdtype(given.dtype, np.integer):
        raise DataError(
            f"clusters must be whole numbers of shape ({'n' if size is None else size},), but got"
            f" {given.dtype} of shape {given.shape}."
        )
    wrong = given[(given < 0) | (given >= count)]
    if len(wrong):
        raise DataError(f"clusters must lie between 0 and {count - 1}, but got {wrong[0]}.")
    return given.astype(np.int64)
