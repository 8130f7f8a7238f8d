"""Shapes that people and tools draw, as pixels.

A shape is given in a plane where the pixel in column c and row r is the square from (c, r) to (c + 1, r + 1);
a pixel belongs to the shape if its centre lies inside. Graphics libraries also fill the pixels that the
boundary only touches, which makes everything half a pixel too large all around; so shapes are filled here.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.images import Mask
from sonoprior.core.errors import DataError

from .findings import Shape

Vertices = NDArray[np.float64]


def check_size(what: str, outlined: Shape, shape: Shape) -> None:
    """Refuse an outline that was drawn in an image of another size (height, width).

    Raises:
        DataError: saying `what` was outlined, and both sizes.
    """
    if shape != outlined:
        raise DataError(
            f"{what} was outlined in an image of {outlined[1]} x {outlined[0]} pixels, but the image has"
            f" {shape[1]} x {shape[0]}."
        )


def polygon(vertices: Vertices, shape: Shape) -> Mask:
    """The inside of a polygon by the even-odd rule, as far as it lies in the image.

    Args:
        vertices: (n, 2), x and y; the last one is joined to the first.
        shape: (H, W) of the image.

    >>> polygon(np.array([[1, 0], [3, 0], [3, 1], [1, 1]]), (2, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    height, width = shape
    # How often the boundary was crossed between a pixel's centre and that of its left neighbour.
    crossed = np.zeros((height, width + 1), dtype=np.int64)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        first, last = sorted((y0, y1))
        rows = np.arange(min(max(ceil(first - 0.5), 0), height), min(max(ceil(last - 0.5), 0), height))
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
            crossed[rows, columns] += 1  # each row once, since an edge crosses a row once
    return np.cumsum(crossed, axis=1)[:, :width] % 2 == 1


def disc(centre: tuple[float, float], edge: tuple[float, float], shape: Shape) -> Mask:
    """A filled circle, given by its centre and a point of its edge."""
    squared = (edge[0] - centre[0]) ** 2 + (edge[1] - centre[1]) ** 2
    across = (np.arange(shape[1]) + 0.5 - centre[0]) ** 2
    down = (np.arange(shape[0]) + 0.5 - centre[1]) ** 2
    return down[:, None] + across <= squared


def runs(counts: list[int], shape: Shape, where: str) -> Mask:
    """A mask from lengths of runs, outside and inside in turn, down the columns from left to right.

    Raises:
        DataError: naming `where`, if a length is negative or they do not fill the image.
    """
    if min(counts, default=0) < 0 or sum(counts) != shape[0] * shape[1]:
        raise DataError(
            f"{where}: the run lengths must fill the {shape[1]} x {shape[0]} pixels of the image, but fill"
            f" {sum(counts):,}."
        )
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(shape, order="F")


def unpacked(text: str, where: str) -> list[int]:
    """The run lengths in the packed form of the COCO tools.

    A number is written in characters from "0" on, five bits each, the lowest first; the sixth bit says that
    more follow, and the fifth bit of the last one is the sign. From the fourth on, a number is the
    difference to the last but one.

    Raises:
        DataError: naming `where`, if the text cannot be that.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - ord("0")
        if not 0 <= bits < 64 or shift > 30:
            raise DataError(f"{where}: the packed run lengths are damaged.")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        number -= (1 << shift) if bits & 16 else 0
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    if shift:
        raise DataError(f"{where}: the packed run lengths are cut short.")
    return counts
