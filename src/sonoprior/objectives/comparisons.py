"""Who is compared with whom in a batch, and how far apart they are."""

import torch
from torch import Tensor
from torch.nn import functional


def squared_distances(embeddings: Tensor) -> Tensor:
    """Squared Euclidean distances between embeddings (n, D) after normalisation: (n, n)."""
    unit = functional.normalize(embeddings)
    return 2 - 2 * unit @ unit.T


def triplets(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor, positive and negative of every triplet of cases with labels (n,): three times (t,).

    >>> triplets(torch.tensor([0, 0, 1]))
    (tensor([0, 1]), tensor([1, 0]), tensor([2, 2]))
    """
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    a, p, n = (positive[:, :, None] & ~same[:, None, :]).nonzero(as_tuple=True)
    return a, p, n
