"""A part of an image, and what moves with it."""

from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np

from sonoprior.cases.images import Grey, read_grey
from sonoprior.core.errors import DataError

from .faces import Box, Points


@dataclass(frozen=True)
class Crop:
    """The columns x0 <= x < x1 and rows y0 <= y < y1 of an image, as far as it reaches; in grey.

    Attributes:
        path: the image.
        box: x0, y0, x1, y1; none of them below 0.
    """

    path: Path
    box: tuple[int, int, int, int]

    def read(self) -> Grey:
        """The part, (H, W) uint8.

        Raises:
            DataError: if the image cannot be read or has nothing there.
        """
        x0, y0, x1, y1 = self.box
        part = read_grey(self.path)[y0:y1, x0:x1]
        if not part.size:
            raise DataError(f"{self} lies outside the image.")
        return np.ascontiguousarray(part)

    def __str__(self) -> str:
        return f"{self.path}, cropped to {self.box}"


def grown(box: Box, margins: Box) -> tuple[int, int, int, int]:
    """A box with margins, as shares of its width and height, in whole pixels and not below 0."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, top, right, bottom = margins
    return (
        max(0, floor(box[0] - left * width)),
        max(0, floor(box[1] - top * height)),
        max(0, ceil(box[2] + right * width) + 1),
        max(0, ceil(box[3] + bottom * height) + 1),
    )


def moved(points: Points | None, box: Box | None, crop: Crop) -> tuple[Points | None, Box | None]:
    """Landmarks and a box in pixels of a crop."""
    left, top = crop.box[:2]
    shifted = None if points is None else points - np.array([left, top])
    return shifted, None if box is None else (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
