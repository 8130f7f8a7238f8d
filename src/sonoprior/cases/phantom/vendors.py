"""Machines: their probes, and what each maker does to a picture before it is shown."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Field
from .probes import Probe


@dataclass(frozen=True)
class Vendor:
    """A maker's style.

    Attributes:
        name: of the machine.
        probes: by kind.
        looks: angles whose pictures are compounded.
        range_db: dynamic range shown.
        gamma: of the grey map; above 1 darkens the middle.
        smoothing: how much of the picture is speckle-reduced, 0 to 1.
        sharpening: of edges after that.
        noise_db, haze_db: of the receiver, see `physics.Acquisition`.
        marker: letter at the probe marker.
        ruler_right: the depth ruler stands on the right.
        logo: drawn in a corner.
    """

    name: str
    probes: dict[str, Probe]
    looks: int
    range_db: float
    gamma: float
    smoothing: float
    sharpening: float
    noise_db: float
    haze_db: float
    marker: str
    ruler_right: bool
    logo: str


VENDORS = (
    Vendor(
        name="Aquila 7",
        probes={
            "endocavity": Probe("endocavity", 11, 146, 0, 6.5, 3.0, 13, 2.0, 10, 24),
            "convex": Probe("convex", 50, 72, 0, 3.6, 2.6, 22, 2.4, 20, 28),
            "linear": Probe("linear", 0, 0, 64, 5.0, 2.8, 16, 2.2, 10, 32),
        },
        looks=3,
        range_db=58,
        gamma=1.0,
        smoothing=0.25,
        sharpening=0.5,
        noise_db=-66,
        haze_db=-25,
        marker="A",
        ruler_right=True,
        logo="AQ",
    ),
    Vendor(
        name="Borealis E",
        probes={
            "endocavity": Probe("endocavity", 10, 128, 0, 7.2, 3.4, 11, 2.2, 10, 19),
            "convex": Probe("convex", 60, 64, 0, 3.2, 2.8, 19, 2.6, 20, 22),
            "linear": Probe("linear", 0, 0, 58, 5.5, 3.0, 14, 2.4, 10, 30),
        },
        looks=1,
        range_db=66,
        gamma=1.25,
        smoothing=0.25,
        sharpening=0.2,
        noise_db=-60,
        haze_db=-22,
        marker="B",
        ruler_right=False,
        logo="BOREALIS",
    ),
    Vendor(
        name="Cygnus V",
        probes={
            "endocavity": Probe("endocavity", 12, 160, 0, 5.6, 2.6, 12, 2.0, 10, 31),
            "convex": Probe("convex", 45, 78, 0, 4.2, 2.4, 20, 2.2, 20, 26),
            "linear": Probe("linear", 0, 0, 70, 4.6, 2.6, 18, 2.0, 10, 35),
        },
        looks=2,
        range_db=52,
        gamma=0.85,
        smoothing=0.5,
        sharpening=0.8,
        noise_db=-64,
        haze_db=-27,
        marker="V",
        ruler_right=True,
        logo="C",
    ),
)


def vendor(name: str) -> Vendor:
    """The vendor of a name."""
    return next(maker for maker in VENDORS if maker.name == name)


def polished(picture_db: Field, style: Vendor) -> Field:
    """Speckle reduction and edge enhancement on a picture in dB along beams."""
    calm = cv2.medianBlur(picture_db, 3)
    calm = cv2.GaussianBlur(calm, (3, 3), 0)
    mixed = picture_db + np.float32(style.smoothing) * (calm - picture_db)
    wide = cv2.GaussianBlur(mixed, (9, 9), 2.5)
    return mixed + np.float32(0.5 * style.sharpening) * (mixed - wide)


def automatic_gain_db(picture_db: Field, sector: NDArray[np.bool_], style: Vendor, mean_grey: float) -> float:
    """The gain with which a picture on the screen reaches a mean grey level, as an operator would set it.

    Args:
        picture_db: on the screen (size, size), dB.
        sector: where there is picture.
        style: whose range and grey map are used.
        mean_grey: over the whole screen, 0 to 255.
    """
    sample = picture_db[::4, ::4][sector[::4, ::4]]
    wanted = mean_grey / 255 * picture_db[::4, ::4].size / max(sample.size, 1)
    low, high = -60.0, 110.0
    for _ in range(11):
        middle = (low + high) / 2
        if float(_grey(sample, style, middle).mean()) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _grey(picture_db: Field, style: Vendor, gain_db: float) -> Field:
    """Log compression to the vendor's range and its grey map, 0 to 1."""
    share = np.clip((picture_db + np.float32(gain_db)) / np.float32(style.range_db), 0, 1)
    return share ** np.float32(style.gamma)


def grey_levels(
    picture_db: Field, sector: NDArray[np.bool_], style: Vendor, gain_db: float
) -> NDArray[np.uint8]:
    """The picture as shown, black outside the sector."""
    grey = _grey(picture_db, style, gain_db) * np.float32(255)
    grey[~sector] = 0
    return grey.astype(np.uint8)
