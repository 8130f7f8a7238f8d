"""A run that begins with another one: what that one learnt from must not be measured."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.folder import kind_of, read_json

from .machine import CASE_SET, ENVIRONMENT
from .parts import UNLABELLED, Parts, read_table
from .recipe import Recipe
from .recipe_file import pretraining_recipe
from .unlabelled import check_apart


def check_begun(recipe: Recipe, case_set: CaseSet, parts: Parts) -> None:
    """Refuse the weights of a run that learnt from what is measured, as one on another split of the same set.

    A run on another case set is no matter of this one, and neither is a file whose run is not known. A run of
    the recipe's own `pretraining` is trained on the same split; what that one begins with is held to it too.

    Args:
        recipe: names the weights: a run's folder, or the file in it.
        case_set: the run's own.
        parts: of the run.

    Raises:
        DataError: naming the exams, patients or cases.
        FolderError: if the split of the run that it begins with is damaged.
    """
    if name := recipe.pretrained_with:
        check_begun(pretraining_recipe(recipe, name), case_set, parts)
        return
    path = Path(recipe.model.weights)
    run = path if path.is_dir() else path.parent
    if not path.exists() or kind_of(run) != "run":
        return
    split = read_table(run / "split.csv")
    if not _same_set(run, case_set, split["case"]):
        return
    learnt = split["case"][split["part"].isin(["train", UNLABELLED])]
    seen = case_set.subset(np.flatnonzero(np.isin(case_set.ids, learnt)))
    what = f"model.weights ({run}): what this run learnt from"
    check_apart(what, seen, case_set, parts, ("exam", "patient", "case"))


def _same_set(run: Path, case_set: CaseSet, cases: Collection[str]) -> bool:
    """Whether a run had the cases of this set; of one that is gone only its name and its cases are known."""
    if read_json(run / "run.json")["case_set"] != case_set.info.name or not {*cases} <= {*case_set.ids}:
        return False
    place = read_json(run / ENVIRONMENT).get(CASE_SET)
    if place is None or not Path(place).is_dir():
        return True
    # Two simulated sets call their cases and patients alike, and have nothing in common.
    return Path(place) == case_set.root.resolve() or CaseSet.open(place).table.equals(case_set.table)
