"""Whether a guided tap can be exported is said before anything is trained."""

import warnings

import pytest

from sonoprior.training.exportable import warn_of_tap
from sonoprior.training.log import TrainingWarning
from sonoprior.training.recipe import Recipe
from tiny import TINY
from untraceable import UNTRACEABLE


def recipe(**model):
    return Recipe.model_validate(TINY | {"model": TINY["model"] | model})


def test_a_tap_that_cannot_be_traced():
    with pytest.warns(TrainingWarning, match="will show where it looks at the last map, not at 'stem'"):
        warn_of_tap(recipe(backbone=UNTRACEABLE, tap="stem"))


def test_nothing_is_said_of_a_tap_that_can():
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrainingWarning)
        warn_of_tap(recipe())


def test_a_recipe_that_does_not_guide_is_not_asked(monkeypatch):
    plain = {"objectives": {"classification": TINY["objectives"]["classification"]}, "study": {"seeds": 1}}
    monkeypatch.setattr("sonoprior.training.exportable.build_network", None)
    warn_of_tap(Recipe.model_validate(TINY | plain))
