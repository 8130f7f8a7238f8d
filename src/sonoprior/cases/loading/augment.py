"""Augmentation of whole batches: everything that moves with the image moves with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .batch import Batch
from .draws import draw
from .grey import GreyChange
from .raw import RawBatch, collated
from .shrink import unit
from .spec import AugmentSpec
from .warp import affine, grid, sample, sample_averaged


class Augmentation:
    """Moves and changes each image as drawn for (seed, epoch, position in the case set, repeat).

    Labels stay, and priors absent stay absent, but that a mirror swaps partners. A prior that is moved out
    of view is present and empty.

    Args:
        spec: how far.
        size: the side of the result.
        seed: the run's seed.
        label_partners: for each level, for each class its partner (`partners.label_partners`).
        prior_partners: for each prior map its partner.
        device: where the batches are.
    """

    def __init__(
        self,
        spec: AugmentSpec,
        size: int,
        seed: int,
        label_partners: Mapping[str, Sequence[int]],
        prior_partners: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        self._spec, self._size, self._seed = spec, size, seed
        # The last entry serves the unknown label, -1.
        self._labels = {k: torch.tensor([*v, -1], device=device) for k, v in label_partners.items()}
        self._priors = torch.tensor(prior_partners, dtype=torch.int64, device=device)
        self._exchanges_priors = list(prior_partners) != list(range(len(prior_partners)))
        self._grey = GreyChange(size, seed, device)

    def __call__(self, raw: RawBatch, epoch: int) -> Batch:
        """The batch (B cases) of one epoch."""
        draws = draw(self._spec, self._seed, epoch, raw.positions, raw.repeats)
        matrices = affine(draws).to(raw.images.device)
        images = self._grey(sample_averaged(unit(raw.images), matrices, self._size), draws)
        swapped = self._swapped(raw, torch.from_numpy(draws.mirror).to(raw.images.device))
        maps = sample(unit(swapped.maps), grid(matrices[raw.rows], self._size))
        return collated(swapped, images, maps)

    def _swapped(self, raw: RawBatch, mirrored: Tensor) -> RawBatch:
        """The same cases, with the labels and priors of those that are mirrored (B,) exchanged."""
        labels = {
            level: torch.where(mirrored, self._labels[level][values], values)
            for level, values in raw.labels.items()
        }
        if not self._exchanges_priors:
            return replace(raw, labels=labels)
        present = torch.where(mirrored[:, None], raw.present[:, self._priors], raw.present)
        of_maps = mirrored[raw.rows][:, None, None, None]
        maps = torch.where(of_maps, raw.maps[:, self._priors], raw.maps)
        return replace(raw, labels=labels, present=present, maps=maps)
