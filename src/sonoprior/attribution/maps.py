"""Attribution maps in eval mode, as reports and figures show them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonoprior.models.taps import Tap, inference

from .allocation import Allocation
from .gradients import Method, Target
from .guided import guided_pass


@dataclass(frozen=True)
class Maps:
    """What a network looked at, at the tap's resolution.

    Attributes:
        allocated: (B, P, h, w), for each prior the mean attribution of the channels that belong to it.
        free: (B, h, w), the mean attribution of the channels that belong to none; zero if there are none.
        logits: (B, K).
    """

    allocated: Tensor
    free: Tensor
    logits: Tensor


def attribution_maps(
    network: nn.Module,
    tap: Tap,
    images: Tensor,
    *,
    priors: int,
    method: Method = "grad_input",
    target: Target = "sum",
    allocation: str = "half",
    closed_head: str | None = None,
) -> Maps:
    """The maps of a network as it stands, in eval mode; of a plain network too.

    Args:
        network: images to logits.
        tap: where the attribution is read.
        images: (B, 1, H, W).
        priors: how many prior maps the channels are allocated to.
        method: "grad" or "grad_input".
        target: "sum" or "predicted" ("label" needs labels, which inference does not have).
        allocation: see `Allocation`.
        closed_head: see `guided_pass`.
    """
    with inference(network), torch.enable_grad():
        logits, guided = guided_pass(network, tap, images, closed_head=closed_head)
        attribution = guided.attribute(logits, method=method, target=target).detach()
    strategy = Allocation.parse(allocation)
    allocated = strategy.allocate(attribution, priors).mean(2)
    return Maps(allocated, strategy.free(attribution, priors), logits.detach())
