"""How far a frame lies from those that a network was trained on: "not a view I know".

The Mahalanobis distance of its features to the nearest class mean, with one covariance for all classes (Lee
et al., A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018, equation
2). It is one matrix and the means, whatever the number of training frames, and stands in the exported graph.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from sonoprior.core.errors import DataError

Floats = NDArray[np.float64]


class Unfamiliarity(nn.Module):
    """Features (B, C) to their distance from the nearest class of the training, (B,); larger is stranger.

    Args:
        whitening: (C, C), brings features to a covariance of one within the classes.
        means: (K, C) of the classes, whitened.
    """

    whitening: Tensor
    means: Tensor

    def __init__(self, whitening: Tensor, means: Tensor) -> None:
        super().__init__()
        self.register_buffer("whitening", whitening)
        self.register_buffer("means", means)

    def forward(self, features: Tensor) -> Tensor:
        """The distance as a multiple of that of a training frame: about 1 for what is familiar."""
        whitened = features @ self.whitening  # (B, C)
        apart = (whitened[:, None] - self.means).square().mean(2)  # (B, K)
        return apart.amin(1).sqrt()

    @classmethod
    def fit(cls, features: NDArray[np.floating], labels: NDArray[np.integer]) -> Self:
        """Learn what is familiar.

        Args:
            features: (n, C) of the training part, as they come without augmentation.
            labels: (n,) the class of each, or its label combination where a case may show several; -1 where
                unknown, which count as one class more.

        Raises:
            DataError: if there are fewer than two, shapes do not fit, or a feature is not a number.
        """
        given = np.asarray(features, np.float64)
        if given.ndim != 2 or len(given) < 2 or np.shape(labels) != given.shape[:1]:
            raise DataError(
                "unfamiliarity is learnt from features (n, C) of two cases or more with a label each, but got"
                f" shapes {given.shape} and {np.shape(labels)}."
            )
        if not np.isfinite(given).all():
            raise DataError("unfamiliarity needs finite features, but got NaN or infinite ones.")
        _, kind = np.unique(labels, return_inverse=True)
        means = np.stack([given[kind == number].mean(axis=0) for number in range(int(kind.max()) + 1)])
        whitening = _whitening(given - means[kind])
        return cls(_tensor(whitening), _tensor(means @ whitening))


def _whitening(deviations: Floats) -> Floats:
    """W (C, C), so that x W has the covariance 1 if x has that of the deviations (n, C), shrunk.

    Features are many and training frames may be few: the covariance is that of Ledoit and Wolf (2004).
    """
    covariance = LedoitWolf(assume_centered=True).fit(deviations).covariance_
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(np.maximum(values, _LEAST * values.max()))


_LEAST = 1e-6
"""The least spread in any direction, as a share of the largest: a channel that is never used has none."""


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
