"""A study: variants x folds x seeds of one recipe, each a run that can be resumed."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.core.checks import at_least, listed
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import require, stamp, whole_folder, write_text
from sonoprior.core.progress import bar
from sonoprior.objectives.prior_guided_attribution import GuidanceWarning
from sonoprior.training.assemble import preflight, usable_priors
from sonoprior.training.loop import Fit
from sonoprior.training.machine import choose_device
from sonoprior.training.parts import case_groups, plan_parts
from sonoprior.training.recipe import Recipe, differing_keys
from sonoprior.training.recipe_file import load_recipe, take_variant, write_recipe
from sonoprior.training.run import Computing, Plan, is_finished, train_run

from .layout import FORMAT, KIND, RECIPE, PlannedRun, planned_runs
from .splits import read_splits, write_splits
from .workers import News, Tell, work_through

SPLITS = "splits.csv"
PRELOAD = ("sonoprior.training.run",)
# A study may grow.
_MAY_DIFFER = {"seeds"}


def run_study(
    recipe: Recipe, case_set: CaseSet, out: Path, *, jobs: int = 1, device: str = "auto"
) -> dict[str, str]:
    """Train every run of a study that is not finished yet.

    Args:
        recipe: with its variants; of the same settings as what is in `out`, if anything is.
        case_set: the cases.
        out: the study folder.
        jobs: runs at a time; the cores are divided among them.
        device: see `choose_device`.

    Returns:
        The names of the runs that failed, each with its error. The others are finished.

    Raises:
        FolderError: if `out` is no study, or one of another recipe or of other cases.
        SonopriorError: if what a variant asks for cannot be had, before anything is written.
    """
    at_least("the number of jobs", jobs, 1)
    choose_device(device)
    prepare(recipe, case_set, out)
    planned = planned_runs(recipe)
    open_runs = [run for run in planned if not is_finished(run.folder(out))]
    if not open_runs:
        return {}
    build_caches(recipe, case_set, out)
    # Of all runs, not of the open ones: a resumed study gives its runs the threads that they would have had.
    workers = min(jobs, len(planned))
    pieces = {run.name: (out, case_set.root, run, workers, device) for run in open_runs}
    news = work_through(pieces, _one_run, workers, PRELOAD)
    return _follow(news, recipe.training.epochs, {run.name: run.folder(out) for run in open_runs})


def prepare(recipe: Recipe, case_set: CaseSet, out: Path) -> None:
    """Write what a study is, or check that it is what the folder holds.

    Raises:
        FolderError: if the folder holds something else, naming what differs.
    """
    if out.exists() and any(out.iterdir()):
        _check_same(recipe, out)
        read_splits(out / SPLITS, case_set)
        write_recipe(out / RECIPE, recipe)
        return
    for variant in recipe.study.variants:
        preflight(take_variant(recipe, variant), case_set)
    with whole_folder(out) as building:
        groups = case_groups(recipe.split, case_set, building / "cache")
        folds = plan_parts(recipe.split, recipe.data, case_set, groups)
        write_splits(building / SPLITS, case_set, groups, folds)
        write_recipe(building / RECIPE, recipe)
        stamp(building, KIND, FORMAT)


def _check_same(recipe: Recipe, out: Path) -> None:
    require(out, KIND, FORMAT)
    kept = load_recipe(out / RECIPE)
    differing = differing_keys(kept.decisive(), recipe.decisive())
    differing += [
        f"study.{key}"
        for key in differing_keys(kept.content()["study"], recipe.content()["study"])
        if key not in _MAY_DIFFER
    ]
    if differing:
        raise FolderError(
            f"{out} holds a study that differs in {listed(differing)}; name a new folder, or use the"
            " settings that it began with."
        )


def build_caches(recipe: Recipe, case_set: CaseSet, out: Path) -> None:
    """Decode the pixels once for all runs."""
    for variant in recipe.study.variants:
        settings = take_variant(recipe, variant)
        priors = usable_priors(settings, case_set)
        # Noise belongs to a seed: its run decodes for itself. By the real priors every run is measured.
        Cache.build(case_set, out / "cache", size=settings.data.size, priors=priors and priors.real)


def _one_run(tell: Tell, out: Path, case_set_root: Path, run: PlannedRun, workers: int, device: str) -> None:
    """One run of a study, in a process of its own."""
    warnings.simplefilter("ignore", GuidanceWarning)  # the study has warned already
    case_set = CaseSet.open(case_set_root)
    groups, folds = read_splits(out / SPLITS, case_set)
    plan = Plan(
        recipe=take_variant(load_recipe(out / RECIPE), run.variant),
        case_set=case_set,
        parts=folds[run.fold],
        groups=groups,
        variant=run.variant,
        fold=run.fold,
        seed=run.seed,
    )

    def after_epoch(fit: Fit) -> None:
        tell(fit.progress.epochs)

    computing = Computing(choose_device(device), workers, out / "cache")
    train_run(plan, run.folder(out), computing, resume=True, after_epoch=after_epoch)


def _follow(news: Iterator[News], epochs: int, folders: Mapping[str, Path]) -> dict[str, str]:
    """Show progress, keep the tracebacks of unforeseen errors, and return what failed."""
    failed: dict[str, str] = {}
    seen = dict.fromkeys(folders, 0)
    with bar("training", epochs * len(folders)) as tick:
        ended = 0
        for item in news:
            done = epochs if item.steps is None else item.steps
            ended += item.steps is None
            tick(done - seen[item.name], f"{ended} of {len(folders)} runs done")
            seen[item.name] = done
            if item.steps is None:
                _keep_trace(folders[item.name], item)
            if item.error is not None:
                failed[item.name] = item.error
    return failed


def _keep_trace(folder: Path, item: News) -> None:
    path = folder.with_name(f"{folder.name}.error.txt")
    if item.trace:
        write_text(path, item.trace)
    else:
        path.unlink(missing_ok=True)
