"""What every metric of embeddings asks of its labels."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.errors import DataError


def checked_classes(what: str, labels: ArrayLike, size: int) -> NDArray[Any]:
    """Labels as an array, if every case has one.

    Args:
        what: the level, for messages.
        labels: (n,) classes, as text or numbers, or (n, C) bool for cases of several classes.
        size: n.

    Raises:
        DataError: if there is not a label for each case, or one is unknown: None, NaN, or a number below 0.
    """
    given = np.asarray(labels)
    if given.ndim not in {1, 2} or len(given) != size or (given.ndim == 2 and given.dtype != np.bool_):
        raise DataError(
            f"labels at the level '{what}' must have shape ({size},), or be bool of shape ({size}, classes),"
            f" but got {given.dtype} of shape {given.shape}."
        )
    unknown = pd.isna(given)
    if np.issubdtype(given.dtype, np.number):
        unknown = unknown | (given < 0)
    if unknown.any():
        raise DataError(
            f"labels at the level '{what}' must be known, but {int(unknown.sum())} of {size} are not"
            f" (first: case {int(unknown.argmax())}); leave those cases out."
        )
    return given
