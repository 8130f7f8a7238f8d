"""What is kept of an image to find it again: a digest of its pixels and a small picture of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from sonoprior.core.cores import cores
from sonoprior.core.errors import DataError
from sonoprior.core.progress import bar

Grey: TypeAlias = NDArray[np.uint8]

SIDE = 96
"""The side of a small picture in pixels: speckle is averaged out, the tissue's texture is still there."""


@dataclass(frozen=True)
class Sketches:
    """The sketches of n images.

    Attributes:
        pictures: uint8 (n, SIDE, SIDE), the images squeezed to a square; zeros where unreadable.
        digests: one text for each image, equal where size and pixels are equal; empty where unreadable.
        errors: why an image could not be read, by its position.
    """

    pictures: Grey
    digests: list[str]
    errors: dict[int, str]

    @classmethod
    def read(cls, read_image: Callable[[int], Grey], count: int, *, threads: int | None = None) -> "Sketches":
        """Read images one by one, several at a time, and keep only their sketches.

        Args:
            read_image: position -> uint8 (H, W); a `DataError` is kept in `errors`, the rest go on.
            count: how many images there are.
            threads: how many read at a time; as many as there are cores where None.
        """
        pictures = np.zeros((count, SIDE, SIDE), np.uint8)
        digests = [""] * count
        errors: dict[int, str] = {}

        def take(position: int) -> None:
            try:
                image = read_image(position)
            except DataError as error:
                errors[position] = str(error)
                return
            pictures[position] = small_picture(image)
            digests[position] = pixel_digest(image)

        with bar("reading images", count) as tick, ThreadPoolExecutor(threads or cores()) as pool:
            for _ in pool.map(take, range(count)):
                tick()
        return cls(pictures, digests, dict(sorted(errors.items())))

    def require_all(self) -> None:
        """Accept only sketches of images that could all be read.

        Raises:
            DataError: with the reason of the first that could not.
        """
        for reason in self.errors.values():
            raise DataError(reason)


def small_picture(image: Grey) -> Grey:
    """An image (H, W) squeezed to (SIDE, SIDE)."""
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def pixel_digest(image: Grey) -> str:
    """A text that is equal for images of equal size and pixels."""
    digest = blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
