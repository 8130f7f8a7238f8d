"""What the network predicts on average on unlabelled images, and two corrections of pseudo-labels by it."""

import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError

from .processes import summed_over_processes
from .semi_supervised_settings import AlignmentSettings, DebiasingSettings


class MeanPrediction(nn.Module):
    """The running mean of predictions, over all processes; uniform at first.

    Args:
        classes: K.
        decay: what is left of it after one more batch.
    """

    mean: Tensor

    def __init__(self, classes: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.full((classes,), 1 / classes))

    @torch.no_grad()
    def update(self, probabilities: Tensor) -> None:
        """Take in a batch (B, K), while training only; rows that are not finite are left out."""
        if not self.training:
            return
        rows = probabilities[probabilities.isfinite().all(1)]
        found = summed_over_processes(torch.cat([rows.sum(0), rows.new_tensor([len(rows)])]))
        if found[-1] > 0:
            self.mean.lerp_((found[:-1] / found[-1]).to(self.mean), 1 - self.decay)

    def positive(self) -> Tensor:
        """The mean (K,), nowhere 0, so that it can be divided by and has a logarithm."""
        return self.mean.clamp(min=torch.finfo(self.mean.dtype).tiny)


class DistributionAlignment(nn.Module):
    """Probabilities times the class's share of the labelled cases over its mean prediction, normalised.

    Source: Berthelot et al., "ReMixMatch: semi-supervised learning with distribution alignment and
    augmentation anchoring", ICLR 2020, section 3.1; the running mean decays here, where theirs is that of
    the last 128 batches.

    Args:
        settings: see `AlignmentSettings`.
        class_counts: (K,), labelled training cases by class. A class without any is never a pseudo-label.

    Raises:
        RecipeError: if the counts are no counts.
    """

    wanted: Tensor

    def __init__(self, settings: AlignmentSettings, class_counts: Tensor) -> None:
        super().__init__()
        counts = class_counts.to(torch.float32)
        if not (counts.isfinite().all() and (counts >= 0).all() and counts.any()):
            raise RecipeError(
                "distribution alignment needs labelled cases by class, at least 0 each and not all 0, but got"
                f" {class_counts.tolist()}."
            )
        self.register_buffer("wanted", counts / counts.sum(), persistent=False)
        self.predicted = MeanPrediction(len(counts), settings.decay)

    def forward(self, probabilities: Tensor) -> Tensor:
        """Aligned probabilities (B, K) after this batch (B, K) has entered the mean."""
        self.predicted.update(probabilities)
        aligned = probabilities * (self.wanted / self.predicted.positive()).to(probabilities)
        return aligned / aligned.sum(1, keepdim=True)


class Debiasing(nn.Module):
    """Logits less lambda log of the mean prediction for pseudo-labels, and margins by it for the loss.

    What is predicted often on average, whatever the image shows, is taken off; it is the logit adjustment of
    long-tailed learning with what the network predicts in place of class frequencies nobody knows.

    Source: Wang et al., "Debiased learning from naturally imbalanced pseudo-labels", CVPR 2022 (debiasing
    by counterfactual reasoning, and adaptive marginal loss), after Menon et al., "Long-tail learning via
    logit adjustment", ICLR 2021.

    Args:
        settings: see `DebiasingSettings`.
        classes: K.
    """

    def __init__(self, settings: DebiasingSettings, classes: int) -> None:
        super().__init__()
        self.strength = settings.strength
        self.has_margins = settings.margins
        self.predicted = MeanPrediction(classes, settings.decay)

    def forward(self, weak: Tensor) -> Tensor:
        """Logits (B, K) for the pseudo-labels, after this batch of weak views (B, K) has entered the mean."""
        self.predicted.update(weak.softmax(1))
        return weak - self._bias().to(weak)

    def with_margins(self, strong: Tensor) -> Tensor:
        """Logits of the strong views (B, K) for the loss."""
        return strong + self._bias().to(strong) if self.has_margins else strong

    def _bias(self) -> Tensor:
        return self.strength * self.predicted.positive().log()
