"""How many labels a learning curve needs to reach a number, read off between the measured places."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import Interval, Resampled

Floats = NDArray[np.float64]


def labels_needed(labels: ArrayLike, reached: ArrayLike, target: ArrayLike) -> Floats:
    """The smallest number of labels at which each of many curves reaches its target.

    Between two measured places a curve is linear in the logarithm of the number. Beyond them nothing is read
    off: that fewer than the fewest would do, or more than the most be needed, is all that is known there.

    Args:
        labels: (P,) the numbers of labels, rising, above 0.
        reached: (B, P) what each curve reaches with them; more is better.
        target: (B,) what each of them must reach.

    Returns:
        (B,); -inf where the fewest labels reach more than the target, inf where no number reaches it, NaN
        where the target or a place of the curve is not defined.

    >>> labels_needed([10, 100, 1000], [[0.5, 0.6, 0.7], [0.5, 0.6, 0.7]], [0.55, 0.71])
    array([31.6227766,        inf])
    """
    numbers = np.asarray(labels, np.float64)
    logs = np.log(numbers)
    curves, targets = np.asarray(reached, np.float64), np.asarray(target, np.float64)
    there = curves >= targets[:, None]
    right = there.argmax(axis=1)
    left, rows = np.maximum(right - 1, 0), np.arange(len(curves))
    below, above = curves[rows, left], curves[rows, right]
    # On the first place itself there is no rise; what is below it is told apart next.
    way = np.divide(targets - below, above - below, out=np.zeros(len(curves)), where=above != below)
    found = np.exp(logs[left] + way * (logs[right] - logs[left]))
    # A place that is the target is its number to the last bit: a hair less would read as labels saved.
    found = np.where(above == targets, numbers[right], found)
    found[(right == 0) & (above > targets)] = -np.inf
    found[~there.any(axis=1)] = np.inf
    found[np.isnan(curves).any(axis=1) | np.isnan(targets)] = np.nan
    return found


def censored_interval(found: Resampled, level: float = 0.95) -> Interval:
    """The percentile interval of numbers that may lie beyond what was measured (-inf, inf).

    As `Resampled.interval`, but the bounds are numbers that were drawn, since nothing lies between a number
    and infinity: the one at the share or the next one outward.
    """
    if not found.tells:
        return Interval(found.value, float("nan"), float("nan"))
    drawn = found.drawn[~np.isnan(found.drawn)]
    low = np.quantile(drawn, (1 - level) / 2, method="lower")
    high = np.quantile(drawn, (1 + level) / 2, method="higher")
    return Interval(found.value, float(low), float(high))
