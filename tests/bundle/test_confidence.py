import json

import numpy as np
import pytest
from scipy.special import expit, softmax

from sonoprior.bundle.confidence import ClassFloor, Confidence, probabilities_of
from sonoprior.bundle.decider import Decider
from sonoprior.bundle.manifest import CONFIDENCE, Views
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import read_json, write_json

VIEWS = Views(level="view", classes=["left", "right", "other"])
SEVERAL = Views(level="organ", classes=["liver", "kidney"], named_by="several")


def fitted(views=VIEWS, floors=(0.5, 0.3, None), temperature=2.0, limit=1.5):
    return Confidence(
        named_by=views.named_by,
        classes=views.classes,
        calibrated=True,
        on="the calibration part of the split",
        cases=100,
        patients=30,
        temperature=temperature,
        floors={
            name: ClassFloor(floor=floor, patients=30, pool="class")
            for name, floor in zip(views.classes, floors, strict=True)
        },
        limit=limit,
        familiar_share=0.99,
    )


def test_it_is_read_as_it_was_written(tmp_path):
    fitted().write(tmp_path)
    assert Confidence.read(tmp_path, VIEWS) == fitted()


def test_probabilities_are_the_softmax_of_logits_over_the_temperature():
    logits = np.array([[900.0, -900, 3], [0.1, 0.2, -0.3]])
    assert fitted().probabilities(logits) == pytest.approx(softmax(logits / 2, axis=1))


def test_several_classes_have_a_probability_each():
    logits = np.array([[800.0, -800], [0.1, -0.4]])
    assert fitted(SEVERAL, (0.1, 0.1)).probabilities(logits) == pytest.approx(expit(logits / 2))


def test_candidates_are_the_classes_above_their_floor_and_always_the_most_probable():
    given = [[0.5, 0.2, 0.3], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6], [0.45, 0.25, 0.3]]
    assert fitted().candidates(given).tolist() == [
        [True, False, False],
        [False, True, True],
        [False, False, True],
        [True, False, False],
    ]


def test_of_several_classes_none_may_be_a_candidate():
    found = fitted(SEVERAL, (0.5, 0.5)).candidates([[0.4, 0.5], [0.1, 0.2]])
    assert found.tolist() == [[False, True], [False, False]]


def test_a_floor_of_nothing_lets_every_class_be_a_candidate():
    nothing = fitted(floors=(0.0, 0.0, 0.0))
    assert nothing.candidates([[1.0, 0.0, 0.0]]).all()
    assert (nothing.promises, fitted().promises) == (False, True)


def test_what_lies_within_the_limit_is_familiar_and_what_is_no_number_is_not():
    assert fitted().familiar([0.2, 1.5, 1.6, np.nan, np.inf]).tolist() == [True, True, False, False, False]


def test_without_calibration_nothing_is_promised():
    plain = Confidence.uncalibrated(VIEWS, "its case set is not at hand")
    assert plain.candidates([[0.5, 0.2, 0.3]]) is None
    assert not plain.promises
    assert plain.familiar([0.1]) is None
    assert plain.probabilities([[1.0, 2.0, 3.0]]) == pytest.approx(softmax([[1.0, 2.0, 3.0]], axis=1))
    assert Confidence.uncalibrated(None, "it names no views").classes == []


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_decisions_are_the_same_on_calibrated_probabilities(temperature):
    logits = 3 * np.random.default_rng(0).normal(size=(500, 2))
    for thresholds in ([0.2, 0.9], [0.0, 1.0], [np.inf, 0.5]):
        decider = Decider(SEVERAL.classes, np.array(thresholds))
        confidence = fitted(SEVERAL, (0.1, 0.1), temperature)
        moved = confidence.decider(decider)
        expected = decider.decided(probabilities_of(logits, several=True))
        assert np.array_equal(moved.decided(confidence.probabilities(logits)), expected)


def test_the_decider_of_clusters_stays_as_it_is():
    views = SEVERAL.model_copy(update={"named_by": "clusters"})
    decider = Decider(views.classes, np.array([0.2, 0.3]), np.eye(2))
    confidence = fitted(views, (0.1, 0.1), 1.0)
    assert confidence.decider(decider) is decider
    with pytest.raises(DataError, match="this bundle names by clusters"):
        confidence.probabilities([[0.1, 0.2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fitted().probabilities([[1.0, np.nan, 0]]), "must be finite numbers, but got NaN"),
        (lambda: fitted().probabilities([[1.0, 2.0]]), r"logits must have shape \(n, 3\), but got \(1, 2\)"),
        (lambda: fitted().candidates([0.1, 0.2, 0.3]), r"probabilities must have shape \(n, 3\), but got"),
        (lambda: Confidence.uncalibrated(None, "x").probabilities([[1.0]]), "this bundle names by nothing"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("temperature", 0, "'temperature': Input should be greater than 0"),
        ("temperature", "warm", "is damaged: 'temperature'"),
        ("classes", ["left"], "floors must be those of left"),
        ("floors", {"left": {"floor": 2, "patients": 1, "pool": "class"}}, "'floors.left.floor'"),
        ("surprise", 1, "'surprise': Extra inputs are not permitted"),
        ("format", 2, "has format 2, and this version of sonoprior reads up to 1"),
        ("format", None, "the format must be a whole number"),
    ],
)
def test_a_damaged_or_newer_file_is_refused(tmp_path, key, value, message):
    fitted().write(tmp_path)
    write_json(tmp_path / CONFIDENCE, read_json(tmp_path / CONFIDENCE) | {key: value})
    with pytest.raises(FolderError, match=message):
        Confidence.read(tmp_path, VIEWS)


def test_the_confidence_of_other_classes_is_refused(tmp_path):
    fitted().write(tmp_path)
    with pytest.raises(
        FolderError, match="of the classes of the bundle, liver, kidney, but is of left, right"
    ):
        Confidence.read(tmp_path, SEVERAL)


@pytest.mark.parametrize("content", ["[]", "{", '{"temperature": NaN}', "null"])
def test_what_is_no_confidence_is_refused(tmp_path, content):
    (tmp_path / CONFIDENCE).write_text(content)
    with pytest.raises(FolderError, match=CONFIDENCE):
        Confidence.read(tmp_path, VIEWS)


def test_no_number_that_json_does_not_know_is_written(tmp_path):
    fitted().write(tmp_path)
    json.loads((tmp_path / CONFIDENCE).read_text(), parse_constant=pytest.fail)
