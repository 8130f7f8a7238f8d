"""From a recipe to objects: network, objectives, loaders, optimiser. A notebook may call it too."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.class_batches import ClassBatches
from sonoprior.cases.loading.controls import controlled
from sonoprior.cases.loading.loader import Loader
from sonoprior.cases.loading.sampling import Sampling
from sonoprior.cases.priors import PriorSpec, presence, prior_names
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.core.randomness import derived_seed
from sonoprior.metrics.catalogue import metric_named
from sonoprior.models.frozen import freeze
from sonoprior.models.network import build_network
from sonoprior.models.spec import ModelSpec
from sonoprior.models.taps import Tap
from sonoprior.objectives import OBJECTIVES
from sonoprior.objectives.base import Context

from .evaluation import in_order
from .experiment import AnyObjective, Experiment
from .knowledge import KnowledgeOfRun
from .loop import Training, steps_per_epoch
from .parts import Parts
from .recipe import LABELLED, Recipe
from .recipe_file import pretraining_recipe
from .schedule import PolynomialDecay
from .step import RecordedStep, Step, plain_step
from .streams import OneView, Stream
from .task import Task, check_divided, task_of
from .text_side import text_space
from .unlabelled import StreamCases, check_views, stream_cases, tells_sides, unlabelled_stream
from .validation import Validation


def usable_priors(recipe: Recipe, case_set: CaseSet) -> PriorSpec | None:
    """The priors of a recipe, where the case set has them.

    A recipe that does not guide uses them for measuring only, and so a set without them will do.

    Raises:
        DataError: if the recipe guides, and the set has no such priors.
    """
    spec = recipe.data.priors
    if spec is None or not guides(recipe):
        return available_priors(spec, case_set)
    if not presence(case_set, spec).any():
        raise DataError(
            f"{case_set.root} must have {spec.source} for some case, because the recipe guides by them, but"
            " has none; add some, or set the weight of the guidance to 0."
        )
    return spec


def check_guided(recipe: Recipe, case_set: CaseSet, train: NDArray[np.int64], fold: int) -> None:
    """Refuse a training part without a single prior, if the recipe guides by them.

    Raises:
        DataError: naming the fold.
    """
    spec = recipe.data.priors
    if spec is not None and guides(recipe) and not presence(case_set, spec)[train].any():
        raise DataError(
            f"the train part of fold {fold} must hold cases with {spec.source}, because the recipe guides by"
            f" them, but none of its {len(train)} cases has any; ask for fewer folds or for more labels."
        )


def available_priors(spec: PriorSpec | None, case_set: CaseSet) -> PriorSpec | None:
    """The same priors if any case of a set has one of them, else None."""
    try:
        return spec if spec is not None and presence(case_set, spec).any() else None
    except DataError:  # the set has nothing of this source, or not this grouping
        return None


def guides(recipe: Recipe) -> bool:
    """Whether a recipe guides attribution by priors."""
    return any(entry.type == "prior_guided_attribution" for entry in recipe.active_objectives.values())


def assemble(
    recipe: Recipe,
    cache: Cache,
    parts: Parts,
    seed: int,
    device: torch.device,
    *,
    groups: NDArray[np.str_] | None = None,
    texts: Path | None = None,
) -> tuple[Training, Tap]:
    """Everything that one run trains with, and the tap of its network.

    Args:
        recipe: with the settings of its variant.
        cache: pixels and priors of the case set.
        parts: positions of the train and validation parts, and of the unlabelled one where streams read it.
        seed: every draw of the run is derived from it, the first weights too.
        device: where to train.
        groups: (N,) the group of every case of the set, of which an embedding's validation finds nothing;
            each case is its own where None.
        texts: the folder where embeddings of captions are kept, and the pixels of case sets that streams
            have of their own; none keeps captions nowhere, and refuses such streams.

    Raises:
        RecipeError, ModelError, DataError: if what the recipe asks for cannot be had.
    """
    train = parts["train"]
    task = task_of(recipe, cache.case_set, parts)
    torch.manual_seed(derived_seed(seed, "weights"))
    network, tap = build_network(recipe.model, task.heads.width, recipe.data.size)
    freeze(network, recipe.training.frozen, recipe.data.size)
    priors = tuple(cache.priors) if cache.present[train].any() else ()
    cases = stream_cases(recipe, cache, parts, task, texts)
    positions = {LABELLED: train} | {name: of.positions for name, of in cases.items()}
    objectives = _objectives(recipe, _context(recipe, task, network, tap, train, priors, texts, positions))
    # With the channels last a step of a small network takes three quarters of the time on a processor.
    experiment = Experiment(network, objectives, task.heads, recipe.training.precision).to(device)
    experiment = experiment.to(memory_format=torch.channels_last)
    streams = _streams(recipe, cache, cases, train, task, seed, device)
    check_views(recipe, objectives)
    step, optimiser = _step(recipe, experiment, device)
    training = Training(
        network=network,
        experiment=experiment,
        step=step,
        streams=streams,
        validation=Validation(
            loader=in_order(cache, parts["validation"], recipe.training.batch_size, task.labels),
            task=task,
            groups=np.array(cache.case_set.ids) if groups is None else groups,
            retrieval=recipe.retrieval,
        ),
        optimiser=optimiser,
        schedule=_schedule(recipe, steps_per_epoch(recipe.training, streams)),
        settings=recipe.training,
        seed=seed,
        device=device,
        texts=text_space(objectives, task.heads, recipe.language),
    )
    return training, tap


def preflight(recipe: Recipe, case_set: CaseSet, texts: Path | None = None) -> None:
    """Try what a recipe asks for before anything is written.

    Objectives warn of what is degenerate in the network at hand.

    Args:
        recipe: with the settings of its variant.
        case_set: the cases.
        texts: see `assemble`; captions that are embedded here are not embedded again when a run trains.

    Raises:
        RecipeError, ModelError, DataError: if the level, the priors, the sampling, the backbone, its weights,
            the tap or an objective cannot be had.
    """
    if recipe.pretrained_with is not None:
        preflight(pretraining_recipe(recipe, recipe.pretrained_with), case_set, texts)
    task, spec = task_of(recipe, case_set), usable_priors(recipe, case_set)
    check_divided(task, case_set)
    _sampling(recipe, task)
    watched = metric_named(recipe.training.monitor)
    if watched.reads == "cases":
        level = watched.name.partition(".")[2]
        one_of(f"training.monitor {watched.name}: the level", level, list(task.classes), RecipeError)
    untrained = recipe.model if recipe.pretrained_with is None else without_weights(recipe.model)
    network, tap = build_network(untrained, task.heads.width, recipe.data.size)
    freeze(network, recipe.training.frozen, recipe.data.size)
    priors = () if spec is None else tuple(prior_names(case_set, spec))
    every = np.arange(len(case_set))
    streams = dict.fromkeys(recipe.streams_read, every)
    objectives = _objectives(recipe, _context(recipe, task, network, tap, every, priors, texts, streams))
    check_views(recipe, objectives)
    for name in recipe.retrieval.kinds if task.heads.embeds else ():
        if task.hierarchy is None:
            raise RecipeError(f"retrieval.kinds.{name} needs an ontology, but the recipe has no hierarchy.")
        task.hierarchy.under(recipe.retrieval.kinds[name])


def without_weights(model: ModelSpec) -> ModelSpec:
    """The same network with weights of its own."""
    return model.model_copy(update={"weights": "none"})


def _example(recipe: Recipe) -> torch.Tensor:
    return torch.rand(2, 1, recipe.data.size, recipe.data.size)


def _objectives(recipe: Recipe, context: Context) -> dict[str, tuple[float, AnyObjective]]:
    return {
        name: (entry.weight, OBJECTIVES.load(entry.type)(entry.settings, context))
        for name, entry in recipe.active_objectives.items()
    }


def _context(
    recipe: Recipe,
    task: Task,
    network: nn.Module,
    tap: Tap,
    train: NDArray[np.int64],
    priors: tuple[str, ...],
    texts: Path | None = None,
    streams: Mapping[str, NDArray[np.int64]] | None = None,
) -> Context:
    return Context(
        network=network,
        tap=tap,
        example=_example(recipe),
        level=task.level,
        class_counts=_class_counts(task, train),
        priors=priors,
        heads=task.heads,
        sizes=task.sizes,
        knowledge=task.hierarchy and KnowledgeOfRun(task.hierarchy, recipe.language, texts),
        members=torch.from_numpy(task.members) if task.several else None,
        combinations=torch.from_numpy(task.combinations) if task.heads.combinations else None,
        streams={name: torch.from_numpy(of) for name, of in (streams or {}).items()},
    )


def _class_counts(task: Task, train: NDArray[np.int64]) -> torch.Tensor:
    labels = task.labels[task.level][train]
    return torch.from_numpy(np.bincount(labels[labels >= 0], minlength=task.sizes[task.level]))


def _streams(
    recipe: Recipe,
    cache: Cache,
    cases: Mapping[str, StreamCases],
    train: NDArray[np.int64],
    task: Task,
    seed: int,
    device: torch.device,
) -> dict[str, Stream]:
    """What the objectives read, the labelled stream first."""
    same_sides = tells_sides(cache.case_set, task)
    return {
        name: OneView(_training_loader(recipe, cache, train, task, seed, device))
        if name == LABELLED
        else unlabelled_stream(recipe.streams[name], name, cases[name], same_sides, seed, device)
        for name in recipe.streams_read
    }


def _training_loader(
    recipe: Recipe, cache: Cache, train: NDArray[np.int64], task: Task, seed: int, device: torch.device
) -> Loader:
    spec = recipe.data.priors
    return Loader(
        controlled(cache, train, spec.control, seed) if spec and guides(recipe) else without_priors(cache),
        train,
        batch_size=recipe.training.batch_size,
        augment=recipe.augment,
        sampling=_sampling(recipe, task),
        seed=seed,
        levels=task.labels,
        # Batch normalisation has no statistics for a last batch of one image.
        drop_last=len(train) % recipe.training.batch_size == 1,
        device=device,
    )


def _sampling(recipe: Recipe, task: Task) -> Sampling | ClassBatches:
    settings = recipe.training
    if settings.sampling == "classes":
        return ClassBatches(settings.cases_per_class)
    if settings.sampling == "hierarchical":
        if task.metas is None:
            raise RecipeError(
                "training.sampling hierarchical needs a level above the leaf, but there is none."
            )
        return ClassBatches(settings.cases_per_class, task.metas, settings.metas_per_batch)
    return settings.sampling


def without_priors(cache: Cache) -> Cache:
    """The same cache without its priors, so that a plain run does not move maps that it never reads."""
    cases, side = len(cache.images), cache.images.shape[-1]
    return replace(
        cache,
        spec=None,
        priors=[],
        maps=np.zeros((0, 0, side, side), np.uint8),
        row=np.full(cases, -1, np.int32),
        present=np.zeros((cases, 0), np.bool_),
    )


def _step(recipe: Recipe, experiment: Experiment, device: torch.device) -> tuple[Step, torch.optim.Optimizer]:
    """What takes a step, recorded on a GPU where that is possible, and its optimiser."""
    recorded = device.type == "cuda" and recipe.training.recorded and experiment.recordable
    optimiser = _optimiser(recipe, experiment, device if recorded else None)
    step = plain_step(experiment, optimiser)
    return RecordedStep(step, device) if recorded else step, optimiser


def _optimiser(
    recipe: Recipe, experiment: nn.Module, device: torch.device | None = None
) -> torch.optim.Optimizer:
    """The optimiser; with a device, all that it computes with lies there, and its steps can be recorded."""
    settings = recipe.training
    rate = settings.learning_rate
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimiser]
    trained = [parameter for parameter in experiment.parameters() if parameter.requires_grad]
    # One kernel for all parameters: one at a time they take a tenth of a small network's step.
    return kind(
        trained,
        lr=rate if device is None else torch.tensor(rate, device=device),
        capturable=device is not None,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _schedule(recipe: Recipe, steps: int) -> PolynomialDecay:
    settings = recipe.training
    return PolynomialDecay(settings.learning_rate, settings.epochs * steps, settings.schedule_power)
