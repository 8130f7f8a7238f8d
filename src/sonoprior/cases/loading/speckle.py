"""Speckle drawn anew, as another frame of the same tissue has it."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sonoprior.core.randomness import generator

from .draws import Showing
from .grey import FLOOR

# Grains are wider than deep: standard deviations of the point spread, as parts of the image side.
_ALONG, _ACROSS = 0.003, 0.006
# What varies within this part of the image side counts as speckle.
_LOCAL = 0.04
# Mean absolute deviation of a normal variable times this is its standard deviation.
_FROM_MEAN_ABSOLUTE = (np.pi / 2) ** 0.5


class SpeckleChange:
    """Exchanges a part w of the speckle of images (B, 1, size, size) in [0, 1].

    With m the mean around a pixel, d = g - m what varies about it and s its local standard deviation, g
    becomes m + sqrt(1 - w^2) d + w s n, so that the texture is as strong as before wherever it is. n is the
    logarithm of a Rayleigh envelope, correlated as by a point spread function, with mean 0 and variance 1:
    speckle multiplies the envelope, and in a log-compressed image it therefore adds.

    What is fine and no speckle, such as a thin border, fades by sqrt(1 - w^2) too.
    """

    def __init__(self, most: float, size: int, seed: int, device: torch.device | str = "cpu") -> None:
        self._most, self._size = most, size
        self._sheet = torch.from_numpy(log_rayleigh(4 * size, size, seed)).to(device)
        self._window = 2 * round(_LOCAL * size / 2) + 1

    def __call__(self, images: Tensor, showing: Showing) -> Tensor:
        """The images with other speckle (B, 1, size, size)."""
        u = showing.uniforms("speckle")
        share = torch.from_numpy((u[0] * self._most).astype(np.float32)).to(images.device)[
            :, None, None, None
        ]
        detail = images - self._local(images)
        spread = self._local(detail.abs()) * _FROM_MEAN_ABSOLUTE
        change = detail * ((1 - share**2).sqrt() - 1) + self._speckle(u[1], u[2]) * spread * share
        return (images + change * (images / FLOOR).clamp(max=1)).clamp_(0, 1)

    def _local(self, pictures: Tensor) -> Tensor:
        """The mean over a window around each pixel, of what there is of it in the image."""
        side = self._window
        rows = avg_pool2d(pictures, (side, 1), 1, (side // 2, 0), count_include_pad=False)
        return avg_pool2d(rows, (1, side), 1, (0, side // 2), count_include_pad=False)

    def _speckle(self, down: np.ndarray, right: np.ndarray) -> Tensor:
        size, room = self._size, len(self._sheet) - self._size + 1
        starts = zip((down * room).astype(int).tolist(), (right * room).astype(int).tolist(), strict=True)
        return torch.stack([self._sheet[r : r + size, c : c + size] for r, c in starts])[:, None]


def log_rayleigh(side: int, size: int, seed: int) -> np.ndarray:
    """Fully developed speckle in logarithmic units, (side, side) float32, mean 0 and variance 1.

    Args:
        side: of the sheet.
        size: the side of an image, which the grains are measured by.
        seed: the run's seed.
    """
    random = generator(seed, "speckle sheet")
    spread = (_ALONG * size, _ACROSS * size)
    real, imaginary = (
        gaussian_filter(random.standard_normal((side, side), dtype=np.float32), spread, mode="wrap")
        for _ in range(2)
    )
    levels = np.log(np.hypot(real, imaginary) + np.finfo(np.float32).tiny)
    return ((levels - levels.mean()) / levels.std()).astype(np.float32)
