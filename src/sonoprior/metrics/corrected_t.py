"""The corrected resampled t-test: would the difference stand with other training sets and folds?

Folds share most of their training cases, so their differences are no independent draws, and the ordinary
t-test over folds is far too sure. Nadeau and Bengio (Inference for the generalization error, Machine
Learning 52, 2003, section 3) enlarge the variance of the mean of J differences from S^2 / J to
(1 / J + n_test / n_train) S^2, and compare with a t distribution of J - 1 degrees of freedom.
"""

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least, within
from sonoprior.core.errors import DataError

Floats = NDArray[np.float64]


class CorrectedT(NamedTuple):
    """A mean difference over splits with its bounds; bounds and p are NaN with fewer than two splits.

    Attributes:
        value: the mean over splits of the mean over the seeds of a split.
        low: the lower bound.
        high: the upper bound.
        p: two-sided, against a difference of zero.
        splits: J, how many splits have a difference; the degrees of freedom are J - 1.
    """

    value: float
    low: float
    high: float
    p: float
    splits: int

    @property
    def excludes_zero(self) -> bool:
        """True if both bounds lie on one side of zero."""
        return self.low > 0 or self.high < 0


def corrected_t(
    differences: ArrayLike, splits: ArrayLike, test_to_train: float, level: float = 0.95
) -> CorrectedT:
    """The corrected resampled t-test over k folds with r seeds each.

    J is the number of folds, not of runs: seeds on one fold have the same training and test cases, so
    they repeat a split and are averaged before anything else. Counting them as splits (J = k r) would
    divide by r what only other folds can tell. What seeds still vary after averaging stays in S^2.

    Args:
        differences: (n,) one for each run, treated minus baseline; NaN is left out.
        splits: (n,) the fold of each.
        test_to_train: n_test / n_train, the test cases over the training cases of a fold.
        level: share of studies whose interval should hold the true difference.

    Raises:
        DataError: if there are not as many splits as differences.
        SonopriorError: if `test_to_train` is negative or `level` is not between 0 and 1.
    """
    within("level", level, 0.0, 1.0)
    at_least("n_test / n_train", test_to_train, 0.0)
    means = _means_of_splits(np.asarray(differences, dtype=np.float64), np.asarray(splits))
    count = len(means)
    value = float(means.mean()) if count else float("nan")
    if count < 2:
        return CorrectedT(value, float("nan"), float("nan"), float("nan"), count)
    error = float(np.sqrt((1 / count + test_to_train) * means.var(ddof=1)))
    half = error * float(_student().ppf((1 + level) / 2, count - 1))
    return CorrectedT(value, value - half, value + half, _two_sided(value, error, count - 1), count)


def _means_of_splits(differences: Floats, splits: NDArray[np.generic]) -> Floats:
    """The mean over the seeds of each split that has one."""
    if differences.shape != splits.shape:
        raise DataError(
            f"a corrected t-test must have a split for each difference, but got {differences.size}"
            f" differences and {splits.size} splits."
        )
    defined = ~np.isnan(differences)
    _, place = np.unique(splits[defined], return_inverse=True)
    return np.bincount(place, weights=differences[defined]) / np.bincount(place)


def _student() -> Any:
    """Student's distribution, of a library that is slow to import, and a bundle answers without."""
    return import_module("scipy.stats").t


def _two_sided(value: float, error: float, freedom: int) -> float:
    # Without any spread the statistic is 0 / 0 for no difference, and infinite for one.
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * _student().sf(abs(value) / error, freedom))
