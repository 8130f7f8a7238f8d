"""Metric losses by name: what each is given, what it returns, and what is never compared.

The losses and miners themselves are pytorch-metric-learning's, but for the quadruplet loss. To add one: its
settings, its class in a file beside, and a line in `METRIC_LOSSES`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError
from sonoprior.core.registry import Registry

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import MetricSettings
from .inputs import check_batch
from .metric_loss_settings import MetricLossSettings
from .terms import no_term

METRIC_LOSSES = Registry(
    "metric_losses",
    {
        "softmax": "sonoprior.objectives.proxy_losses:Softmax",
        "arcface": "sonoprior.objectives.proxy_losses:ArcFace",
        "cosface": "sonoprior.objectives.proxy_losses:CosFace",
        "sphereface": "sonoprior.objectives.proxy_losses:SphereFace",
        "contrastive": "sonoprior.objectives.tuple_losses:Contrastive",
        "triplet": "sonoprior.objectives.tuple_losses:Triplet",
        "n_pair": "sonoprior.objectives.tuple_losses:NPair",
        "margin": "sonoprior.objectives.tuple_losses:Margin",
        "multi_similarity": "sonoprior.objectives.tuple_losses:MultiSimilarity",
        "quadruplet": "sonoprior.objectives.quadruplet:Quadruplet",
    },
    RecipeError,
)


class MetricLoss(nn.Module, ABC):
    """The base of all metric losses. A subclass writes `compare`.

    Attributes:
        has_proxies: whether cases are compared with learned points of the classes, and not with each other.
        draws: whether what is compared is drawn, from torch's generator.
    """

    has_proxies: ClassVar[bool] = False
    draws: bool = False

    def forward(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The term of a batch.

        Cases without a label are left out before anything is mined. Where fewer than two classes are left,
        a loss without proxies has nothing to tell apart: its term is a zero on the graph.

        Args:
            embeddings: (B, D), normalised or not.
            labels: (B,) class numbers, -1 for unknown.

        Raises:
            RecipeError: if the shapes do not fit, or a label lies beyond the classes.
        """
        check_batch(embeddings, labels)
        known = labels >= 0
        compared, classes = embeddings[known], labels[known]
        if len(classes) == 0 or not (self.has_proxies or (classes != classes[0]).any()):
            return no_term(embeddings, parameters=self.parameters())
        # The library casts its proxies to the type of the embeddings, and half is too coarse for distances.
        with torch.autocast(embeddings.device.type, enabled=False):
            return self.compare(compared.to(torch.promote_types(compared.dtype, torch.float32)), classes)

    @abstractmethod
    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The term of cases (n, D) that all have a label (n,); of two classes at least, without proxies."""


def metric_loss(settings: MetricLossSettings, classes: int, dimension: int) -> MetricLoss:
    """The loss that the settings name.

    Args:
        settings: any of `metric_loss_settings`.
        classes: how many classes there are, for proxies and margins of classes.
        dimension: D of the embedding, for proxies.

    >>> from sonoprior.objectives.metric_loss_settings import metric_loss_settings
    >>> loss = metric_loss(metric_loss_settings("triplet", margin=0.5), classes=2, dimension=2)
    >>> term = loss(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0, 1]))
    >>> term.total / term.count
    tensor(1.5000)
    """
    return METRIC_LOSSES.load(settings.name)(settings, classes, dimension)


class Metric(Objective):
    """The recipe's objective `metric`: one metric loss on the embedding of one level.

    Args:
        settings: see `MetricSettings`.
        context: gives the embedding and how many classes its level has.

    Raises:
        RecipeError: if the network has no such embedding.
    """

    def __init__(self, settings: MetricSettings, context: Context) -> None:
        super().__init__()
        self.level, dimension = context.embedding("metric", settings.level)
        self.loss = metric_loss(settings.loss, context.sizes[self.level], dimension)

    def forward(self, output: Output, batch: Record) -> Term:
        """The loss of the batch."""
        return self.loss(output.embeddings[self.level], batch.fields[f"label.{self.level}"])
