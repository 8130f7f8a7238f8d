"""The settings of the augmentation, free of torch so that a recipe can be checked without it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class AugmentSpec(BaseModel):
    """How far each training image is moved and changed; 0 turns a setting off.

    Every amount is drawn uniformly for each image and epoch. Only a mirror swaps labels and priors.
    Grey levels are those of the display, log-compressed, so gain adds and dynamic range multiplies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: Probability = Field(0.5, description="probability of exchanging left and right")
    flip_vertical: Probability = Field(
        0.0, description="probability of exchanging top and bottom; off, because the probe is at the top"
    )
    rotate: Degrees = Field(10.0, description="degrees, to either side")
    zoom: Part = Field(
        0.2, description="0.2 is between 1.2 times smaller and 1.2 times larger; the cache is sharp to 0.5"
    )
    translate: Part = Field(0.05, description="fraction of the image side, in either direction")
    gain: Strength = Field(0.2, description="added to the grey levels (0 to 1), up or down")
    depth_gain: Strength = Field(
        0.1, description="time-gain slope: added at the bottom and taken away at the top, or the reverse"
    )
    contrast: Strength = Field(0.2, description="0.2 is between 1.2 times less and 1.2 times more contrast")
    gamma: Strength = Field(0.2, description="0.2 is an exponent between 1 / 1.2 and 1.2")
    noise: Strength = Field(
        0.05, description="largest standard deviation of multiplied noise, relative to the grey level"
    )
