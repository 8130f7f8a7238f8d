"""Overlays: a heat map over a grey image, and outlines in colour.

The colour map is perceptually ordered and readable with every common form of colour blindness
(inferno, from matplotlib). The outline colours are light and cool, so that they stand out from grey and
from inferno's reds and yellows, and differ in lightness, so that they can be told apart.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
RGB = NDArray[np.uint8]

# The last three are warm: only ten zones at once, which a contact sheet shows without heat, need them.
OUTLINE_COLOURS = (
    *("#56B4E9", "#00C08B", "#F2A0CC", "#FFFFFF", "#4C7DFF", "#B8F0C8", "#9B6BD3"),
    *("#F0E442", "#E69F00", "#D55E00"),
)
_BLANK = 1e-12


def colour_of(position: int) -> str:
    """The outline colour of the prior at a position, as "#RRGGBB"; they repeat after ten."""
    return OUTLINE_COLOURS[position % len(OUTLINE_COLOURS)]


def as_rgb(image: Grey) -> RGB:
    """A grey image (H, W) as (H, W, 3)."""
    return np.repeat(image[:, :, None], 3, axis=2)


def heat_map(
    image: Grey, heat: NDArray[np.floating], *, highest: float | None = None, strength: float = 0.65
) -> RGB:
    """A heat map over a grey image: where the heat is low, the image stays as it is.

    Args:
        image: uint8 (H, W).
        heat: (h, w) of any size and scale; enlarged to the image. Negative values count as zero.
        highest: the heat that is drawn in the brightest colour; by default the map's own largest value.
        strength: how much the brightest colour covers the image, from 0 to 1.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: if image or heat has another number of axes, or the heat is not finite.
    """
    _check(image, heat)
    positive = np.asarray(heat, dtype=np.float32).clip(min=0)
    top = float(positive.max()) if highest is None else highest
    share = (positive / top).clip(0, 1) if top > _BLANK else np.zeros_like(positive)
    share = cv2.resize(share, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    colour = colormaps["inferno"](share)[:, :, :3] * 255
    cover = (strength * share)[:, :, None]
    return (as_rgb(image) * (1 - cover) + colour * cover).round().astype(np.uint8)


def outlined(picture: RGB | Grey, masks: Sequence[NDArray[np.bool_] | None], width: int = 0) -> RGB:
    """Draw the edges of masks on a picture, each in its colour.

    Args:
        picture: uint8 (H, W) or (H, W, 3).
        masks: bool (H, W) each; the one at position k has `colour_of(k)`; None is skipped.
        width: of the line in pixels; by default one for every 90 pixels of the longer side.

    Returns:
        uint8 (H, W, 3), a new picture.

    Raises:
        ValueError: if a mask has another size than the picture.
    """
    drawn = as_rgb(picture) if picture.ndim == 2 else picture.copy()
    line = width or max(1, round(max(drawn.shape[:2]) / 90))
    for position, mask in enumerate(masks):
        if mask is None:
            continue
        if mask.shape != drawn.shape[:2]:
            size = drawn.shape[:2]
            raise ValueError(f"a mask must have the size of the picture {size}, but got {mask.shape}.")
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, edges, -1, _rgb(colour_of(position)), line)
    return drawn


def legend(priors: Sequence[str]) -> dict[str, str]:
    """What each outline colour means: name to "#RRGGBB", in the order of the masks."""
    return {name: colour_of(position) for position, name in enumerate(priors)}


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _check(image: Grey, heat: NDArray[np.floating]) -> None:
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"the image must be uint8 (H, W), but got {image.dtype} {image.shape}.")
    if heat.ndim != 2 or not np.isfinite(heat).all():
        raise ValueError(f"the heat must be finite numbers (h, w), but got {heat.shape} or a NaN in it.")
