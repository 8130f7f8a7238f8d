"""Flexible thresholds: a class with few confident pseudo-labels so far asks for less confidence.

Source: Zhang et al., "FlexMatch: boosting semi-supervised learning with curriculum pseudo labeling", NeurIPS
2021: curriculum pseudo-labelling, its threshold warm-up, and the convex mapping x / (2 - x).
"""

import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError

from .processes import highest_of_processes
from .semi_supervised_settings import FlexibleThresholdSettings


class FlexibleThresholds(nn.Module):
    """Remembers for every unlabelled image the class that it last reached the full threshold with.

    Args:
        settings: see `FlexibleThresholdSettings`.
        threshold: tau, the full threshold.
        classes: K.
        images: N, how many unlabelled images there are.

    >>> flexible = FlexibleThresholds(FlexibleThresholdSettings(), 0.9, classes=2, images=4)
    >>> flexible(torch.tensor([0.95, 0.95, 0.1]), torch.tensor([1, 1, 0]), torch.tensor([0, 1, 2]))
    tensor([True, True, True])
    >>> flexible.thresholds()  # half of the images reached it with class 1, none with class 0
    tensor([0.0000, 0.9000])
    """

    reached: Tensor

    def __init__(
        self, settings: FlexibleThresholdSettings, threshold: float, classes: int, images: int
    ) -> None:
        super().__init__()
        self.warm_up = settings.warm_up
        self.threshold = threshold
        self.classes = classes
        self.register_buffer("reached", torch.full((images,), -1))

    def thresholds(self) -> Tensor:
        """The threshold of each class now: (K,)."""
        counts = torch.bincount(self.reached + 1, minlength=self.classes + 1)
        learned = counts[1:]
        most = counts.max() if self.warm_up else learned.max()
        status = learned / most.clamp(min=1)
        return self.threshold * status / (2 - status)

    @torch.no_grad()
    def forward(self, highest: Tensor, labels: Tensor, images: Tensor | None) -> Tensor:
        """Which pseudo-labels reach the thresholds as they were before this batch: (B,).

        While training, those that reach the full one are then remembered.

        Args:
            highest: (B,), the largest probability of each image.
            labels: (B,), the class that it belongs to.
            images: (B,), the number of each image among the unlabelled ones, from 0.

        Raises:
            RecipeError: if there are no numbers of images, or one lies beyond them.
        """
        numbers = self._checked(images, labels)
        used = highest >= self.thresholds().to(highest)[labels]
        if self.training:
            self._remember(numbers, torch.where(highest >= self.threshold, labels, -1))
        return used

    def _checked(self, images: Tensor | None, labels: Tensor) -> Tensor:
        if images is None or images.shape != labels.shape:
            raise RecipeError(
                f"flexible thresholds need the numbers of the {len(labels)} images of the batch, but got"
                f" {None if images is None else tuple(images.shape)}."
            )
        if ((images < 0) | (images >= len(self.reached))).any():
            raise RecipeError(
                f"numbers of images must lie in [0, {len(self.reached)}), but got {images.min().item()} to"
                f" {images.max().item()}."
            )
        return images

    def _remember(self, images: Tensor, classes: Tensor) -> None:
        news = torch.full_like(self.reached, -1).scatter_reduce(0, images, classes, "amax")
        news = highest_of_processes(news)
        self.reached.copy_(torch.where(news >= 0, news, self.reached))
