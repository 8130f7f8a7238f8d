"""Changing grey levels as the knobs of an ultrasound machine do."""

import numpy as np
import torch
from torch import Tensor

from sonoprior.core.randomness import generator

from .draws import Draws

# Below this grey level gain fades to nothing, so that what is black outside the sector stays black.
FLOOR = 0.05


class GreyChange:
    """Gain, time-gain slope, contrast, gamma and noise on images (B, 1, size, size) in [0, 1].

    g becomes contrast * g^gamma * (1 + noise * n) + (gain + depth_gain * d) * min(1, g / 0.05), clipped,
    with d from -1 at the top to 1 at the bottom and n standard normal. Each image takes its n from its own
    place in one sheet, which costs nothing to draw and does not depend on the other images.
    """

    def __init__(self, size: int, seed: int, device: torch.device | str = "cpu") -> None:
        sheet = generator(seed, "noise").standard_normal((4 * size, 4 * size), dtype=np.float32)
        self._sheet = torch.from_numpy(sheet).to(device)
        self._depth = torch.linspace(-1, 1, size, device=device)[:, None]
        self._size = size

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """The changed images (B, 1, size, size)."""
        gain, slope, contrast, gamma, noise = (
            torch.from_numpy(values.astype(np.float32)).to(images.device)[:, None, None, None]
            for values in (draws.gain, draws.depth_gain, draws.contrast, draws.gamma, draws.noise)
        )
        lifted = (images / FLOOR).clamp_(max=1).mul_(gain + slope * self._depth)
        grain = self._noise(draws).mul_(noise).add_(1)
        return images.pow(gamma).mul_(contrast).mul_(grain).add_(lifted).clamp_(0, 1)

    def _noise(self, draws: Draws) -> Tensor:
        size, room = self._size, len(self._sheet) - self._size + 1
        rows, columns = (draws.noise_row * room).astype(int), (draws.noise_column * room).astype(int)
        starts = zip(rows.tolist(), columns.tolist(), strict=True)
        return torch.stack([self._sheet[r : r + size, c : c + size] for r, c in starts])[:, None]
