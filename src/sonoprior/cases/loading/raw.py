"""Cases as the cache holds them, and how they become a batch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from .batch import Batch
from .shrink import shrink, unit


@dataclass(frozen=True, eq=False)
class RawBatch:
    """B cases of S x S pixels, S one and a half times the training size.

    Attributes:
        positions: (B,) in the case set.
        repeats: (B,), how often the epoch has shown the case before.
        images: uint8 (B, 1, S, S).
        rows: int64 (m,), which of the B cases have a prior.
        maps: uint8 (m, P, s, s), the priors of those.
        present: bool (B, P).
        labels: by level, int64 (B,), -1 for unknown.
    """

    positions: NDArray[np.int64]
    repeats: NDArray[np.int64]
    images: Tensor
    rows: Tensor
    maps: Tensor
    present: Tensor
    labels: Mapping[str, Tensor]


def plain(raw: RawBatch, size: int) -> Batch:
    """The batch as evaluation sees it: nothing changed, averaged over areas."""
    none = torch.zeros(len(raw.positions), dtype=torch.bool, device=raw.images.device)
    return collated(raw, shrink(raw.images, size), _brought_to(raw.maps, size), none)


def _brought_to(maps: Tensor, size: int) -> Tensor:
    """Prior maps at the training size; those kept at a lower resolution are interpolated."""
    if maps.shape[-1] >= size or not len(maps):
        return shrink(maps, size)
    return interpolate(unit(maps), (size, size), mode="bilinear")


def collated(raw: RawBatch, images: Tensor, maps: Tensor, mirrored: Tensor) -> Batch:
    """The batch of finished images (B, 1, size, size) and of the maps (m, P, size, size) that there are.

    The labels, priors and maps of those that are mirrored (B,) have been exchanged already.
    """
    index = raw.rows.new_tensor(raw.positions)
    labels = {f"label.{level}": values for level, values in raw.labels.items()}
    fields = {"image": images, "index": index, "mirrored": mirrored, **labels}
    if raw.present.shape[1] == 0:
        return Batch(fields, {})
    prior = images.new_zeros(len(images), *maps.shape[1:])
    prior[raw.rows] = maps
    return Batch({**fields, "prior": prior}, {"prior": raw.present})
