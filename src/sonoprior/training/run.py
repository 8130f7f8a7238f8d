"""One run: a recipe, a case set and a split become a run folder, from wherever it was left."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.priors import PriorSpec, prior_names
from sonoprior.core.checks import at_least, listed, within
from sonoprior.core.errors import DataError, FolderError, RecipeError
from sonoprior.core.folder import read_json, require, stamp, whole_file, whole_folder, write_json
from sonoprior.core.randomness import derived_seed

from .assemble import assemble, check_guided, preflight, usable_priors
from .begun import check_begun
from .checkpoint import Checkpoint, read_tensors, write_tensors
from .evaluation import Asked, Evaluation, Model, evaluate
from .knowledge import said
from .language import class_text
from .log import BOARD, LOG, NOTES, Log
from .loop import Fit
from .machine import CASE_SET, ENVIRONMENT, computing, environment, share_of_cores
from .parts import Parts, case_groups, plan_parts, read_parts, without_test, write_parts
from .pretraining import (
    epochs_before,
    pretraining_folder,
    pretraining_parts,
    with_weights,
)
from .recipe import LABELLED, Recipe, differing_keys
from .recipe_file import pretraining_recipe, recipe_of_run, write_recipe
from .retrieval_evaluation import Known, of_term_sets
from .task import Task, level_of, task_of
from .text_side import keep_texts, read_texts
from .unlabelled import check_streams

KIND, FORMAT = "run", 1
CHECKPOINT, WEIGHTS, METRICS = "checkpoint.safetensors", "weights.safetensors", "metrics.json"
EMBEDDINGS, LANGUAGE = "embeddings.safetensors", "language.safetensors"
AfterEpoch = Callable[[Fit], None]


@dataclass(frozen=True)
class Plan:
    """What one run is.

    Attributes:
        recipe: with the settings of its variant.
        case_set: where its cases come from.
        parts: positions of its train, validation and test cases; no test cases while it is tuned.
        groups: (n,) the group of every case of the set.
        variant: the name of its variant, for the record.
        fold: the number of its split, from 0.
        seed: every draw is derived from it.
    """

    recipe: Recipe
    case_set: CaseSet
    parts: Parts
    groups: NDArray[np.str_]
    variant: str = "plain"
    fold: int = 0
    seed: int = 0


def plan_run(recipe: Recipe, case_set: CaseSet, variant: str, fold: int = 0, seed: int = 0) -> Plan:
    """Plan a single run: split the case set as the recipe says, and take one fold.

    Raises:
        RecipeError: if there is no such fold, or the level is unknown.
        DataError: if the cases cannot be split.
    """
    within("fold", fold, 0, recipe.split.count - 1, RecipeError)
    at_least("seed", seed, 0, RecipeError)
    level_of(recipe, case_set)
    groups = case_groups(recipe.split, case_set)
    folds = plan_parts(
        recipe.split,
        recipe.data,
        case_set,
        groups,
        classifies=recipe.classifies,
        streams=bool(recipe.streams),
    )
    return Plan(recipe, case_set, folds[fold], groups, variant, fold, seed)


@dataclass(frozen=True)
class Computing:
    """What a run computes on.

    Attributes:
        device: where it trains.
        workers: runs that share the cores.
        cache: where decoded pixels are kept; none keeps them in the run folder while it trains.
        pretraining: where runs that come before others are kept, so that several begin with one of them;
            none keeps it in the folder of the run that begins with it.
    """

    device: torch.device
    workers: int = 1
    cache: Path | None = None
    pretraining: Path | None = None


def train_run(
    plan: Plan,
    out: Path,
    on: Computing,
    *,
    resume: bool = False,
    trained: Path | None = None,
    after_epoch: AfterEpoch | None = None,
) -> Path:
    """Train, keep the best weights, and measure them.

    A run that was stopped at any moment goes on with `resume`, from its last finished epoch, and ends
    with the same weights as one that never stopped, at the same number of threads.

    Args:
        plan: what to train.
        out: the run folder.
        on: what to compute on.
        resume: go on with what is in `out`, if anything is; a finished run is left as it is.
        trained: a finished run that learnt the same from the same cases, but was not measured on the test
            part, as one of a tuning; its weights are taken, and nothing is trained.
        after_epoch: called after every epoch, to show progress.

    Returns:
        The run folder.

    Raises:
        FolderError: if `out` exists and is not resumed, or holds another run or a damaged checkpoint; also
            if `trained` is another run.
    """
    if not (resume and out.exists() and any(out.iterdir())):
        start_folder(plan, out, on)
    check_same(plan, out)
    if is_finished(out):
        return out
    if trained is not None:
        check_same(replace(plan, parts=without_test(plan.parts)), trained)
    started = None if trained else _pretrained(plan, out, on, after_epoch)
    threads = read_json(out / ENVIRONMENT)["threads"]
    with computing(threads, derived_seed(plan.seed, "run")):
        _train_and_measure(plan, out, on, started, trained, after_epoch)
    return out


def is_finished(run: Path) -> bool:
    """Whether a run is trained and measured; its metrics are the last that it writes."""
    return (run / METRICS).is_file()


def start_folder(plan: Plan, out: Path, on: Computing) -> None:
    """Write what a run is, before it trains.

    Raises:
        FolderError: if the folder exists already.
        SonopriorError: if what the recipe asks for cannot be had.
    """
    preflight(plan.recipe, plan.case_set, on.cache)
    check_guided(plan.recipe, plan.case_set, plan.parts["train"], plan.fold)
    check_streams(plan.recipe, plan.case_set, plan.parts)
    check_begun(plan.recipe, plan.case_set, plan.parts)
    level = level_of(plan.recipe, plan.case_set)
    threads = plan.recipe.training.threads or share_of_cores(on.workers)
    with whole_folder(out) as building:
        write_recipe(building / "recipe.yaml", plan.recipe)
        write_parts(building / "split.csv", plan.case_set, plan.parts)
        write_json(building / ENVIRONMENT, _environment(plan, threads, on))
        write_json(building / "run.json", _identity(plan, level))
        stamp(building, KIND, FORMAT)


def _environment(plan: Plan, threads: int, on: Computing) -> dict[str, Any]:
    """What it ran on and where its cases lay; neither is part of what the run is."""
    return environment(on.device, threads, on.workers) | {CASE_SET: str(plan.case_set.root.resolve())}


def _identity(plan: Plan, level: str) -> dict[str, Any]:
    priors = usable_priors(plan.recipe, plan.case_set)
    task = task_of(plan.recipe, plan.case_set, plan.parts)
    identity = {
        "variant": plan.variant,
        "fold": plan.fold,
        "seed": plan.seed,
        "level": level,
        "classes": plan.case_set.classes(level),
        "priors": prior_names(plan.case_set, priors) if priors else [],
        "case_set": plan.case_set.info.name,
        "simulated": plan.case_set.info.simulated,
    }
    return identity | _beyond_a_classifier(plan.recipe, task)


def _beyond_a_classifier(recipe: Recipe, task: Task) -> dict[str, Any]:
    """What is needed to read the outputs of a network that is no plain classifier, and to report of them."""
    heads = task.heads
    embeds = {"levels": {name: list(of) for name, of in task.classes.items()}, "embeds": True}
    further = {"combinations": len(task.combinations), "clusters": heads.clusters}
    told = (embeds if heads.embeds else {}) | {name: count for name, count in further.items() if count}
    told |= {"decides": True, "singles": list(task.singles)} if recipe.decides else {}
    return told | ({"classifies": recipe.names_by == "probabilities"} if told else {})


def check_same(plan: Plan, out: Path) -> None:
    """Refuse to go on with a folder that holds another run.

    Raises:
        FolderError: naming what differs.
    """
    require(out, KIND, FORMAT)
    kept = recipe_of_run(out / "recipe.yaml")
    differing = differing_keys(kept.decisive(), plan.recipe.decisive())
    identity = _identity(plan, level_of(plan.recipe, plan.case_set))
    differing += differing_keys(read_json(out / "run.json"), identity)
    if differing:
        raise FolderError(
            f"{out} holds another run, which differs in {listed(differing)}; name a new folder, or resume"
            " it with the settings that it began with."
        )
    for part, positions in read_parts(out / "split.csv", plan.case_set).items():
        if not np.array_equal(positions, plan.parts[part]):
            raise FolderError(
                f"{out} holds another run, whose {part} part has other cases; name a new folder."
            )


def _pretrained(plan: Plan, out: Path, on: Computing, after_epoch: AfterEpoch | None) -> Path | None:
    """The finished run that this one begins with, trained now unless another run did so; None if none."""
    name = plan.recipe.pretrained_with
    if name is None:
        return None
    recipe = pretraining_recipe(plan.recipe, name)
    root = on.pretraining or out / "pretraining"
    folder = pretraining_folder(recipe, name, plan.fold, plan.seed, root)
    before = replace(plan, recipe=recipe, parts=pretraining_parts(plan.parts), variant=name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whoever comes second waits, and then finds it finished.
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        return train_run(before, folder, on, resume=True, after_epoch=after_epoch)


def _train_and_measure(
    plan: Plan,
    out: Path,
    on: Computing,
    started: Path | None,
    trained: Path | None,
    after_epoch: AfterEpoch | None,
) -> None:
    recipe, own_cache = plan.recipe, out / "cache"
    priors = usable_priors(recipe, plan.case_set)

    def pixels(spec: PriorSpec | None) -> Cache:
        folder = on.cache or own_cache
        return Cache.build(plan.case_set, folder, size=recipe.data.size, priors=spec, seed=plan.seed)

    cache = pixels(priors)
    texts = on.cache or own_cache
    begun = _beginning(recipe, started, trained)
    training, tap = assemble(begun, cache, plan.parts, plan.seed, on.device, groups=plan.groups, texts=texts)
    fit = Fit(training, before=epochs_before(recipe))
    if trained is None:
        _fit(fit, out, after_epoch, _unlearnt(plan, training.validation.task))
    else:
        _take(fit, trained, out)
    training.network.load_state_dict(fit.best)
    _keep_texts(out, recipe, fit)
    model = Model(
        network=training.network,
        tap=tap,
        level=training.validation.task.level,
        classes=training.validation.task.classes[training.validation.task.level],
        heads=training.validation.task.heads,
        attribution=recipe.attribution,
        target=recipe.attributed,
        device=on.device,
        singles=training.validation.task.singles,
    )
    # While it is tuned, a run has no test part.
    measured_parts = {part: plan.parts[part] for part in ("validation", "test") if len(plan.parts[part])}
    seen = pixels(priors and priors.real)  # the error of position that a recipe adds is for training only
    asked = asked_of(recipe, training.validation.task, plan.case_set, plan.groups, plan.parts["train"])
    batch_size = recipe.training.batch_size
    _keep_what_is_said(out, recipe, training.validation.task, texts)
    write_evaluation(out, evaluate(model, seen, measured_parts, plan.groups, batch_size, asked))
    # The pixels of patients have no place in a finished run, and its checkpoint no use.
    shutil.rmtree(own_cache, ignore_errors=True)
    (out / CHECKPOINT).unlink(missing_ok=True)
    for cut_off in out.glob(f".{CHECKPOINT}.*"):  # what a kill left of a checkpoint that was being written
        cut_off.unlink()


def _beginning(recipe: Recipe, started: Path | None, trained: Path | None) -> Recipe:
    """The recipe with the weights that its network begins with."""
    if trained is not None:
        return with_weights(recipe, "none")  # those that are taken stand in for any others
    return recipe if started is None else with_weights(recipe, str(started))


def _unlearnt(plan: Plan, task: Task) -> list[str]:
    """A sentence on the classes that the case set names and that a run is not shown, if it learns any."""
    # The classes that an open set tests are left out on purpose.
    if LABELLED not in plan.recipe.streams_read or plan.recipe.split.protocol == "open_set":
        return []
    missing = task.unlearnt(plan.parts["train"])
    said = f"no labelled training case shows these classes of the level '{task.level}', so nothing is learnt"
    return [f"{said} of them: {listed(missing, 8)}."] if missing else []


def _fit(fit: Fit, out: Path, after_epoch: AfterEpoch | None, before: Sequence[str]) -> None:
    """Train from wherever it stands, and keep the weights of the best epoch."""
    if (out / CHECKPOINT).exists():
        fit.restore(Checkpoint.load(out / CHECKPOINT))
    log = Log(out, fit.progress.rows, before)

    def keep(fit: Fit) -> None:
        log.add(fit.progress.rows[-1])
        if fit.finished or fit.progress.epochs % fit.training.settings.checkpoint_every == 0:
            fit.checkpoint().save(out / CHECKPOINT)
        if after_epoch is not None:
            after_epoch(fit)

    try:
        fit.run(keep)
    finally:
        log.close()
    write_tensors(out / WEIGHTS, fit.best)


def _take(fit: Fit, trained: Path, out: Path) -> None:
    """Take what another run learnt, with its log and with what it was trained on."""
    texts = read_texts(trained)
    fit.best, fit.best_texts = read_tensors(trained / WEIGHTS), texts.weights if texts else {}
    for name in (WEIGHTS, LOG, NOTES):
        if (trained / name).exists():
            with whole_file(out / name) as temporary:
                shutil.copyfile(trained / name, temporary)
    if (trained / BOARD).exists():
        shutil.copytree(trained / BOARD, out / BOARD, dirs_exist_ok=True)
    here = read_json(out / ENVIRONMENT)
    write_json(out / ENVIRONMENT, read_json(trained / ENVIRONMENT) | {CASE_SET: here[CASE_SET]})


def _keep_texts(out: Path, recipe: Recipe, fit: Fit) -> None:
    """Write what brings texts to the images; an older version that began the run may have kept none."""
    space, hierarchy = fit.training.texts, fit.training.validation.task.hierarchy
    if space is None or hierarchy is None or not fit.best_texts:
        return
    captions = class_text(recipe.language, hierarchy.levels)[space.level]
    keep_texts(out, space, fit.best_texts, captions, recipe.language.encoder)


def asked_of(
    recipe: Recipe,
    task: Task,
    case_set: CaseSet,
    groups: NDArray[np.str_],
    train: NDArray[np.int64] | None = None,
) -> Asked | None:
    """How retrieval is measured; None for a network that does not embed.

    Args:
        recipe: of the run.
        task: what it learns.
        case_set: the cases that are measured.
        groups: (N,) of all its cases.
        train: (m,) the cases that it learns from; None on another case set.

    Raises:
        DataError: if the gallery shall be the training cases, and there are none.
    """
    if not task.heads.embeds:
        return None
    if train is None and recipe.retrieval.gallery == "train":
        raise DataError(
            f"retrieval.gallery is 'train', but {case_set.root} is not the set that the run learnt from."
        )
    hierarchy = task.hierarchy and task.hierarchy.compared_by(recipe.retrieval.similarity)
    with_terms = hierarchy is not None and hierarchy.ontology is not None and any(hierarchy.shown)
    known = Known(
        ids=np.array(case_set.ids),
        groups=groups,
        labels=task.labels,
        classes=task.classes,
        kinds={name: hierarchy.under(kind)[1] for name, kind in recipe.retrieval.kinds.items()}
        if hierarchy
        else {},
        distances=hierarchy and hierarchy.distances(task.level),
        sets=of_term_sets(hierarchy.shown, hierarchy.terms) if hierarchy and with_terms else None,
    )
    return Asked(known, recipe.retrieval, train)


def _keep_what_is_said(out: Path, recipe: Recipe, task: Task, texts: Path) -> None:
    """Write how near what is said of the classes is, to be drawn beside how near their images are."""
    matrices = said(task.hierarchy, recipe.language, texts) if task.heads.embeds and task.hierarchy else {}
    if matrices:
        write_tensors(out / LANGUAGE, {level: torch.from_numpy(of) for level, of in matrices.items()})


def write_evaluation(out: Path, found: Evaluation) -> None:
    """Write the tables, and last the metrics, which mark a run as finished."""
    for name, table in (("predictions", found.predictions), ("localisation", found.localisation)):
        with whole_file(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    if found.retrieval is not None:
        write_tensors(out / EMBEDDINGS, {part: torch.from_numpy(of) for part, of in found.embeddings.items()})
        with whole_file(out / "retrieval.csv") as temporary:
            found.retrieval.to_csv(temporary, index=False)
    if found.decider is not None:
        found.decider.write(out)
    write_json(out / METRICS, found.metrics)
