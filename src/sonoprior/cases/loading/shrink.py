"""From the cache to the training size without augmentation: exact area averaging."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .letterbox import cache_side, letterbox


def network_input(images: Sequence[NDArray[np.uint8]], size: int) -> Tensor:
    """Grey images (H, W) of any shapes as (B, 1, size, size) in [0, 1], as an evaluation sees them."""
    squares = np.stack([letterbox(image, cache_side(size)) for image in images])
    return shrink(torch.from_numpy(squares)[:, None], size)


def unit(pictures: Tensor) -> Tensor:
    """uint8 grey levels as float32 in [0, 1]."""
    return pictures.float().div_(255)


def shrink(pictures: Tensor, size: int) -> Tensor:
    """Average uint8 pictures (..., S, S) over the areas of size x size pixels, S >= size; to [0, 1].

    A pixel that straddles a border counts for both sides by its share, which `interpolate(mode="area")`
    does not do.
    """
    return averaged(pictures, area_weights(pictures.shape[-1], size).to(pictures.device))


def averaged(pictures: Tensor, weights: Tensor) -> Tensor:
    """The same with the `area_weights` (size, S) at hand."""
    return (weights @ unit(pictures) @ weights.T).clamp_(max=1)  # against rounding


def two_from_three(pictures: Tensor) -> Tensor:
    """The same for pictures (B, 1, S, S) of which each three pixels in a row become two, S divisible by 3.

    That is the cache of an even size. Each block of 3 x 3 pixels becomes one of 2 x 2: a convolution, with a
    hundred times fewer products than two matrices, for graphs that answer one frame at a time.
    """
    weights = area_weights(3, 2).to(pictures.device)
    blocks = torch.einsum("ai,bj->abij", weights, weights).reshape(4, 1, 3, 3)
    return functional.pixel_shuffle(functional.conv2d(unit(pictures), blocks, stride=3), 2).clamp_(max=1)


@lru_cache(maxsize=16)
def area_weights(source: int, target: int) -> Tensor:
    """(target, source): the share of each source pixel in each target pixel; rows sum to 1.

    >>> area_weights(3, 2)
    tensor([[0.6667, 0.3333, 0.0000],
            [0.0000, 0.3333, 0.6667]])
    """
    edges = np.arange(target + 1) * source / target
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(source)[None, :]
    overlap = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    return torch.from_numpy((overlap * target / source).astype(np.float32))
