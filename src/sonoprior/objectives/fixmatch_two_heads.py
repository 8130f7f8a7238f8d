"""FixMatch with several labels an image and two heads: one for label combinations, one for the labels.

The head of the combinations has one label an image, so FixMatch fits it as it is; the head of the labels is
what is used in the end.

Source: paper on deep clustering for abdominal ultrasound, section 2.3.2, figure 3 (ii), and the equation
after eq 13.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.cases.loading.batch import TRUTH
from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Records, Term, Views, ViewsObjective
from .image_numbers import ImageNumbers
from .inputs import combinations_of, members_of
from .label_combinations import combination_numbers, labels_shown
from .multi_label_cross_entropy import check_multi_labels, multi_label_cross_entropy
from .pseudo_labels import PseudoLabeller, PseudoLabels, check_pair, check_truth, in_single_precision
from .semi_supervised_settings import TwoHeadCrossEntropySettings, TwoHeadFixMatchSettings
from .terms import combined, counted


class HeadLogits(NamedTuple):
    """What the two heads gave for a batch.

    Attributes:
        single: (B, K), logits of the label combinations.
        multi: (B, C), logits of the labels.
    """

    single: Tensor
    multi: Tensor


class TwoHeadFixMatch(nn.Module):
    """L_u on the combinations; as a setting, the head of the labels learns from them too.

    Args:
        settings: see `TwoHeadFixMatchSettings`.
        combinations: (K, C) of 0 and 1, distinct; those that occur.
        combination_counts: (K,), labelled training cases by combination; for distribution alignment.
        images: how many unlabelled images there are; for flexible thresholds.

    Raises:
        RecipeError: if the combinations are none, or a setting needs what is not given.
    """

    combinations: Tensor

    def __init__(
        self,
        settings: TwoHeadFixMatchSettings,
        combinations: Tensor,
        combination_counts: Tensor | None = None,
        images: int | None = None,
    ) -> None:
        super().__init__()
        self.learner = settings.learner
        self.register_buffer("combinations", _checked(combinations), persistent=False)
        self.labeller = PseudoLabeller(settings, len(combinations), combination_counts, images)

    def forward(
        self,
        weak: HeadLogits,
        strong: HeadLogits,
        truth: Tensor | None = None,
        images: Tensor | None = None,
    ) -> Term:
        """The sum over the images whose combination is sure enough, and the number of all images.

        Args:
            weak: of the weak views; they get no gradient, and the head of the labels has no say.
            strong: of the strong views.
            truth: (B, C) of 1, 0, and -1 for unknown; for the monitors only.
            images: (B,), the number of each image among the unlabelled ones, for flexible thresholds.

        Raises:
            RecipeError: if the shapes do not fit.
        """
        _check_heads(strong, self.combinations)
        check_pair(weak.single, strong.single, self.labeller.classes)
        check_truth(truth, strong.multi.shape)
        if truth is not None:
            check_multi_labels(truth)
        found = self.labeller(weak.single, images)
        labels = self.combinations[found.labels]
        monitors = PseudoLabels(labels, found.used).monitors(truth)
        parts = {
            "single_label": lambda: self._on_combinations(strong.single, found),
            "multi_label": lambda: (
                multi_label_cross_entropy(strong.multi[found.used], labels[found.used]).total
            ),
        }
        totals = [part() for name, part in parts.items() if self.learner in {name, "both"}]
        return Term(torch.stack(totals).sum(), counted(len(labels), labels), monitors)

    def _on_combinations(self, strong: Tensor, found: PseudoLabels) -> Tensor:
        return functional.cross_entropy(
            self.labeller.for_the_loss(strong[found.used]), found.labels[found.used], reduction="sum"
        )


class TwoHeadCrossEntropy(nn.Module):
    """The labelled part of the objective: H(w, p) on the combinations and eq 9 on the labels.

    Args:
        combinations: (K, C) of 0 and 1, distinct.

    Raises:
        RecipeError: if the combinations are none.
    """

    combinations: Tensor

    def __init__(self, combinations: Tensor) -> None:
        super().__init__()
        self.register_buffer("combinations", _checked(combinations), persistent=False)

    def forward(self, heads: HeadLogits, labels: Tensor) -> Term:
        """The sum of both heads' means, as often as there are images with a known label.

        An image whose combination is unknown, or none of those that are told apart, is left out of the first
        mean alone.

        Args:
            heads: of labelled images.
            labels: (B, C) of 1, 0, and -1 for unknown.

        Raises:
            RecipeError: if the shapes do not fit.
        """
        _check_heads(heads, self.combinations)
        multi = multi_label_cross_entropy(heads.multi, labels)
        numbers = combination_numbers(labels, self.combinations)
        known = numbers >= 0
        single = functional.cross_entropy(
            in_single_precision(heads.single[known]), numbers[known], reduction="sum"
        )
        parts = {"single_label": (1.0, Term(single, known.sum())), "multi_label": (1.0, multi)}
        return combined(parts, multi.count)


class TwoHeadFixMatchObjective(ViewsObjective):
    """The recipe's objective `fixmatch_two_heads`; its weight is lambda of eq 13.

    Args:
        settings: see `TwoHeadFixMatchSettings`.
        context: gives the combinations, their labelled cases, and the cases of the stream.

    Raises:
        RecipeError: if each case shows one label, or the combinations have no logits.
    """

    views = ("weak", "strong")
    without_gradient = frozenset({"weak"})
    members: Tensor

    def __init__(self, settings: TwoHeadFixMatchSettings, context: Context) -> None:
        super().__init__()
        self.stream = settings.stream
        combinations, counts = combinations_of("fixmatch_two_heads", context)
        members = members_of("fixmatch_two_heads", context)
        self.register_buffer("members", members, persistent=False)
        self.numbers = ImageNumbers(context.streams[settings.stream])
        self.loss = TwoHeadFixMatch(settings, combinations, counts, len(self.numbers))

    def forward(self, outputs: Views, batches: Records) -> Term:
        """The term of the batch."""
        fields = batches["weak"].fields
        truth = fields.get(f"label.{TRUTH}")
        return self.loss(
            head_logits(outputs["weak"]),
            head_logits(outputs["strong"]),
            None if truth is None else labels_shown(truth, self.members),
            self.numbers(fields["index"]),
        )


class TwoHeadCrossEntropyObjective(Objective):
    """The recipe's objective `two_head_cross_entropy`, on the labelled stream.

    Args:
        settings: it has none.
        context: gives the level and its combinations.

    Raises:
        RecipeError: if each case shows one label, or the combinations have no logits.
    """

    members: Tensor

    def __init__(self, settings: TwoHeadCrossEntropySettings, context: Context) -> None:  # noqa: ARG002
        super().__init__()
        self.field = f"label.{context.level}"
        members = members_of("two_head_cross_entropy", context)
        self.register_buffer("members", members, persistent=False)
        self.loss = TwoHeadCrossEntropy(combinations_of("two_head_cross_entropy", context)[0])

    def forward(self, output: Output, batch: Record) -> Term:
        """The term of the batch."""
        return self.loss(head_logits(output), labels_shown(batch.fields[self.field], self.members))


def head_logits(output: Output) -> HeadLogits:
    """Of the label combinations and of the labels, from a network that has both."""
    assert output.heads is not None
    return HeadLogits(output.heads.combination_logits(output.outputs), output.logits)


def _checked(combinations: Tensor) -> Tensor:
    check_multi_labels(combinations)
    if (combinations < 0).any() or len(combinations.unique(dim=0)) != len(combinations):
        raise RecipeError(
            "label combinations must be distinct rows of 0 and 1, but some are unknown or come twice."
        )
    return combinations.long()


def _check_heads(heads: HeadLogits, combinations: Tensor) -> None:
    images = heads.single.shape[:1]
    wanted = [(*images, size) for size in combinations.shape]
    if [heads.single.shape, heads.multi.shape] != wanted:
        raise RecipeError(
            f"the heads must give (B, {combinations.shape[0]}) and (B, {combinations.shape[1]}), but got"
            f" {tuple(heads.single.shape)} and {tuple(heads.multi.shape)}."
        )
