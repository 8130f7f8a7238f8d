import warnings

import numpy as np
import pytest
from sklearn import metrics as oracle

from sonoprior.core.errors import DataError
from sonoprior.metrics.classification import (
    SCALARS,
    class_f1,
    class_precision,
    class_recall,
    classification,
    confusion,
)


def cases(seed: int, n: int = 80, classes: int = 4, missing: tuple[int, ...] = ()):
    """Labels and probabilities that are right more often than not; some classes without a case."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([k for k in range(classes) if k not in missing], n)
    scores = rng.dirichlet(np.ones(classes), n)
    scores[np.arange(n), labels] += 0.4
    return labels, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(3))
def test_scalars_agree_with_scikit_learn(seed):
    labels, probabilities = cases(seed)
    predicted = probabilities.argmax(axis=1)
    found = classification(labels, probabilities)
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))
    assert found["macro_precision"] == pytest.approx(
        oracle.precision_score(labels, predicted, average="macro")
    )
    assert found["auroc"] == pytest.approx(oracle.roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert found["f1"] == pytest.approx(oracle.f1_score(labels, predicted, average=None))
    assert found["precision"] == pytest.approx(oracle.precision_score(labels, predicted, average=None))
    assert found["recall"] == pytest.approx(oracle.recall_score(labels, predicted, average=None))
    assert found["confusion"] == oracle.confusion_matrix(labels, predicted).tolist()


def test_two_classes_have_one_roc_curve():
    labels, probabilities = cases(5, classes=2)
    assert SCALARS["auroc"](labels, probabilities) == pytest.approx(
        oracle.roc_auc_score(labels, probabilities[:, 1])
    )


# Rows: true class 0, 0, 0, 1; predicted 0, 0, 1, 1; class 2 neither occurs nor is predicted.
HAND_LABELS = np.array([0, 0, 0, 1])
HAND_PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]])


def test_a_missing_class_is_left_out_and_never_counted_as_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classification(HAND_LABELS, HAND_PROBABILITIES)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["f1"] == pytest.approx([4 / 5, 2 / 3, np.nan], nan_ok=True)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["precision"] == pytest.approx([1, 1 / 2, np.nan], nan_ok=True)
    assert found["macro_precision"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    # Class 0: 0.3 (the negative) lies below 0.8 and 0.6, above 0.2. Class 1: 0.6 above 0.1, 0.3, below 0.7.
    assert found["auroc"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_class_that_is_predicted_but_never_occurs_has_f1_zero_and_no_recall():
    labels, probabilities = np.array([0, 0]), np.array([[0.9, 0.1], [0.2, 0.8]])
    assert class_f1(labels, probabilities) == pytest.approx([2 / 3, 0])
    assert class_recall(labels, probabilities) == pytest.approx([1 / 2, np.nan], nan_ok=True)
    assert class_precision(labels, probabilities) == pytest.approx([1, 0])


def test_a_class_that_is_never_predicted_has_no_precision_and_a_recall_of_zero():
    labels, probabilities = np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])
    theirs = oracle.precision_score(labels, [0, 0], average=None, zero_division=np.nan)
    assert class_precision(labels, probabilities) == pytest.approx(theirs, nan_ok=True)
    assert class_precision(labels, probabilities) == pytest.approx([1 / 2, np.nan], nan_ok=True)
    assert class_recall(labels, probabilities) == pytest.approx([1, 0])
    assert SCALARS["macro_precision"](labels, probabilities) == pytest.approx(1 / 2)


def test_one_class_only_has_no_auroc():
    found = classification(np.zeros(3, dtype=int), np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]))
    assert np.isnan(found["auroc"])
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("missing", [(), (1,), (0, 2, 3)])
def test_weighted_forms_agree_with_the_values(name, missing):
    labels, probabilities = cases(7, missing=missing)
    probabilities = probabilities.round(1) + 1e-9  # many ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scalar = SCALARS[name]
    times = np.random.default_rng(1).integers(0, 4, (5, len(labels)))
    found = scalar.weighted(times.astype(float), labels, probabilities)
    for row, value in zip(times, found, strict=True):
        drawn = np.repeat(np.arange(len(labels)), row)
        assert value == pytest.approx(scalar(labels[drawn], probabilities[drawn]), nan_ok=True)


@pytest.mark.parametrize("name", SCALARS)
def test_weighted_forms_give_nan_where_nothing_was_drawn(name):
    labels, probabilities = cases(2)
    assert np.isnan(SCALARS[name].weighted(np.zeros((1, len(labels))), labels, probabilities)).all()


@pytest.mark.parametrize("name", SCALARS)
def test_the_order_of_cases_does_not_matter(name):
    labels, probabilities = cases(3)
    order = np.random.default_rng(0).permutation(len(labels))
    assert SCALARS[name](labels, probabilities) == pytest.approx(
        SCALARS[name](labels[order], probabilities[order])
    )


@pytest.mark.parametrize("name", SCALARS)
def test_a_perfect_and_certain_model_has_the_best_value(name):
    labels = np.array([0, 1, 2, 1])
    best = 1.0 if SCALARS[name].higher_is_better else 0.0
    assert SCALARS[name](labels, np.eye(3)[labels]) == pytest.approx(best)


def test_confusion_has_a_row_for_every_class():
    assert confusion(np.array([1]), np.array([[0.1, 0.9, 0.0]])).shape == (3, 3)


def changed(place, value):
    probabilities = HAND_PROBABILITIES.copy()
    probabilities[place] = value
    return probabilities


@pytest.mark.parametrize(
    ("labels", "probabilities", "text"),
    [
        (HAND_LABELS, changed((1, 0), np.nan), r"1 of 4 cases have a NaN or infinite one \(first: case 1\)"),
        (HAND_LABELS, changed((1, 0), np.inf), "must be finite numbers"),
        (HAND_LABELS, changed((2, 0), -0.2), "between 0 and 1, but got values from -0.2 to 0.8"),
        (HAND_LABELS, changed((2, 0), 0.5), "must sum to 1, but case 2 sums to 1.3"),
        (np.array([0, 0, -1, 1]), HAND_PROBABILITIES, "between 0 and 2, but got -1; leave out"),
        (np.array([0, 0, 3, 1]), HAND_PROBABILITIES, "between 0 and 2, but got 3"),
        (HAND_LABELS.astype(float), HAND_PROBABILITIES, r"whole numbers of shape \(n,\), but got float64"),
        (HAND_LABELS[:2], HAND_PROBABILITIES, r"must have shape \(2, classes\) .*but got \(4, 3\)"),
        (HAND_LABELS, HAND_PROBABILITIES[:, :1], r"2 classes or more, but got \(4, 1\)"),
        (HAND_LABELS[:0], HAND_PROBABILITIES[:0], "at least one case with a known label, but got none"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels, probabilities, text):
    with pytest.raises(DataError, match=text):
        classification(labels, probabilities)
