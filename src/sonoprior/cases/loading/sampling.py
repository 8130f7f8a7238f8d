"""The order in which an epoch shows its cases: derived from the seed and the epoch alone."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.core.randomness import generator

Positions = NDArray[np.int64]
Sampling = Literal["shuffle", "balanced", "order"]
SAMPLING = ("shuffle", "balanced", "order")


def shuffled(positions: Positions, seed: int, epoch: int) -> Positions:
    """Every case once, in another order each epoch."""
    return generator(seed, "order", epoch).permutation(positions)


def balanced(positions: Positions, labels: Positions, seed: int, epoch: int) -> Positions:
    """As many draws as positions, every class equally often (to one), cases drawn with replacement.

    Args:
        positions: (n,) in the case set.
        labels: (n,) of these cases, at least one known; those with -1 are never shown.
        seed: the run's seed.
        epoch: counted from 0.
    """
    random = generator(seed, "order", epoch)
    known = np.argsort(labels, kind="stable")[np.count_nonzero(labels < 0) :]
    _, starts, counts = np.unique(labels[known], return_index=True, return_counts=True)
    classes = random.permutation(len(positions)) % len(counts)
    members = (random.random(len(positions)) * counts[classes]).astype(np.int64)
    return positions[known[starts[classes] + members]]


def repeats(order: Positions) -> Positions:
    """How often each entry has come before it in the order, (n,).

    >>> repeats(np.array([5, 7, 5, 5]))
    array([0, 0, 1, 2])
    """
    return pd.Series(order).groupby(order).cumcount().to_numpy(np.int64)
