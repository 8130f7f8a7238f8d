"""Cases of several classes at once: precision, recall and F1 by class, and their weighted averages.

Shapes: n cases, C classes; labels (n, C) and predictions (n, C) are bool. What is not defined is NaN and left
out of averages: the precision of a class never predicted, the recall of one that does not occur, the F1 of
one that does neither.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.errors import DataError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MultiLabelScores:
    """The columns of table 1 of Dadoun et al. 2023: a number a class, and averages weighted by labels.

    Attributes:
        precision: (C,). recall: (C,). f1: (C,), 2 TP / (2 TP + FP + FN).
        cases: (C,), how many cases have the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    cases: Floats

    @property
    def weighted_precision(self) -> float:
        """The mean over the classes, each as often as it has cases; NaN if none has any."""
        return float(_averaged(self.precision, self.cases))

    @property
    def weighted_recall(self) -> float:
        """As `weighted_precision`; it is the share of all labels that were found."""
        return float(_averaged(self.recall, self.cases))

    @property
    def weighted_f1(self) -> float:
        """As `weighted_precision`."""
        return float(_averaged(self.f1, self.cases))


def multilabel_scores(labels: ArrayLike, predicted: ArrayLike) -> MultiLabelScores:
    """Every score of the classes that cases have, (n, C) bool, and those predicted, (n, C) bool.

    Raises:
        DataError: if there is no case, either is not bool, or they differ in shape.
    """
    given, found = checked_multilabels("labels", labels), checked_multilabels("predictions", predicted)
    if given.shape != found.shape:
        raise DataError(
            f"predictions must have the shape of the labels, {given.shape}, but got {found.shape}."
        )
    both, has, claimed = _counts(np.ones((1, len(given))), given, found)
    return MultiLabelScores(
        _ratio(both, claimed)[0], _ratio(both, has)[0], _ratio(2 * both, has + claimed)[0], has[0]
    )


@dataclass(frozen=True)
class OverClasses:
    """A score of each class of labels (n, C) and predictions (n, C), averaged over classes; NaN without any.

    Attributes:
        score: of a class.
        by_cases: whether a class counts as often as it has cases, as in table 1 of the source; else every
            class whose score is defined counts alike, and of one column it is the score of that class.
    """

    score: Literal["f1", "precision", "recall"] = "f1"
    by_cases: bool = True

    def __call__(self, labels: Bools, predicted: Bools) -> float:
        """The number for cases that count alike."""
        return float(self.weighted(np.ones((1, len(labels))), labels, predicted)[0])

    def weighted(self, weights: Floats, labels: Bools, predicted: Bools) -> Floats:
        """The numbers (B,) for weights (B, n), where a case of weight w counts as w equal cases."""
        both, has, claimed = _counts(weights, labels, predicted)
        above, below = {
            "f1": (2 * both, has + claimed),
            "precision": (both, claimed),
            "recall": (both, has),
        }[self.score]
        return _averaged(_ratio(above, below), has if self.by_cases else np.ones_like(has))


class ExactMatch:
    """The share of cases whose classes (n, C) are all predicted (n, C), and no other."""

    def __call__(self, labels: Bools, predicted: Bools) -> float:
        """The number for cases that count alike."""
        return float(self.weighted(np.ones((1, len(labels))), labels, predicted)[0])

    def weighted(self, weights: Floats, labels: Bools, predicted: Bools) -> Floats:
        """The numbers (B,) for weights (B, n), where a case of weight w counts as w equal cases."""
        return _ratio(weights @ (labels == predicted).all(axis=1).astype(np.float64), weights.sum(axis=1))


def checked_multilabels(what: str, given: ArrayLike) -> Bools:
    """Classes of cases as an array, if it is one.

    Raises:
        DataError: if it is not bool (n, C), or has no case or no class.
    """
    found: NDArray[Any] = np.asarray(given)
    if found.ndim != 2 or found.dtype != np.bool_:
        raise DataError(
            f"{what} must be bool of shape (n, classes), but got {found.dtype} of shape {found.shape};"
            " leave out the cases whose classes are unknown."
        )
    if found.size == 0:
        raise DataError(f"{what} need at least one case and one class, but got shape {found.shape}.")
    return found


def _counts(weights: Floats, labels: Bools, predicted: Bools) -> tuple[Floats, Floats, Floats]:
    """Weight of the cases with a class that was predicted, with it, and predicted: (B, C) each."""
    both, has, claimed = (
        weights @ each.astype(np.float64) for each in (labels & predicted, labels, predicted)
    )
    return both, has, claimed


def _averaged(values: Floats, cases: Floats) -> Floats:
    """Mean over the last axis of what is defined, weighted by cases."""
    counted = np.where(np.isnan(values), 0.0, cases)
    return _ratio((np.nan_to_num(values) * counted).sum(axis=-1), counted.sum(axis=-1))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
