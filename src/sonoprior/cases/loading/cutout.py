"""Cut-out: rectangles that tell nothing, so that a network looks elsewhere too.

Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017;
here as rectangles of drawn sides, filled with the image's mean grey.
"""

import numpy as np
import torch
from torch import Tensor

from .draws import Showing

_SHORTEST = 0.25  # side of a rectangle, as a part of the longest: a sliver hides nothing


class CutOut:
    """Fills rectangles of images (B, 1, size, size) with the mean of each image; all lie inside the image.

    Args:
        most: the longest side, as a part of the image side.
        count: how many rectangles, 1 to 3.
    """

    def __init__(self, most: float, count: int) -> None:
        self._most, self._count = most, count

    def __call__(self, images: Tensor, showing: Showing) -> Tensor:
        """The images with rectangles."""
        u = torch.from_numpy(showing.uniforms("cutout").astype(np.float32)).to(images.device)[..., None]
        means = images.mean((1, 2, 3), keepdim=True)
        for high, wide, down, right in u[: 4 * self._count].split(4):
            rows = _span(self._side(high), down, images.shape[2])
            columns = _span(self._side(wide), right, images.shape[3])
            images = torch.where((rows[:, :, None] & columns[:, None, :])[:, None], means, images)
        return images

    def _side(self, uniform: Tensor) -> Tensor:
        return self._most * (_SHORTEST + (1 - _SHORTEST) * uniform)


def _span(length: Tensor, place: Tensor, size: int) -> Tensor:
    """The pixels (B, size) in a stretch of this length (B, 1), a part of 1, at a place (B, 1) in [0, 1)."""
    middle = (torch.arange(size, device=length.device) + 0.5) / size
    begin = place * (1 - length)
    return (middle >= begin) & (middle < begin + length)
