"""A contact sheet of an augmentation: each case plain, then as several draws change it."""

import numpy as np
import torch
from PIL import Image

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.show import chosen_cases, footer_of
from sonoprior.render.sheet import Tile, contact_sheet

from .augment import Augmentation
from .batch import Batch
from .letterbox import cache_side, letterbox
from .partners import prior_partners
from .raw import RawBatch, plain
from .spec import AugmentSpec

_SIZE = 224


def augmented_sheet(
    case_set: CaseSet,
    count: int,
    augment: AugmentSpec,
    *,
    columns: int = 6,
    level: str | None = None,
    outlined: bool = False,
    seed: int = 0,
) -> Image.Image:
    """A row a case: the plain image, then the draws of the first epochs, with the outlines they moved.

    Args:
        case_set: whose.
        count: how many cases at most, spread evenly over the classes.
        augment: how to augment.
        columns: pictures in a row.
        level: of the labels; by default the first.
        outlined: only cases with outlines.
        seed: for which cases are shown, and for the draws.

    Raises:
        DataError: if the level is unknown, or there is no case to show.
        RecipeError: if a mirror would need a zone that is missing.
    """
    chosen, words = chosen_cases(case_set, count, level=level, outlined=outlined, seed=seed)
    info, zones = case_set.info, list(case_set.info.zones)
    partners = prior_partners(info, {zone: [zone] for zone in zones}) if augment.mirror else range(len(zones))
    make = Augmentation(augment, _SIZE, seed, {}, list(partners))
    tiles: list[Tile] = []
    for case, word in zip(chosen.tolist(), words, strict=True):
        raw = _raw(case_set, case)
        tiles.append(_tile(plain(raw, _SIZE), (word, case_set.ids[case])))
        tiles += [_tile(make(raw, epoch), (f"draw {epoch + 1}",)) for epoch in range(columns - 1)]
    return Image.fromarray(contact_sheet(tiles, names=zones, columns=columns, footer=footer_of(case_set)))


def _raw(case_set: CaseSet, case: int) -> RawBatch:
    side = cache_side(_SIZE)
    image = letterbox(case_set.read_image(case), side)
    outlines = list(case_set.outlines(case).values())
    maps = np.zeros((1, len(outlines), side, side), np.uint8)
    for zone, outline in enumerate(outlines):
        if outline is not None:
            maps[0, zone] = letterbox(outline.astype(np.uint8) * np.uint8(255), side)
    present = torch.tensor([[outline is not None for outline in outlines]])
    return RawBatch(
        positions=np.array([case]),
        repeats=np.zeros(1, np.int64),
        images=torch.from_numpy(image)[None, None],
        rows=torch.arange(1),
        maps=torch.from_numpy(maps),
        present=present,
        labels={},
    )


def _tile(batch: Batch, lines: tuple[str, ...]) -> Tile:
    grey = (batch["image"][0, 0] * 255).round().to(torch.uint8).numpy()
    outlines = list((batch["prior"][0] > 0.5).numpy()) if "prior" in batch else []
    return Tile(grey, lines, [outline if outline.any() else None for outline in outlines])
