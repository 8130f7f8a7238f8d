"""SimCLR's projection head, whose first layer is the network's embedding.

Source: Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020,
section 2.1: z = g(h) = W2 relu(W1 h), h the features of the backbone.
"""

from torch import Tensor, nn


class Projection(nn.Module):
    """W2 relu(e), of the embedding e = W1 h that the network gives.

    W1 is the last layer of the network, so that it stays one backbone with one linear layer; relu and W2
    belong to the objective, are trained with it, and are left behind with it. What retrieval compares is e.

    Args:
        dimension: D, of the embedding.
        width: of what is compared; None for the embedding itself.

    >>> import torch
    >>> Projection(4, width=3)(torch.rand(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(self, dimension: int, width: int | None) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        if width is not None:
            self.layers.extend([nn.ReLU(), nn.Linear(dimension, width, bias=False)])

    def forward(self, embeddings: Tensor) -> Tensor:
        """(B, width) of embeddings (B, D)."""
        return self.layers(embeddings)
