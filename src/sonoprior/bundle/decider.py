"""From what a network gives to the classes that a case shows, where each class is decided on by itself.

Everything that is decided by is learnt from the validation part: a threshold a class, and for a network that
clusters what each cluster stands for (algorithm 1 of Dadoun et al., Journal of Medical Imaging 10(3), 2023).
Free of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.combinations import name_of
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import read_json, write_json
from sonoprior.metrics.cluster_matching import matched_clusters
from sonoprior.metrics.thresholds import best_thresholds, decided, midway

FILE = "decisions.json"
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Decider:
    """The thresholds of C classes, and what K clusters stand for.

    Attributes:
        classes: the C single classes.
        thresholds: (C,), the score from which on a class is predicted; infinite for one that never is,
            because no validation case shows it.
        clusters: (K, C), the share of each class in each cluster; None where the network gives a probability
            of each class itself.
    """

    classes: Sequence[str]
    thresholds: Floats
    clusters: Floats | None = None

    @staticmethod
    def of_probabilities(classes: Sequence[str], labels: Bools, probabilities: Floats) -> "Decider":
        """The thresholds with the highest F1 on validation cases: labels and probabilities (n, C)."""
        return Decider(classes, midway(best_thresholds(labels, probabilities), probabilities))

    @staticmethod
    def of_clusters(classes: Sequence[str], labels: Bools, clusters: Places, count: int) -> "Decider":
        """K clusters matched with validation cases: labels (n, C), the cluster of each (n,)."""
        matched = matched_clusters(clusters, labels, count)
        return Decider(classes, matched.thresholds, matched.labels)

    def scores(self, probabilities: Floats | None, clusters: Places | None) -> Floats:
        """How much speaks for each class, (n, C): its probability (n, C) or its share in the cluster (n,)."""
        if self.clusters is not None:
            assert clusters is not None  # it was learnt from clusters
            return self.clusters[clusters]
        assert probabilities is not None  # it was learnt from probabilities
        return probabilities

    def decided(self, scores: Floats) -> Bools:
        """Which classes are predicted, (n, C)."""
        return decided(scores, self.thresholds)

    def names(self, scores: Floats) -> list[str]:
        """The same in words, (n,): "liver + kidney"."""
        return [name_of(row, self.classes) for row in self.decided(scores)]

    def confidence(self, scores: Floats) -> Floats:
        """How sure it is, (n,): the score of the predicted class that least speaks for.

        Where no class is predicted, what is left by the class that most speaks for.
        """
        shown = self.decided(scores)
        return np.where(
            shown.any(axis=1), np.where(shown, scores, np.inf).min(axis=1), 1 - scores.max(axis=1)
        )

    def write(self, folder: Path) -> None:
        """Write `decisions.json`; a class that is never predicted has no threshold."""
        limits = [None if np.isinf(limit) else float(limit) for limit in self.thresholds]
        content: dict[str, Any] = {"thresholds": dict(zip(self.classes, limits, strict=True))}
        if self.clusters is not None:
            content["clusters"] = [
                {name: float(share) for name, share in zip(self.classes, row, strict=True)}
                for row in self.clusters
            ]
        write_json(folder / FILE, content)

    @staticmethod
    def read(folder: Path, classes: Sequence[str]) -> "Decider":
        """The decider of a run folder.

        Raises:
            FolderError: if the file is missing, or is not of these classes.
        """
        content = read_json(folder / FILE)
        try:
            limits = [content["thresholds"][name] for name in classes]
            clusters = [[row[name] for name in classes] for row in content.get("clusters", [])]
            thresholds = np.array([np.inf if limit is None else float(limit) for limit in limits])
            shares = np.array(clusters, np.float64) if clusters else None
        except (KeyError, TypeError, ValueError) as error:
            raise FolderError(
                f"{folder / FILE} must hold a threshold of each class and the classes of each cluster, but is"
                f" damaged: {error}."
            ) from error
        return Decider(classes, thresholds, shares)
