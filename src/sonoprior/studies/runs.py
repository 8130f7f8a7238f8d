"""Many runs of one recipe in one folder: planned once, trained side by side, taken up where they stopped."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Any

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.core.checks import at_least, listed
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import require, stamp, whole_folder, write_text
from sonoprior.core.progress import bar
from sonoprior.objectives.prior_guided_attribution import GuidanceWarning
from sonoprior.training.assemble import check_guided, preflight, usable_priors
from sonoprior.training.log import TrainingWarning
from sonoprior.training.loop import Fit
from sonoprior.training.machine import choose_device
from sonoprior.training.parts import case_groups, labelled_part, plan_parts, without_test
from sonoprior.training.pretraining import epochs_in_all
from sonoprior.training.recipe import Recipe, differing_keys
from sonoprior.training.recipe_file import load_recipe, write_recipe
from sonoprior.training.run import Computing, Plan, is_finished, train_run
from sonoprior.training.unlabelled import check_streams

from .cluster import Cluster
from .layout import RECIPE, SPLITS, PlannedRun
from .lock import only_process, only_trainer
from .splits import read_splits, write_splits
from .workers import News, Reports, Tell, work_through

PRELOAD = ("sonoprior.training.run",)


@dataclass(frozen=True)
class Kind:
    """What a folder of runs is for.

    Attributes:
        name: how its folder is marked.
        format: the version of its layout.
        planned: a recipe to all its runs.
        tested: whether the runs are measured on the test part; without it they never see the test cases.
        compared: a recipe to what, besides the settings of its runs, must stay the same when the work is
            taken up again.
    """

    name: str
    format: int
    planned: Callable[[Recipe], Sequence[PlannedRun]]
    tested: bool
    compared: Callable[[Recipe], Mapping[str, Any]]


@dataclass(frozen=True)
class Machines:
    """Where runs are trained.

    Attributes:
        jobs: runs at a time on this machine; the cores are divided among them.
        device: see `choose_device`; on a cluster every worker chooses for itself.
        cluster: the address of a dask scheduler whose workers train instead of this machine.
    """

    jobs: int = 1
    device: str = "auto"
    cluster: str | None = None


def train_runs(
    kind: Kind,
    recipe: Recipe,
    case_set: CaseSet,
    out: Path,
    on: Machines,
    trained: Mapping[PlannedRun, Path] | None = None,
) -> dict[str, str]:
    """Train every run that is not finished yet.

    Args:
        kind: what the runs are for.
        recipe: with its variants; of the same settings as what is in `out`, if anything is.
        case_set: the cases.
        out: the folder.
        on: where to train.
        trained: the runs that need no training, with the run whose weights each takes; see `train_run`.

    Returns:
        The names of the runs that failed, each with its error. The others are finished.

    Raises:
        FolderError: if `out` is something else, belongs to another recipe or other cases, or another
            process is at work in it.
        SonopriorError: if what a variant asks for cannot be had, before anything is written, or the
            cluster cannot be used.
    """
    at_least("the number of jobs", on.jobs, 1)
    if on.cluster is None:
        choose_device(on.device)
    create(kind, recipe, case_set, out)
    with only_process(out):
        take_up(kind, recipe, case_set, out)
        open_runs = [run for run in kind.planned(recipe) if not is_finished(run.folder(out))]
        if not open_runs:
            return {}
        build_caches(kind, recipe, case_set, out)
        return _train(kind, recipe, case_set, out, on, open_runs, trained or {})


def create(kind: Kind, recipe: Recipe, case_set: CaseSet, out: Path) -> None:
    """Write what is to be trained, unless the folder holds something already.

    Raises:
        SonopriorError: if what a variant asks for cannot be had.
    """
    if out.exists() and any(out.iterdir()):
        return
    variants = _different(kind, recipe)
    with whole_folder(out) as building:
        for settings in variants:
            preflight(settings, case_set, building / "cache")
        groups = case_groups(recipe.split, case_set, building / "cache")
        for settings in variants:  # what one of them cannot have is said now, not when its turn has come
            own = plan_parts(
                settings.split,
                settings.data,
                case_set,
                groups,
                classifies=settings.classifies,
                streams=bool(settings.streams),
            )
            for fold, parts in enumerate(own):
                check_guided(settings, case_set, parts["train"], fold)
                check_streams(settings, case_set, parts)
        whole = recipe.split.model_copy(update={"label_fraction": 1.0})
        folds = plan_parts(whole, recipe.data, case_set, groups, classifies=recipe.classifies)
        kept = folds if kind.tested else [without_test(fold) for fold in folds]
        write_splits(building / SPLITS, case_set, groups, kept)
        write_recipe(building / RECIPE, recipe)
        stamp(building, kind.name, kind.format)


def take_up(kind: Kind, recipe: Recipe, case_set: CaseSet, out: Path) -> None:
    """Check that a folder holds what is to be trained, and keep what the recipe says now.

    Raises:
        FolderError: if it holds something else, naming what differs.
    """
    require(out, kind.name, kind.format)
    kept = load_recipe(out / RECIPE)
    differing = differing_keys(kept.decisive(), recipe.decisive())
    differing += differing_keys(kind.compared(kept), kind.compared(recipe))
    if differing:
        raise FolderError(
            f"{out} holds a {kind.name} that differs in {listed(differing)}; name a new folder, or use the"
            " settings that it began with."
        )
    read_splits(out / SPLITS, case_set)
    write_recipe(out / RECIPE, recipe)


def build_caches(kind: Kind, recipe: Recipe, case_set: CaseSet, out: Path) -> None:
    """Decode the pixels once for all runs."""
    for settings in _different(kind, recipe):
        priors = usable_priors(settings, case_set)
        # Every run is measured by the real priors. Noise belongs to a seed: its run decodes that for itself.
        trained_by = [] if priors is None or priors.noise > 0 else [priors]
        for spec in (priors and priors.real, *trained_by):
            Cache.build(case_set, out / "cache", size=settings.data.size, priors=spec)


def _different(kind: Kind, recipe: Recipe) -> list[Recipe]:
    """The recipes of all runs, once each, but for what only the optimiser sees."""
    found: dict[str, Recipe] = {}
    for run in kind.planned(recipe):
        if run.seed == 0:
            settings = run.recipe(recipe)
            decisive = {key: value for key, value in settings.decisive().items() if key != "training"}
            found.setdefault(json.dumps(decisive), settings)
    return list(found.values())


def _train(
    kind: Kind,
    recipe: Recipe,
    case_set: CaseSet,
    out: Path,
    on: Machines,
    runs: Sequence[PlannedRun],
    trained: Mapping[PlannedRun, Path],
) -> dict[str, str]:
    out, root = out.resolve(), case_set.root.resolve()
    folders = {run.name: run.folder(out) for run in runs}
    epochs = {run.name: epochs_in_all(run.recipe(recipe)) for run in runs}
    taken = {run: trained[run].resolve() for run in runs if run in trained}

    def pieces(workers: int) -> dict[str, tuple[Any, ...]]:
        return {run.name: (out, root, run, workers, on.device, taken.get(run)) for run in runs}

    if on.cluster is not None:
        with Cluster(on.cluster) as cluster:
            cluster.check_sees([out, root, *([Path(commonpath(taken.values()))] if taken else [])])
            return _follow(cluster.work_through(pieces(cluster.sharing), train_one), epochs, folders)
    # Of all runs, not of the open ones: what is taken up again gets the threads that it would have had.
    workers = min(on.jobs, len(kind.planned(recipe)))
    return _follow(work_through(pieces(workers), train_one, workers, PRELOAD), epochs, folders)


def train_one(
    tell: Tell,
    out: Path,
    case_set_root: Path,
    run: PlannedRun,
    workers: int,
    device: str,
    trained: Path | None = None,
) -> None:
    """Train one run, in a process of its own; see `train_run` for `trained`."""
    warnings.simplefilter("ignore", GuidanceWarning)  # whoever planned the runs has been warned already
    warnings.simplefilter("ignore", TrainingWarning)  # each run keeps its own notes
    case_set, recipe = CaseSet.open(case_set_root), run.recipe(load_recipe(out / RECIPE))
    groups, folds = read_splits(out / SPLITS, case_set)
    plan = Plan(
        recipe=recipe,
        case_set=case_set,
        parts=labelled_part(
            recipe.split, recipe.data, case_set, groups, folds[run.fold], streams=bool(recipe.streams)
        ),
        groups=groups,
        variant=run.variant,
        fold=run.fold,
        seed=run.seed,
    )

    def after_epoch(fit: Fit) -> None:
        tell(fit.epochs_done)

    computing = Computing(choose_device(device), workers, out / "cache", out / "pretraining")
    with only_trainer(out, run.folder(out)):
        train_run(plan, run.folder(out), computing, resume=True, trained=trained, after_epoch=after_epoch)


def _follow(news: Reports, epochs: Mapping[str, int], folders: Mapping[str, Path]) -> dict[str, str]:
    """Show progress, keep the tracebacks of unforeseen errors, and return what failed."""
    failed: dict[str, str] = {}
    seen = dict.fromkeys(folders, 0)
    with closing(news), bar("training", sum(epochs.values())) as tick:
        ended = 0
        for item in news:
            done = epochs[item.name] if item.steps is None else item.steps
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
