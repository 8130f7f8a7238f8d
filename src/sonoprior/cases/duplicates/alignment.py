"""Are two small pictures the same one? One is laid over the other as well as it goes, then correlated.

The alignment maximises the enhanced correlation coefficient [0] over affine maps, coarse to fine, which
undoes a crop, a shift, a change of size and a slight turn.

[0] Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient
    maximization, IEEE TPAMI 30(10), 2008; `cv2.findTransformECC`.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .sketches import SIDE, local_contrast

Picture: TypeAlias = NDArray[np.uint8]
Warp: TypeAlias = NDArray[np.float32]

SAME = 0.8
"""The least aligned correlation of near-duplicates; measured, see docs/results/duplicates.md."""

_COARSE = 32
_WORTH_A_CLOSER_LOOK = 0.7  # coarse correlation; above SAME for every true pair measured
_LEAST_OVERLAP = 0.6  # of the area: less is a coincidence between two corners
_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-3)
_SMOOTHING = 5  # pixels of the Gaussian filter that the alignment uses


def aligned_correlation(first: Picture, second: Picture) -> float:
    """Correlation of the local contrast of two small pictures (SIDE, SIDE), best aligned, in [-1, 1].

    Zero where they do not align. What fails the coarse look is not looked at closer, and its coarse
    correlation is returned, which is below `SAME`.
    """
    coarse, warp = _aligned(first, second, _COARSE, np.eye(2, 3, dtype=np.float32))
    if coarse < _WORTH_A_CLOSER_LOOK:
        return coarse
    warp[:, 2] *= SIDE / _COARSE
    return _aligned(first, second, SIDE, warp)[0]


def _aligned(first: Picture, second: Picture, side: int, start: Warp) -> tuple[float, Warp]:
    """The correlation after aligning at one size from a first guess, and the warp in its pixels."""
    one, other = (local_contrast(picture, side, side / 12) for picture in (first, second))
    try:
        _, warp = cv2.findTransformECC(one, other, start, cv2.MOTION_AFFINE, _STEPS, None, _SMOOTHING)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return 0.0, start
    return _correlation(one, other, warp.astype(np.float32)), warp.astype(np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32], warp: Warp) -> float:
    """Pearson's correlation where the warped picture overlaps the first."""
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
