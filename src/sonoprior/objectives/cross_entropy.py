"""Cross-entropy over the labels of one level; a case without a label adds nothing."""

import torch
from torch import Tensor
from torch.nn import functional

from .base import Context, Objective, Output, Record, Term
from .inputs import one_label_a_case
from .settings import CrossEntropySettings


class CrossEntropy(Objective):
    """Cross-entropy, with class weights if asked for.

    Args:
        settings: see `CrossEntropySettings`.
        context: gives the level and the class counts.

    Raises:
        RecipeError: if a case may show several labels.
    """

    recordable = True
    weights: Tensor | None

    def __init__(self, settings: CrossEntropySettings, context: Context) -> None:
        super().__init__()
        one_label_a_case("cross_entropy", context, "multi_label_cross_entropy")
        self.field = f"label.{context.level}"
        self.smoothing = settings.smoothing
        balanced = settings.class_weights == "balanced"
        self.register_buffer(
            "weights", balanced_weights(context.class_counts) if balanced else None, persistent=False
        )

    def forward(self, output: Output, batch: Record) -> Term:
        """Sum over the labelled cases of weight times -log p(label); the count is the sum of weights."""
        labels = batch.fields[self.field]
        known = labels >= 0
        total = functional.cross_entropy(
            output.logits,
            labels,
            self.weights,
            ignore_index=-1,
            reduction="sum",
            label_smoothing=self.smoothing,
        )
        count = (known if self.weights is None else known * self.weights[labels.clamp(min=0)]).sum()
        return Term(total, count)


def balanced_weights(counts: Tensor) -> Tensor:
    """Inverse class frequency with mean 1 over the classes that occur: (K,); 0 for those that do not.

    >>> balanced_weights(torch.tensor([1, 3]))
    tensor([1.5000, 0.5000])
    """
    inverse = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0)
    return inverse * (counts > 0).sum() / inverse.sum()
