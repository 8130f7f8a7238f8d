"""Refit: the study of what a tuning chose, on all folds and seeds, with what was tried beside it."""

import shutil
from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.folder import whole_file

from .ensemble import refuse_what_has_no_ensemble
from .layout import TRIED
from .runs import Machines, train_runs
from .study import STUDY
from .tuning import read_chosen


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
        FolderError: as `read_chosen` and `train_runs`; also if an ensemble cannot be made.
    """
    recipe = read_chosen(tuned, case_set, seeds)
    if ensemble:
        refuse_what_has_no_ensemble(recipe)
    failed = train_runs(STUDY, recipe, case_set, out, on or Machines())
    with whole_file(out / TRIED) as temporary:
        shutil.copyfile(tuned / TRIED, temporary)
    return failed
