"""Attribution maps in eval mode, as reports and figures show them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonoprior.models.heads import Heads
from sonoprior.models.taps import Tap, inference

from .allocation import Allocation
from .gradients import Method, Target, head_weights
from .guided import guided_pass


@dataclass(frozen=True)
class Maps:
    """What a network looked at, at the tap's resolution.

    Attributes:
        allocated: (B, P, h, w), for each prior the mean attribution of the channels that belong to it.
        free: (B, h, w), the mean attribution of the channels that belong to none; zero if there are none.
        outputs: (B, K + L D).
    """

    allocated: Tensor
    free: Tensor
    outputs: Tensor


def attribution_maps(
    network: nn.Module,
    tap: Tap,
    images: Tensor,
    *,
    priors: int,
    method: Method = "grad_input",
    target: Target = "sum",
    heads: Heads | None = None,
    allocation: str = "half",
) -> Maps:
    """The maps of a network as it stands, in eval mode; of a plain network too.

    Args:
        network: images to outputs.
        tap: where the attribution is read.
        images: (B, 1, H, W).
        priors: how many prior maps the channels are allocated to.
        method: "grad", "grad_input" or "grad_cam".
        target: "sum" or "predicted" ("label" needs labels, which inference does not have); of the logits, or
            the "sum" over the leaf's embedding before it is normalised where there are none.
        heads: which outputs are what; logits all of them where None.
        allocation: see `Allocation`.
    """
    with inference(network), torch.enable_grad():
        outputs, guided = guided_pass(network, tap, images)
        weights = head_weights(outputs, target, heads)
        attribution = guided.attribute(outputs, method=method, weights=weights).detach()
    strategy = Allocation.parse(allocation)
    allocated = strategy.allocate(attribution, priors).mean(2)
    return Maps(allocated, strategy.free(attribution, priors), outputs.detach())
