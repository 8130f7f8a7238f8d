import numpy as np
import pytest

from sonoprior.bundle.decider import Decider
from sonoprior.bundle.manifest import Views
from sonoprior.core.errors import DataError
from sonoprior.export.calibration_cases import calibration_cases
from sonoprior.export.confidence import Seen, fit_confidence

CLASSES = ["left", "right", "other"]
VIEWS = Views(level="view", classes=CLASSES)


def seen(patients, seed=0, frames=6, sure=4.0, kinds=3, labels=None):
    """Frames of patients; the logits are too large by the factor `sure`."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"{seed}-{number}" for number in range(patients)], frames)
    labels = rng.integers(0, kinds, len(groups)) if labels is None else labels
    logits = rng.normal(size=(len(groups), 3))
    logits[np.arange(len(groups)), labels] += 1.5
    return Seen(sure * logits, labels, groups, rng.chisquare(4, len(groups)))


def several(patients, seed=0, frames=6):
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"{seed}-{number}" for number in range(patients)], frames)
    shown = rng.random((len(groups), 3)) < 0.3
    return Seen(3 * (rng.normal(size=shown.shape) + 3 * shown - 1.5), shown, groups)


def test_a_run_with_a_calibration_part_is_fitted_on_it_and_measured_on_all_of_test():
    parts = {"validation": seen(10, 1), "calibration": seen(40, 2), "test": seen(30, 3)}
    found = fit_confidence(VIEWS, parts)
    assert (found.on, found.patients, found.cases) == ("the calibration part of the split", 40, 240)
    assert found.measured is not None
    assert (found.measured.on, found.measured.patients) == ("the test part", 30)
    assert fit_confidence(VIEWS, parts | {"test": seen(30, 4)}).floors == found.floors


def test_without_one_the_halves_of_test_share_no_patient():
    test = seen(60, 3)
    cases = calibration_cases({"test": test}, 0)
    assert cases.fitted is not None
    assert cases.measured is not None
    assert not set(cases.fitted.groups) & set(cases.measured.groups)
    assert len(cases.fitted) + len(cases.measured) == len(test)
    assert (cases.fitted.patients, cases.measured.patients) == (30, 30)
    again = calibration_cases({"test": test}, 0).fitted
    assert again is not None
    assert np.array_equal(again.groups, cases.fitted.groups)


def test_a_class_of_one_patient_does_not_keep_test_from_being_halved():
    labels = np.zeros(60, np.int64)
    labels[::2] = 1
    labels[:3] = 2
    found = fit_confidence(VIEWS, {"test": seen(10, labels=labels)})
    assert found.calibrated
    assert found.measured is not None
    assert sorted([found.patients, found.measured.patients]) == [5, 5]


def test_probabilities_that_are_too_sure_are_made_believable():
    found = fit_confidence(VIEWS, {"calibration": seen(100, 2), "test": seen(100, 3)})
    assert found.temperature > 2
    assert found.measured is not None
    before, after = found.measured.before, found.measured.after
    assert before is not None
    assert after is not None
    assert after.ece < before.ece / 2
    assert after.brier < before.brier
    assert after.nll < before.nll


def test_sets_cover_the_test_part_as_often_as_promised():
    shares = []
    for seed in range(20):
        found = fit_confidence(VIEWS, {"calibration": seen(60, seed), "test": seen(60, 100 + seed)})
        assert found.measured is not None
        shares.append(found.measured.coverage.value)
    assert 0.94 <= np.mean(shares) <= 0.985
    assert found.measured.coverage.low < found.measured.coverage.value < found.measured.coverage.high
    assert 1 <= found.measured.candidates.value < 3


def test_too_few_patients_promise_nothing_so_that_every_class_is_a_candidate():
    few = fit_confidence(VIEWS, {"calibration": seen(18), "test": seen(30, 3)})
    enough = fit_confidence(VIEWS, {"calibration": seen(19), "test": seen(30, 3)})
    assert few.measured is not None
    assert enough.measured is not None
    assert few.measured.candidates.value == 3
    assert enough.measured.candidates.value < 3
    assert {(floor.pool, floor.patients) for floor in few.floors.values()} == {("all classes", 18)}


def test_a_class_that_no_calibration_case_shows_has_a_floor_all_the_same():
    found = fit_confidence(VIEWS, {"calibration": seen(60, kinds=2), "test": seen(60, 3)})
    assert [floor.pool for floor in found.floors.values()] == ["class", "class", "all classes"]
    assert found.measured is not None
    assert found.measured.by_class["other"].cases > 0


def test_a_class_that_no_test_case_shows_has_no_coverage():
    found = fit_confidence(VIEWS, {"calibration": seen(60), "test": seen(60, 3, kinds=2)})
    assert found.measured is not None
    assert found.measured.by_class["other"].coverage.value is None


def test_of_several_classes_the_share_of_missed_ones_is_kept():
    views = VIEWS.model_copy(update={"named_by": "several"})
    shares = []
    for seed in range(10):
        parts = {"calibration": several(60, seed), "test": several(60, 100 + seed)}
        found = fit_confidence(views, parts, decider=Decider(CLASSES, np.full(3, 0.5)))
        assert found.measured is not None
        shares.append(found.measured.coverage.value)
    assert 0.935 <= np.mean(shares) <= 0.985
    assert len({floor.floor for floor in found.floors.values()}) == 1
    assert found.temperature == pytest.approx(1, abs=0.5)


def test_clusters_are_scored_by_what_they_are_matched_with():
    views = VIEWS.model_copy(update={"named_by": "clusters"})
    rng = np.random.default_rng(0)
    shown = np.eye(3, dtype=bool)[rng.integers(0, 3, 240)]
    logits = np.concatenate([5.0 * shown, np.zeros((240, 2))], axis=1)
    part = Seen(logits, shown, np.repeat(np.arange(40), 6).astype(str))
    shares = np.concatenate([0.8 * np.eye(3) + 0.1, np.full((2, 3), 0.2)])
    decider = Decider(CLASSES, np.full(3, 0.5), shares)
    found = fit_confidence(views, {"calibration": part, "test": part}, decider=decider)
    assert found.temperature == 1
    assert [floor.floor for floor in found.floors.values()] == pytest.approx([0.9] * 3)
    assert found.measured is not None
    assert (found.measured.before, found.measured.after) == (None, None)


def test_what_is_familiar_comes_from_the_validation_part_alone():
    parts = {"validation": seen(10, 1), "test": seen(30, 3)}
    found = fit_confidence(None, parts)
    assert found.limit == pytest.approx(np.quantile(parts["validation"].unfamiliarity, 0.99))
    assert (found.calibrated, found.reason) == (False, "the bundle names no views")
    assert found.familiar_on_test is not None
    within = parts["test"].unfamiliarity <= found.limit
    assert found.familiar_on_test.value == pytest.approx(within.mean())


def test_with_nothing_to_calibrate_on_it_says_so():
    assert fit_confidence(VIEWS, {}).reason == "the run has no calibration part and no test part"
    one = fit_confidence(VIEWS, {"test": seen(1)})
    assert not one.calibrated
    assert "its test part cannot be halved" in one.reason


def test_a_test_part_without_cases_leaves_it_unmeasured():
    found = fit_confidence(VIEWS, {"calibration": seen(30)})
    assert found.calibrated
    assert found.measured is None


def test_numbers_that_are_none_are_refused():
    broken = seen(30)
    broken.logits[3, 1] = np.nan
    with pytest.raises(DataError, match="finite logits, but got NaN"):
        fit_confidence(VIEWS, {"calibration": broken})
    strange = seen(30)
    assert strange.unfamiliarity is not None
    strange.unfamiliarity[0] = np.inf
    with pytest.raises(DataError, match="unfamiliarity of a case must be a finite number"):
        fit_confidence(VIEWS, {"validation": strange})
