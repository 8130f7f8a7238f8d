"""A contact sheet of a case set: which cases, with which words below them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator
from sonoprior.render.sheet import Tile, contact_sheet

from .case_set import CaseSet


def sheet_of(
    case_set: CaseSet,
    count: int,
    *,
    columns: int = 6,
    level: str | None = None,
    outlined: bool = False,
    seed: int = 0,
) -> Image.Image:
    """Some cases of a set with their outlines, label and id.

    Args:
        case_set: whose.
        count: how many at most, spread evenly over the classes.
        columns: pictures in a row.
        level: of the labels; by default the first. A set without levels shows ids only.
        outlined: only cases with outlines.
        seed: for which cases are shown.

    Raises:
        DataError: if the level is unknown, or there is no case to show.
    """
    chosen, words = chosen_cases(case_set, count, level=level, outlined=outlined, seed=seed)
    tiles = [_tile(case_set, int(i), word) for i, word in zip(chosen, words, strict=True)]
    page = contact_sheet(tiles, names=case_set.info.zones, columns=columns, footer=footer_of(case_set))
    return Image.fromarray(page)


def chosen_cases(
    case_set: CaseSet, count: int, *, level: str | None, outlined: bool, seed: int
) -> tuple[NDArray[np.int64], list[str]]:
    """Which cases a sheet shows, and the label of each; see `sheet_of`."""
    if level is not None:
        one_of(f"{case_set.root}: the level", level, list(case_set.info.levels), DataError)
    known = bool(case_set.info.levels)
    labels = case_set.labels(level) if known else np.full(len(case_set), -1)
    candidates = np.flatnonzero(case_set.outlined()) if outlined else np.arange(len(case_set))
    if not len(candidates):
        raise DataError(f"{case_set.root} must have {'an outlined' if outlined else 'a'} case, but has none.")
    chosen = spread(labels, candidates, count, seed)
    words = [*(case_set.classes(level) if known else []), "unknown"]
    return chosen, [words[labels[i]] for i in chosen]


def footer_of(case_set: CaseSet) -> str:
    """What stands below every sheet of a set."""
    return f"{case_set.info.name}{' (simulated data)' if case_set.info.simulated else ''}; research use only"


def spread(
    labels: NDArray[np.int64], candidates: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """Positions in turn from each class, in the order of the classes, as even as their numbers allow."""
    mixed = generator(seed, "sheet").permutation(candidates)
    place = np.zeros(len(mixed), np.int64)
    for label in np.unique(labels[mixed]):
        of_class = labels[mixed] == label
        place[of_class] = np.arange(of_class.sum())
    chosen = mixed[np.argsort(place, kind="stable")[:count]]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _tile(case_set: CaseSet, position: int, label: str) -> Tile:
    image = case_set.read_image(position)
    outlines = list(case_set.outlines(position).values())
    return Tile(image, (label, case_set.ids[position]), outlines)
