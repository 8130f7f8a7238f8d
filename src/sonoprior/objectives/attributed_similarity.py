"""What is attributed where there are no logits: a number an image, made of its embedding.

Prior-Guided Attribution differentiates the sum of the logits (thesis on privileged information, eqs 2.3
and 2.4). An embedding has none, and the sum over a *normalised* one says little: its gradient loses the part
along the embedding. So what is differentiated is either the sum over the embedding before it is normalised,
which is the printed form with the embedding for the logits, or the similarity to the cases of the same class.

With `GuidedPass`, of a network that gives embeddings before normalisation:

    embeddings, guided = guided_pass(network, tap, images)
    weights = output_weights(embeddings, labels, "positives")
    maps = guided.attribute(embeddings, weights=weights)
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sonoprior.core.checks import one_of
from sonoprior.core.errors import RecipeError

Output = Literal["sum", "positives"]
OUTPUTS = ("sum", "positives")

# As in `functional.normalize`.
_SHORTEST = 1e-12


def attributed_output(embeddings: Tensor, labels: Tensor, output: Output) -> Tensor:
    """The number of each image that is differentiated: (B,).

    Args:
        embeddings: (B, D), before normalisation, on the graph.
        labels: (B,) class numbers, -1 for unknown.
        output: "sum" over the embedding; or the mean cosine to the "positives", the other cases of the class
            in the batch. These are constants, so that an image's attribution is its own and not also that of
            the images it is compared with. An image without a positive has 0, and attributes nothing.

    >>> embeddings = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> attributed_output(embeddings, torch.tensor([0, 0, 1]), "sum")
    tensor([3., 2., 2.])
    >>> attributed_output(embeddings, torch.tensor([0, 1, 0]), "positives")
    tensor([0.7071, 0.0000, 0.7071])
    """
    one_of("the attributed output", output, OUTPUTS, RecipeError)
    if output == "sum":
        return embeddings.sum(1)
    return (functional.normalize(embeddings) * mean_positive(embeddings, labels)).sum(1)


def output_weights(embeddings: Tensor, labels: Tensor, output: Output) -> Tensor:
    """The derivative of `attributed_output` by the embeddings, in closed form and on the graph: (B, D).

    A pass that attributes takes it for the weights of its outputs; a second derivative goes through it.
    """
    one_of("the attributed output", output, OUTPUTS, RecipeError)
    if output == "sum":
        return torch.ones_like(embeddings)
    lengths = embeddings.norm(dim=1, keepdim=True).clamp(min=_SHORTEST)
    unit, towards = embeddings / lengths, mean_positive(embeddings, labels)
    return (towards - (towards * unit).sum(1, keepdim=True) * unit) / lengths


def has_positive(labels: Tensor) -> Tensor:
    """Which images (B,) have another case of their class in the batch: "positives" attributes only these."""
    return _positives(labels).any(1)


def mean_positive(embeddings: Tensor, labels: Tensor) -> Tensor:
    """The mean of the normalised positives of each image, without a graph: (B, D); 0 where there is none."""
    positives = _positives(labels).to(embeddings)
    shares = positives / positives.sum(1, keepdim=True).clamp(min=1)
    return shares @ functional.normalize(embeddings.detach())


def _positives(labels: Tensor) -> Tensor:
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return (labels[:, None] == labels) & (labels >= 0) & others
