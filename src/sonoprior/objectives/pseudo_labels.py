"""Pseudo-labels from the weak views of unlabelled images: which class, and whether it is sure enough."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError

from .base import Monitors
from .flexible_thresholds import FlexibleThresholds
from .inliers import are_inliers
from .prediction_balance import Debiasing, DistributionAlignment
from .semi_supervised_settings import FixMatchSettings


@dataclass(frozen=True)
class PseudoLabels:
    """What a batch of weak views gave.

    Attributes:
        labels: (B,) class numbers, or (B, C) of 0 and 1.
        used: (B,), whether they are sure enough to be learned.
    """

    labels: Tensor
    used: Tensor

    def monitors(self, truth: Tensor | None) -> Monitors:
        """The rate of used images and, where the truth is known, how many of them are right in all labels.

        With several labels an image there is also the share of single labels that are right.

        Args:
            truth: of the shape of the labels, -1 for unknown; None if nobody knows any.
        """
        rate: Monitors = {"pseudo_label_rate": _share(self.used)}
        if truth is None:
            return rate
        right, known = self.labels == truth, truth >= 0
        if truth.ndim == 1:
            rate["pseudo_label_accuracy"] = _share(right[self.used & known])
            return rate
        rate["pseudo_label_accuracy"] = _share(right.all(1)[self.used & known.all(1)])
        rate["pseudo_label_agreement"] = _share(right[self.used[:, None] & known])
        return rate


def _share(holds: Tensor) -> tuple[float, float]:
    return float(holds.sum()), float(len(holds))


class PseudoLabeller(nn.Module):
    """The class of the largest probability, used where this reaches the threshold or the image is an inlier.

    Args:
        settings: see `FixMatchSettings`.
        classes: K.
        class_counts: (K,), labelled training cases by class; for distribution alignment.
        images: how many unlabelled images there are; for flexible thresholds.

    Raises:
        RecipeError: if a setting needs what is not given, or there is nothing to tell apart.
    """

    def __init__(
        self,
        settings: FixMatchSettings,
        classes: int,
        class_counts: Tensor | None = None,
        images: int | None = None,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise RecipeError(f"pseudo-labels need at least 2 classes to tell apart, but got {classes}.")
        self.threshold = settings.threshold
        self.inliers = settings.inliers
        self.classes = classes
        self.alignment = None
        if settings.alignment is not None:
            self.alignment = DistributionAlignment(settings.alignment, _counts(class_counts, classes))
        self.debiasing = None if settings.debiasing is None else Debiasing(settings.debiasing, classes)
        self.flexible = None
        if settings.flexible is not None:
            self.flexible = FlexibleThresholds(
                settings.flexible, settings.threshold, classes, _how_many(images)
            )

    @torch.no_grad()
    def forward(self, weak: Tensor, images: Tensor | None = None) -> PseudoLabels:
        """Pseudo-labels without gradient; where a logit is not finite they are not used.

        Args:
            weak: (B, K), logits of the weak views.
            images: (B,), the number of each image among the unlabelled ones, for flexible thresholds.
        """
        logits = plain = in_single_precision(weak)
        if self.debiasing is not None:
            logits = self.debiasing(plain)
        probabilities = logits.softmax(1)
        if self.alignment is not None:
            probabilities = self.alignment(probabilities)
        highest, labels = probabilities.max(1)
        if self.flexible is not None:
            return PseudoLabels(labels, self.flexible(highest, labels, images))
        if self.inliers is not None:
            return PseudoLabels(labels, are_inliers(plain, self.inliers))
        return PseudoLabels(labels, highest >= self.threshold)

    def for_the_loss(self, strong: Tensor) -> Tensor:
        """The logits of strong views (B, K) as the loss takes them: with margins, if there are any."""
        logits = in_single_precision(strong)
        return logits if self.debiasing is None else self.debiasing.with_margins(logits)


def in_single_precision(logits: Tensor) -> Tensor:
    """In single precision at least: in half, probabilities near a threshold are too coarse."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def check_pair(weak: Tensor, strong: Tensor, classes: int | None = None) -> None:
    """Refuse what is not the logits of two views of the same images.

    Raises:
        RecipeError: with the shapes that came.
    """
    fits = weak.ndim == 2 and weak.shape == strong.shape and classes in {None, weak.shape[-1]}
    if not fits:
        columns = "K" if classes is None else classes
        raise RecipeError(
            f"the weak and the strong view must both have logits (B, {columns}), but got"
            f" {tuple(weak.shape)} and {tuple(strong.shape)}."
        )


def check_truth(truth: Tensor | None, shape: torch.Size) -> None:
    """Refuse true labels that do not fit the images.

    Raises:
        RecipeError: with the shape that came.
    """
    if truth is not None and truth.shape != shape:
        raise RecipeError(
            f"the true labels of the unlabelled images must have shape {tuple(shape)}, but got"
            f" {tuple(truth.shape)}."
        )


def _counts(class_counts: Tensor | None, classes: int) -> Tensor:
    if class_counts is None or class_counts.shape != (classes,):
        raise RecipeError(
            f"distribution alignment needs the labelled cases of each of the {classes} classes, but got"
            f" {None if class_counts is None else tuple(class_counts.shape)}."
        )
    return class_counts


def _how_many(images: int | None) -> int:
    if images is None or images < 1:
        raise RecipeError(
            "flexible thresholds need to know how many unlabelled images there are, at least 1, but got"
            f" {images}."
        )
    return images
