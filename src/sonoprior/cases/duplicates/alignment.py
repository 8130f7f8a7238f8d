"""Do two sketches show the same picture? One is laid over the other as well as it goes, then correlated.

The alignment maximises the enhanced correlation coefficient [0] over affine maps, coarse to fine, which
undoes a crop, a shift, a change of size and a slight turn.

[0] Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient
    maximization, IEEE TPAMI 30(10), 2008; `cv2.findTransformECC`.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .sketches import SIDE
from .texture import texture, tissue

Picture: TypeAlias = NDArray[np.uint8]
Texture: TypeAlias = NDArray[np.float32]
Warp: TypeAlias = NDArray[np.float32]

SAME = 0.75
"""The least aligned correlation of near-duplicates; measured, see docs/results/duplicates.md."""

_COARSE = 32
_FIELD = 12  # neighbourhoods side by side in which contrast is made local
_WORTH_A_CLOSER_LOOK = 0.55  # coarse correlation; fine speckle is hard to align coarsely
_LEAST_OVERLAP = 0.6  # of the area: less is a coincidence between two corners
_COUNTED = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS
_COARSE_STEPS = (_COUNTED, 10, 1e-2)
_FINE_STEPS = (_COUNTED, 20, 1e-3)
_SMOOTHING = 5  # pixels of the Gaussian filter that the alignment uses


def coarse_look(sketch: Picture) -> Texture:
    """The texture of a sketch (SIDE, SIDE) in few pixels, enough to rule most pairs out."""
    return texture(sketch, tissue(sketch), _COARSE, _COARSE / _FIELD)


def aligned_correlation(
    first: Picture, second: Picture, looks: tuple[Texture, Texture] | None = None
) -> float:
    """Correlation of the texture of two sketches (SIDE, SIDE), best aligned, in [-1, 1].

    Zero where they do not align. What fails the coarse look is not looked at closer, and its coarse
    correlation is returned, which is below `SAME`.

    Args:
        first: a sketch.
        second: another one.
        looks: their `coarse_look`, if it is known already.
    """
    one, other = looks or (coarse_look(first), coarse_look(second))
    warp = _alignment(one, other, np.eye(2, 3, dtype=np.float32), _COARSE_STEPS)
    coarse = _correlation(one, other, warp)
    if warp is None or coarse < _WORTH_A_CLOSER_LOOK:
        return coarse
    warp[:, 2] *= SIDE / _COARSE
    one, other = (texture(sketch, tissue(sketch), SIDE, SIDE / _FIELD) for sketch in (first, second))
    return _correlation(one, other, _alignment(one, other, warp, _FINE_STEPS))


def _alignment(one: Texture, other: Texture, guess: Warp, steps: tuple[int, int, float]) -> Warp | None:
    """The affine map (2, 3) from pixels of one to pixels of the other; None where the search fails."""
    everywhere = np.ones(one.shape, np.uint8)
    try:
        _, warp = cv2.findTransformECC(one, other, guess, cv2.MOTION_AFFINE, steps, everywhere, _SMOOTHING)
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return None
    return np.asarray(warp, np.float32)


def _correlation(one: Texture, other: Texture, warp: Warp | None) -> float:
    """Pearson's correlation where the warped picture overlaps the first; 0 without a warp."""
    if warp is None:
        return 0.0
    size = (one.shape[1], one.shape[0])
    moved = cv2.warpAffine(other, warp, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    covered = cv2.warpAffine(
        np.ones_like(other), warp, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    ).astype(bool)
    if covered.mean() < _LEAST_OVERLAP:
        return 0.0
    x, y = one[covered], moved[covered]
    x, y = x - x.mean(), y - y.mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / length if length > 0 else 0.0
