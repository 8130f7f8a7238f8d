"""The commands that make a study and its page again."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import RecipeError
from sonoprior.training.recipe import Recipe, differing_keys
from sonoprior.training.recipe_file import load_recipe, recipe_names

from .layout import RECIPE
from .results import StudyResults

# With more settings than these it is another recipe, and better read in its file.
_SETTINGS = 6


def commands(results: StudyResults, case_set: CaseSet | None) -> list[str]:
    """From the recipe's name and what was set and left out, else from the recipe in the study folder."""
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
    """Which one was run, and how it was changed; None where it is no longer one that comes along."""
    if recipe.name not in recipe_names():
        return None
    forms = [_form(recipe, quick) for quick in (False, True)]
    return min((form for form in forms if form), key=lambda form: len(form.words), default=None)


def _form(recipe: Recipe, quick: bool) -> _Known | None:
    """The full or the quick form, if few settings lead from it to the recipe."""
    left_out, wanted = recipe.study.left_out, _but_seeds(recipe)
    try:
        there = load_recipe(recipe.name, quick=quick).study.variants
        known = load_recipe(recipe.name, quick=quick, without=left_out)
        differing = differing_keys(_but_seeds(known), wanted)
        if len(differing) > _SETTINGS:
            return None
        changes = [f"{key}={_as_yaml(wanted, key)}" for key in differing]
        reached = load_recipe(recipe.name, quick=quick, changes=changes, without=left_out)
    except RecipeError:  # there is no such form, or what differs is not to be had by settings
        return None
    if _but_seeds(reached) != wanted:
        return None
    options = [("--set", change) for change in changes] + [
        ("--without", name) for name in left_out if name in there
    ]
    words = [recipe.name, *(["--quick"] if quick else []), *(word for option in options for word in option)]
    return _Known(words, known.study.seeds)


def _as_yaml(content: Any, key: str) -> str:
    """The value at a dotted key as it is typed; null where it is not there."""
    for step in key.split("."):
        content = content.get(step) if isinstance(content, dict) else None
    typed = yaml.safe_dump(content, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return typed.removesuffix("...\n").rstrip()


def _but_seeds(recipe: Recipe) -> dict[str, Any]:
    """What a recipe was before it grew or was tuned, which leaves its quick form out."""
    content = recipe.content()
    return content | {"quick": {}, "study": content["study"] | {"seeds": None, "chosen": {}}}
