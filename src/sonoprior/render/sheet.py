"""Contact sheets: many small pictures on one, each with its outlines and a line of text below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .overlays import RGB, legend, outlined

_GAP = 6
_LINE = 15  # pixels of a line of text
_FONT = 11
_INK = (225, 225, 225)


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet.

    Attributes:
        image: uint8 (H, W).
        lines: text below it; what is too long is cut.
        outlines: bool (H, W) by position in the sheet's names; None or missing for none.
    """

    image: NDArray[np.uint8]
    lines: Sequence[str] = ()
    outlines: Sequence[NDArray[np.bool_] | None] = field(default_factory=tuple)


def contact_sheet(
    tiles: Sequence[Tile], *, names: Sequence[str] = (), columns: int = 6, side: int = 224, footer: str = ""
) -> RGB:
    """Put tiles on one black picture, row by row.

    Args:
        tiles: what to show.
        names: what the outlines mean, by position; the colours are explained at the bottom.
        columns: tiles in a row.
        side: pixels of a tile's picture; images keep their aspect.
        footer: a last line of text.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: if there is no tile, or no column.
    """
    if not tiles or columns < 1:
        raise ValueError(f"a sheet must have a tile and a column, but got {len(tiles)} and {columns}.")
    columns = min(columns, len(tiles))
    deep = side + _LINE * max(len(tile.lines) for tile in tiles) + _GAP
    rows = -(-len(tiles) // columns)
    below = _LINE * (bool(names) + bool(footer)) + _GAP
    page = Image.new("RGB", (columns * (side + _GAP) + _GAP, rows * deep + _GAP + below))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        _put(page, tile, _GAP + column * (side + _GAP), _GAP + row * deep, side)
    _explain(page, legend(names), footer, rows * deep + _GAP)
    return np.asarray(page)


def _put(page: Image.Image, tile: Tile, x: int, y: int, side: int) -> None:
    page.paste(Image.fromarray(_fitted(tile, side)), (x, y))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(_FONT)
    for number, line in enumerate(tile.lines):
        draw.text((x, y + side + number * _LINE), _cut(line, font, side), fill=_INK, font=font)


def _fitted(tile: Tile, side: int) -> RGB:
    """The picture in a square, its outlines drawn after scaling so that they stay thin."""
    height, width = tile.image.shape
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    grey = cv2.resize(tile.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    masks = [None if mask is None else _scaled(mask, size) for mask in tile.outlines]
    square = np.zeros((side, side, 3), np.uint8)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = outlined(np.asarray(grey, np.uint8), masks, width=1)
    return square


def _scaled(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _cut(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(f"{line}...") > width:
        line = line[:-1]
    return f"{line}..."


def _explain(page: Image.Image, colours: Mapping[str, str], footer: str, y: int) -> None:
    draw, font, x = ImageDraw.Draw(page), ImageFont.load_default(_FONT), _GAP
    for name, colour in colours.items():
        draw.rectangle((x, y + 3, x + 9, y + 12), fill=colour)
        draw.text((x + 13, y), name, fill=_INK, font=font)
        x += 25 + round(font.getlength(name))
    draw.text((_GAP, y + _LINE * bool(colours)), footer, fill=_INK, font=font)
