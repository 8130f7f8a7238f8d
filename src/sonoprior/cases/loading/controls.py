"""Control priors: as much guidance as the real priors give, in places that mean nothing.

They answer whether the *place* that a prior names helps a network, or whether any regularisation would.
Only training reads them; where a network looks is measured against the real priors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sonoprior.cases.priors import Control
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .cache import Cache
from .letterbox import picture_in_square

Maps = NDArray[np.uint8]
Drawn = NDArray[np.bool_]

# How ragged the border of a random area is: the weight of smooth noise against the distance from its centre.
_RAGGED = 0.5


@dataclass(frozen=True, eq=False)
class _Real:
    """The real priors of the m training cases that have any, and what a control is drawn from.

    Attributes:
        cache: with the real priors.
        cases: (m,) positions in the case set, in the order of the cases' ids.
        maps: uint8 (m, P, S, S).
        drawn: (m, P), whether a prior is present and not empty.
        seed: the run's seed.
    """

    cache: Cache
    cases: NDArray[np.int64]
    maps: Maps
    drawn: Drawn
    seed: int


def controlled(
    cache: Cache, positions: Sequence[int] | NDArray[np.integer], control: Control, seed: int
) -> Cache:
    """The cache with control priors in place of the real ones, for the cases at these positions.

    An image gets a control prior where it has a real one that is not empty, and nowhere else, so that the
    amount of guidance is the same. They are held in memory and take as much of it as the real ones.

    Args:
        cache: with the real priors.
        positions: the training cases; priors are exchanged, and areas averaged, among these alone.
        control: see `PriorSpec`; "none" gives the cache as it is.
        seed: the run's seed; a draw depends on it, the case's id and the prior's name, never on an order.

    Raises:
        DataError: if priors shall be exchanged, and no two cases have the same one.
    """
    if control == "none":
        return cache
    real = _real(cache, np.asarray(positions, np.int64), seed)
    maps = _CONTROLS[control](real)
    lost = real.drawn & ~_drawn(maps)  # a prior that no other image has cannot be exchanged
    present = np.zeros_like(cache.present)
    present[real.cases] = cache.present[real.cases] & ~lost
    row = np.full(len(cache.row), -1, np.int32)
    row[real.cases] = np.arange(len(real.cases))
    return replace(cache, maps=maps, row=row, present=present)


def _real(cache: Cache, positions: NDArray[np.int64], seed: int) -> _Real:
    ids = np.array(cache.case_set.ids)
    with_prior = positions[cache.row[positions] >= 0]
    cases = with_prior[np.argsort(ids[with_prior])]
    maps = np.asarray(cache.maps[cache.row[cases]])
    return _Real(cache, cases, maps, _drawn(maps), seed)


def _drawn(maps: Maps) -> Drawn:
    return maps.max(axis=(2, 3)) > 0


def _shuffled(real: _Real) -> Maps:
    """Each prior map exchanged between the images that have it, so that none keeps its own."""
    maps = np.zeros_like(real.maps)
    for prior, name in enumerate(real.cache.priors):
        holders = np.flatnonzero(real.drawn[:, prior])
        if len(holders) > 1:
            order = _derangement(len(holders), generator(real.seed, "control", "shuffled", name))
            maps[holders, prior] = real.maps[holders[order], prior]
    if real.drawn.any() and not maps.any():
        raise DataError(
            "data.priors.control 'shuffled' needs two training images with the same prior to exchange, but"
            f" none of {', '.join(real.cache.priors)} is drawn in more than one."
        )
    return maps


def _derangement(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """A permutation that leaves nothing in its place, each equally likely; on average e tries find one."""
    while True:
        order = random.permutation(count)
        if not (order == np.arange(count)).any():
            return order


def _blobs(real: _Real) -> Maps:
    """One disc in the middle, of the mean area of the real priors, in place of each of them."""
    side = real.maps.shape[-1]
    areas = real.maps[real.drawn].sum(axis=(1, 2), dtype=np.int64)
    from_centre = np.hypot(*(np.indices((side, side)) - (side - 1) / 2))
    disc = _highest(-from_centre, _pixels(areas.mean())) if len(areas) else np.zeros((side, side), np.uint8)
    return real.drawn[:, :, None, None] * disc


def _random(real: _Real) -> Maps:
    """A smooth area at a random place of each image, as large as the real prior, drawn for each anew."""
    maps = np.zeros_like(real.maps)
    for at, prior in np.argwhere(real.drawn):
        case = int(real.cases[at])
        random = generator(
            real.seed, "control", "random", real.cache.case_set.ids[case], real.cache.priors[prior]
        )
        picture = picture_in_square(real.cache.case_set.shape(case), maps.shape[-1])
        pixels = _pixels(real.maps[at, prior].sum(dtype=np.int64))
        maps[at, prior][picture] = _random_area(maps[at, prior][picture].shape, pixels, random)
    return maps


def _random_area(shape: tuple[int, ...], pixels: int, random: np.random.Generator) -> Maps:
    """An area (H, W) of so many pixels around a random place, with a smooth and ragged border."""
    radius = np.sqrt(pixels / np.pi)
    centre = random.random(2) * shape
    distance = np.hypot(*(np.indices(shape) - centre[:, None, None])) / radius
    noise = ndimage.gaussian_filter(random.standard_normal(shape), radius / 2)
    return _highest(_RAGGED * noise / max(noise.std(), np.finfo(float).tiny) - distance, pixels)


def _pixels(level_sum: float) -> int:
    """The area of a map in whole pixels, at least one."""
    return max(1, round(level_sum / 255))


def _highest(heights: NDArray[np.float64], pixels: int) -> Maps:
    """255 at the so many highest places, 0 elsewhere."""
    area = np.zeros(heights.shape, np.uint8)
    area.flat[np.argsort(-heights, axis=None, kind="stable")[:pixels]] = 255
    return area


_CONTROLS: dict[str, Callable[[_Real], Maps]] = {"shuffled": _shuffled, "blob": _blobs, "random": _random}
