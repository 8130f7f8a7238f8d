"""Calibration: is a model that says 80 % right in 80 of 100 cases?

Expected calibration error: Guo et al., On calibration of modern neural networks, ICML 2017, equation 3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least

from .probabilities import checked

Floats = NDArray[np.float64]

ECE_BINS = 15


def confidence_bins(
    labels: NDArray[np.int64], probabilities: Floats, bins: int
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Where each case falls.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, K).
        bins: how many bins of equal width, each with its upper edge and without its lower one.

    Returns:
        the bin of each case (n,), its confidence (n,), and 1 where it is right, else 0 (n,).
    """
    confidence = probabilities.max(axis=1)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return place, confidence, (probabilities.argmax(axis=1) == labels).astype(np.float64)


def ece(labels: ArrayLike, probabilities: ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins, by their cases."""
    at_least("bins", bins, 1)
    found, given = checked(labels, probabilities)
    place, confidence, right = confidence_bins(found, given, bins)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(found))


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram: one entry a bin, NaN where a bin holds no case.

    Attributes:
        edges: (bins + 1,) of confidence, from 0 to 1.
        count: (bins,) cases.
        confidence: (bins,) mean confidence.
        accuracy: (bins,) share right.
    """

    edges: Floats
    count: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Reliability:
    """Confidence beside accuracy, in bins of equal width."""
    at_least("bins", bins, 1)
    place, confidence, right = confidence_bins(*checked(labels, probabilities), bins)
    count = np.bincount(place, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        count=count,
        confidence=np.bincount(place, weights=confidence, minlength=bins) / filled,
        accuracy=np.bincount(place, weights=right, minlength=bins) / filled,
    )
