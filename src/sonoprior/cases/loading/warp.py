"""Moving pictures: one grid of sampling points an image, used by everything that moves with it."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from .draws import Draws


def affine(draws: Draws) -> Tensor:
    """The map from a place in the result to a place in the source, (B, 2, 3) float32.

    Places are (x, y) from -1 (left, top edge) to 1. The source is mirrored and flipped first, then turned
    and zoomed about its centre, then shifted.
    """
    cos, sin = np.cos(draws.angle) / draws.zoom, np.sin(draws.angle) / draws.zoom
    across, along = np.where(draws.mirror, -1.0, 1.0), np.where(draws.flip, -1.0, 1.0)
    right, down = 2 * draws.right, 2 * draws.down
    rows = [
        [across * cos, across * sin, -across * (cos * right + sin * down)],
        [-along * sin, along * cos, along * (sin * right - cos * down)],
    ]
    return torch.from_numpy(np.moveaxis(np.array(rows), 2, 0).astype(np.float32))


def grid(matrices: Tensor, side: int) -> Tensor:
    """Sampling points (B, side, side, 2) for `grid_sample`.

    Written out, because the small matrix products of `affine_grid` cost more than the sampling itself.
    """
    centres = (torch.arange(side, device=matrices.device) * 2 + 1) / side - 1
    x, y = centres[None, None, :], centres[None, :, None]
    xx, xy, x0, yx, yy, y0 = matrices.reshape(-1, 6, 1, 1).unbind(1)
    return torch.stack([xx * x + xy * y + x0, yx * x + yy * y + y0], dim=-1)


def sample(pictures: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of (B, C, S, S) at the points (B, h, h, 2); black outside."""
    return grid_sample(pictures, points, mode="bilinear", padding_mode="zeros", align_corners=False)


def sample_averaged(pictures: Tensor, matrices: Tensor, size: int) -> Tensor:
    """As `sample`, but each result averages four points, so that speckle finer than a pixel fades.

    The evaluation averages over areas; single points would show training a grainier picture.
    """
    return avg_pool2d(sample(pictures, grid(matrices, 2 * size)), 2)
