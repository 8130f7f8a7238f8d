"""What is drawn on a frame by hand: boxes and outlines, as true or as unsteady as asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.cells import EMPTY

from .burnt_in import OVERLAYS, Canvas
from .population import PopulationSettings
from .scanner import Picture


def annotations_of(
    picture: Picture, names: Sequence[str], settings: PopulationSettings, rng: np.random.Generator
) -> dict[str, Any]:
    """The fields of a case that are drawn by hand, on as many frames as the settings ask for.

    Args:
        picture: the frame.
        names: of the zones.
        settings: the shares, and how unsteady the hand is.
        rng: of the frame.
    """
    outlined, boxed = rng.random(2) < (settings.outline_fraction, settings.box_fraction)
    return {
        "zonemap": shaken(picture.zones, settings.outline_noise_px, rng) if outlined else None,
        "maps": mark_masks(picture.overlays, picture.image) if settings.overlay_masks else None,
        **(boxes_of(picture.zones, names) if boxed else {}),
    }


def boxes_of(zones: NDArray[np.uint8], names: Sequence[str]) -> dict[str, str]:
    """The box around each zone, as columns; a zone that is not in the frame is there and empty.

    Args:
        zones: (H, W), 0 none, k the k-th of `names`.
        names: of the zones.
    """
    boxes = {}
    for number, name in enumerate(names, 1):
        x, y, width, height = cv2.boundingRect((zones == number).astype(np.uint8))
        boxes[f"box.{name}"] = f"{x} {y} {x + width} {y + height}" if width else EMPTY
    return boxes


def shaken(zones: NDArray[np.uint8], pixels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Outlines of an unsteady hand: each point moved smoothly by `pixels` (standard deviation)."""
    if not pixels:
        return zones
    size = zones.shape[0]
    coarse = rng.standard_normal((2, 9, 9)).astype(np.float32)
    across, down = (cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC) for part in coarse)
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    x += across * np.float32(pixels / across.std())
    y += down * np.float32(pixels / down.std())
    return np.asarray(cv2.remap(zones, x, y, cv2.INTER_NEAREST), np.uint8)


def mark_masks(overlays: Mapping[str, Canvas], image: Canvas) -> dict[str, NDArray[np.uint8]]:
    """Where each burnt-in mark stands, 255 there and 0 elsewhere; all 0 for a mark that is not there."""
    empty = np.zeros_like(image)
    return {name: np.where(overlays.get(name, empty) > 0, 255, empty) for name in OVERLAYS}
