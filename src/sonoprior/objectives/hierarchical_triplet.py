"""A triplet loss whose margin is wide between distant classes and narrow between cousins.

Source: the form is eq 6 of Ge et al., "Deep metric learning with hierarchical triplet loss", ECCV 2018, with
a margin that depends on the two classes. There the hierarchy is found in the data; here its distances are
given, from an ontology.
"""

from torch import Tensor

from .base import Context, Objective, Output, Record, Term
from .comparisons import squared_distances, triplets
from .embedding_settings import HierarchicalTripletSettings
from .inputs import check_distances, check_labels
from .metric_losses import MetricLoss
from .tuple_losses import over_informative


class HierarchicalTriplet(MetricLoss):
    """max(|a - p|^2 - |a - n|^2 + margin(y_a, y_n), 0) / 2, averaged over the informative triplets.

    The margin is `margin` + `growth` times the distance of the two classes.

    Args:
        settings: see `HierarchicalTripletSettings`.
        distances: (C, C) between classes, 0 on the diagonal; from a similarity in [0, 1], 1 minus it.

    Raises:
        RecipeError: if the distances are not a square matrix of numbers that are at least 0, and 0 between a
            class and itself.

    >>> import torch
    >>> loss = HierarchicalTriplet(HierarchicalTripletSettings(), 1 - torch.eye(3))
    >>> float(loss(torch.eye(3), torch.tensor([0, 0, 1])).total)  # (2 - 2 + 0.1 + 0.5) / 2, twice
    0.6...
    """

    distances: Tensor

    def __init__(self, settings: HierarchicalTripletSettings, distances: Tensor) -> None:
        super().__init__()
        check_distances(distances)
        self.register_buffer("distances", distances, persistent=False)
        self.margin, self.growth = settings.margin, settings.growth

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over triplets, and how many of them have a loss."""
        check_labels(labels, len(self.distances))
        margins = self.margin + self.growth * self.distances[labels][:, labels].to(embeddings)
        apart = squared_distances(embeddings)
        a, p, n = triplets(labels)
        return over_informative((apart[a, p] - apart[a, n] + margins[a, n]).relu() / 2)


class HierarchicalTripletObjective(Objective):
    """The recipe's objective `hierarchical_triplet`, on the embedding of the leaf.

    Args:
        settings: see `HierarchicalTripletSettings`.
        context: gives the distances of the leaf classes.
    """

    def __init__(self, settings: HierarchicalTripletSettings, context: Context) -> None:
        super().__init__()
        self.level, _ = context.embedding("hierarchical_triplet")
        self.loss = HierarchicalTriplet(settings, context.known("hierarchical_triplet").distances(self.level))

    def forward(self, output: Output, batch: Record) -> Term:
        """The loss of the batch."""
        return self.loss(output.embeddings[self.level], batch.fields[f"label.{self.level}"])
