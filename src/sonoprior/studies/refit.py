"""Refit: the study of what a tuning chose, on all folds and seeds, with what was tried beside it.

Tuning has trained some of its runs already: those with the chosen settings and its own seeds. They are taken
over and measured on the test part, which tuning kept from them.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.folder import whole_file
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import recipe_of_run
from sonoprior.training.run import WEIGHTS, is_finished

from .ensemble import refuse_what_has_no_ensemble
from .layout import RECIPE, TRIED, PlannedRun, planned_runs
from .runs import Machines, train_runs
from .study import STUDY
from .tuning import Tuning, read_chosen


def run_refit(
    tuned: Path,
    case_set: CaseSet,
    out: Path,
    on: Machines | None = None,
    *,
    seeds: int | None = None,
    ensemble: bool = False,
) -> dict[str, str]:
    """Train every run of the study that a tuning chose which is not finished yet.

    Args:
        tuned: a finished tuning.
        case_set: the cases that were tuned on.
        out: the study folder.
        on: where to train; here, if not given.
        seeds: runs of each variant and fold; as many as the recipe says, if not given.
        ensemble: whether the folds will be averaged; refused at once where they cannot be.

    Returns:
        The names of the runs that failed, each with its error. The others are finished.

    Raises:
        FolderError: as `read_chosen`, `Tuning.read` and `train_runs`; also if an ensemble cannot be made.
    """
    recipe = read_chosen(tuned, case_set, seeds)
    if ensemble:
        refuse_what_has_no_ensemble(recipe)
    failed = train_runs(STUDY, recipe, case_set, out, on or Machines(), trained_by(tuned, recipe))
    with whole_file(out / TRIED) as temporary:
        shutil.copyfile(tuned / TRIED, temporary)
    return failed


def trained_by(tuned: Path, recipe: Recipe) -> dict[PlannedRun, Path]:
    """The runs of a study that a tuning has trained already, each with its folder.

    A run whose weights were deleted since, or whose settings stand otherwise in chosen.yaml by now, is not
    among them.

    Args:
        tuned: a finished tuning.
        recipe: that it chose, as `read_chosen` gives it.
    """
    trials = {one.variant: one for one in Tuning.read(tuned).trials}
    folders = {
        run: replace(run, setting=trials[run.variant].chosen_on(run.fold)).folder(tuned)
        for run in planned_runs(recipe)
        if run.variant in trials
    }
    return {run: folder for run, folder in folders.items() if _trained(folder, run.recipe(recipe))}


def _trained(folder: Path, recipe: Recipe) -> bool:
    if not is_finished(folder) or not (folder / WEIGHTS).is_file():
        return False
    return recipe_of_run(folder / RECIPE).decisive() == recipe.decisive()
