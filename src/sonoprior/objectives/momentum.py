"""A second network that follows the trained one, and teaches it.

Source: Grill et al., "Bootstrap your own latent", NeurIPS 2020, section 3.1 and its schedule: the momentum
rises from its start to 1 as 1 - (1 - start) (cos(pi k / K) + 1) / 2.
"""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

from .base import Output
from .self_supervised_settings import MomentumSettings


class MomentumNetwork(nn.Module):
    """A running mean of the weights of a network and of a head on an embedding of it.

    The copies are part of the state, so that a resumed run goes on with them, and are never trained. The
    trained network is followed, but it is no part of this module, or its weights would be kept twice. The
    statistics of batch normalisation are the copy's own: it sees every batch that it is asked about.

    Args:
        settings: see `MomentumSettings`.
        network: the trained one, images to outputs.
        head: the trained one, embeddings (B, D) to what is compared.
        own_head: another of the same form; it becomes the copy. A head whose weights are normalised cannot
            be copied as it is.
    """

    steps: Tensor

    def __init__(
        self, settings: MomentumSettings, network: nn.Module, head: nn.Module, own_head: nn.Module
    ) -> None:
        super().__init__()
        self.start, self.over = settings.momentum, settings.momentum_steps
        own_head.load_state_dict(head.state_dict())
        self.network = deepcopy(network).requires_grad_(requires_grad=False)
        self.head = own_head.requires_grad_(requires_grad=False)
        self._followed = (network, head)  # a tuple, so that torch does not take them for parts
        self.register_buffer("steps", torch.tensor(0))

    @torch.no_grad()
    def forward(self, images: Tensor, like: Output, level: str) -> Tensor:
        """What the copies make of images (B, 1, H, W), without gradient, in single precision.

        Args:
            images: of a view.
            like: what the trained network gave for them, whose heads say which outputs are what.
            level: whose embedding the head takes.
        """
        output = Output(self.network(images), heads=like.heads)
        with torch.autocast(images.device.type, enabled=False):
            return self.head(output.embeddings[level].float())

    def momentum(self) -> float:
        """What is left of the copies after the next step."""
        if self.over is None:
            return self.start
        done = min(int(self.steps), self.over) / self.over
        return 1 - (1 - self.start) * (math.cos(math.pi * done) + 1) / 2

    @torch.no_grad()
    def follow(self) -> None:
        """Take a step after the trained network and head."""
        taken = 1 - self.momentum()
        for followed, own in zip(self._followed, (self.network, self.head), strict=True):
            for fast, slow in zip(followed.parameters(), own.parameters(), strict=True):
                slow.lerp_(fast, taken)
        self.steps += 1
