from statistics import mean

import numpy as np
import pytest
from scipy import stats

from sonoprior.core.errors import DataError, SonopriorError
from sonoprior.metrics import corrected_t


def slow(by_fold, n_test, n_train):
    """Nadeau and Bengio, section 3, line by line: mean, S^2, enlarged variance, t with J - 1 degrees."""
    differences = [mean(seeds) for seeds in by_fold]
    count = len(differences)
    average = sum(differences) / count
    spread = sum((one - average) ** 2 for one in differences) / (count - 1)
    variance = (1 / count + n_test / n_train) * spread
    t = average / variance**0.5
    p = 2 * (1 - stats.t.cdf(abs(t), count - 1))
    half = stats.t.ppf(0.975, count - 1) * variance**0.5
    return average, average - half, average + half, p, count


def long_form(by_fold):
    values = [value for seeds in by_fold for value in seeds]
    return values, [fold for fold, seeds in enumerate(by_fold) for _ in seeds]


@pytest.mark.parametrize("seeds", [1, 4])
def test_it_agrees_with_a_slow_loop_over_the_formula(seeds):
    by_fold = np.random.default_rng(seeds).normal(0.02, 0.03, (5, seeds)).tolist()
    assert corrected_t(*long_form(by_fold), 125 / 450) == pytest.approx(slow(by_fold, 125, 450))


def test_by_hand():
    """Three folds of 1, 2 and 3 points: mean 2, S^2 1, and a test part half as large as the training part."""
    found = corrected_t([0.01, 0.02, 0.03], [0, 1, 2], 0.5)
    half = 0.01 * (1 / 3 + 1 / 2) ** 0.5 * 4.302653
    assert found == pytest.approx((0.02, 0.02 - half, 0.02 + half, 0.15983, 3), abs=1e-5)


def test_without_the_correction_it_is_the_ordinary_paired_t_test():
    rng = np.random.default_rng(3)
    treated, baseline = rng.random(8), rng.random(8)
    ordinary = stats.ttest_rel(treated, baseline)
    found = corrected_t(treated - baseline, range(8), 0.0)
    interval = ordinary.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx((ordinary.pvalue, interval.low, interval.high))


def test_seeds_of_a_fold_are_averaged_and_never_counted_as_folds():
    once, often = [0.01, 0.04, 0.02], [0.01, 0.04, 0.02] * 6
    assert corrected_t(often, [0, 1, 2] * 6, 0.25) == corrected_t(once, [0, 1, 2], 0.25)


def test_a_fold_with_fewer_seeds_counts_as_much_as_the_others():
    found = corrected_t([1.0, 3.0, 5.0], [0, 0, 1], 0.25)
    assert (found.value, found.splits) == (3.5, 2)


def test_undefined_differences_are_left_out():
    nan = float("nan")
    assert corrected_t([1.0, nan, 2.0, nan], [0, 0, 1, 2], 0.25) == corrected_t([1.0, 2.0], [0, 1], 0.25)


@pytest.mark.parametrize("values", [[], [0.3], [0.3, 0.1], [float("nan")]])
def test_one_split_says_nothing_of_others(values):
    found = corrected_t(values, [0] * len(values), 0.25)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert not found.excludes_zero


def test_no_spread():
    assert corrected_t([0.0, 0.0], [0, 1], 0.25) == (0, 0, 0, 1, 2)
    assert corrected_t([0.5, 0.5], [0, 1], 0.25) == (0.5, 0.5, 0.5, 0, 2)


def test_zero_is_left_out_when_p_is_small():
    for values in ([0.01, 0.02, 0.03], [0.02, 0.021, 0.022], [-0.02, -0.021, -0.022]):
        found = corrected_t(values, [0, 1, 2], 0.25)
        assert found.excludes_zero == (found.p < 0.05)


def test_wrong_input_is_refused():
    with pytest.raises(DataError, match="a split for each difference, but got 2 differences and 1 splits"):
        corrected_t([0.1, 0.2], [0], 0.25)
    with pytest.raises(SonopriorError, match="n_test / n_train must be at least 0, but got -1"):
        corrected_t([0.1, 0.2], [0, 1], -1)
    with pytest.raises(SonopriorError, match="level must lie between 0 and 1, but got 95"):
        corrected_t([0.1, 0.2], [0, 1], 0.25, level=95)
