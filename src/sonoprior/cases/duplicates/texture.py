"""The texture of the tissue: what tells two ultrasound images apart.

Ultrasound images look alike: bright above, dark below, the same sector on the same black ground, the same
words beside it. None of that says that two of them show the same picture. So the ground with all that is
written on it is left out, and the rest is freed of its local brightness and contrast.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

_BLACK = 12  # grey levels: the ground of a JPEG is not quite 0
_WRITING = 9  # pixels of a sketch: words, rulers and grey bars are thinner, tissue is not
_LEAST_AREA = 0.05  # of the picture: smaller patches are writing too
_CONTRAST_FLOOR = 4.0  # grey levels below which contrast is noise


def tissue(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where a small picture (H, W) shows tissue: 1 inside, 0 on the black ground and what is written on it.

    The hull of each bright patch is inside, so that a shadow, which is darker in one copy than in another,
    does not decide where tissue ends.
    """
    bright = (picture > _BLACK).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_WRITING, _WRITING))
    wide = cv2.morphologyEx(
        cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((3, 3))), cv2.MORPH_OPEN, kernel
    )
    outlines, _ = cv2.findContours(wide, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [line for line in outlines if cv2.contourArea(line) >= _LEAST_AREA * picture.size]
    hulls = [cv2.convexHull(line) for line in large]
    inside = cv2.drawContours(np.zeros_like(picture), hulls, -1, 1, cv2.FILLED)
    return cv2.erode(inside, np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE).astype(np.uint8)


def texture(
    picture: NDArray[np.uint8], inside: NDArray[np.uint8], side: int, radius: float
) -> NDArray[np.float32]:
    """A picture at `side` x `side` without its local mean, over its local standard deviation.

    Both are taken over the tissue only, so that its border has no contrast of its own; the rest is 0.

    Args:
        picture: uint8 (H, W), small.
        inside: where it shows tissue, see `tissue`.
        side: the side of the result.
        radius: standard deviation of the Gaussian neighbourhood, in pixels of the result.
    """
    weight = (_resized(inside.astype(np.float32), side) > 0.99).astype(np.float32)
    nearby = np.maximum(cv2.GaussianBlur(weight, (0, 0), radius), 1e-3)
    grey = _resized(picture, side).astype(np.float32) * weight
    centred = (grey - cv2.GaussianBlur(grey, (0, 0), radius) / nearby) * weight
    deviation = np.sqrt(cv2.GaussianBlur(centred * centred, (0, 0), radius) / nearby)
    return (centred / (deviation + _CONTRAST_FLOOR)).astype(np.float32)


def _resized(picture: NDArray, side: int) -> NDArray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
