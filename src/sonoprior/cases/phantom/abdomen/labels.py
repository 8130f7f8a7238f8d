"""Which organs a picture shows: those that cover enough of its sector, or "other" where none does."""

import numpy as np
from numpy.typing import NDArray

from .tissues import ORGANS, OTHER

LEAST_SHARE = {
    "liver": 0.1,
    "kidney": 0.04,
    "gallbladder": 0.02,
    "pancreas": 0.045,
    "spleen": 0.05,
    "bladder": 0.05,
}
"""Of the sector's area, from which an organ is labelled; what lies in a shadow does not count."""


def shares_of(zones: NDArray[np.uint8], sector: NDArray[np.bool_]) -> dict[str, float]:
    """The share of the sector that each organ covers.

    Args:
        zones: (H, W), 0 none, k the k-th of `ORGANS`.
        sector: (H, W), where there is picture.
    """
    counts = np.bincount(zones[sector], minlength=len(ORGANS) + 1)
    return {name: float(counts[number] / sector.sum()) for number, name in enumerate(ORGANS, 1)}


def organs_of(zones: NDArray[np.uint8], sector: NDArray[np.bool_]) -> list[str]:
    """The classes of a picture, in the order of `ORGANS`; at least one."""
    shares = shares_of(zones, sector)
    return [name for name in ORGANS if shares[name] >= LEAST_SHARE[name]] or [OTHER]
