"""What a metric loses from one kind of cases to another: its value on the kept less that on the lost."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Weighted, rises

Floats = NDArray[np.float64]


class Contrast:
    """A statistic of the cases of one kind minus that of the others; NaN where either kind has no case.

    Args:
        statistic: of cases, in both forms; see `bootstrap.Weighted`.
    """

    def __init__(self, statistic: Weighted) -> None:
        self.statistic = statistic
        self.rises_with_repeats = rises(statistic)

    def __call__(self, kept: Any, *arrays: Any) -> float:
        """The loss of cases (n, ...), of which `kept`, (n,) bool, are of the first kind."""
        if kept.all() or not kept.any():
            return float("nan")
        first = self.statistic(*(array[kept] for array in arrays))
        return first - self.statistic(*(array[~kept] for array in arrays))

    def weighted(self, weights: Floats, kept: Any, *arrays: Any) -> Floats:
        """The losses (B,) for weights (B, n)."""
        first = self.statistic.weighted(weights * kept, *arrays)
        return first - self.statistic.weighted(weights * ~kept, *arrays)
