"""What is measured on the validation part after every epoch: what is cheap enough for it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sonoprior.cases.loading.loader import Loader
from sonoprior.metrics.catalogue import ASSIGNED, DECISIONS, MACRO_F1, OF_CLASSES, metric_named
from sonoprior.metrics.classification import SCALARS
from sonoprior.models.network import Network

from .evaluation import USED, Given, decides, fitted, given
from .hierarchy_settings import RetrievalSettings
from .retrieval_evaluation import retrieval_scalars
from .task import Task

Row = dict[str, float]


@dataclass(frozen=True)
class Validation:
    """The validation part, and what is measured on it.

    Attributes:
        loader: of the part, in order.
        task: the labels, and what the network gives for them.
        groups: (N,) the group of every case of the set, of which an embedding's validation finds nothing.
        retrieval: how the nearest cases are looked for, where the network embeds.
    """

    loader: Loader
    task: Task
    groups: NDArray[np.str_]
    retrieval: RetrievalSettings

    def measured(self, network: Network, device: torch.device) -> Row:
        """Every metric that is cheap enough for each epoch, as a row of the log."""
        found = given(network, self.task.heads, self.loader, device)
        named = self._decided if decides(self.task.heads) else self._classified
        return named(found) | self._retrieved(found)

    def _decided(self, found: Given) -> Row:
        """Every metric of decisions, with thresholds that are learnt from the same cases, and of clusters."""
        task, labels = self.task, self.task.labels[self.task.level][found.positions]
        shown = task.members[labels]
        decider = fitted(found, task.heads, task.singles, shown)
        probabilities, clusters = found.probabilities, found.clusters
        predicted = decider.decided(decider.scores(probabilities, clusters))
        row = {name: metric_named(name).statistic(shown, predicted) for name in (*DECISIONS, MACRO_F1)}
        for at, name in enumerate(task.singles):
            alone = shown[:, [at]], predicted[:, [at]]
            row |= {f"{measure}.{name}": of.statistic(*alone) for measure, of in OF_CLASSES.items()}
        if probabilities is not None:
            row["cross_entropy"] = _binary_cross_entropy(shown, probabilities)
        elif clusters is not None:
            row |= {name: of.statistic(labels, clusters) for name, of in ASSIGNED.items()}
            row[USED] = float(len(np.unique(clusters)))
        return {f"val.{name}": float(value) for name, value in row.items()}

    def _classified(self, found: Given) -> Row:
        """Every scalar metric, and the cross-entropy of the labels; nothing without logits."""
        if found.probabilities is None:
            return {}
        labels, chances = self.task.labels[self.task.level][found.positions], found.probabilities
        metrics = {f"val.{name}": scalar(labels, chances) for name, scalar in SCALARS.items()}
        of_label = chances[np.arange(len(labels)), labels].clip(min=np.finfo(np.float32).tiny)
        return {"val.cross_entropy": float(-np.log(of_label).mean())} | metrics

    def _retrieved(self, found: Given) -> Row:
        """How often the nearest other validation cases are of the same class; nothing without embeddings."""
        if found.embeddings is None:
            return {}
        labels = {level: of[found.positions] for level, of in self.task.labels.items()}
        scalars = retrieval_scalars(found.embeddings, labels, self.groups[found.positions], self.retrieval)
        return {f"val.{name}": value for name, value in scalars.items()}


def _binary_cross_entropy(shown: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """The mean over cases and classes, (n, C) each."""
    of_label = np.where(shown, probabilities, 1 - probabilities).clip(min=np.finfo(np.float32).tiny)
    return float(-np.log(of_label).mean())
