"""Which unlabelled images are like the labelled ones, whatever they show: those of low energy.

A softmax may be sure of an image that shows none of its classes; the energy of the logits is low only where
they are large.

Source: Yu, Li and Lee, "InPL: pseudo-labeling the inliers first for imbalanced semi-supervised learning",
ICLR 2023, after Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
"""

from torch import Tensor

from .semi_supervised_settings import InlierSettings


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """-T log sum exp(logits / T) of each image: (B, K) to (B,).

    >>> import torch
    >>> energy(torch.tensor([[8.0, 0.0], [0.0, 0.0]]))
    tensor([-8.0003, -0.6931])
    """
    return -temperature * (logits / temperature).logsumexp(1)


def are_inliers(logits: Tensor, settings: InlierSettings) -> Tensor:
    """Which images have at most the energy of the settings, (B,); none whose logits are not finite."""
    return logits.isfinite().all(1) & (energy(logits, settings.temperature) <= settings.energy)
