"""Cross-entropy along the path of a label: to miss by a cousin costs less than to miss by a stranger.

Source: Bertinetto et al., "Making better mistakes: leveraging class hierarchies with deep networks", CVPR
2020, section 3.1. The print weighs a class by exp(-alpha h) with h its height, which would make strangers
cheaper than cousins; as its text ("discounted down the hierarchy") and the authors' code have it, h counts
from the root.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import HierarchicalCrossEntropySettings
from .inputs import check_batch, check_labels, one_label_a_case
from .terms import no_term


class HierarchicalCrossEntropy(nn.Module):
    """-sum over l of exp(-alpha h_l) log p(C^l | C^(l+1)), from the leaf up to the level below the root.

    The probability of an inner class is the sum over its leaves. The root holds all classes and stands above
    the last level, whose h is 0; the leaf's is the largest.

    Args:
        settings: see `HierarchicalCrossEntropySettings`.
        paths: (C, L), for each class its number at every level: the leaf's own, then upwards.

    Raises:
        RecipeError: if the levels are not a tree over the classes.

    >>> paths = torch.tensor([[0, 0], [1, 0], [2, 1]])
    >>> loss = HierarchicalCrossEntropy(HierarchicalCrossEntropySettings(alpha=0), paths)
    >>> float(loss(torch.zeros(1, 3), torch.tensor([0])).total)  # the plain cross-entropy, log 3
    1.0986...
    """

    paths: Tensor

    def __init__(self, settings: HierarchicalCrossEntropySettings, paths: Tensor) -> None:
        super().__init__()
        check_paths(paths)
        self.register_buffer("paths", paths, persistent=False)
        self.weights = [math.exp(-settings.alpha * depth) for depth in reversed(range(paths.shape[1]))]

    def forward(self, logits: Tensor, labels: Tensor) -> Term:
        """The sum over the cases with a label, and their number.

        Args:
            logits: (B, C), of the leaves.
            labels: (B,) leaf numbers, -1 for unknown.
        """
        check_batch(logits, labels)
        known = labels >= 0
        if not known.any():
            return no_term(logits)
        check_labels(labels[known], len(self.paths))
        logs = self.log_probabilities(logits[known], labels[known])  # (n, L + 1)
        steps = logs[:, :-1] - logs[:, 1:]  # log p(C^l | C^(l+1))
        return Term(-(steps * steps.new_tensor(self.weights)).sum(), known.sum())

    def log_probabilities(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The log-probability of each class on the path of the label (n,), and 0 for the root: (n, L + 1)."""
        log_leaves = functional.log_softmax(logits, 1)
        own = self.paths[labels]  # (n, L)
        inside = own[:, None, :] == self.paths  # (n, C, L): the leaves under each class of the path
        logs = log_leaves[:, :, None].masked_fill(~inside, -torch.inf).logsumexp(1)
        return torch.cat([logs, torch.zeros_like(logs[:, :1])], 1)


def check_paths(paths: Tensor) -> None:
    """Refuse paths (C, L) that are no tree.

    Raises:
        RecipeError: if a path does not begin with its own leaf, or a class has two parents.
    """
    if paths.ndim != 2 or not torch.equal(paths[:, 0].cpu(), torch.arange(len(paths))):
        raise RecipeError("paths must be (C, L) and begin with the numbers of the C leaves in their order.")
    for level in range(paths.shape[1] - 1):
        parents: dict[int, int] = {}
        for child, parent in paths[:, level : level + 2].tolist():
            if parents.setdefault(child, parent) != parent:
                raise RecipeError(
                    f"class {child} of level {level} has two parents, {parents[child]} and {parent}; a"
                    " hierarchical cross-entropy needs one path a class."
                )


class HierarchicalCrossEntropyObjective(Objective):
    """The recipe's objective `hierarchical_cross_entropy`, on the logits.

    Args:
        settings: see `HierarchicalCrossEntropySettings`.
        context: gives the path of every leaf class.
    """

    def __init__(self, settings: HierarchicalCrossEntropySettings, context: Context) -> None:
        super().__init__()
        one_label_a_case("hierarchical_cross_entropy", context, "multi_label_cross_entropy")
        self.field = f"label.{context.level}"
        paths = context.known("hierarchical_cross_entropy").paths
        self.loss = HierarchicalCrossEntropy(settings, paths)

    def forward(self, output: Output, batch: Record) -> Term:
        """The loss of the batch."""
        return self.loss(output.logits, batch.fields[self.field])
