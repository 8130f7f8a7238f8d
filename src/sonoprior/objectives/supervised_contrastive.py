"""Supervised contrastive loss: all views of the images of a class shall find each other.

Source: Khosla et al., "Supervised contrastive learning", NeurIPS 2020, eq 2 (L_out: the mean over the
positives stands outside of the logarithm).
"""

import torch
from torch import Tensor, nn

from .base import Context, Records, Term, Views
from .contrastive_settings import SupervisedContrastiveSettings
from .inputs import check_batch
from .leaf_views import LeafViewsObjective
from .nt_xent import check_views, other_views
from .projection import Projection
from .terms import counted, no_term


class SupervisedContrastive(nn.Module):
    """L_out over two views of every image.

    As with `NTXent`, only the views of this batch on this process are compared.

    Args:
        settings: see `SupervisedContrastiveSettings`, which says what an image without a label does.

    >>> loss = SupervisedContrastive(SupervisedContrastiveSettings(temperature=1))
    >>> term = loss(torch.eye(3), torch.eye(3), torch.tensor([0, 0, -1]))
    >>> int(term.count)
    6
    """

    def __init__(self, settings: SupervisedContrastiveSettings) -> None:
        super().__init__()
        self.temperature = settings.temperature
        self.unknown = settings.unknown

    def forward(self, first: Tensor, second: Tensor, labels: Tensor) -> Term:
        """The sum over the views that are compared, and their number.

        Where all are of one class there is nothing to tell apart, and the term is a zero on the graph.

        Args:
            first: (B, D), the projections of one view of each image, normalised or not.
            second: (B, D), of the other view.
            labels: (B,) class numbers, -1 for unknown.

        Raises:
            RecipeError: if the shapes do not fit.
        """
        check_views(first, second)
        check_batch(first, labels)
        if self.unknown == "left_out":
            known = labels >= 0
            first, second, labels = first[known], second[known], labels[known]
        groups = _own_class_where_unknown(labels).repeat(2)
        if not (groups != groups[:1]).any():
            return no_term(first, second)
        with torch.autocast(first.device.type, enabled=False):
            chances = (other_views(first, second) / self.temperature).log_softmax(1)
            losses = -_mean_over(_positives(groups), chances)
        return Term(losses.sum(), counted(len(losses), losses))


def _own_class_where_unknown(labels: Tensor) -> Tensor:
    return torch.where(labels < 0, -1 - torch.arange(len(labels), device=labels.device), labels)


def _positives(groups: Tensor) -> Tensor:
    """Which other views are of the same group: (n, n)."""
    return (groups[:, None] == groups).fill_diagonal_(fill_value=False)


def _mean_over(chosen: Tensor, values: Tensor) -> Tensor:
    """The mean of each row over its chosen entries, of which there is at least one: (n,)."""
    return values.masked_fill(~chosen, 0).sum(1) / chosen.sum(1)


class SupervisedContrastiveObjective(LeafViewsObjective):
    """The recipe's objective `supervised_contrastive`, on the leaf's embedding through a projection.

    It knows the labels of its stream that may be learnt from; where cases show several, images of one label
    combination belong together.

    Args:
        settings: see `SupervisedContrastiveSettings`.
        context: gives the embedding.

    Raises:
        RecipeError: if the network has no embedding.
    """

    def __init__(self, settings: SupervisedContrastiveSettings, context: Context) -> None:
        super().__init__("supervised_contrastive", settings.stream, context)
        self.projection = Projection(self.dimension, settings.projection)
        self.loss = SupervisedContrastive(settings)

    def forward(self, outputs: Views, batches: Records) -> Term:
        """The loss of the batch."""
        first, second = self.embeddings(outputs)
        labels = batches[self.views[0]].fields[f"label.{self.level}"]
        return self.loss(self.projection(first), self.projection(second), labels)
