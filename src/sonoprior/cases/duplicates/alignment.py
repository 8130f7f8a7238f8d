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
Warp: TypeAlias = NDArray[np.float32]

SAME = 0.75
"""The least aligned correlation of near-duplicates; measured, see docs/results/duplicates.md."""

_COARSE = 32
_FIELD = 12  # neighbourhoods side by side in which contrast is made local
_WORTH_A_CLOSER_LOOK = 0.5  # coarse correlation; fine speckle is hard to align coarsely
_LEAST_OVERLAP = 0.6  # of the area: less is a coincidence between two corners
_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-3)
_SMOOTHING = 5  # pixels of the Gaussian filter that the alignment uses


def aligned_correlation(first: Picture, second: Picture) -> float:
    """Correlation of the texture of two sketches (SIDE, SIDE), best aligned, in [-1, 1].

    Zero where they do not align. What fails the coarse look is not looked at closer, and its coarse
    correlation is returned, which is below `SAME`.
    """
    pair = [(picture, tissue(picture)) for picture in (first, second)]
    one, other = (texture(picture, inside, _COARSE, _COARSE / _FIELD) for picture, inside in pair)
    warp = _alignment(one, other, np.eye(2, 3, dtype=np.float32))
    coarse = _correlation(one, other, warp)
    if warp is None or coarse < _WORTH_A_CLOSER_LOOK:
        return coarse
    warp[:, 2] *= SIDE / _COARSE
    one, other = (texture(picture, inside, SIDE, SIDE / _FIELD) for picture, inside in pair)
    return _correlation(one, other, _alignment(one, other, warp))


def _alignment(one: NDArray[np.float32], other: NDArray[np.float32], guess: Warp) -> Warp | None:
    """The affine map (2, 3) from pixels of one to pixels of the other; None where the search fails."""
    everywhere = np.ones(one.shape, np.uint8)
    try:
        _, warp = cv2.findTransformECC(one, other, guess, cv2.MOTION_AFFINE, _STEPS, everywhere, _SMOOTHING)
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return None
    return np.asarray(warp, np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32], warp: Warp | None) -> float:
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
