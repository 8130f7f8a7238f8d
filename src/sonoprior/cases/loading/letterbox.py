"""A picture of any shape in a square: its aspect kept, centred, black around it."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Level = TypeVar("Level", np.uint8, np.float32)


def cache_side(size: int) -> int:
    """The side of a cached image for a training size: one and a half times it, rounded up.

    A zoom up to 1.5 then never samples finer than the cache.
    """
    return (3 * size + 1) // 2


def letterbox(picture: NDArray[Level], side: int) -> NDArray[Level]:
    """Fit a picture (H, W) into a square (side, side) of the same type.

    Area averaging where it shrinks, so that nothing aliases; bilinear where it grows.
    """
    height, width = _fitted(picture.shape, side)
    how = cv2.INTER_AREA if side < max(picture.shape) else cv2.INTER_LINEAR
    fitted = cv2.resize(picture, (width, height), interpolation=how)
    square = np.zeros((side, side), picture.dtype)
    square[picture_in_square(picture.shape, side)] = fitted
    return square


def picture_in_square(shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    """Rows and columns that a picture (H, W) takes in its square."""
    height, width = _fitted(shape, side)
    top, left = (side - height) // 2, (side - width) // 2
    return slice(top, top + height), slice(left, left + width)


def from_letterbox(square: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map of the whole square, of any resolution (h, h), back onto the picture (H, W)."""
    side = max(shape)
    shorter = 0 if shape[0] <= shape[1] else 1
    # The shorter way first, so that no more than the picture itself is ever enlarged.
    band = _enlarged(square, side, shorter, shape[shorter])
    return _enlarged(band, side, 1 - shorter, side)


def _enlarged(values: NDArray[np.float32], side: int, axis: int, kept: int) -> NDArray[np.float32]:
    """Values of the whole square, enlarged along an axis to its side; the middle of it, as long as kept."""
    width, height = values.shape[1], values.shape[0]
    size = (width, side) if axis == 0 else (side, height)
    start = (side - kept) // 2
    grown = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
    middle = slice(start, start + kept)
    return np.asarray(grown[middle] if axis == 0 else grown[:, middle], np.float32)


def _fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    longest = max(shape)
    return max(1, round(shape[0] * side / longest)), max(1, round(shape[1] * side / longest))
