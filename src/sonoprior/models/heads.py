"""What the columns of a network's outputs are: logits of classes, embeddings of label levels, further logits.

All of them are one linear layer on the shared features, which is the backbone's own last layer with as many
outputs as all heads want. So a network stays what it is for attribution, for weights and for export.

Source of the projections: thesis on privileged information, section 3.4.1, eqs 3.11 and 3.12. The print has f
after phi; what is meant is a projection phi^l after the shared features f.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Heads:
    """The heads of a network, by column: the logits, an embedding a level, then two further sets of logits.

    Attributes:
        classes: K, how many logits there are; 0 for a network without a classifier.
        levels: the levels with an embedding, the leaf's first.
        dimension: D of each embedding.
        inference: the levels whose embeddings are compared at inference.
        several: whether an image may show several of the K classes at once, so that each logit is a decision
            of its own.
        combinations: how many label combinations have a logit of their own, beside those of the K classes.
        clusters: how many clusters have one.

    >>> heads = Heads(classes=0, levels=("view", "meta"), dimension=4, inference=("view",))
    >>> outputs = torch.rand(2, heads.width)
    >>> {level: tuple(each.shape) for level, each in heads.embeddings(outputs).items()}
    {'view': (2, 4), 'meta': (2, 4)}
    >>> heads.compared(outputs).shape
    torch.Size([2, 4])
    """

    classes: int
    levels: tuple[str, ...] = ()
    dimension: int = 0
    inference: tuple[str, ...] = ()
    several: bool = False
    combinations: int = 0
    clusters: int = 0

    @property
    def width(self) -> int:
        """How many outputs the network has: K + L D, and the combinations and clusters."""
        return self._embedded + self.combinations + self.clusters

    @property
    def _embedded(self) -> int:
        """K + L D, where the embeddings end."""
        return self.classes + len(self.levels) * self.dimension

    @property
    def classifies(self) -> bool:
        """Whether there are logits."""
        return self.classes > 0

    @property
    def embeds(self) -> bool:
        """Whether there are embeddings."""
        return bool(self.levels)

    def logits(self, outputs: Tensor) -> Tensor:
        """(B, K) of all outputs."""
        return outputs[:, : self.classes]

    def combination_logits(self, outputs: Tensor) -> Tensor:
        """(B, combinations) of all outputs."""
        return outputs[:, self._embedded : self._embedded + self.combinations]

    def cluster_logits(self, outputs: Tensor) -> Tensor:
        """(B, clusters) of all outputs."""
        return outputs[:, self._embedded + self.combinations :]

    def embeddings(self, outputs: Tensor) -> dict[str, Tensor]:
        """Level to its embedding before it is normalised, (B, D)."""
        return {level: outputs[:, self.columns(level)] for level in self.levels}

    def compared(self, outputs: Tensor) -> Tensor:
        """What is compared at inference: (B, D) for one level, (B, n D) for n; of length 1.

        Each level is normalised before they are joined, so that all count alike.
        """
        parts = [functional.normalize(outputs[:, self.columns(level)]) for level in self.inference]
        return functional.normalize(torch.cat(parts, 1))

    def columns(self, level: str) -> slice:
        """Where the embedding of a level stands."""
        start = self.classes + self.levels.index(level) * self.dimension
        return slice(start, start + self.dimension)

    def only(self, columns: slice, weights: Tensor) -> Tensor:
        """Weights (B, n) of some columns as weights of all outputs: 0 for the others."""
        return functional.pad(weights, (columns.start, self.width - columns.stop))
