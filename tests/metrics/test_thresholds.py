import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from sonoprior.core.errors import DataError
from sonoprior.metrics.thresholds import best_thresholds, decided, midway


def scored(seed, n=40, digits=1):
    """Labels and scores, many of which are tied."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n, 3)) < (0.5, 0.2, 0.8)
    return labels, (rng.random((n, 3)) + 0.4 * labels).round(digits)


def slow(labels, scores):
    """The highest of the best, one after the other."""
    best = (-1.0, None)
    for threshold in sorted(set(scores), reverse=True):
        value = f1_score(labels, scores >= threshold)
        if value > best[0] + 1e-12:
            best = (value, threshold)
    return best[1]


@pytest.mark.parametrize("seed", range(4))
def test_they_are_the_slow_search(seed):
    labels, scores = scored(seed)
    assert best_thresholds(labels, scores) == pytest.approx(
        [slow(labels[:, c], scores[:, c]) for c in range(3)]
    )


def test_no_threshold_is_better_by_the_curve_of_scikit_learn():
    labels, scores = scored(9, n=300, digits=6)
    chosen = decided(scores, best_thresholds(labels, scores))
    for c in range(3):
        precision, recall, _ = precision_recall_curve(labels[:, c], scores[:, c])
        possible = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        assert f1_score(labels[:, c], chosen[:, c]) == pytest.approx(possible.max())


def test_of_equally_good_ones_the_highest_is_taken():
    """From 0.9 one of three is found, F1 1/2; from 0.2, three of nine claimed are right, 1/2 again."""
    labels = np.array([[True]] + [[False]] * 6 + [[True]] * 2)
    scores = np.array([[0.9]] + [[0.2]] * 8)
    assert best_thresholds(labels, scores) == pytest.approx([0.9])
    all_alike = np.full((9, 1), 0.3)
    assert best_thresholds(labels, all_alike) == pytest.approx([0.3])


def test_a_class_without_positives_is_never_predicted():
    labels = np.array([[True, False], [False, False]])
    found = best_thresholds(labels, [[0.7, 1.0], [0.1, 0.2]])
    assert found.tolist() == [0.7, np.inf]
    assert decided([[0.7, 1.0], [0.69, 9.0]], found).tolist() == [[True, False], [False, False]]


def test_what_cannot_be_used_is_refused():
    labels, scores = scored(0)
    with pytest.raises(DataError, match=r"must have shape \(40, 3\), cases by classes, but got \(40, 2\)"):
        best_thresholds(labels, scores[:, :2])
    with pytest.raises(DataError, match="labels must be bool"):
        best_thresholds(np.where(labels, 1.0, np.nan), scores)
    with pytest.raises(DataError, match=r"must have shape \(40, 2\)"):
        decided(scores, [0.5, 0.5])
    scores[3, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 40 cases have a NaN or infinite one \(first: case 3\)"):
        decided(scores, [0.5] * 3)


@pytest.mark.parametrize("seed", range(3))
def test_midway_they_decide_the_same_and_hang_on_no_score(seed):
    labels, scores = scored(seed)
    best = best_thresholds(labels, scores)
    found = midway(best, scores)
    assert np.array_equal(decided(scores, found), decided(scores, best))
    for c in range(3):
        lower = [score for score in scores[:, c] if score < best[c]]
        assert found[c] == pytest.approx((best[c] + max(lower, default=0)) / 2)
        assert found[c] not in scores[:, c]
    assert midway([np.inf], [[0.2], [0.4]]) == np.inf
    with pytest.raises(DataError, match=r"scores must have shape \(40, 2\)"):
        midway(best[:2], scores)
