"""Where a run looked, as pictures: an overlay for each prior, and one page with all of them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.folder import write_json
from sonoprior.render.blocks import Cell, Figure, Paragraph, Table
from sonoprior.render.overlays import heat_map
from sonoprior.render.page import Page
from sonoprior.render.pictures import thumbnail

from .predictor import Attribution

FREE, PIXELS = "free channels", "integrated gradients"
_SHOWN_SIDE = 220
_READING = (
    "Bright is where the channels of a prior, or the free ones, speak most for the prediction, or for the"
    " embedding of a run that only embeds; every map has its own scale. An overlay says where the model"
    " looked, not whether it is right."
)


def write_explanations(
    folder: Path, attributions: Iterable[Attribution], title: str, *, simulated: bool = False
) -> list[dict[str, Any]]:
    """Write overlays as PNG files, `index.html` with all of them, and `explained.json`.

    Args:
        folder: where to write; it exists.
        attributions: one an image.
        title: of the page.
        simulated: whether the run was trained on simulated data.

    Returns:
        What `explained.json` holds: image, predicted and confidence where the run classifies, and the overlay
        files by map.
    """
    rows: list[dict[str, Any]] = []
    shown: list[list[str | Cell | Figure]] = []
    for number, looked in enumerate(attributions):
        overlays = {name: heat_map(looked.picture, heat) for name, heat in maps_of(looked).items()}
        rows.append(_row(looked, _save(folder, f"{number:04}-{_stem(looked.image)}", overlays)))
        shown.append(_table_row(looked, overlays))
    write_json(folder / "explained.json", rows)
    page = Page(title, about="Where the run looked.", simulated=simulated)
    header = ["image", "prediction", "as it is", *(rows[0]["overlays"] if rows else [])]
    page.section("Overlays", Paragraph(_READING), Table(header, shown)).write(folder / "index.html")
    return rows


def maps_of(looked: Attribution) -> dict[str, NDArray[np.float32]]:
    """Every map of an image by name: of the priors, of the free channels, and of the pixels if asked for."""
    of_pixels = {} if looked.pixels is None else {PIXELS: looked.pixels}
    return {**looked.maps, FREE: looked.free} | of_pixels


def _row(looked: Attribution, files: Mapping[str, str]) -> dict[str, Any]:
    found = looked.prediction
    said = {} if found is None else {"predicted": found.label, "confidence": found.confidence}
    return {"image": looked.image, **said, "overlays": dict(files)}


def _table_row(looked: Attribution, overlays: Mapping[str, NDArray[np.uint8]]) -> list[str | Cell | Figure]:
    found = looked.prediction
    pictures = {"as it is": looked.picture} | dict(overlays)
    return [
        Path(looked.image).name,
        "none: it embeds" if found is None else f"{found.label} ({100 * found.confidence:.0f} %)",
        *(
            Figure(thumbnail(picture, _SHOWN_SIDE), alt=f"{looked.image}: {name}")
            for name, picture in pictures.items()
        ),
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
