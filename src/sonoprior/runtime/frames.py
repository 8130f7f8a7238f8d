"""Frames as they come: checked, read, and brought into the square that the network reads."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.images import MOST_PIXELS, SMALLEST_SIDE, Grey, read_grey
from sonoprior.cases.loading.letterbox import letterbox
from sonoprior.core.errors import DataError

Frame: TypeAlias = NDArray[np.uint8] | Path | str
"""A grey picture, uint8 (H, W), or the file of one."""

_HOW = {
    "colours": "take the luminance of colours, for example with cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)",
    "scale": "scale it to whole numbers from 0 to 255 and convert it with .astype(np.uint8)",
}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame that is ready for the network.

    Attributes:
        square: uint8 (side, side).
        shape: (H, W) of the frame.
        flat: whether all its pixels are equal, so that it shows nothing.
    """

    square: Grey
    shape: tuple[int, int]
    flat: bool


def prepared(
    frames: Iterable[Frame], side: int, on_unreadable: Callable[[str], None] | None = None
) -> Iterator[Prepared]:
    """Frames one by one, read when the next one is asked for.

    Args:
        frames: pictures or files.
        side: of the square.
        on_unreadable: told why a frame cannot be used, which is then left out; where None that is an error.

    Raises:
        DataError: if it is one frame instead of several, or a frame cannot be used.
    """
    if isinstance(frames, str | Path) or (isinstance(frames, np.ndarray) and frames.ndim < 3):
        raise DataError("frames must be several of them, such as [frame], but got a single one.")
    for number, frame in enumerate(frames):
        try:
            yield prepare(frame, side, f"frame {number}")
        except DataError as error:
            if on_unreadable is None:
                raise
            on_unreadable(str(error))


def prepare(frame: Frame, side: int, name: str = "the frame") -> Prepared:
    """One frame.

    Raises:
        DataError: if it is no grey picture, cannot be read, or is too small or too large.
    """
    pixels = picture(frame, name)
    flat = int(pixels.min()) == int(pixels.max())
    return Prepared(letterbox(pixels, side), (pixels.shape[0], pixels.shape[1]), flat)


def picture(frame: Frame, name: str = "the frame") -> Grey:
    """The grey levels (H, W) of a frame; errors as in `prepare`."""
    if isinstance(frame, str | Path):
        pixels, name = read_grey(Path(frame)), str(frame)
    else:
        pixels = _checked(frame, name)
    height, width = pixels.shape
    if min(height, width) < SMALLEST_SIDE:
        raise DataError(
            f"{name} must have at least {SMALLEST_SIDE} pixels on each side, but has {width} x {height}."
        )
    return np.ascontiguousarray(pixels)


def _checked(frame: object, name: str) -> Grey:
    if not isinstance(frame, np.ndarray):
        raise DataError(
            f"{name} must be a uint8 array (H, W) of grey levels or the path of an image, but is of type"
            f" {type(frame).__name__}."
        )
    wrong = [_HOW["colours"]] if frame.ndim == 3 else []
    wrong += [] if frame.dtype == np.uint8 else [_HOW["scale"]]
    if wrong or frame.ndim != 2:
        raise DataError(
            f"{name} must be a uint8 array (H, W) of grey levels, but is {frame.dtype} of shape"
            f" {frame.shape}{'; ' if wrong else ''}{', and '.join(wrong)}."
        )
    if frame.size > MOST_PIXELS:
        raise DataError(
            f"{name} must not have more than {MOST_PIXELS:,} pixels, but has"
            f" {frame.shape[1]} x {frame.shape[0]}."
        )
    return frame
