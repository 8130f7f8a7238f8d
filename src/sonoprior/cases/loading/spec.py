"""The settings of the augmentation, free of torch so that a recipe can be checked without it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Half = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]
Few = Annotated[int, Field(ge=1, le=3)]


class AugmentSpec(BaseModel):
    """How far each training image is moved and changed; 0 turns a setting off.

    Every amount is drawn uniformly for each image and epoch. Grey levels, 0 to 1, are those of the display
    and therefore log-compressed: a gain adds to them and another dynamic range multiplies them.

    Attributes:
        mirror: probability of exchanging left and right; partners named in `dataset.yaml` are swapped.
        flip_vertical: probability of exchanging top and bottom, which swaps nothing; off, because the probe
            is at the top.
        rotate: degrees, to either side.
        zoom: 0.2 is between 1.2 times smaller and 1.2 times larger; the cache stays sharp up to 0.5.
        translate: fraction of the image side, in every direction.
        gain: added to or taken from the grey levels.
        depth_gain: time-gain slope: added at the bottom and taken away at the top, or the reverse.
        contrast: 0.2 is between 1.2 times less and 1.2 times more.
        gamma: 0.2 is an exponent between 1 / 1.2 and 1.2.
        noise: largest standard deviation of multiplied noise, relative to the grey level.
        depth_zoom: another depth setting: 0.2 is between 1.2 times smaller and 1.2 times larger about the
            middle of the sector's upper edge, so that the probe stays where it is.
        sector_zoom: a square part of the sector that fills the image: 0.2 is up to 1.2 times larger than the
            whole sector. No part holds more of the black background than the whole sector does. Where no
            sector is found, a part of the whole image.
        speckle: largest share of the speckle that is drawn anew, 1 for all of it.
        shadow: largest darkening by a shadow, in grey levels; it begins at some depth and follows the beam.
        shadows: how many shadows, where `shadow` is not 0.
        cutout: longest side of a rectangle that is filled with the image's mean grey, as a fraction of the
            image side; the shortest is a quarter of it. An outline under it stays.
        cutouts: how many rectangles, where `cutout` is not 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: Part = 0.5
    flip_vertical: Part = 0.0
    rotate: Degrees = 10.0
    zoom: Half = 0.2
    translate: Half = 0.05
    gain: Part = 0.1
    depth_gain: Part = 0.1
    contrast: Part = 0.2
    gamma: Part = 0.2
    noise: Part = 0.05
    depth_zoom: Half = 0.0
    sector_zoom: Part = 0.0
    speckle: Part = 0.0
    shadow: Part = 0.0
    shadows: Few = 1
    cutout: Part = 0.0
    cutouts: Few = 1
