"""Where a network looked, as pictures: an overlay for each map, and one page with all of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.folder import write_json

from .blocks import Cell, Figure, Paragraph, Table
from .overlays import Grey, heat_map
from .page import Page
from .pictures import thumbnail

READING = (
    "Bright is where the channels of a prior, or the free ones, speak most for the prediction, or for the"
    " embedding of a run that only embeds; every map has its own scale. An overlay says where the model"
    " looked, not whether it is right."
)
_SHOWN_SIDE = 220


@dataclass(frozen=True, eq=False)
class Explained:
    """One image with where a network looked in it.

    Attributes:
        image: its file, or its number.
        picture: uint8 (H, W).
        said: what the page says of it, by column.
        maps: heat (h, w) by name; the same names for every image.
        kept: what `explained.json` holds of it besides.
    """

    image: str
    picture: Grey
    said: Mapping[str, str]
    maps: Mapping[str, NDArray[np.floating]]
    kept: Mapping[str, Any] = field(default_factory=dict[str, Any])


def write_explanations(
    folder: Path, explained: Iterable[Explained], page: Page, reading: str = READING
) -> list[dict[str, Any]]:
    """Write overlays as PNG files, `index.html` with all of them, and `explained.json`.

    Args:
        folder: where to write; it exists.
        explained: the images, one after the other; each is drawn and let go.
        page: without sections yet.
        reading: how to read the pictures.

    Returns:
        What `explained.json` holds: image, what is kept of it, and the overlay files by map.
    """
    rows: list[dict[str, Any]] = []
    shown: list[list[str | Cell | Figure]] = []
    header = ["image"]
    for number, one in enumerate(explained):
        overlays = {name: heat_map(one.picture, heat) for name, heat in one.maps.items()}
        files = _save(folder, f"{number:04}-{_stem(one.image)}", overlays)
        rows.append({"image": one.image, **one.kept, "overlays": files})
        pictures = {"as it is": one.picture} | overlays
        header = ["image", *one.said, *pictures]
        shown.append([Path(one.image).name, *one.said.values(), *_figures(one.image, pictures)])
    write_json(folder / "explained.json", rows)
    page.section("Overlays", Paragraph(reading), Table(header, shown)).write(folder / "index.html")
    return rows


def _figures(image: str, pictures: Mapping[str, NDArray[np.uint8]]) -> list[Figure]:
    return [
        Figure(thumbnail(picture, _SHOWN_SIDE), alt=f"{image}: {name}") for name, picture in pictures.items()
    ]


def _save(folder: Path, stem: str, overlays: Mapping[str, NDArray[np.uint8]]) -> dict[str, str]:
    from PIL import Image

    files = {name: f"{stem}.{_stem(name)}.png" for name in overlays}
    for name, picture in overlays.items():
        Image.fromarray(picture).save(folder / files[name])
    return files


def _stem(name: str) -> str:
    """A name as a part of a file name."""
    return re.sub(r"[^\w-]+", "_", Path(name).stem)[:60] or "image"
