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


def test_other_seeds_are_said_and_other_settings_are_not_taken_for_the_recipe(results):
    recipe = load_recipe("busi-pga")
    more = named(results, changed(recipe, "study.seeds", 9))[0]
    assert more == "sonoprior study busi-pga --data CASE_SET --out out/study --seeds 9"
    other = named(results, changed(recipe, "data.size", 96))[0]
    assert other.startswith("sonoprior study out/study/recipe.yaml --data")


def test_a_tuned_study_begins_with_its_tuning(results):
    recipe = load_recipe("busi-pga")
    chosen = {"plain": [{"training.learning_rate": 0.001}]}
    assert named(results, changed(recipe, "study.chosen", chosen)) == [
        "sonoprior tune busi-pga --data CASE_SET --out out/study-tune",
        "sonoprior refit out/study-tune --data CASE_SET --out out/study",
        "sonoprior report out/study --data CASE_SET",
    ]
