"""Acoustic shadows: dark stripes that begin at some depth and follow the beam."""

import numpy as np
import torch
from torch import Tensor

from .draws import Showing
from .sector import Sectors

# Half widths and beginnings of shadows, as parts of the sector from its middle and from its upper edge.
_WIDTH = (0.05, 0.25)
_BEGINS = (0.05, 0.6)
_SOFT = 0.8  # of the half width over which a border fades
_ONSET = 0.15  # of the depth over which a shadow begins


class Shadows:
    """Takes grey levels from images (B, 1, size, size) where shadows fall.

    What lies in a shadow receives less sound, which a log-compressed image shows as grey levels taken away,
    as many at all depths behind its cause.

    Args:
        most: the largest darkening, in grey levels.
        count: how many shadows an image has, 1 to 3.
    """

    def __init__(self, most: float, count: int) -> None:
        self._most, self._count = most, count

    def __call__(self, images: Tensor, points: Tensor, sectors: Sectors, showing: Showing) -> Tensor:
        """The darker images.

        Args:
            images: (B, 1, size, size).
            points: (B, size, size, 2), the place in the sectors' images that each pixel was taken from.
            sectors: of the B images.
            showing: what is drawn for.
        """
        beam, depth = sectors.beams(points)
        u = torch.from_numpy(showing.uniforms("shadow").astype(np.float32)).to(images.device)[..., None, None]
        taken = torch.zeros_like(beam)
        for dark, middle, width, begins in u[: 4 * self._count].split(4):
            half = _within(width, _WIDTH)
            inside = ((half - (beam - (2 * middle - 1)).abs()) / (_SOFT * half)).clamp(0, 1)
            behind = ((depth - _within(begins, _BEGINS)) / _ONSET).clamp(0, 1)
            taken += dark * self._most * inside * behind
        return (images - taken[:, None]).clamp_(min=0)


def _within(uniform: Tensor, ends: tuple[float, float]) -> Tensor:
    return ends[0] + uniform * (ends[1] - ends[0])
