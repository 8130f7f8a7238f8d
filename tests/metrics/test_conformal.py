import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from mapie.risk_control import MultiLabelClassificationController
from sklearn.base import BaseEstimator, ClassifierMixin

from sonoprior.core.errors import DataError
from sonoprior.metrics.conformal import (
    coverage_floors,
    covered,
    highest_floor,
    miss_floor,
    of_patients,
    patients_needed,
)


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities are its inputs."""

    def __init__(self, classes=3):
        self.classes = classes
        self.classes_ = np.arange(classes)

    def fit(self, _x, _y):
        return self

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return x.argmax(1)

    def __sklearn_is_fitted__(self):
        return True


def chances(rng, labels, classes=3, sharp=1.5):
    logits = rng.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += sharp
    rising = np.exp(logits)
    return rising / rising.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_with_one_case_a_patient_sets_are_those_of_mapie(seed, coverage):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 150)
    given, new = chances(rng, labels), chances(rng, rng.integers(0, 3, 400))
    floor = miss_floor(np.eye(3, dtype=bool)[labels], given, np.arange(150), coverage).value
    assert np.array_equal(new >= floor, sets_of_mapie(given, labels, new, coverage))


def sets_of_mapie(given, labels, new, coverage):
    peer = SplitConformalClassifier(Given(), confidence_level=coverage, conformity_score="lac")
    return peer.conformalize(given, labels).predict_set(new)[1][:, :, 0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
def test_sets_are_those_of_mapie_over_all_cases_and_those_over_the_cases_of_each_class(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 150)
    given, new = chances(rng, labels), chances(rng, rng.integers(0, 3, 400))
    floors = coverage_floors(labels, given, np.arange(150), 0.9)
    whole = sets_of_mapie(given, labels, new, 0.9)
    for kind, floor in enumerate(floors):
        own = labels == kind
        alone = sets_of_mapie(given[own], labels[own], new, 0.9)
        assert np.array_equal(new[:, kind] >= floor.value, whole[:, kind] | alone[:, kind])
        assert (floor.pool, floor.patients) == ("class", own.sum())


@pytest.mark.parametrize("seed", range(4))
def test_with_one_case_a_patient_the_floor_of_several_labels_is_that_of_mapie(seed):
    rng = np.random.default_rng(seed)
    shown = rng.random((120, 4)) < 0.4
    shown[~shown.any(1), 0] = True
    scores = 1 / (1 + np.exp(-rng.normal(size=shown.shape) - 2 * shown))
    steps = np.arange(0, 1, 0.001)
    peer = MultiLabelClassificationController(
        predict_function=lambda x: x, risk="recall", target_level=0.9, predict_params=steps
    )
    found = float(peer.calibrate(scores, shown.astype(int)).best_predict_param[0])
    ours = miss_floor(shown, scores, np.arange(120), 0.9).value
    assert found <= ours <= found + 0.001 + 1e-9


def slow_floor(shown, scores, groups, coverage):
    """The highest chance that keeps the risk, one after the other."""
    best = 0.0
    for floor in sorted(set(scores.ravel())):
        losses = [
            np.mean(
                [
                    1 - (scores[at][shown[at]] >= floor).mean() if shown[at].any() else 0.0
                    for at in np.flatnonzero(groups == patient)
                ]
            )
            for patient in set(groups)
        ]
        if (sum(losses) + 1) / (len(losses) + 1) <= 1 - coverage + 1e-9:
            best = floor
    return best


@pytest.mark.parametrize("seed", range(6))
def test_patients_weigh_the_same_whatever_the_number_of_their_cases(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 25, 80) ** 2 % 31
    shown, scores = rng.random((80, 3)) < 0.4, rng.random((80, 3)).round(2)
    expected = slow_floor(shown, scores, groups, 0.8)
    assert miss_floor(shown, scores, groups, 0.8).value == pytest.approx(expected)


def test_a_patient_of_a_thousand_frames_decides_no_more_than_one_of_one():
    given = np.array([[0.2, 0.8]] * 1000 + [[0.9, 0.1]] * 19)
    groups = ["many"] * 1000 + [f"p{number}" for number in range(19)]
    labels = np.zeros(1019, np.int64)
    by_patient = coverage_floors(labels, given, groups, 0.9)[0].value
    by_frame = coverage_floors(labels, given, np.arange(1019), 0.9)[0].value
    assert (by_patient, by_frame) == (0.9, 0.2)


@pytest.mark.parametrize(("patients", "floor"), [(18, 0.0), (19, 0.3)])
def test_nineteen_patients_are_enough_for_95_percent_and_eighteen_are_not(patients, floor):
    given = np.linspace(0.3, 0.9, patients)[:, None] * [1, 0] + [0, 0.1]
    found = coverage_floors(np.zeros(patients, np.int64), given, np.arange(patients), 0.95)[0]
    assert (found.value, found.patients) == (floor, patients)


def test_a_class_has_no_higher_floor_than_all_together_and_a_rare_one_has_that():
    labels = np.repeat([0, 1, 2], [40, 10, 22])
    given = np.where(np.eye(3)[labels] > 0, np.array([0.9, 0.3, 0.4])[labels][:, None], 0.05)
    floors = coverage_floors(labels, given, np.arange(72), 0.8)
    assert [(floor.value, floor.pool, floor.patients) for floor in floors] == [
        (0.4, "class", 40),
        (0.3, "class", 10),
        (0.4, "class", 22),
    ]
    floors = coverage_floors(labels, given, np.arange(72), 0.95)
    assert [(floor.value, floor.pool, floor.patients) for floor in floors] == [
        (0.3, "class", 40),
        (0.3, "all classes", 72),
        (0.3, "class", 22),
    ]


def test_a_class_that_is_missing_takes_the_floor_of_all():
    labels = np.repeat([0, 2], [40, 30])
    given = np.where(np.eye(3)[labels] > 0, np.array([0.9, 0, 0.6])[labels][:, None], 0.05)
    floors = coverage_floors(labels, given, np.arange(70), 0.95)
    assert [floor.pool for floor in floors] == ["class", "all classes", "class"]
    assert floors[1].value == 0.6
    assert floors[1].patients == 70


def test_cases_that_show_nothing_miss_nothing():
    shown = np.zeros((30, 2), bool)
    assert miss_floor(shown, np.full((30, 2), 0.4), np.arange(30), 0.95).value == np.inf


def test_ties_are_all_kept():
    assert highest_floor(np.array([0.5, 0.5, 0.5, 0.9]), np.ones(4), 4, 0.5) == 0.5


def hierarchical(rng, patients):
    """Labels, probabilities, groups of patients who are easy or hard, harder where they have one frame."""
    frames = rng.choice([1, 3, 40], patients)
    groups = np.repeat(np.arange(patients), frames)
    labels = rng.integers(0, 3, len(groups))
    sharp = rng.normal(1.5, 1.5, patients) - (frames == 1)
    return labels, chances(rng, labels, sharp=sharp[groups]), groups


def mean_of_patients(hit, groups):
    return of_patients(hit, groups)[1].mean()


def test_a_new_patient_is_covered_as_often_as_promised():
    """200 draws of 40 patients, measured on 100 others; the standard error is about 0.004."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        labels, given, groups = hierarchical(rng, 40)
        floor = miss_floor(np.eye(3, dtype=bool)[labels], given, groups, 0.9).value
        labels, given, groups = hierarchical(rng, 100)
        found.append(mean_of_patients(covered(labels, given >= floor), groups))
    assert 0.89 <= np.mean(found) <= 0.9 + 1 / 41 + 0.012


