"""An embedding split in sub-spaces, one a meta-class, that each need only tell its own classes apart.

Source: thesis on privileged information, section 3.6.2 (future work): the embedding layer is divided by the
higher-level annotations, after Sanakoyeu et al., "Divide and conquer the embedding space for metric
learning", CVPR 2019, where clusters divide it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import SubspaceSettings
from .inputs import check_labels
from .metric_losses import metric_loss
from .terms import combined


class Subspaces(nn.Module):
    """A metric loss on the whole embedding, plus the mean over meta-classes of one on their parts.

    The part of a meta-class sees its own cases only. A meta-class with one class has nothing to tell apart
    and gets no part. The whole is compared at inference, where nobody knows the meta-class.

    Args:
        settings: see `SubspaceSettings`.
        metas: (C,), the meta-class of each class.
        dimension: D of the whole; the parts share it in order, alike to one.

    Raises:
        RecipeError: if no meta-class has two classes, or the embedding is too narrow to be split.

    >>> spaces = Subspaces(SubspaceSettings(), metas=[0, 0, 1, 1, 2], dimension=8)
    >>> {meta: (part.start, part.stop) for meta, part in spaces.parts.items()}
    {0: (0, 4), 1: (4, 8)}
    """

    metas: Tensor
    places: Tensor

    def __init__(self, settings: SubspaceSettings, metas: Sequence[int], dimension: int) -> None:
        super().__init__()
        self.register_buffer("metas", torch.tensor(metas), persistent=False)
        within = [list(metas[:label]).count(meta) for label, meta in enumerate(metas)]
        self.register_buffer("places", torch.tensor(within), persistent=False)
        self.parts_weight = settings.parts_weight
        self.parts = parts_of(metas, dimension)
        self.whole = metric_loss(settings.loss, len(metas), dimension)
        self.losses = nn.ModuleList(
            metric_loss(settings.loss, list(metas).count(meta), part.stop - part.start)
            for meta, part in self.parts.items()
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> Term:
        """Both, counted once a case with a label.

        Args:
            embeddings: (B, D).
            labels: (B,) class numbers, -1 for unknown.
        """
        known = labels >= 0
        if known.any():
            check_labels(labels[known], len(self.metas))
        metas = torch.where(known, self.metas[labels.clamp(min=0)], -1)
        places = self.places[labels.clamp(min=0)]  # the number of each class among those of its meta-class
        terms = {"whole": (1.0, self.whole(embeddings, labels))}
        share = self.parts_weight / len(self.parts)
        for (meta, part), loss in zip(self.parts.items(), self.losses, strict=True):
            own = torch.where(metas == meta, places, -1)
            terms[f"part {meta}"] = (share, loss(embeddings[:, part], own))
        return combined(terms, known.sum())


def parts_of(metas: Sequence[int], dimension: int) -> dict[int, slice]:
    """The columns of each meta-class that has several classes, as alike in number as the width allows.

    Raises:
        RecipeError: if there is no such meta-class, or there are more of them than columns.
    """
    several = sorted({meta for meta in metas if list(metas).count(meta) > 1})
    if not several:
        raise RecipeError("sub-spaces need a meta-class with two classes, but every class is its own.")
    if dimension < len(several):
        raise RecipeError(
            f"an embedding of {dimension} cannot be split among {len(several)} meta-classes; take a wider"
            " one."
        )
    edges = [dimension * place // len(several) for place in range(len(several) + 1)]
    return {meta: slice(*edges[place : place + 2]) for place, meta in enumerate(several)}


class SubspacesObjective(Objective):
    """The recipe's objective `subspaces`: the embedding of the leaf, split by the level above it.

    Args:
        settings: see `SubspaceSettings`.
        context: gives the path of every leaf class.

    Raises:
        RecipeError: if there is no level above the leaf.
    """

    def __init__(self, settings: SubspaceSettings, context: Context) -> None:
        super().__init__()
        self.level, dimension = context.embedding("subspaces")
        paths = context.known("subspaces").paths
        if paths.shape[1] < 2:
            raise RecipeError("subspaces need a level above the leaf, but the hierarchy has one level only.")
        self.loss = Subspaces(settings, paths[:, 1].tolist(), dimension)

    def forward(self, output: Output, batch: Record) -> Term:
        """The loss of the batch."""
        return self.loss(output.embeddings[self.level], batch.fields[f"label.{self.level}"])
