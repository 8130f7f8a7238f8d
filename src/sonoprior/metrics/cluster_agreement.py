"""How well clusters are classes, besides mutual information (`clustering`): purity, adjusted Rand index.

Both rise in a resample, where cases repeat: fewer different cases are more easily of one kind, and a case
always agrees with its copies. `bootstrap.resampled` moves them back.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Array = NDArray[Any]


class Purity:
    """Of labels (n,) and clusters (n,), the share of cases that have their cluster's most common label.

    NaN with one class only. More clusters are purer, up to 1 for a cluster a case: compare it at one K.
    """

    rises_with_repeats = True

    def __call__(self, labels: Array, clusters: Array) -> float:
        """The number for cases that count alike."""
        return float(self.weighted(np.ones((1, len(labels))), labels, clusters)[0])

    def weighted(self, weights: Floats, labels: Array, clusters: Array) -> Floats:
        """The numbers (B,) for weights (B, n), where a case of weight w counts as w equal cases."""
        counted = _Counted.of(weights, labels, clusters)
        most = np.maximum.reduceat(counted.both, counted.first, axis=1).sum(axis=1)
        return counted.defined(most / counted.total.clip(min=1))


class AdjustedRand:
    """The adjusted Rand index of labels (n,) and clusters (n,): 1 for the same groups, 0 as by chance.

    NaN with one class only.

    Source: Hubert and Arabie, "Comparing partitions", Journal of Classification 2, 1985.
    """

    rises_with_repeats = True

    def __call__(self, labels: Array, clusters: Array) -> float:
        """The number for cases that count alike."""
        if len(np.unique(labels)) < 2:
            return float("nan")
        from sklearn.metrics import adjusted_rand_score  # slow to import, and a bundle answers without

        return float(adjusted_rand_score(labels, clusters))

    def weighted(self, weights: Floats, labels: Array, clusters: Array) -> Floats:
        """The numbers (B,) for weights (B, n), where a case of weight w counts as w equal cases."""
        counted = _Counted.of(weights, labels, clusters)
        together, of_labels, of_clusters, everyone = (
            _pairs(sizes).sum(axis=1)
            for sizes in (counted.both, counted.labels, counted.clusters, counted.total[:, None])
        )
        chance = of_labels * of_clusters / everyone.clip(min=1)
        highest = (of_labels + of_clusters) / 2
        # Where neither side has a pair, both are the same: every case on its own.
        agreed = np.ones(len(weights))
        return counted.defined(
            np.divide(together - chance, highest - chance, out=agreed, where=highest > chance)
        )


@dataclass(frozen=True)
class _Counted:
    """The weight in each of L classes (B, L), K clusters (B, K), and cells of both that occur (B, m).

    Cells are sorted by cluster; `first` (K,) is where those of each cluster begin.
    """

    labels: Floats
    clusters: Floats
    both: Floats
    first: Places

    @classmethod
    def of(cls, weights: Floats, labels: Array, clusters: Array) -> "_Counted":
        classes, of_label = np.unique(labels, return_inverse=True)
        groups, of_cluster = np.unique(clusters, return_inverse=True)
        cells, of_both = np.unique(of_cluster * len(classes) + of_label, return_inverse=True)
        first = np.searchsorted(cells // len(classes), np.arange(len(groups)))
        by_label, by_cluster, by_both = (_sums(weights, of) for of in (of_label, of_cluster, of_both))
        return cls(by_label, by_cluster, by_both, first)

    @property
    def total(self) -> Floats:
        return self.labels.sum(axis=1)

    def defined(self, values: Floats) -> Floats:
        """The values (B,), NaN where fewer than two classes have weight."""
        return np.where((self.labels > 0).sum(axis=1) > 1, values, np.nan)


def _sums(weights: Floats, places: Places) -> Floats:
    """The sums (B, k) of weights (B, n) at each of k places (n,), none of which is empty."""
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(places.max() + 1))
    return np.add.reduceat(weights[:, order], starts, axis=1)


def _pairs(counts: Floats) -> Floats:
    return counts * (counts - 1) / 2
