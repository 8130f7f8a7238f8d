"""Cross-entropy with several labels an image.

Source: paper on deep clustering for abdominal ultrasound, eq 9, with the minus and the log(1 - p) that its
print has lost.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Term
from .inputs import members_of
from .label_combinations import labels_shown
from .pseudo_labels import in_single_precision
from .semi_supervised_settings import MultiLabelCrossEntropySettings


def multi_label_cross_entropy(logits: Tensor, labels: Tensor) -> Term:
    """The mean over an image's known labels, summed over the images that have any, and their number.

    Args:
        logits: (B, C).
        labels: (B, C) of 1, 0, and -1 for unknown.

    Raises:
        RecipeError: if the shapes do not fit, or a label is none of these.

    >>> term = multi_label_cross_entropy(torch.zeros(2, 3), torch.tensor([[1, 0, -1], [-1, -1, -1]]))
    >>> term.total, int(term.count)
    (tensor(0.6931), 1)
    """
    check_multi_labels(labels)
    if logits.shape != labels.shape:
        raise RecipeError(
            f"logits and labels must both be (B, C), but got {tuple(logits.shape)} and {tuple(labels.shape)}."
        )
    some = (labels >= 0).any(1)
    values, wanted = in_single_precision(logits[some]), labels[some]
    known = wanted >= 0
    losses = functional.binary_cross_entropy_with_logits(
        values.masked_fill(~known, 0), wanted.clamp(min=0).to(values), reduction="none"
    )
    return Term((losses.masked_fill(~known, 0).sum(1) / known.sum(1)).sum(), some.sum())


def check_multi_labels(labels: Tensor) -> None:
    """Refuse what is not (B, C) of 1, 0 and -1.

    Raises:
        RecipeError: with what came.
    """
    if labels.ndim != 2:
        raise RecipeError(f"several labels an image must be (B, C), but got {tuple(labels.shape)}.")
    strange = labels[~torch.isin(labels, torch.tensor([-1, 0, 1], device=labels.device))]
    if len(strange):
        raise RecipeError(
            f"several labels an image must be 1, 0, or -1 for unknown, but got {strange[0].item()}."
        )


class MultiLabelCrossEntropyObjective(Objective):
    """The recipe's objective `multi_label_cross_entropy`, on the labelled stream.

    Args:
        settings: it has none.
        context: gives the level, and the labels of its combinations.

    Raises:
        RecipeError: if each case shows one label.
    """

    members: Tensor

    def __init__(self, settings: MultiLabelCrossEntropySettings, context: Context) -> None:  # noqa: ARG002
        super().__init__()
        self.field = f"label.{context.level}"
        members = members_of("multi_label_cross_entropy", context)
        self.register_buffer("members", members, persistent=False)

    def forward(self, output: Output, batch: Record) -> Term:
        """Eq 9 over the labelled cases."""
        return multi_label_cross_entropy(output.logits, labels_shown(batch.fields[self.field], self.members))
