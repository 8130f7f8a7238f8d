import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from sonoprior.core.errors import DataError
from sonoprior.metrics.temperature import fitted_temperature


class Logits(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose logits are its inputs."""

    def __init__(self, classes=4):
        self.classes = classes
        self.classes_ = np.arange(classes)

    def fit(self, _x, _y):
        return self

    def decision_function(self, x):
        return x

    def predict(self, x):
        return x.argmax(1)

    def __sklearn_is_fitted__(self):
        return True


def drawn(rng, n, temperature, classes=4):
    """Logits too large by a temperature, and labels drawn as the right ones say."""
    right = 2 * rng.normal(size=(n, classes))
    chances = np.exp(right) / np.exp(right).sum(1, keepdims=True)
    labels = (chances.cumsum(1) < rng.random((n, 1))).sum(1)
    return temperature * right, labels


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_it_is_the_temperature_of_scikit_learn_where_cases_are_many(seed, temperature):
    logits, labels = drawn(np.random.default_rng(seed), 2000, temperature)
    peer = CalibratedClassifierCV(FrozenEstimator(Logits()), method="temperature").fit(logits, labels)
    beta = peer.calibrated_classifiers_[0].calibrators[0].beta_
    assert fitted_temperature(logits, labels) == pytest.approx(1 / beta, rel=1e-3)
    assert fitted_temperature(logits, labels) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_several_labels_have_their_temperature(temperature):
    rng = np.random.default_rng(0)
    right = 2 * rng.normal(size=(20_000, 3))
    shown = rng.random(right.shape) < 1 / (1 + np.exp(-right))
    assert fitted_temperature(temperature * right, shown) == pytest.approx(temperature, rel=0.05)


def test_cases_that_are_all_right_do_not_make_it_infinitely_sure():
    logits = np.array([[1.0, 0.0], [0.0, 1.0]] * 10)
    labels = np.array([0, 1] * 10)
    # The chance of the next error is 1 / 22, so that the logits' difference becomes log 21.
    assert fitted_temperature(logits, labels) == pytest.approx(1 / np.log(21), rel=1e-3)


def test_several_labels_that_are_all_right_do_not_make_it_infinitely_sure():
    shown = np.array([[True, False], [False, True]] * 10)
    assert fitted_temperature(np.where(shown, 1.0, -1.0), shown) == pytest.approx(1 / np.log(21), rel=1e-3)


def test_cosines_become_probabilities():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 500)
    cosines = 0.1 * rng.normal(size=(500, 5)) + 0.5 * np.eye(5)[labels]
    scaled = cosines / fitted_temperature(cosines, labels)
    chances = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    assert chances.max(1).mean() > 0.95


def test_a_class_that_no_case_shows_is_no_obstacle():
    logits, labels = drawn(np.random.default_rng(0), 500, 2.0)
    kept = labels != 3
    assert 1 < fitted_temperature(logits[kept], labels[kept]) < 4


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[np.nan, 1.0]], [0], "needs finite logits, but got NaN"),
        (np.empty((0, 2)), [], "of a case or more"),
        ([[0.1, 1.0]], [0, 1], r"but got shapes \(1, 2\) and \(2,\)"),
    ],
)
def test_what_cannot_be_used_is_refused(logits, labels, message):
    with pytest.raises(DataError, match=message):
        fitted_temperature(logits, np.array(labels, dtype=int))
