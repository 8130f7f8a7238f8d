"""Soft labels: cross-entropy to targets that fall off with the distance from the label.

Source: Bertinetto et al., "Making better mistakes: leveraging class hierarchies with deep networks", CVPR
2020, section 3.2, eq 6.
"""

from torch import Tensor, nn
from torch.nn import functional

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import SoftLabelSettings
from .inputs import check_batch, check_distances, check_labels, one_label_a_case
from .terms import no_term


class SoftLabels(nn.Module):
    """-sum over A of y_A log p(A), with y_A in proportion to exp(-beta d(A, label)).

    Args:
        settings: see `SoftLabelSettings`.
        distances: (C, C) between classes, 0 on the diagonal; the source takes the height of the lowest common
            ancestor over the height of the tree.

    Raises:
        RecipeError: if the distances are no distances.

    >>> import torch
    >>> loss = SoftLabels(SoftLabelSettings(beta=1), 1 - torch.eye(3))
    >>> loss.targets[0]
    tensor([0.5761, 0.2119, 0.2119])
    """

    targets: Tensor

    def __init__(self, settings: SoftLabelSettings, distances: Tensor) -> None:
        super().__init__()
        check_distances(distances)
        self.register_buffer("targets", functional.softmax(-settings.beta * distances, 1), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Term:
        """The sum over the cases with a label, and their number.

        Args:
            logits: (B, C).
            labels: (B,) class numbers, -1 for unknown.
        """
        check_batch(logits, labels)
        known = labels >= 0
        if not known.any():
            return no_term(logits)
        check_labels(labels[known], len(self.targets))
        wanted = self.targets[labels[known]].to(logits)
        return Term(functional.cross_entropy(logits[known], wanted, reduction="sum"), known.sum())


class SoftLabelsObjective(Objective):
    """The recipe's objective `soft_labels`, on the logits.

    Args:
        settings: see `SoftLabelSettings`.
        context: gives the distances of the leaf classes.
    """

    def __init__(self, settings: SoftLabelSettings, context: Context) -> None:
        super().__init__()
        one_label_a_case("soft_labels", context, "multi_label_cross_entropy")
        self.field = f"label.{context.level}"
        self.loss = SoftLabels(settings, context.known("soft_labels").distances(context.level))

    def forward(self, output: Output, batch: Record) -> Term:
        """The loss of the batch."""
        return self.loss(output.logits, batch.fields[self.field])
