"""What happens to each image in each epoch: drawn from what the draw is for, in no order."""

from dataclasses import dataclass, replace
from math import pi

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.randomness import derived_seed

from .spec import AugmentSpec

Reals = NDArray[np.float64]
_COLUMNS = 13
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@dataclass(frozen=True, eq=False)
class Draws:
    """One value an image, each (B,).

    Attributes:
        mirror, flip: whether left and right, top and bottom are exchanged.
        angle: radians, clockwise on the screen. zoom: above 1 enlarges.
        right, down: shift as a fraction of the image side.
        gain, depth_gain, contrast, gamma, noise: see `AugmentSpec`; contrast and gamma are factors.
        noise_row, noise_column: in [0, 1), where in the sheet of noise an image finds its own.
    """

    mirror: NDArray[np.bool_]
    flip: NDArray[np.bool_]
    angle: Reals
    zoom: Reals
    right: Reals
    down: Reals
    gain: Reals
    depth_gain: Reals
    contrast: Reals
    gamma: Reals
    noise: Reals
    noise_row: Reals
    noise_column: Reals


@dataclass(frozen=True, eq=False)
class Showing:
    """Which images are shown, and when: all that a draw is derived from.

    Attributes:
        seed: the run's seed.
        epoch: counted from 0.
        positions: (B,) in the case set.
        repeats: (B,) how often the epoch has shown this case before: 0 unless sampled with replacement.
        view: the name of the view, where the images are shown in several at once.
        same_sides: whether all views of an image are mirrored alike.
    """

    seed: int
    epoch: int
    positions: NDArray[np.int64]
    repeats: NDArray[np.int64]
    view: str = ""
    same_sides: bool = False

    def uniforms(self, purpose: str) -> Reals:
        """Numbers in [0, 1), (13, B), that no other purpose, view, epoch or seed shares."""
        view = [self.view] if self.view else []
        return uniforms(derived_seed(self.seed, purpose, self.epoch, *view), self.positions, self.repeats)


def draw(spec: AugmentSpec, showing: Showing) -> Draws:
    """Draw for each of B images, no further than the settings allow."""
    u = showing.uniforms("augment")
    sides = replace(showing, view="").uniforms("augment")[0] if showing.same_sides else u[0]
    sign = 2 * u - 1
    return Draws(
        mirror=sides < spec.mirror,
        flip=u[1] < spec.flip_vertical,
        angle=sign[2] * spec.rotate * pi / 180,
        zoom=(1 + spec.zoom) ** sign[3],
        right=sign[4] * spec.translate,
        down=sign[5] * spec.translate,
        gain=sign[6] * spec.gain,
        depth_gain=sign[7] * spec.depth_gain,
        contrast=(1 + spec.contrast) ** sign[8],
        gamma=(1 + spec.gamma) ** sign[9],
        noise=u[10] * spec.noise,
        noise_row=u[11],
        noise_column=u[12],
    )


def uniforms(key: int, positions: NDArray[np.int64], repeats: NDArray[np.int64]) -> Reals:
    """Numbers in [0, 1), (13, B), each a function of (key, position, repeat) and its row alone.

    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
    its n-th output is a mix of key + n * golden, so any place in the sequence is reached at once. A case
    owns 16 places for each of 2^20 repeats.
    """
    place = (positions.astype(np.uint64) << np.uint64(20)) + repeats.astype(np.uint64)
    counter = (place << np.uint64(4)) + np.arange(_COLUMNS, dtype=np.uint64)[:, None]
    z = np.uint64(key) + (counter + np.uint64(1)) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
