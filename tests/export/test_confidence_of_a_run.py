"""From a recipe with a calibration part to the confidence in its bundle."""

import numpy as np
import pytest

from sonoprior.bundle.confidence import Confidence
from sonoprior.cases import CaseSet
from sonoprior.export.run import export_run
from sonoprior.training.machine import choose_device
from sonoprior.training.parts import read_parts
from sonoprior.training.predictor import load
from sonoprior.training.recipe_file import validated
from sonoprior.training.run import Computing, plan_run, train_run
from tiny import TINY, write_blobs


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A run whose split keeps a calibration part, with its case set."""
    folder = tmp_path_factory.mktemp("calibrated")
    case_set = CaseSet.open(write_blobs(folder / "set", cases=60))
    recipe = validated(TINY | {"split": TINY["split"] | {"calibration": 0.3}}, "tiny")
    plan = plan_run(recipe, case_set, "plain")
    return train_run(plan, folder / "run", Computing(choose_device("cpu"))), plan


def test_the_run_has_the_part_and_measures_nothing_on_it(calibrated):
    run, plan = calibrated
    parts = read_parts(run / "split.csv", plan.case_set)
    assert len(parts["calibration"])
    assert all(np.array_equal(parts[name], plan.parts[name]) for name in parts)
    predictions = (run / "predictions.csv").read_text()
    assert not any(plan.case_set.ids[at] in predictions for at in parts["calibration"])


def test_a_run_goes_on_with_its_calibration_part(calibrated):
    run, plan = calibrated
    assert train_run(plan, run, Computing(choose_device("cpu")), resume=True) == run


def test_it_is_measured_by_name_on_its_own_set(calibrated):
    run, plan = calibrated
    predictor = load(run, "cpu")
    parts = predictor.parts_of(plan.case_set)
    assert set(parts) == {"train", "validation", "test", "calibration"}
    assert "calibration" in predictor.evaluate(plan.case_set, parts).metrics


def test_its_bundle_is_calibrated_on_that_part(calibrated, tmp_path):
    run, plan = calibrated
    manifest = export_run(run, tmp_path / "bundle", case_set=plan.case_set)
    found = Confidence.read(tmp_path / "bundle", manifest.views)
    assert found.on == "the calibration part of the split"
    assert found.cases == len(plan.parts["calibration"])
    assert found.measured is not None
    assert found.measured.cases == len(plan.parts["test"])
    assert found.limit is not None
