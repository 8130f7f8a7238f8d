"""The commands that make a study and its page again."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from sonoprior.cases.case_set import CaseSet
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, recipe_names

from .layout import RECIPE
from .results import StudyResults


def commands(results: StudyResults, case_set: CaseSet | None) -> list[str]:
    """From the recipe's name, where it was run unchanged or tuned, else from the one in the study folder."""
    folder, recipe = shown(results.folder), results.recipe
    data = "CASE_SET" if case_set is None else shown(case_set.root)
    known = _by_name(recipe)
    seeds = [] if known is None or known.seeds == recipe.study.seeds else ["--seeds", str(recipe.study.seeds)]
    on = ["--data", data, "--out", folder, *seeds]
    if known is None:
        made = [["study", f"{folder}/{RECIPE}", *on]]
    elif recipe.study.chosen:
        tuned = f"{folder}-tune"
        made = [["tune", *known.words, "--data", data, "--out", tuned], ["refit", tuned, *on]]
    else:
        made = [["study", *known.words, *on]]
    return [shlex.join(["sonoprior", *words]) for words in (*made, ["report", folder, "--data", data])]


def shown(path: Path) -> str:
    """A path as it is typed: from here, where it lies below."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(path)


class _Known(NamedTuple):
    """A recipe that comes along: how the command line names it, and its seeds."""

    words: list[str]
    seeds: int


def _by_name(recipe: Recipe) -> _Known | None:
    """Which one was run, full or quick; None where it is no longer one that comes along."""
    if recipe.name not in recipe_names():
        return None
    full = load_recipe(recipe.name)
    forms = [(full, [recipe.name])]
    if full.quick:
        forms.append((load_recipe(recipe.name, quick=True), [recipe.name, "--quick"]))
    same = [(known, words) for known, words in forms if _but_seeds(known) == _but_seeds(recipe)]
    return _Known(same[0][1], same[0][0].study.seeds) if same else None


def _but_seeds(recipe: Recipe) -> dict[str, Any]:
    """What a recipe was before it grew or was tuned, which leaves its quick form out."""
    content = recipe.content()
    return content | {"quick": {}, "study": content["study"] | {"seeds": None, "chosen": {}}}
