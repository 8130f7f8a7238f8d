import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from sonoprior.core.errors import DataError
from sonoprior.metrics import interval
from sonoprior.metrics.multilabel import ExactMatch, MultiLabelScores, OverClasses, multilabel_scores


def cases(seed=0, n=60, rates=(0.6, 0.3, 0.1, 0.5)):
    """Labels, and predictions that are right more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n, len(rates))) < rates
    return labels, labels ^ (rng.random(labels.shape) < 0.25)


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_scikit_learn(seed):
    labels, predicted = cases(seed)
    found = multilabel_scores(labels, predicted)
    by_class = precision_recall_fscore_support(labels, predicted)
    for name, wanted in zip(("precision", "recall", "f1", "cases"), by_class, strict=True):
        np.testing.assert_allclose(getattr(found, name), wanted)
    averages = precision_recall_fscore_support(labels, predicted, average="weighted")
    assert (found.weighted_precision, found.weighted_recall, found.weighted_f1) == pytest.approx(averages[:3])
    assert OverClasses()(labels, predicted) == pytest.approx(found.weighted_f1)


def test_the_average_is_that_of_table_1():
    """The printed means of LSD, liver to bladder, and their printed weighted average."""
    cases = np.array([555, 115, 315, 316, 72, 135, 58.0])
    f1 = np.array([70.71, 47.44, 60.41, 68.94, 54.08, 59.35, 68.09])
    precision = np.array([67.66, 61.68, 60.05, 64.04, 58.03, 56.21, 75.42])
    recall = np.array([74.7, 42.96, 61.84, 76.2, 54.72, 65.19, 66.55])
    found = MultiLabelScores(precision, recall, f1, cases)
    assert found.weighted_f1 == pytest.approx(64.73, abs=0.01)
    assert found.weighted_precision == pytest.approx(63.82, abs=0.01)
    assert found.weighted_recall == pytest.approx(68.05, abs=0.01)


def test_what_is_not_defined_is_left_out_but_a_class_never_found_counts():
    """Columns: found in one of two; occurs and never predicted; predicted and does not occur; neither."""
    labels = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    predicted = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    found = multilabel_scores(labels, predicted)
    np.testing.assert_allclose(found.precision, [1, np.nan, 0, np.nan])
    np.testing.assert_allclose(found.recall, [1 / 2, 0, np.nan, np.nan])
    np.testing.assert_allclose(found.f1, [2 / 3, 0, 0, np.nan])
    assert found.weighted_f1 == pytest.approx((2 * 2 / 3 + 0) / 3)
    assert found.weighted_recall == pytest.approx(1 / 3)
    assert found.weighted_precision == pytest.approx(1)
    nobody = multilabel_scores(labels & False, predicted)
    assert np.isnan([nobody.weighted_f1, nobody.weighted_precision, nobody.weighted_recall]).all()


def test_weights_are_repeated_cases():
    labels, predicted = cases()
    weights = np.random.default_rng(1).integers(0, 3, (8, len(labels)))
    weights[3] = 0
    repeated = [OverClasses()(np.repeat(labels, w, 0), np.repeat(predicted, w, 0)) for w in weights]
    np.testing.assert_allclose(OverClasses().weighted(weights.astype(float), labels, predicted), repeated)
    assert np.isnan(repeated[3])


def test_it_has_an_interval_over_patients_and_one_column_is_the_f1_of_a_class():
    labels, predicted = cases(n=90)
    found = interval(OverClasses(), np.arange(90) // 3, labels, predicted, samples=200)
    assert found.low < found.value < found.high
    one = multilabel_scores(labels, predicted).f1[2]
    assert OverClasses()(labels[:, [2]], predicted[:, [2]]) == pytest.approx(one)


@pytest.mark.parametrize("by_cases", [True, False])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_averages_over_classes_agree_with_scikit_learn(place, by_cases):
    labels, predicted = cases(3)
    average = "weighted" if by_cases else "macro"
    wanted = precision_recall_fscore_support(labels, predicted, average=average)[place]
    score = ("precision", "recall", "f1")[place]
    assert OverClasses(score, by_cases)(labels, predicted) == pytest.approx(wanted)
    by_class = precision_recall_fscore_support(labels, predicted)[place]
    for at, one in enumerate(by_class):
        alone = labels[:, [at]], predicted[:, [at]]
        assert OverClasses(score, by_cases=False)(*alone) == pytest.approx(one)


def test_of_one_class_it_is_zero_where_the_class_is_only_predicted():
    labels, predicted = np.zeros((3, 1), bool), np.array([[True], [False], [False]])
    assert OverClasses("f1", by_cases=False)(labels, predicted) == 0
    assert np.isnan(OverClasses("f1", by_cases=False)(labels, labels))


def test_an_exact_match_has_every_class_and_no_other():
    labels, predicted = cases(4)
    assert ExactMatch()(labels, predicted) == pytest.approx(accuracy_score(labels, predicted))
    assert np.isnan(ExactMatch().weighted(np.zeros((1, len(labels))), labels, predicted)).all()


def test_what_cannot_be_used_is_refused():
    labels, predicted = cases()
    with pytest.raises(DataError, match=r"labels must be bool .* got float64 of shape \(60, 4\)"):
        multilabel_scores(labels.astype(float), predicted)
    with pytest.raises(DataError, match=r"predictions must be bool .* got bool of shape \(60,\)"):
        multilabel_scores(labels, predicted[:, 0])
    with pytest.raises(DataError, match=r"shape of the labels, \(60, 4\), but got \(59, 4\)"):
        multilabel_scores(labels, predicted[1:])
    with pytest.raises(DataError, match="at least one case and one class"):
        multilabel_scores(labels[:0], predicted[:0])
