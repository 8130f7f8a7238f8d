import pytest

from sonoprior.objectives.settings import CrossEntropySettings, PriorGuidedAttributionSettings
from sonoprior.training.recipe import Recipe, SplitSettings, differing_keys
from sonoprior.training.recipe_file import load_recipe


@pytest.fixture
def recipe(tiny_recipe):
    return load_recipe(tiny_recipe)


def test_settings_of_objectives_are_typed(recipe):
    assert recipe.objectives["classification"].settings == CrossEntropySettings()
    assert isinstance(recipe.objectives["guidance"].settings, PriorGuidedAttributionSettings)


def test_an_objective_of_weight_zero_is_not_built_but_still_says_how_to_measure(tiny_recipe):
    plain = load_recipe(tiny_recipe, variant="plain")
    assert list(plain.active_objectives) == ["classification"]
    assert plain.guidance is plain.objectives["guidance"]


def test_a_recipe_without_guidance_has_none(recipe):
    content = recipe.content()
    del content["objectives"]["guidance"]
    content["study"]["variants"] = {"plain": {}}
    assert Recipe.model_validate(content).guidance is None


def test_content_is_flat_as_in_yaml(recipe):
    entry = recipe.content()["objectives"]["guidance"]
    assert entry["type"] == "prior_guided_attribution"
    assert entry["reduction"] == "correlation"


def test_what_describes_or_compares_does_not_decide_a_run(recipe):
    changed = recipe.model_copy(update={"about": "other words", "quick": {"training.epochs": 2}})
    assert changed.decisive() == recipe.decisive()
    assert "training" in recipe.decisive()


@pytest.mark.parametrize(
    ("protocol", "count"),
    [("cross_evaluation", 4), ("single_split", 1), ("fixed_test", 4), ("given", 1), ("open_set", 1)],
)
def test_number_of_splits(protocol, count):
    assert SplitSettings(protocol=protocol, folds=4).count == count


def test_classes_to_test_with_belong_to_an_open_set():
    assert SplitSettings(protocol="open_set", test_classes=["a", "b"]).test_classes == ["a", "b"]
    with pytest.raises(ValueError, match="test_classes is for the protocol open_set, but got single_split"):
        SplitSettings(protocol="single_split", test_classes=["a", "b"])


def test_differing_keys_are_found_at_any_depth_and_on_either_side():
    one = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    other = {"a": {"b": 1, "c": {"d": 5}, "x": 1}, "f": 3}
    assert differing_keys(one, other) == ["a.c.d", "a.x", "e", "f"]
    assert differing_keys(one, one) == []
