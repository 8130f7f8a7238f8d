"""The Privileged Attribution Loss: attribution should look like the prior.

Source: thesis on privileged information, section 2.3.1 and 2.3.2, eqs 2.5 and 2.9. The print omits the
1/hw of mean and variance and the way the prior is normalised; with both standardised over positions and
the sum divided by hw, the term is minus the Pearson correlation.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Reduction = Literal["correlation", "sum"]
Statistics = Literal["standard", "printed"]

# A map that varies by less than this share of its largest value has no spatial direction.
_FLAT = 1e-6


def to_resolution(priors: Tensor, height: int, width: int) -> Tensor:
    """Priors (n, P, H, W) brought to the tap's resolution by area averaging: (n, P, height, width)."""
    return functional.adaptive_avg_pool2d(priors, (height, width))


def is_flat(maps: Tensor) -> Tensor:
    """Whether each map (..., h, w) is constant over positions, and so cannot be correlated with: (...)."""
    spread = maps.amax((-2, -1)) - maps.amin((-2, -1))
    return spread <= _FLAT * maps.abs().amax((-2, -1))


def standardise(maps: Tensor) -> Tensor:
    """Each map (..., h, w) with mean 0 and standard deviation 1 over its positions; a flat one is 0.

    The value does not depend on the map's scale, however small: gradients of 1e-8 are usual.
    """
    flat = is_flat(maps)[..., None, None]
    centred = maps - maps.mean((-2, -1), keepdim=True)
    scale = centred.detach().abs().amax((-2, -1), keepdim=True)
    scaled = centred / scale.masked_fill(flat, 1)
    variance = scaled.square().mean((-2, -1), keepdim=True)
    return (scaled / variance.masked_fill(flat, 1).sqrt()).masked_fill(flat, 0)


def standardise_as_printed(maps: Tensor) -> Tensor:
    """(a - mu) / sigma with mu and sigma the printed sums, without 1/hw; kept for the record.

    The value is then dominated by a constant.
    """
    centred = maps - maps.sum((-2, -1), keepdim=True)
    deviation = centred.square().sum((-2, -1), keepdim=True).sqrt()
    return torch.where(deviation > 0, centred / torch.where(deviation > 0, deviation, 1), 0)


def agreement(
    attribution: Tensor,
    priors: Tensor,
    reduction: Reduction = "correlation",
    statistics: Statistics = "standard",
) -> Tensor:
    """How much each attribution map looks like its prior, before the minus of eq 2.9: (...).

    Args:
        attribution: (..., h, w).
        priors: (..., h, w), at the same resolution.
        reduction: "correlation" divides the sum over positions by their number; "sum" does not.
        statistics: see `standardise` and `standardise_as_printed`; the printed form takes the prior as
            it is, in [0, 1].
    """
    if statistics == "printed":
        products = standardise_as_printed(attribution) * priors
    else:
        products = standardise(attribution) * standardise(priors)
    return products.sum((-2, -1)) if reduction == "sum" else products.mean((-2, -1))
