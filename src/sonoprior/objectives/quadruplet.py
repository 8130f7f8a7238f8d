"""The quadruplet loss: a triplet loss, and pairs of two other classes that shall be farther than positives.

Source: Chen et al., "Beyond triplet loss: a deep quadruplet network for person re-identification", CVPR
2017, eq 5, with squared Euclidean distances of normalised embeddings as g^2.
"""

import torch
from torch import Tensor

from .base import Term
from .comparisons import squared_distances, triplets
from .metric_loss_settings import QuadrupletSettings
from .metric_losses import MetricLoss
from .terms import combined, counted
from .tuple_losses import over_informative


class Quadruplet(MetricLoss):
    """Both sums of eq 5, each averaged over its informative members.

    Args:
        settings: the two margins.
        classes: not used; every metric loss is built alike.
        dimension: not used.
    """

    def __init__(self, settings: QuadrupletSettings, classes: int, dimension: int) -> None:  # noqa: ARG002
        super().__init__()
        self.margin, self.other_margin = settings.margin, settings.other_margin

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The two means, counted once a case."""
        distances = squared_distances(embeddings)
        parts = {
            "relative": (1.0, over_informative(relative_losses(distances, labels, self.margin))),
            "absolute": (1.0, over_informative(absolute_losses(distances, labels, self.other_margin))),
        }
        return combined(parts, counted(len(labels), labels))


def relative_losses(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The first sum: max(g_ij^2 - g_ik^2 + margin, 0) for y_j = y_i, y_k != y_i; one value a triplet."""
    i, j, k = triplets(labels)
    return (distances[i, j] - distances[i, k] + margin).relu()


def absolute_losses(distances: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The second sum: max(g_ij^2 - g_lk^2 + margin, 0); one value for each pair of pairs.

    The classes of i = j, of l and of k are three different ones. A pair counts once, not once a direction.
    """
    i, j = torch.triu(labels[:, None] == labels, 1).nonzero(as_tuple=True)
    l, k = torch.triu(labels[:, None] != labels, 1).nonzero(as_tuple=True)  # noqa: E741
    others = (labels[i, None] != labels[l]) & (labels[i, None] != labels[k])  # (positives, negatives)
    return (distances[i, j][:, None] - distances[l, k] + margin)[others].relu()
