"""Several comparisons at once: each more is one more chance to be fooled by chance.

Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979:
the chance of even one false alarm among all comparisons stays below the level, however they depend on
one another.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.errors import DataError


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjusted p-values, in the order given.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none is smaller than one before it,
    or larger than 1. NaN (a comparison that could not be made) stays NaN and does not count.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]

    Raises:
        DataError: if a p-value lies outside [0, 1].
    """
    values = np.asarray(p, dtype=np.float64)
    made = np.flatnonzero(~np.isnan(values))
    if ((values[made] < 0) | (values[made] > 1)).any():
        raise DataError(f"p-values must lie between 0 and 1, but got {values[made].tolist()}.")
    order = made[np.argsort(values[made], kind="stable")]
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)).clip(max=1.0)
    return adjusted
