"""NT-Xent: the two views of an image shall find each other among all views of the batch.

Source: Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020, eq 1.
Beside a cross-entropy on the labels in one training it is a dual task.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.errors import RecipeError

from .base import Context, Records, Term, Views
from .contrastive_settings import NTXentSettings
from .language_guidance import cosines
from .leaf_views import LeafViewsObjective
from .projection import Projection
from .terms import counted, no_term


class NTXent(nn.Module):
    """-log of the softmax over the cosines to all other views of the batch, at the other view of the image.

    Negatives are the views of this batch on this process; several processes or accumulated batches do not
    see each other's.

    Args:
        settings: see `NTXentSettings`.

    >>> loss = NTXent(NTXentSettings(temperature=1))
    >>> term = loss(torch.eye(2), torch.eye(2))
    >>> term.total / term.count  # log(e + 1 + 1) - 1
    tensor(0.5514)
    """

    def __init__(self, settings: NTXentSettings) -> None:
        super().__init__()
        self.temperature = settings.temperature

    def forward(self, first: Tensor, second: Tensor) -> Term:
        """The sum over both views of every image, and their number 2 B; a zero on the graph below two images.

        Args:
            first: (B, D), the projections of one view of each image, normalised or not.
            second: (B, D), of the other view.

        Returns:
            The term; its monitor says for how many views the other view of the image is the nearest.

        Raises:
            RecipeError: if the shapes do not fit.
        """
        check_views(first, second)
        images = len(first)
        if images < 2:
            return no_term(first, second)
        with torch.autocast(first.device.type, enabled=False):
            scaled = other_views(first, second) / self.temperature
            partner = torch.arange(2 * images, device=scaled.device).roll(images)
            total = functional.cross_entropy(scaled, partner, reduction="sum")
        found = (scaled.detach().argmax(1) == partner).sum()
        count = counted(2 * images, total)
        return Term(total, count, {"partner_is_nearest": (found, count)})


def check_views(first: Tensor, second: Tensor) -> None:
    """Refuse what is not two views of the same images.

    Raises:
        RecipeError: with the shapes that came.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise RecipeError(
            "the two views of a batch must have embeddings of one shape (B, D), but got"
            f" {tuple(first.shape)} and {tuple(second.shape)}."
        )


def other_views(first: Tensor, second: Tensor) -> Tensor:
    """The cosine of every two of the 2 B views, single precision at least: (2 B, 2 B), -inf on its diagonal.

    Args:
        first: (B, D).
        second: (B, D).
    """
    views = torch.cat([first, second])
    found = cosines(views.to(torch.promote_types(views.dtype, torch.float32)))
    return found.masked_fill(torch.eye(len(found), dtype=torch.bool, device=found.device), -torch.inf)


class NTXentObjective(LeafViewsObjective):
    """The recipe's objective `nt_xent`, on the leaf's embedding through a projection of the objective's own.

    Beside `cross_entropy` on the labelled stream it is the contrastive half of the dual task.

    Args:
        settings: see `NTXentSettings`.
        context: gives the embedding.

    Raises:
        RecipeError: if the network has no embedding.
    """

    recordable = True

    def __init__(self, settings: NTXentSettings, context: Context) -> None:
        super().__init__("nt_xent", settings.stream, context)
        self.projection = Projection(self.dimension, settings.projection)
        self.loss = NTXent(settings)

    def forward(self, outputs: Views, batches: Records) -> Term:  # noqa: ARG002 - the outputs say it all
        """The loss of the batch."""
        first, second = self.embeddings(outputs)
        return self.loss(self.projection(first), self.projection(second))
