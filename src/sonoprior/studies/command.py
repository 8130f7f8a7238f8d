"""The commands that make a study and its page again."""

import shlex
from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, recipe_names

from .layout import RECIPE
from .results import StudyResults


def commands(results: StudyResults, case_set: CaseSet | None) -> list[str]:
    """One to train what is missing, by the recipe's name where it was run unchanged; one for the page."""
    folder = shown(results.folder)
    data = "CASE_SET" if case_set is None else shown(case_set.root)
    recipe = _by_name(results.recipe) or [f"{folder}/{RECIPE}"]
    return [
        shlex.join(["sonoprior", "study", *recipe, "--data", data, "--out", folder]),
        shlex.join(["sonoprior", "report", folder, "--data", data]),
    ]


def shown(path: Path) -> str:
    """A path as it is typed: from here, where it lies below."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(path)


def _by_name(recipe: Recipe) -> list[str] | None:
    """How the recipe is named on the command line; None where it is no longer one that comes along."""
    if recipe.name not in recipe_names():
        return None
    full = load_recipe(recipe.name)
    forms = [(full, []), *([(load_recipe(recipe.name, quick=True), ["--quick"])] if full.quick else [])]
    for known, words in forms:
        if _but_seeds(known) == _but_seeds(recipe):
            same = known.study.seeds == recipe.study.seeds
            return [recipe.name, *words, *([] if same else ["--seeds", str(recipe.study.seeds)])]
    return None


def _but_seeds(recipe: Recipe) -> dict[str, object]:
    content = recipe.content()
    return content | {"study": content["study"] | {"seeds": None}}
