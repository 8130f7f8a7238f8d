"""The training loop. One loop for every method: the experiment and the recipe vary."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan

import numpy as np
import torch
from numpy.typing import NDArray

from sonoprior.cases.loading.batch import Batch
from sonoprior.cases.loading.loader import Loader
from sonoprior.core.errors import RecipeError
from sonoprior.core.randomness import derived_seed
from sonoprior.metrics.catalogue import metric_named
from sonoprior.metrics.classification import SCALARS
from sonoprior.models.network import Network

from .checkpoint import Checkpoint, Progress, State, copied, optimiser_state, restore_optimiser
from .evaluation import Given, given
from .experiment import Experiment, Outcome
from .hierarchy_settings import RetrievalSettings
from .recipe import TrainingSettings
from .retrieval_evaluation import retrieval_scalars
from .schedule import PolynomialDecay
from .task import Task

Row = dict[str, float]


@dataclass(frozen=True)
class Training:
    """What one run trains with, assembled from a recipe.

    Attributes:
        network: what is kept at the end.
        experiment: network and objectives together.
        streams: the loaders of the training part, by stream.
        validation: the loader of the validation part, in order.
        task: the labels, and what the network gives for them.
        groups: (N,) the group of every case of the set, of which an embedding's validation finds nothing.
        retrieval: how the nearest cases are looked for, where the network embeds.
        optimiser: over the parameters of the experiment.
        schedule: the learning rate by step.
        settings: of the recipe.
        seed: every draw of the run is derived from it.
        device: where the experiment is.
    """

    network: Network
    experiment: Experiment
    streams: Mapping[str, Loader]
    validation: Loader
    task: Task
    groups: NDArray[np.str_]
    retrieval: RetrievalSettings
    optimiser: torch.optim.Optimizer
    schedule: PolynomialDecay
    settings: TrainingSettings
    seed: int
    device: torch.device


@dataclass
class Fit:
    """A run on its way: what it trains with, how far it is, and the best weights so far."""

    training: Training
    progress: Progress = field(default_factory=Progress)
    best: State = field(default_factory=dict[str, torch.Tensor])

    def run(self, after_epoch: Callable[["Fit"], None]) -> None:
        """Train until the last epoch or until the patience ends.

        Args:
            after_epoch: called after every epoch, to log and to keep a checkpoint.

        Raises:
            RecipeError: if the loss is no longer a number.
        """
        while not self.finished:
            epoch, start = self.progress.epochs, time.perf_counter()
            row = train_epoch(self.training, epoch) | validate(self.training)
            self.progress.rows.append(
                {"epoch": epoch + 1, "seconds": round(time.perf_counter() - start, 3)} | row
            )
            self._keep_if_better(epoch + 1, row[f"val.{self.training.settings.monitor}"])
            self.progress.epochs = epoch + 1
            after_epoch(self)

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or none was better for as long as the patience lasts."""
        settings, progress = self.training.settings, self.progress
        waited = progress.epochs - progress.best_epoch
        tired = settings.patience is not None and waited >= settings.patience
        return progress.epochs >= settings.epochs or (tired and progress.epochs > 0)

    def _keep_if_better(self, epoch: int, value: float) -> None:
        """Keep the weights of a better epoch; a metric that is not defined is worse than any number."""
        sign = 1 if metric_named(self.training.settings.monitor).higher_is_better else -1
        before = self.progress.best_value
        if not self.best or sign * value > sign * before or (isnan(before) and not isnan(value)):
            self.best = copied(self.training.network)
            self.progress.best_epoch, self.progress.best_value = epoch, value

    def checkpoint(self) -> Checkpoint:
        """Everything that a resumed run needs to go on as if it had never stopped."""
        weights = self.training.experiment.state_dict()
        return Checkpoint(self.progress, weights, self.best, optimiser_state(self.training.optimiser))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        self.training.experiment.load_state_dict(checkpoint.weights)
        restore_optimiser(self.training.optimiser, checkpoint.optimiser)
        self.progress, self.best = checkpoint.progress, checkpoint.best


def train_epoch(training: Training, epoch: int) -> Row:
    """One pass over the training part; the means of the loss, its terms and their monitors."""
    training.experiment.train()
    means = _Means()
    for step, batches in enumerate(_together(training.streams, epoch)):
        means.add(_train_step(training, epoch, step, batches))
    return {"lr": training.optimiser.param_groups[0]["lr"]} | means.row()


def _train_step(training: Training, epoch: int, step: int, batches: dict[str, Batch]) -> Outcome:
    # Dropout and the like draw from torch's global state; seeded by step, a resumed run draws the same.
    torch.manual_seed(derived_seed(training.seed, "step", epoch, step))
    rate = training.schedule.rate(epoch * steps_per_epoch(training.streams) + step)
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    outcome = training.experiment({name: batch.to(training.device) for name, batch in batches.items()})
    if not torch.isfinite(outcome.loss):
        raise RecipeError(
            f"the loss must stay a finite number, but became {outcome.loss.item()} in epoch {epoch + 1};"
            " lower training.learning_rate or the weight of an objective."
        )
    training.optimiser.zero_grad(set_to_none=True)
    outcome.loss.backward()
    training.optimiser.step()
    return outcome


def steps_per_epoch(streams: Mapping[str, Loader]) -> int:
    """Steps of an epoch: it ends with the shortest stream."""
    return min(len(loader) for loader in streams.values())


def _together(streams: Mapping[str, Loader], epoch: int) -> Iterator[dict[str, Batch]]:
    loaders = [loader.epoch(epoch) for loader in streams.values()]
    for batches in zip(*loaders, strict=False):
        yield dict(zip(streams, batches, strict=True))


class _Means:
    """Sums and counts over the steps of an epoch."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, outcome: Outcome) -> None:
        self._add("loss", float(outcome.loss.detach()), 1)
        for name, term in outcome.terms.items():
            self._add(name, float(term.total.detach()), float(term.count))
            for monitor, (total, count) in term.monitors.items():
                self._add(f"{name}.{monitor}", total, count)

    def _add(self, name: str, total: float, count: float) -> None:
        before = self._sums.get(name, (0.0, 0.0))
        self._sums[name] = (before[0] + total, before[1] + count)

    def row(self) -> Row:
        return {
            f"train.{name}": total / count if count else float("nan")
            for name, (total, count) in self._sums.items()
        }


def validate(training: Training) -> Row:
    """Every metric on the validation part that is cheap enough for each epoch."""
    found = given(training.network, training.task.heads, training.validation, training.device)
    return _classified(training, found) | _retrieved(training, found)


def _classified(training: Training, found: Given) -> Row:
    """Every scalar metric, and the cross-entropy of the labels; nothing without logits."""
    if found.probabilities is None:
        return {}
    labels, chances = training.task.labels[training.task.level][found.positions], found.probabilities
    metrics = {f"val.{name}": scalar(labels, chances) for name, scalar in SCALARS.items()}
    of_label = chances[np.arange(len(labels)), labels].clip(min=np.finfo(np.float32).tiny)
    return {"val.cross_entropy": float(-np.log(of_label).mean())} | metrics


def _retrieved(training: Training, found: Given) -> Row:
    """How often the nearest other validation cases are of the same class; nothing without embeddings."""
    if found.embeddings is None:
        return {}
    labels = {level: of[found.positions] for level, of in training.task.labels.items()}
    groups = training.groups[found.positions]
    scalars = retrieval_scalars(found.embeddings, labels, groups, training.retrieval)
    return {f"val.{name}": value for name, value in scalars.items()}
