"""What stands in one cell of the table: paths, boxes, points, or the mark of something drawn and empty."""

from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError

EMPTY: Final = "@empty"
"""Marks an outline, box or point that was looked for and is not there; a missing cell says nobody looked."""

_BETWEEN = ";"


def split_items(cell: str) -> list[str]:
    """The items of a cell, without the spaces around them.

    >>> split_items("a.png; b.png")
    ['a.png', 'b.png']
    """
    return [item.strip() for item in cell.split(_BETWEEN)]


def join_items(items: list[str]) -> str:
    """One cell of several items."""
    return _BETWEEN.join(items)


def parse_boxes(cell: str, where: str) -> NDArray[np.float64]:
    """Boxes of a cell "x0 y0 x1 y1;..." in pixels, as (n, 4); (0, 4) for `EMPTY`.

    A box covers the pixels with x0 <= column < x1 and y0 <= row < y1.

    Raises:
        DataError: naming `where`, if it is not four finite numbers an item, or a box has no area.
    """
    if cell == EMPTY:
        return np.zeros((0, 4))
    boxes = np.array([_numbers(item, 4, "x0 y0 x1 y1", where) for item in split_items(cell)])
    for box in boxes:
        if box[0] >= box[2] or box[1] >= box[3]:
            shown = " ".join(f"{value:g}" for value in box)
            raise DataError(f"{where}: a box must have x0 < x1 and y0 < y1, but got '{shown}'.")
    return boxes


def parse_points(cell: str, where: str) -> NDArray[np.float64]:
    """Points of a cell "x y;..." in pixels, as (n, 2); (0, 2) for `EMPTY`.

    The point (0, 0) is the centre of the top left pixel.

    Raises:
        DataError: naming `where`, if it is not two finite numbers an item.
    """
    if cell == EMPTY:
        return np.zeros((0, 2))
    return np.array([_numbers(item, 2, "x y", where) for item in split_items(cell)])


def parse_landmarks(cell: str, count: int, where: str) -> NDArray[np.float64]:
    """Landmarks of a cell "x y;x y;...", as (count, 2); an empty item is a missing landmark, NaN here.

    Raises:
        DataError: naming `where`, if their number is not `count`, or one is not two finite numbers.
    """
    items = split_items(cell)
    if len(items) != count:
        raise DataError(f"{where}: must hold {count} landmarks between ';', but got {len(items)}.")
    missing = [np.nan, np.nan]
    return np.array([_numbers(item, 2, "x y", where) if item else missing for item in items])


def _numbers(item: str, count: int, form: str, where: str) -> list[float]:
    try:
        numbers = [float(word) for word in item.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(isfinite(number) for number in numbers):
        raise DataError(f"{where}: must be '{form}' in finite numbers, but got '{item[:80]}'.")
    return numbers
