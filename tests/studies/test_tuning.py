import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from measured_embeddings import EMBEDDING
from sonoprior.cases import CaseSet
from sonoprior.core.errors import FolderError, RecipeError
from sonoprior.core.folder import stamp
from sonoprior.studies.layout import TRIED, planned_runs, planned_trials
from sonoprior.studies.refit import run_refit, trained_by
from sonoprior.studies.results import StudyResults
from sonoprior.studies.study import run_study
from sonoprior.studies.tuning import CHOSEN, Tuning, read_chosen, run_tuning
from sonoprior.training.predictor import load
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, write_recipe
from sonoprior.training.run import METRICS, WEIGHTS, is_finished
from tiny import TINY, write_blobs

RATES = [1e-4, 1e-2]
TUNE = {
    "budget": 2,
    "seeds": 2,
    "variants": {"guided": {"objectives.guidance.weight": [1.0, 3.0], "training.learning_rate": [0.01]}},
    "grid": {"training.learning_rate": RATES},
}
CROSS = ["training.epochs=1", "split.protocol=cross_evaluation", "split.folds=2"]


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    quick = {"split.protocol": "cross_evaluation", "split.folds": 3}  # other folds than those tuned on
    path.write_text(yaml.safe_dump(TINY | {"tune": TUNE, "quick": quick}, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def case_set(blobs):
    return CaseSet.open(blobs)


@pytest.fixture(scope="module")
def tuned(recipe_path, case_set, tmp_path_factory):
    """A finished tuning: two variants, two settings each, two folds, two seeds."""
    out = tmp_path_factory.mktemp("tunings") / "tuned"
    assert run_tuning(load_recipe(recipe_path, changes=CROSS), case_set, out) == {}
    Tuning.read(out).write()
    return out


@pytest.fixture
def made(tuned, recipe_path, tmp_path):
    """Called with changes and (variant, setting, fold, seed) to a number: a tuning with these numbers."""

    def make(changes, number):
        recipe = load_recipe(recipe_path, changes=changes)
        out = tmp_path / "made"
        shutil.copytree(tuned, out, ignore=shutil.ignore_patterns("runs", "cache"))
        (out / "recipe.yaml").write_text(yaml.safe_dump(recipe.content(), sort_keys=False))
        for run in planned_trials(recipe):
            value = number(run.variant, run.setting, run.fold, run.seed)
            run.folder(out).mkdir(parents=True)
            if value != "failed":
                found = {"validation": {"balanced_accuracy": {"value": value}, "ece": {"value": value}}}
                (run.folder(out) / METRICS).write_text(json.dumps(found))
        return Tuning.read(out)

    return make


def test_every_variant_tries_as_many_settings_the_baseline_included(tuned, recipe_path):
    recipe = load_recipe(recipe_path, changes=CROSS)
    assert all(is_finished(run.folder(tuned)) for run in planned_trials(recipe))
    tried = pd.read_csv(tuned / TRIED)
    assert tried.groupby("variant").size().to_dict() == {"plain": 8, "guided": 8}
    assert tried["value"].notna().all()
    used = load_recipe(tuned / "runs" / "guided" / "setting1" / "fold1-seed1" / "recipe.yaml")
    assert used.objectives["guidance"].weight == 3
    assert used.training.learning_rate == 0.01


def test_a_tuning_never_sees_a_test_case(tuned, case_set):
    splits = pd.read_csv(tuned / "splits.csv", keep_default_na=False)
    for fold in (0, 1):
        assert set(splits[f"fold{fold}"]) == {"", "train", "validation"}
        left_out = set(splits.loc[splits[f"fold{fold}"] == "", "case"])
        assert len(left_out) == 18
        for run in tuned.glob(f"runs/*/*/fold{fold}-*"):
            for table in ("split", "predictions", "localisation"):
                cases = pd.read_csv(run / f"{table}.csv")
                assert set(cases["part"]) <= {"train", "validation"}
                assert not left_out & set(cases["case"])
            assert set(json.loads((run / METRICS).read_text())) == {"validation"}


def test_no_results_can_be_read_from_a_tuning(tuned, recipe_path, case_set):
    with pytest.raises(FolderError, match="must be a study folder, but it is marked as 'tuning'"):
        StudyResults.read(tuned)
    with pytest.raises(FolderError, match="must be a study folder, but it is marked as 'tuning'"):
        run_study(load_recipe(recipe_path, changes=CROSS), case_set, tuned)


def test_a_run_of_a_tuning_is_not_measured_on_its_case_set(tuned, case_set):
    predictor = load(tuned / "runs" / "plain" / "setting0" / "fold0-seed0", device="cpu")
    with pytest.raises(FolderError, match="was trained to tune settings and has no test part"):
        predictor.parts_of(case_set)


def test_a_tuning_into_the_folder_of_a_study_or_of_another_grid_is_refused(tuned, recipe_path, case_set):
    other = load_recipe(recipe_path, changes=[*CROSS, "tune.grid.training.learning_rate=[0.1, 0.2]"])
    with pytest.raises(
        FolderError, match=r"holds a tuning that differs in tune\.grid\.training\.learning_rate"
    ):
        run_tuning(other, case_set, tuned)


def test_a_finished_tuning_does_nothing(tuned, recipe_path, case_set, monkeypatch):
    monkeypatch.setattr("sonoprior.studies.runs.work_through", pytest.fail)
    assert run_tuning(load_recipe(recipe_path, changes=CROSS), case_set, tuned) == {}


def test_in_a_cross_evaluation_each_fold_chooses_for_itself(made):
    # Setting 1 is better on fold 0 by less than it is worse on fold 1: the mean alone would take 0 for both.
    numbers = {(0, 0): 0.5, (1, 0): 0.6, (0, 1): 0.9, (1, 1): 0.7}
    tuning = made(CROSS, lambda _variant, setting, fold, _seed: numbers[setting, fold])
    assert [one.chosen for one in tuning.trials] == [[1, 0], [1, 0]]
    assert tuning.chosen.study.chosen["plain"] == [
        {"training.learning_rate": 1e-2},
        {"training.learning_rate": 1e-4},
    ]


def test_with_a_shared_test_part_the_mean_over_folds_and_seeds_chooses(made):
    numbers = {(0, 0): 0.5, (1, 0): 0.6, (0, 1): 0.9, (1, 1): 0.7}
    shared = [*CROSS, "split.protocol=fixed_test"]
    tuning = made(shared, lambda _variant, setting, fold, seed: numbers[setting, fold] + 0.01 * seed)
    assert [one.chosen for one in tuning.trials] == [[0], [0]]
    assert tuning.chosen.study.chosen["plain"] == [{"training.learning_rate": 1e-4}]
    assert tuning.lines()[0] == "plain: training.learning_rate=0.0001 (0.705); 2 tried"


def test_of_equals_the_first_in_the_grid_is_chosen(made):
    tuning = made(CROSS, lambda *_run: 0.5)
    assert [one.chosen for one in tuning.trials] == [[0, 0], [0, 0]]
    assert tuning.lines()[0] == (
        "plain: fold 0: training.learning_rate=0.0001 (0.500);"
        " fold 1: training.learning_rate=0.0001 (0.500); 2 tried"
    )


def test_the_smaller_error_is_chosen(made):
    tuning = made([*CROSS, "tune.metric=ece"], lambda _variant, setting, _fold, _seed: 0.5 - 0.1 * setting)
    assert [one.chosen for one in tuning.trials] == [[1, 1], [1, 1]]


def test_a_setting_that_failed_or_has_no_number_is_never_chosen(made):
    def number(variant, setting, fold, seed):
        if (variant, setting, seed) == ("plain", 1, 1):
            return "failed" if fold else None
        return 0.5 + 0.1 * setting

    tuning = made(CROSS, number)
    assert [one.chosen for one in tuning.trials] == [[0, 0], [1, 1]]
    tuning.write()
    tried = pd.read_csv(tuning.folder / TRIED)
    assert tried["value"].isna().sum() == 2


def test_nothing_to_choose(made):
    with pytest.raises(FolderError, match=r"nothing can be chosen for 'guided': every setting .* on a fold"):
        made(CROSS, lambda variant, *_run: 0.5 if variant == "plain" else "failed")


def test_everything_that_was_tried_is_kept(made):
    tuning = made(CROSS, lambda _variant, setting, fold, seed: setting + 0.1 * fold + 0.01 * seed)
    tuning.write()
    tried = pd.read_csv(tuning.folder / TRIED, keep_default_na=False)
    keys = ["training.learning_rate", "objectives.guidance.weight"]
    assert list(tried.columns) == ["variant", *keys, "fold", "seed", "value", "chosen"]
    assert tried.loc[tried["variant"] == "plain", "objectives.guidance.weight"].eq("").all()
    guided = tried[tried["variant"] == "guided"]
    assert guided["value"].tolist() == pytest.approx([0, 0.01, 0.1, 0.11, 1, 1.01, 1.1, 1.11])
    assert guided["chosen"].tolist() == [""] * 4 + ["yes"] * 4


def test_a_refit_trains_what_was_chosen_and_keeps_what_was_tried(tuned, case_set, tmp_path):
    out = tmp_path / "refit"
    assert run_refit(tuned, case_set, out, seeds=1) == {}
    assert (out / TRIED).read_text() == (tuned / TRIED).read_text()
    chosen = load_recipe(tuned / CHOSEN)
    for variant, entries in chosen.study.chosen.items():
        for fold, entry in enumerate(entries):
            used = load_recipe(out / "runs" / variant / f"fold{fold}-seed0" / "recipe.yaml")
            assert used.training.learning_rate == entry["training.learning_rate"]
    # The refit has the folds of the tuning, with the test part.
    mine, theirs = (pd.read_csv(folder / "splits.csv", keep_default_na=False) for folder in (out, tuned))
    assert np.array_equal(mine["fold0"].replace("test", ""), theirs["fold0"])
    assert StudyResults.read(out).missing == []


def test_a_refit_takes_over_what_tuning_trained(tuned, case_set, tmp_path):
    out, afresh = tmp_path / "refit", tmp_path / "afresh"
    assert run_refit(tuned, case_set, out, seeds=3) == {}
    assert run_study(read_chosen(tuned, case_set, 3), case_set, afresh) == {}
    taken = trained_by(tuned, read_chosen(tuned, case_set, 3))
    assert {run.seed for run in taken} == {0, 1}  # as many as tuning has
    for run in planned_runs(read_chosen(tuned, case_set, 3)):
        here, again = run.folder(out), run.folder(afresh)
        for name in ("metrics.json", "predictions.csv", "split.csv", WEIGHTS):
            assert (here / name).read_bytes() == (again / name).read_bytes()
        if run in taken:  # the log tells the seconds of every epoch, which no other training has
            assert (here / "log.csv").read_bytes() == (taken[run] / "log.csv").read_bytes()


def test_what_cannot_be_taken_over_is_trained(tuned, case_set, tmp_path):
    copy = shutil.copytree(tuned, tmp_path / "copy", ignore=shutil.ignore_patterns("cache"))
    first, *others = trained_by(copy, read_chosen(copy, case_set, 1)).values()
    (first / WEIGHTS).unlink()
    assert list(trained_by(copy, read_chosen(copy, case_set, 1)).values()) == others
    grown = read_chosen(copy, case_set, 1).content()
    grown["study"]["variants"]["more"] = {}
    assert list(trained_by(copy, Recipe.model_validate(grown)).values()) == others
    edited = (copy / CHOSEN).read_text().replace("epochs: 1", "epochs: 2")
    (copy / CHOSEN).write_text(edited)
    assert trained_by(copy, read_chosen(copy, case_set, 1)) == {}


def test_a_refit_of_other_cases_or_of_an_unfinished_tuning_is_refused(tuned, case_set, tmp_path):
    fewer = CaseSet.open(write_blobs(tmp_path / "fewer", cases=20))
    with pytest.raises(FolderError, match="was made for other cases"):
        run_refit(tuned, fewer, tmp_path / "refit")
    copy = shutil.copytree(tuned, tmp_path / "copy", ignore=shutil.ignore_patterns(CHOSEN, "runs"))
    with pytest.raises(FolderError, match=r"is not finished: it has no chosen\.yaml; run `sonoprior tune`"):
        read_chosen(copy, case_set)
    with pytest.raises(FolderError, match="an ensemble averages folds that share their test part"):
        run_refit(tuned, case_set, tmp_path / "refit", ensemble=True)
    assert not (tmp_path / "refit").exists()


def test_a_recipe_without_a_grid_or_one_that_was_tuned_is_refused(tiny_recipe, tuned, case_set, tmp_path):
    with pytest.raises(RecipeError, match="tiny has nothing to tune: its key `tune` is missing"):
        run_tuning(load_recipe(tiny_recipe), case_set, tmp_path / "out")
    with pytest.raises(RecipeError, match="tiny has been tuned already"):
        run_tuning(load_recipe(tuned / CHOSEN), case_set, tmp_path / "out")


def test_of_embeddings_the_nearer_errors_are_chosen(tmp_path):
    tune = {"metric": "how_wrong.finding", "budget": 2, "grid": {"model.dropout": [0, 0.1]}}
    recipe = Recipe.model_validate(EMBEDDING | {"tune": tune})
    out = tmp_path / "tuning"
    out.mkdir()
    stamp(out, "tuning", 1)
    write_recipe(out / "recipe.yaml", recipe)
    for run in planned_trials(recipe):
        run.folder(out).mkdir(parents=True)
        found = {
            "validation": {
                "how_wrong.finding": {"value": [0.5, 0.3][run.setting] + 0.4 * run.fold * run.setting}
            }
        }
        (run.folder(out) / METRICS).write_text(json.dumps(found))
    assert [one.chosen for one in Tuning.read(out).trials] == [[1, 0], [1, 0]]
