import shlex
from dataclasses import replace

import pytest

from sonoprior.studies import StudyResults
from sonoprior.studies.command import commands
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, with_value


@pytest.fixture
def results(small, tmp_path, monkeypatch):
    """The small study, as if it lay below the working folder."""
    monkeypatch.chdir(tmp_path)
    return replace(StudyResults.read(small.study), folder=tmp_path / "out" / "study")


def named(results, recipe):
    return commands(replace(results, recipe=recipe), None)


def changed(recipe, key, value):
    return Recipe.model_validate(with_value(recipe.content(), key, value))


def test_a_recipe_of_ones_own_is_named_by_the_study_folder(results, small):
    assert commands(results, small.case_set) == [
        f"sonoprior study out/study/recipe.yaml --data {small.cases} --out out/study",
        f"sonoprior report out/study --data {small.cases}",
    ]


def test_a_recipe_that_comes_along_is_named(results):
    assert named(results, load_recipe("busi-pga"))[0] == (
        "sonoprior study busi-pga --data CASE_SET --out out/study"
    )
    assert named(results, load_recipe("busi-pga", quick=True))[0] == (
        "sonoprior study busi-pga --quick --data CASE_SET --out out/study"
    )


def test_other_seeds_are_said(results):
    more = named(results, changed(load_recipe("busi-pga"), "study.seeds", 9))[0]
    assert more == "sonoprior study busi-pga --data CASE_SET --out out/study --seeds 9"


def test_what_was_set_and_left_out_is_said(results):
    changes = ["data.size=96", "study.question=Why?", "study.variants.own={data.size: 80}"]
    recipe = load_recipe("phantom-ablation", quick=True, changes=changes, without=["tap-*", "boxes"])
    made = named(results, recipe)[0]
    assert shlex.split(made) == [
        *("sonoprior", "study", "phantom-ablation", "--quick", "--set", "data.size=96"),
        *("--set", "study.question=Why?", "--set", "study.variants.own={data.size: 80}"),
        *("--without", "tap-stage1", "--without", "boxes", "--data", "CASE_SET", "--out", "out/study"),
    ]


def test_what_settings_do_not_lead_to_is_named_by_the_study_folder(results):
    def by_folder(recipe):
        return named(results, recipe)[0].startswith("sonoprior study out/study/recipe.yaml --data")

    changes = [f"training.{key}=3" for key in ("epochs", "batch_size", "learning_rate", "weight_decay")]
    six = load_recipe("busi-pga", changes=[*changes, "data.size=96", "split.folds=3"])
    assert not by_folder(six)
    assert by_folder(changed(six, "about", "A seventh."))
    quick = load_recipe("phantom-ablation", quick=True)
    fewer = {name: settings for name, settings in quick.study.variants.items() if name != "boxes"}
    assert by_folder(changed(quick, "study.variants", fewer))
    recipe = load_recipe("phantom-sal")
    variants = recipe.study.variants
    dotted = variants | {"clip-0.1": variants["clip-0.1"] | {"data.size": 80}}
    assert by_folder(changed(recipe, "study.variants", dotted))


def test_a_tuned_study_begins_with_its_tuning(results):
    recipe = load_recipe("busi-pga")
    chosen = {"plain": [{"training.learning_rate": 0.001}]}
    assert named(results, changed(recipe, "study.chosen", chosen)) == [
        "sonoprior tune busi-pga --data CASE_SET --out out/study-tune",
        "sonoprior refit out/study-tune --data CASE_SET --out out/study",
        "sonoprior report out/study --data CASE_SET",
    ]