def test_frames_that_are_counted_as_patients_promise_too_much():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(50):
        labels, given, groups = hierarchical(rng, 40)
        floor = miss_floor(np.eye(3, dtype=bool)[labels], given, np.arange(len(labels)), 0.9).value
        labels, given, groups = hierarchical(rng, 100)
        found.append(mean_of_patients(covered(labels, given >= floor), groups))
    assert np.mean(found) < 0.86


def test_new_patients_are_covered_as_often_as_promised_and_so_are_those_of_every_class():
    """150 draws of 60 patients; of a class those patients count that show it."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(150):
        labels, given, groups = hierarchical(rng, 60)
        floors = np.array([floor.value for floor in coverage_floors(labels, given, groups, 0.9)])
        labels, given, groups = hierarchical(rng, 100)
        hit = covered(labels, given >= floors)
        of_class = [mean_of_patients(hit[labels == kind], groups[labels == kind]) for kind in range(3)]
        found.append([mean_of_patients(hit, groups), *of_class])
    means = np.mean(found, axis=0)
    assert ((means >= 0.885) & (means <= 0.96)).all(), means


def test_the_share_of_missed_classes_is_kept_for_new_patients():
    rng = np.random.default_rng(2)

    def drawn(patients):
        labels, given, groups = hierarchical(rng, patients)
        shown = np.eye(3, dtype=bool)[labels] | (rng.random((len(labels), 3)) < 0.2)
        return shown, given, groups

    found = []
    for _ in range(200):
        floor = miss_floor(*drawn(40), 0.9).value
        shown, given, groups = drawn(100)
        found.append(mean_of_patients(covered(shown, given >= floor), groups))
    assert 0.89 <= np.mean(found) <= 0.935


def test_covered_counts_the_classes_that_are_shown():
    held = np.array([[True, False], [True, False], [False, False]])
    assert covered(np.array([0, 1, 1]), held).tolist() == [1, 0, 0]
    assert covered(np.array([[True, True], [False, True], [False, False]]), held).tolist() == [0.5, 0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coverage_floors([0], [[np.nan, 1]], ["a"], 0.9), "need finite probabilities, but got NaN"),
        (lambda: coverage_floors([0], [[2.0, 1]], ["a"], 0.9), "must lie between 0 and 1, but got 2.0"),
        (lambda: coverage_floors([0, 1], [[0.2, 0.8]], ["a"], 0.9), "must be as many, but got 2, 1 and 1"),
        (lambda: coverage_floors([], np.empty((0, 2)), [], 0.9), r"of a case or more, but got \(0, 2\)"),
        (lambda: coverage_floors([0], [[0.2, 0.8]], ["a"], 1.0), "above 0 and below 1, but got 1.0"),
        (lambda: miss_floor([[1, 0]], [[0.2, 0.8]], ["a"], 0.9), "must be bool of shape"),
        (lambda: patients_needed(0), "above 0 and below 1, but got 0"),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
