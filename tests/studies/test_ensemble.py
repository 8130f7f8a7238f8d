import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score

from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.metrics import SCALARS
from sonoprior.studies.ensemble import mean_predictions, write_ensemble
from sonoprior.studies.finished import FinishedRun, Predictions
from sonoprior.studies.study import run_study
from sonoprior.training.ensemble import load_ensemble
from sonoprior.training.recipe_file import load_recipe
from tiny import TINY

FIXED = ["training.epochs=2", "split.protocol=fixed_test", "split.folds=3", "split.seed=1", "study.seeds=2"]
CROSS = ["training.epochs=1", "split.protocol=cross_evaluation", "split.folds=2"]
FOLDS = ["fold0-seed1", "fold1-seed1", "fold2-seed1"]


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def study(recipe_path, blobs, tmp_path_factory):
    """A finished study with a fixed test part: two variants, three folds, two seeds."""
    out = tmp_path_factory.mktemp("studies") / "fixed"
    assert run_study(load_recipe(recipe_path, changes=FIXED), CaseSet.open(blobs), out) == {}
    return out


@pytest.fixture(scope="module")
def outcomes(study):
    return {(one.variant, one.metric): one for one in write_ensemble(study)}


def averaged_by_hand(study, variant, seed):
    tables = [
        pd.read_csv(study / "runs" / variant / f"fold{fold}-seed{seed}" / "predictions.csv")
        for fold in range(3)
    ]
    tests = [table[table["part"] == "test"].set_index("case") for table in tables]
    bright = (tests[0]["p.bright"] + tests[1]["p.bright"] + tests[2]["p.bright"]) / 3
    return tests[0]["label"], np.where(bright > 0.5, "bright", "dark")


def test_the_folds_probabilities_are_averaged_seed_by_seed(study, outcomes):
    for variant in ("plain", "guided"):
        by_hand = [balanced_accuracy_score(*averaged_by_hand(study, variant, seed)) for seed in (0, 1)]
        one = outcomes[variant, "balanced_accuracy"]
        assert one.of_seeds == pytest.approx(by_hand)
        assert one.interval.value == pytest.approx(np.mean(by_hand))
        assert one.interval.low <= one.interval.value <= one.interval.high


def test_ensembles_are_compared_as_the_study_compares(outcomes):
    guided, plain = outcomes["guided", "balanced_accuracy"], outcomes["plain", "balanced_accuracy"]
    assert guided.reference == "plain"
    assert guided.difference.value == pytest.approx(guided.interval.value - plain.interval.value)
    assert plain.reference is None
    assert plain.difference is None


def test_what_is_written(study, outcomes):
    table = pd.read_csv(study / "ensemble.csv")
    assert table["metric"].iloc[0] == "balanced_accuracy"
    assert len(table) == len(outcomes) == 2 * len(SCALARS)
    summary = json.loads((study / "ensemble.json").read_text())
    assert summary["folds"] == 3
    assert summary["variants"]["plain"]["accuracy"]["difference"] is None
    assert summary["variants"]["guided"]["accuracy"]["seeds"] == 2


def test_folds_of_different_test_cases_are_refused(recipe_path, blobs, tmp_path):
    out = tmp_path / "study"
    assert run_study(load_recipe(recipe_path, changes=CROSS), CaseSet.open(blobs), out) == {}
    with pytest.raises(
        FolderError, match="share their test part, as those of the protocol fixed_test do, but"
    ):
        write_ensemble(out)
    with pytest.raises(
        FolderError, match=r"share their test cases, but .*fold1-seed0 was tested on others than"
    ):
        mean_predictions([out / "runs" / "plain" / f"fold{fold}-seed0" for fold in (0, 1)])


def test_nothing_has_finished_on_all_folds(study, tmp_path):
    import shutil

    out = shutil.copytree(study, tmp_path / "study", ignore=shutil.ignore_patterns("fold1-*"))
    with pytest.raises(FolderError, match="no variant and seed that has finished on all folds yet"):
        write_ensemble(out)


def test_the_mean_of_predictions(monkeypatch, tmp_path):
    def read(folder):
        probabilities = np.array([[0.2, 0.8]]) if folder.name == "one" else np.array([[0.6, 0.4]])
        found = Predictions(np.array(["a"]), np.array(["g"]), np.array([1]), probabilities)
        return type("Run", (), {"predictions": lambda self, part: found})()

    monkeypatch.setattr(FinishedRun, "read", staticmethod(read))
    found = mean_predictions([tmp_path / "one", tmp_path / "two"])
    assert found.probabilities[0] == pytest.approx([0.4, 0.6])


def test_the_networks_together_say_the_same_of_images(study, blobs):
    case_set = CaseSet.open(blobs)
    ensemble = load_ensemble([study / "runs" / "plain" / fold for fold in FOLDS], device="cpu")
    table = mean_predictions([study / "runs" / "plain" / fold for fold in FOLDS])
    images = [case_set.read_image(case_set.ids.index(case)) for case in table.cases]
    found = ensemble.predict(images)
    given = [[one.probabilities[name] for name in ensemble.classes] for one in found]
    assert np.allclose(given, table.probabilities, atol=1e-6)
    assert [len(member.predict(images[:1])) for member in ensemble.members] == [1, 1, 1]


def test_runs_that_do_not_belong_together_are_refused(study):
    ensemble = load_ensemble([study / "runs" / "plain" / fold for fold in FOLDS], device="cpu")
    one, other, _ = ensemble.members
    other.recipe = other.recipe.model_copy(update={"data": other.recipe.data.model_copy(update={"size": 48})})
    with pytest.raises(FolderError, match=r"the same image size, but .*fold0-seed1 has 32 and .* has 48"):
        type(ensemble)([one, other])
    one.model = replace(one.model, classes=["cyst", "none"])
    with pytest.raises(FolderError, match=r"the same classes, but .* has cyst, none and .* has dark, bright"):
        type(ensemble)([one, other])
    with pytest.raises(FolderError, match="an ensemble needs at least one run, but got none"):
        load_ensemble([])
