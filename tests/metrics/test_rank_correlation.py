import numpy as np
import pytest
from scipy.stats import spearmanr

from sonoprior.metrics.rank_correlation import spearman


def test_rows_with_ties_and_gaps_agree_with_scipy():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(12, 30))
    second = np.round(first + rng.normal(size=first.shape))
    first[rng.random(first.shape) < 0.2] = -np.inf
    second[rng.random(second.shape) < 0.2] = np.nan
    slow = []
    for one, two in zip(first, second, strict=True):
        both = np.isfinite(one) & np.isfinite(two)
        slow.append(spearmanr(one[both], two[both]).statistic)
    assert spearman(first, second) == pytest.approx(slow)


def test_a_row_that_cannot_be_ordered_has_no_correlation():
    first = np.array([[1.0, 2, 3], [1, 1, 1], [1, np.nan, np.nan], [-np.inf, 1, 2]])
    second = np.array([[3.0, 2, 1], [1, 2, 3], [1, 2, 3], [5, 4, np.nan]])
    assert spearman(first, second) == pytest.approx([-1, np.nan, np.nan, np.nan], nan_ok=True)
