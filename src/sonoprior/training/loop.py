"""The training loop. One loop for every method: the experiment and the recipe vary."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from math import isnan

import torch

from sonoprior.cases.loading.batch import Batch
from sonoprior.core.errors import RecipeError
from sonoprior.core.randomness import derived_seed
from sonoprior.metrics.catalogue import metric_named
from sonoprior.models.network import Network
from sonoprior.objectives.base import TextSpace

from .checkpoint import Checkpoint, Progress, State, copied, optimiser_state, restore_optimiser
from .experiment import Experiment, Outcome
from .recipe import TrainingSettings
from .schedule import PolynomialDecay, set_rate
from .step import Step
from .streams import Stream, rounds
from .validation import Row, Validation


@dataclass(frozen=True)
class Training:
    """What one run trains with, assembled from a recipe.

    Attributes:
        network: what is kept at the end.
        experiment: network and objectives together.
        step: takes one step with it.
        streams: what the objectives read, by stream, the labelled one first.
        validation: what is measured after every epoch.
        optimiser: over the parameters of the experiment.
        schedule: the learning rate by step.
        settings: of the recipe.
        seed: every draw of the run is derived from it.
        device: where the experiment is.
        texts: what brings texts to the images, kept as the network is; None without.
    """

    network: Network
    experiment: Experiment
    step: Step
    streams: Mapping[str, Stream]
    validation: Validation
    optimiser: torch.optim.Optimizer
    schedule: PolynomialDecay
    settings: TrainingSettings
    seed: int
    device: torch.device
    texts: TextSpace | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(self.settings, self.streams)


@dataclass
class Fit:
    """A run on its way: what it trains with, how far it is, and the best weights so far.

    Attributes:
        training: what it trains with.
        progress: how far it is.
        best: the weights that are kept so far.
        best_texts: those of the text side in the same epoch; empty without one.
        before: epochs of the run that it begins with, for a progress bar over both.
    """

    training: Training
    progress: Progress = field(default_factory=Progress)
    best: State = field(default_factory=dict[str, torch.Tensor])
    best_texts: State = field(default_factory=dict[str, torch.Tensor])
    before: int = 0

    @property
    def epochs_done(self) -> int:
        """Epochs trained, those of the run before included."""
        return self.before + self.progress.epochs

    def run(self, after_epoch: Callable[["Fit"], None]) -> None:
        """Train until the last epoch or until the patience ends.

        Args:
            after_epoch: called after every epoch, to log and to keep a checkpoint.

        Raises:
            RecipeError: if the loss is no longer a number.
        """
        while not self.finished:
            training, epoch, start = self.training, self.progress.epochs, time.perf_counter()
            row = train_epoch(training, epoch)
            row |= training.validation.measured(training.network, training.device)
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
        """Keep the weights of a better epoch; a metric that is not defined is worse than any number.

        Where the last weights are to be kept, every epoch is better.
        """
        settings, before = self.training.settings, self.progress.best_value
        sign = 1 if metric_named(settings.monitor).higher_is_better else -1
        last = settings.keep == "last"
        if not self.best or last or sign * value > sign * before or (isnan(before) and not isnan(value)):
            self.best = copied(self.training.network)
            self.best_texts = copied(self.training.texts.tower) if self.training.texts else {}
            self.progress.best_epoch, self.progress.best_value = epoch, value

    def checkpoint(self) -> Checkpoint:
        """Everything that a resumed run needs to go on as if it had never stopped."""
        weights, optimiser = self.training.experiment.state_dict(), optimiser_state(self.training.optimiser)
        return Checkpoint(self.progress, weights, self.best, optimiser, self.best_texts)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        self.training.experiment.load_state_dict(checkpoint.weights)
        restore_optimiser(self.training.optimiser, checkpoint.optimiser)
        self.progress, self.best = checkpoint.progress, checkpoint.best
        self.best_texts = checkpoint.texts


def train_epoch(training: Training, epoch: int) -> Row:
    """One pass over the training part; the means of the loss, its terms and their monitors."""
    training.experiment.train()
    means = _Means()
    with ExitStack() as stack:
        steps = training.steps_per_epoch
        readers = {
            name: stack.enter_context(closing(rounds(stream, steps, epoch)))
            for name, stream in training.streams.items()
        }
        for step in range(steps):
            batches = {name: _on(training.device, next(reader)) for name, reader in readers.items()}
            means.add(_train_step(training, epoch, step, batches))
    return {"lr": float(training.optimiser.param_groups[0]["lr"])} | means.row()


def _train_step(
    training: Training, epoch: int, step: int, batches: Mapping[str, Mapping[str, Batch]]
) -> Outcome:
    # Dropout and the like draw from torch's global state; seeded by step, a resumed run draws the same.
    torch.manual_seed(derived_seed(training.seed, "step", epoch, step))
    rate = training.schedule.rate(epoch * training.steps_per_epoch + step)
    set_rate(training.optimiser, rate)
    outcome = training.step(batches)
    if not torch.isfinite(outcome.loss):
        raise RecipeError(
            f"the loss must stay a finite number, but became {outcome.loss.item()} in epoch {epoch + 1};"
            " lower training.learning_rate or the weight of an objective."
        )
    training.experiment.after_step()
    return outcome


def steps_per_epoch(settings: TrainingSettings, streams: Mapping[str, Stream]) -> int:
    """Steps of an epoch: those that are asked for, or the batches of the first stream."""
    return settings.steps_per_epoch or len(next(iter(streams.values())))


def _on(device: torch.device, views: Mapping[str, Batch]) -> dict[str, Batch]:
    return {name: batch.to(device) for name, batch in views.items()}


class _Means:
    """Sums and counts over the steps of an epoch."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, outcome: Outcome) -> None:
        self._add("loss", float(outcome.loss.detach()), 1)
        for name, term in outcome.terms.items():
            self._add(name, float(term.total.detach()), float(term.count))
            for monitor, (total, count) in term.monitors.items():
                self._add(f"{name}.{monitor}", float(total), float(count))

    def _add(self, name: str, total: float, count: float) -> None:
        before = self._sums.get(name, (0.0, 0.0))
        self._sums[name] = (before[0] + total, before[1] + count)

    def row(self) -> Row:
        return {
            f"train.{name}": total / count if count else float("nan")
            for name, (total, count) in self._sums.items()
        }
