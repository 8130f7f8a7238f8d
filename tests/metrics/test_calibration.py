import numpy as np
import pytest

from sonoprior.core.errors import SonopriorError
from sonoprior.metrics.calibration import ece, reliability


def slow_ece(labels, probabilities, bins):
    """Equation 3 of Guo et al., bin by bin."""
    total = 0.0
    for number in range(bins):
        inside = [
            (p.max(), float(p.argmax() == y))
            for y, p in zip(labels, probabilities, strict=True)
            if number / bins < p.max() <= (number + 1) / bins
        ]
        if inside:
            confidence, right = np.mean(inside, axis=0)
            total += len(inside) / len(labels) * abs(right - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_ece_agrees_with_a_slow_loop(bins):
    rng = np.random.default_rng(bins)
    labels, probabilities = rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)
    assert ece(labels, probabilities, bins) == pytest.approx(slow_ece(labels, probabilities, bins))


def test_half_right_at_ninety_percent_is_off_by_forty():
    assert ece(np.array([0, 1]), np.array([[0.9, 0.1], [0.9, 0.1]])) == pytest.approx(0.4)


def test_reliability_has_one_entry_a_bin_and_nan_where_it_is_empty():
    found = reliability(np.array([0, 1, 0]), np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), bins=5)
    assert found.edges == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert found.count.tolist() == [0, 0, 1, 0, 2]
    assert found.confidence == pytest.approx([np.nan, np.nan, 0.6, np.nan, 0.9], nan_ok=True)
    assert found.accuracy == pytest.approx([np.nan, np.nan, 1, np.nan, 0.5], nan_ok=True)


def test_no_bins_are_refused():
    with pytest.raises(SonopriorError, match="bins must be at least 1, but got 0"):
        ece(np.array([0]), np.array([[1.0, 0.0]]), bins=0)
    with pytest.raises(SonopriorError, match="bins must be at least 1, but got 0"):
        reliability(np.array([0]), np.array([[1.0, 0.0]]), bins=0)
