"""Where a run looked, as pictures: an overlay for each prior, and one page with all of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.render.explanations import Explained
from sonoprior.render.explanations import write_explanations as write_explained
from sonoprior.render.page import Page

from .predictor import Attribution

FREE, PIXELS = "free channels", "integrated gradients"


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
    page = Page(title, about="Where the run looked.", simulated=simulated)
    return write_explained(folder, map(_explained, attributions), page)


def maps_of(looked: Attribution) -> dict[str, NDArray[np.float32]]:
    """Every map of an image by name: of the priors, of the free channels, and of the pixels if asked for."""
    of_pixels = {} if looked.pixels is None else {PIXELS: looked.pixels}
    return {**looked.maps, FREE: looked.free} | of_pixels


def _explained(looked: Attribution) -> Explained:
    found = looked.prediction
    said = "none: it embeds" if found is None else f"{found.label} ({100 * found.confidence:.0f} %)"
    return Explained(
        image=looked.image,
        picture=looked.picture,
        said={"prediction": said},
        maps=maps_of(looked),
        kept={} if found is None else {"predicted": found.label, "confidence": found.confidence},
    )
