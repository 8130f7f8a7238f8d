"""The graph of a run: everything between the squares of pixels and the numbers, in one module."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.bundle.manifest import FEATURES
from sonoprior.cases.loading.letterbox import cache_side
from sonoprior.cases.loading.shrink import area_weights, averaged, two_from_three
from sonoprior.models.catalogue import last_layers
from sonoprior.models.heads import Heads
from sonoprior.models.network import Network
from sonoprior.models.taps import Tap

LOGITS, EMBEDDING, MAP, UNFAMILIARITY, SQUARES = "logits", "embedding", "map", "unfamiliarity", "squares"


class Unfamiliarity(Protocol):
    """How strange what the last layer reads is."""

    def __call__(self, features: Tensor) -> Tensor:
        """Of features (B, C), (B,); higher is stranger."""
        ...


class ExportedNetwork(nn.Module):
    """What `network.onnx` computes, see `bundle.manifest.Manifest`.

    Args:
        network: of the run, in eval mode.
        tap: whose map is given.
        heads: which outputs are what.
        size: the side of the images that the network sees, in pixels.
        means: (K, D), the mean embedding of each class of a network without logits, of length 1; None for one
            that names by its logits, or names nothing.
        unfamiliarity: fitted on the features; None without.
    """

    weights: Tensor
    means: Tensor | None

    def __init__(
        self,
        network: Network,
        tap: Tap,
        heads: Heads,
        size: int,
        means: Tensor | None = None,
        unfamiliarity: Unfamiliarity | None = None,
    ) -> None:
        super().__init__()
        self.network, self.tap, self.heads = network, tap, heads
        self.unfamiliarity = unfamiliarity
        self.side = cache_side(size)
        self._even = size % 2 == 0
        self.register_buffer("weights", area_weights(self.side, size).clone())
        self.register_buffer("means", means)

    def outputs(self) -> list[str]:
        """The names of what it gives, in order."""
        names = [LOGITS] if self.names_classes else []
        names += [EMBEDDING, *(f"{EMBEDDING}.{level}" for level in self.heads.levels), FEATURES, MAP]
        return names + ([] if self.unfamiliarity is None else [UNFAMILIARITY])

    @property
    def names_classes(self) -> bool:
        """Whether there are logits: of classes, of clusters, or cosines to class means."""
        return self.heads.classifies or self.heads.clusters > 0 or self.means is not None

    def forward(self, squares: Tensor) -> tuple[Tensor, ...]:
        """Of squares, uint8 (B, 1, side, side), what `outputs` names."""
        images = two_from_three(squares) if self._even else averaged(squares, self.weights)
        with self.tap.capture(self.network) as captured, read_by_last_layer(self.network) as read:
            outputs = self.network(images)
        features = over_positions(read[-1])
        embedding = self.heads.compared(outputs) if self.heads.embeds else functional.normalize(features)
        levels = [functional.normalize(each) for each in self.heads.embeddings(outputs).values()]
        found = [embedding, *levels, features, captured.features]
        if self.names_classes:
            found.insert(0, self._logits(outputs, embedding))
        return tuple(found if self.unfamiliarity is None else [*found, self.unfamiliarity(features)])

    def _logits(self, outputs: Tensor, embedding: Tensor) -> Tensor:
        if self.heads.classifies:
            return self.heads.logits(outputs)
        return self.heads.cluster_logits(outputs) if self.means is None else embedding @ self.means.T


@contextmanager
def read_by_last_layer(network: Network) -> Generator[list[Tensor], None, None]:
    """Collect what the layer that gives the outputs reads; of several such layers the first."""
    read: list[Tensor] = []

    def keep(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read.append(inputs[0])

    layer = network.backbone.get_submodule(last_layers(network.backbone)[0])
    handle = layer.register_forward_pre_hook(keep)
    try:
        yield read
    finally:
        handle.remove()


def over_positions(features: Tensor) -> Tensor:
    """Features (B, C), averaged over the positions of a map (B, C, h, w) or over tokens (B, N, C)."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def example_squares(side: int, count: int = 3) -> Tensor:
    """A few squares of noise, uint8 (B, 1, side, side), always the same."""
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=draws)
