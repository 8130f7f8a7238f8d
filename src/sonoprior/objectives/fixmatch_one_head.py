"""FixMatch with several labels an image and one head.

Source: paper on deep clustering for abdominal ultrasound, section 2.3.2, figure 3 (i).
"""

import torch
from torch import Tensor, nn

from sonoprior.cases.loading.batch import TRUTH

from .base import Context, Records, Term, Views, ViewsObjective
from .inputs import members_of
from .label_combinations import labels_shown
from .multi_label_cross_entropy import check_multi_labels, multi_label_cross_entropy
from .pseudo_labels import PseudoLabels, check_pair, check_truth, in_single_precision
from .semi_supervised_settings import OneHeadFixMatchSettings
from .terms import counted


class OneHeadFixMatch(nn.Module):
    """The labels of the weak view, cut at 0.5, are learned where its largest probability reaches tau.

    An image that shows nothing has no large probability, so its pseudo-labels are never used; as published.

    Args:
        settings: see `OneHeadFixMatchSettings`.

    >>> loss = OneHeadFixMatch(OneHeadFixMatchSettings(threshold=0.9))
    >>> term = loss(torch.tensor([[3.0, -1.0], [1.0, -3.0]]), torch.zeros(2, 2))
    >>> term.total / term.count  # log 2 for the first image, of two
    tensor(0.3466)
    """

    def __init__(self, settings: OneHeadFixMatchSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, weak: Tensor, strong: Tensor, truth: Tensor | None = None) -> Term:
        """The sum of the binary cross-entropies over the used images, and the number of all.

        Each is the mean over the labels, as in eq 9.

        Args:
            weak: (B, C), logits of the weak views; they get no gradient.
            strong: (B, C), logits of the strong views.
            truth: (B, C) of 1, 0, and -1 for unknown; for the monitors only.

        Raises:
            RecipeError: if the shapes do not fit.
        """
        check_pair(weak, strong)
        check_truth(truth, weak.shape)
        if truth is not None:
            check_multi_labels(truth)
        found = self._pseudo_labels(weak)
        term = multi_label_cross_entropy(strong[found.used], found.labels[found.used])
        return Term(term.total, counted(len(weak), weak), found.monitors(truth))

    @torch.no_grad()
    def _pseudo_labels(self, weak: Tensor) -> PseudoLabels:
        probabilities = in_single_precision(weak).sigmoid()
        sure = probabilities.amax(1) >= self.settings.threshold
        return PseudoLabels((probabilities >= self.settings.cut).long(), sure)


class OneHeadFixMatchObjective(ViewsObjective):
    """The recipe's objective `fixmatch_one_head`; its weight is lambda of eq 13.

    Args:
        settings: see `OneHeadFixMatchSettings`.
        context: gives the labels of each class number, for the monitors.

    Raises:
        RecipeError: if each case shows one label.
    """

    views = ("weak", "strong")
    without_gradient = frozenset({"weak"})
    members: Tensor

    def __init__(self, settings: OneHeadFixMatchSettings, context: Context) -> None:
        super().__init__()
        self.stream = settings.stream
        self.register_buffer("members", members_of("fixmatch_one_head", context), persistent=False)
        self.loss = OneHeadFixMatch(settings)

    def forward(self, outputs: Views, batches: Records) -> Term:
        """The term of the batch."""
        truth = batches["weak"].fields.get(f"label.{TRUTH}")
        shown = None if truth is None else labels_shown(truth, self.members)
        return self.loss(outputs["weak"].logits, outputs["strong"].logits, shown)
