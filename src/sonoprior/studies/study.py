"""A study: variants x folds x seeds of one recipe, each a run that can be resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sonoprior.cases.case_set import CaseSet
from sonoprior.training.recipe import Recipe

from .layout import FORMAT, KIND, planned_runs
from .runs import Kind, Machines, train_runs

# A study may grow, be asked in other words, and show others of its variants.
_MAY_DIFFER = {"seeds", "question", "shown"}


def _compared(recipe: Recipe) -> Mapping[str, Any]:
    asked = recipe.content()["study"]
    return {"study": {key: value for key, value in asked.items() if key not in _MAY_DIFFER}}


STUDY = Kind(KIND, FORMAT, planned_runs, tested=True, compared=_compared)


def run_study(
    recipe: Recipe,
    case_set: CaseSet,
    out: Path,
    on: Machines | None = None,
) -> dict[str, str]:
    """Train every run of a study that is not finished yet, here if `on` is not given.

    Arguments and errors as in `train_runs`.

    Returns:
        The names of the runs that failed, each with its error. The others are finished.
    """
    return train_runs(STUDY, recipe, case_set, out, on or Machines())
