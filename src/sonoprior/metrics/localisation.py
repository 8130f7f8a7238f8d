"""Did it look there: an attribution map beside the outline of what matters.

Shapes: n images, attribution (n, h, w) of any scale, outline (n, h, w) in [0, 1] or bool at the same
size. Each measure is defined only where the outline is present and not empty: hand over the present
ones, an empty one gives NaN, because there is no place where the model should have looked.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.errors import DataError

Floats = NDArray[np.float64]


def _pair(attribution: ArrayLike, outline: ArrayLike) -> tuple[Floats, Floats]:
    """Both as (n, positions)."""
    maps, masks = np.asarray(attribution, dtype=np.float64), np.asarray(outline, dtype=np.float64)
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise DataError(
            "attribution and outline must have the same shape (n, h, w),"
            f" but got {maps.shape} and {masks.shape}."
        )
    if not (np.isfinite(maps).all() and np.isfinite(masks).all()):
        raise DataError("attribution and outline must hold finite numbers, but got a NaN or infinite one.")
    positions = maps.shape[1] * maps.shape[2]
    return maps.reshape(-1, positions), masks.reshape(-1, positions)


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def area(outline: ArrayLike) -> Floats:
    """Share of the image inside the outline, (n,): what `inside` gives a map that is equal everywhere."""
    masks = np.asarray(outline, dtype=np.float64)
    return masks.mean(axis=(1, 2))


def inside(attribution: ArrayLike, outline: ArrayLike) -> Floats:
    """Share of the positive attribution that lies inside the outline, (n,).

    NaN where the outline is empty or no attribution is positive.
    """
    maps, masks = _pair(attribution, outline)
    positive = maps.clip(min=0)
    share = _divided((positive * masks).sum(axis=1), positive.sum(axis=1))
    return np.where(masks.any(axis=1), share, np.nan)


def pointing(attribution: ArrayLike, outline: ArrayLike) -> Floats:
    """1 where the largest attribution lies inside the outline, else 0, (n,).

    The pointing game of Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016, without
    a tolerance. Several equal maxima count by their share inside, and a position that the outline covers in
    part by that part, so that a small outline can be hit on a coarse map.
    NaN where the outline is empty or the attribution is equal everywhere.
    """
    maps, masks = _pair(attribution, outline)
    largest = maps == maps.max(axis=1, keepdims=True)
    hit = (largest * masks).sum(axis=1) / largest.sum(axis=1)
    return np.where(masks.any(axis=1) & ~largest.all(axis=1), hit, np.nan)


def correlation(attribution: ArrayLike, outline: ArrayLike) -> Floats:
    """Pearson correlation over positions of attribution and outline, (n,); NaN where one is constant."""
    maps, masks = _pair(attribution, outline)
    maps = maps - maps.mean(axis=1, keepdims=True)
    masks = masks - masks.mean(axis=1, keepdims=True)
    scale = np.sqrt((maps**2).sum(axis=1) * (masks**2).sum(axis=1))
    return _divided((maps * masks).sum(axis=1), scale)


MEASURES: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "inside": inside,
    "pointing": pointing,
    "correlation": correlation,
}
