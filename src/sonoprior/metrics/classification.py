"""Classification: how often right, for each class and over classes, how well ranked, how well calibrated.

Each scalar stands once in `SCALARS`, with its value for one set of cases (scikit-learn where it has it)
and with its form for weighted cases, many weightings at once, which the bootstrap uses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import weighted
from .calibration import ece
from .probabilities import checked

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scalar:
    """One number about a classifier on some cases.

    Attributes:
        title: how tables call it.
        value: (labels (n,), probabilities (n, K)) to the number; NaN where it is not defined.
        weighted: (weights (B, n), labels, probabilities) to (B,) numbers, where a case of weight w
            counts as w equal cases.
        higher_is_better: True for accuracy, False for an error.
        rises_with_repeats: whether cases that repeat, as in every resample, raise it; see
            `clustering.MutualInformation`.
    """

    title: str
    value: Callable[[Labels, Floats], float]
    weighted: Callable[[Floats, Labels, Floats], Floats]
    higher_is_better: bool = True
    rises_with_repeats: bool = False

    def __call__(self, labels: ArrayLike, probabilities: ArrayLike) -> float:
        """The number for labels (n,) and probabilities (n, K); see `checked` for what is refused."""
        return float(self.value(*checked(labels, probabilities)))


def accuracy(labels: Labels, probabilities: Floats) -> float:
    """Share of cases whose most probable class is the right one."""
    return float(_sklearn().accuracy_score(labels, probabilities.argmax(axis=1)))


def balanced_accuracy(labels: Labels, probabilities: Floats) -> float:
    """Mean over classes of the share found; classes without a case are left out."""
    return float(np.nanmean(_by_class(_sklearn().recall_score, labels, probabilities)))


def macro_f1(labels: Labels, probabilities: Floats) -> float:
    """Mean F1 over the classes that occur or are predicted."""
    return float(np.nanmean(_by_class(_sklearn().f1_score, labels, probabilities)))


def macro_precision(labels: Labels, probabilities: Floats) -> float:
    """Mean precision over the classes that are predicted; one that never is costs nothing here."""
    return float(np.nanmean(_by_class(_sklearn().precision_score, labels, probabilities)))


def auroc(labels: Labels, probabilities: Floats) -> float:
    """Area under the ROC curve, each class against the rest, mean over classes; NaN with one class only.

    Classes without a case have no curve and are left out.
    """
    present = np.unique(labels)
    if len(present) < 2:
        return float("nan")
    return float(np.mean([_sklearn().roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


SCALARS: dict[str, Scalar] = {
    "balanced_accuracy": Scalar("balanced accuracy", balanced_accuracy, weighted.balanced_accuracy),
    "accuracy": Scalar("accuracy", accuracy, weighted.accuracy),
    "macro_f1": Scalar("macro F1", macro_f1, weighted.macro_f1),
    "macro_precision": Scalar("macro precision", macro_precision, weighted.macro_precision),
    "auroc": Scalar("AUROC", auroc, weighted.auroc),
    "ece": Scalar("calibration error", ece, weighted.ece, higher_is_better=False, rises_with_repeats=True),
}


def class_f1(labels: ArrayLike, probabilities: ArrayLike) -> Floats:
    """F1 of each class, (K,); NaN for a class that neither occurs nor is predicted."""
    return _by_class(_sklearn().f1_score, *checked(labels, probabilities))


def class_precision(labels: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Share of the cases taken for each class that are of it, (K,); NaN for a class never predicted."""
    return _by_class(_sklearn().precision_score, *checked(labels, probabilities))


def class_recall(labels: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Share of each class that was found, (K,); NaN for a class without a case."""
    return _by_class(_sklearn().recall_score, *checked(labels, probabilities))


def _sklearn() -> Any:
    """The metrics of scikit-learn, which are slow to import, and a bundle answers without."""
    return import_module("sklearn.metrics")


def _by_class(score: Callable[..., Any], labels: Labels, probabilities: Floats) -> Floats:
    everyone = np.arange(probabilities.shape[1])
    return score(labels, probabilities.argmax(axis=1), labels=everyone, average=None, zero_division=np.nan)


def confusion(labels: ArrayLike, probabilities: ArrayLike) -> Labels:
    """Counts (K, K): row the true class, column the predicted one."""
    found, given = checked(labels, probabilities)
    return _sklearn().confusion_matrix(found, given.argmax(axis=1), labels=np.arange(given.shape[1]))


def classification(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float | list[float]]:
    """Every metric of a classifier on some cases.

    Args:
        labels: (n,) class numbers from 0 to K - 1.
        probabilities: (n, K), rows that sum to one.

    Returns:
        the scalars of `SCALARS` by name, "f1", "precision" and "recall" (a number a class, NaN where not
        defined) and "confusion" (K rows of K counts).

    Raises:
        DataError: as `checked` says.
    """
    scalars = {name: scalar(labels, probabilities) for name, scalar in SCALARS.items()}
    return scalars | {
        "f1": class_f1(labels, probabilities).tolist(),
        "precision": class_precision(labels, probabilities).tolist(),
        "recall": class_recall(labels, probabilities).tolist(),
        "confusion": confusion(labels, probabilities).tolist(),
    }
