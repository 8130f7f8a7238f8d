"""Integrated Gradients, for reports: exact in sum, but a Riemann sum, so not for guidance.

Source: Sundararajan et al., "Axiomatic Attribution for Deep Networks", 2017, eq 1.
"""

import numpy as np
import torch
from torch import Tensor, nn

from sonoprior.models.heads import Heads
from sonoprior.models.taps import inference

from .gradients import Target, head_weights


def integrated_gradients(
    network: nn.Module,
    images: Tensor,
    *,
    baseline: Tensor | None = None,
    target: Target = "predicted",
    heads: Heads | None = None,
    labels: Tensor | None = None,
    steps: int = 50,
) -> Tensor:
    """The path integral of the gradient from a baseline to each image, by Gauss-Legendre quadrature.

    Args:
        network: images to logits, taken in eval mode.
        images: (B, C, H, W).
        baseline: as `images`; black if not given.
        target: which output is explained.
        heads: which outputs are what; logits all of them where None.
        labels: (B,), for the target "label".
        steps: how many points of the path are taken.

    Returns:
        (B, C, H, W); its sum over an image is the output minus the baseline's output.
    """
    start = torch.zeros_like(images) if baseline is None else baseline
    points, lengths = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(images)
    with inference(network), torch.enable_grad():
        weights = head_weights(network(images).detach(), target, heads, labels)
        for point, length in zip(points, lengths, strict=True):
            between = (start + (point + 1) / 2 * (images - start)).detach().requires_grad_()
            output = (network(between) * weights).sum()
            total += length / 2 * torch.autograd.grad(output, between)[0]
    return (images - start) * total
