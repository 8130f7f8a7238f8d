"""Augmentation of whole batches: everything that moves with the image moves with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .batch import Batch
from .cutout import CutOut
from .draws import Showing, draw
from .grey import GreyChange
from .raw import RawBatch, collated
from .sector import Sectors, sectors
from .shadow import Shadows
from .shrink import unit
from .spec import AugmentSpec
from .speckle import SpeckleChange
from .warp import affine, grid, sample, sample_averaged
from .windows import composed, zoomed_in_depth, zoomed_into_sector


class Augmentation:
    """Moves and changes each image as drawn for (seed, view, epoch, position in the case set, repeat).

    In this order: it is moved, its speckle drawn anew, shadows fall, the machine's knobs are turned
    (`GreyChange`), and rectangles are cut out. Labels stay, and priors absent stay absent, but that a mirror
    swaps partners. A prior that is moved out of view is present and empty.

    Args:
        spec: how far.
        size: the side of the result.
        seed: the run's seed.
        label_partners: for each level, for each class its partner (`partners.label_partners`).
        prior_partners: for each prior map its partner.
        device: where the batches are.
        view: the name of the view that this makes, where there are several; it enters every draw.
        same_sides: whether all views of an image are mirrored alike; then the view does not enter that draw.
    """

    def __init__(
        self,
        spec: AugmentSpec,
        size: int,
        seed: int,
        label_partners: Mapping[str, Sequence[int]],
        prior_partners: Sequence[int],
        device: torch.device | str = "cpu",
        view: str = "",
        same_sides: bool = False,
    ) -> None:
        self._spec, self._size, self._seed = spec, size, seed
        self._view, self._same_sides = view, same_sides
        # The last entry serves the unknown label, -1.
        self._labels = {k: torch.tensor([*v, -1], device=device) for k, v in label_partners.items()}
        self._priors = torch.tensor(prior_partners, dtype=torch.int64, device=device)
        self._exchanges_priors = list(prior_partners) != list(range(len(prior_partners)))
        self._grey = GreyChange(size, seed, device)
        self._speckle = SpeckleChange(spec.speckle, size, seed, device) if spec.speckle else None
        self._shadows = Shadows(spec.shadow, spec.shadows) if spec.shadow else None
        self._cut_out = CutOut(spec.cutout, spec.cutouts) if spec.cutout else None

    def __call__(self, raw: RawBatch, epoch: int) -> Batch:
        """The batch (B cases) of one epoch."""
        showing = Showing(self._seed, epoch, raw.positions, raw.repeats, self._view, self._same_sides)
        draws = draw(self._spec, showing)
        found = self._sectors(raw)
        matrices = self._moved(affine(draws).to(raw.images.device), found, showing)
        images = sample_averaged(unit(raw.images), matrices, self._size)
        if self._speckle:
            images = self._speckle(images, showing)
        if self._shadows and found:
            images = self._shadows(images, grid(matrices, self._size), found, showing)
        images = self._grey(images, draws)
        if self._cut_out:
            images = self._cut_out(images, showing)
        mirrored = torch.from_numpy(draws.mirror).to(raw.images.device)
        swapped = self._swapped(raw, mirrored)
        maps = sample(unit(swapped.maps), grid(matrices[raw.rows], self._size))
        return collated(swapped, images, maps, mirrored)

    def _sectors(self, raw: RawBatch) -> Sectors | None:
        """Where each image shows tissue; None where nothing asks for it."""
        asked = self._spec.sector_zoom or self._spec.depth_zoom or self._spec.shadow
        return sectors(raw.images) if asked else None

    def _moved(self, matrices: Tensor, found: Sectors | None, showing: Showing) -> Tensor:
        """The map to the source (B, 2, 3), with the zooms that know the sector where they are on."""
        if found and self._spec.sector_zoom:
            matrices = composed(zoomed_into_sector(self._spec.sector_zoom, found, showing), matrices)
        if found and self._spec.depth_zoom:
            matrices = composed(zoomed_in_depth(self._spec.depth_zoom, found, showing), matrices)
        return matrices

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
