"""How far a frame lies from those that a network was trained on: "not a view I know".

The Mahalanobis distance of its features from those of the training frames. It needs no labels, is one matrix
and one mean whatever the number of training frames, and stands in the exported graph. It was compared with
other scores in `docs/results/unfamiliarity.md`: distances to each class (Lee et al., NeurIPS 2018) tell
strange frames no better, and what the classifier itself is unsure of tells them hardly at all.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from sonoprior.core.errors import DataError

Floats = NDArray[np.float64]

_LEAST = 1e-6
"""The least spread in any direction, as a share of the largest: a channel that is never used has none."""


class Unfamiliarity(nn.Module):
    """Features (B, C) to how far they lie from those of the training, (B,); larger is stranger.

    Args:
        centre: (C,), the mean of the training.
        whitening: (C, C), brings the training to a covariance of one.
    """

    centre: Tensor
    whitening: Tensor

    def __init__(self, centre: Tensor, whitening: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("whitening", whitening)

    def forward(self, features: Tensor) -> Tensor:
        """The distance, by its root mean square over the C directions: about 1 for a training frame."""
        return ((features - self.centre) @ self.whitening).square().mean(1).sqrt()

    @classmethod
    def fit(cls, features: NDArray[np.floating]) -> Self:
        """Learn what is familiar.

        Args:
            features: (n, C) of the training part, as they come without augmentation.

        Raises:
            DataError: if there are fewer than two, all are the same, or one is not a number.
        """
        given = np.asarray(features, np.float64)
        if given.ndim != 2 or len(given) < 2:
            raise DataError(
                "unfamiliarity is learnt from features (n, C) of two frames or more, but got shape"
                f" {given.shape}."
            )
        if not np.isfinite(given).all():
            raise DataError("unfamiliarity needs finite features, but got NaN or infinite ones.")
        if not np.ptp(given, axis=0).any():
            raise DataError(f"unfamiliarity needs features that differ, but all {len(given)} are the same.")
        return cls(_tensor(given.mean(axis=0)), _tensor(_whitening(given)))


def _whitening(features: Floats) -> Floats:
    """W (C, C), so that (x - mean) W has the covariance 1 where x is as the features (n, C) are.

    Features are many and training frames may be few: the covariance is that of Ledoit and Wolf (2004).
    """
    values, vectors = np.linalg.eigh(LedoitWolf().fit(features).covariance_)
    return vectors / np.sqrt(np.maximum(values, _LEAST * values.max()))


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
