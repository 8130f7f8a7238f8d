"""VICReg: two views are alike, no dimension is constant, and no two of them say the same.

Source: Bardes, Ponce and LeCun, "VICReg: variance-invariance-covariance regularization for self-supervised
learning", ICLR 2022, section 4. Loss and head are lightly's.
"""

import torch

from . import lightly_parts
from .base import Context, Records, Term, Views
from .leaf_views import LeafViewsObjective
from .self_supervised_settings import VicregSettings
from .terms import no_term


class VicregObjective(LeafViewsObjective):
    """The recipe's objective `vicreg`, counted once an image.

    Variance and covariance are those of a batch on its process; over several the term is the mean of their
    losses, weighted by images.

    Args:
        settings: see `VicregSettings`.
        context: gives the embedding, which takes the place of the backbone's features.

    Raises:
        MissingExtraError: if lightly is not installed.
        RecipeError: if the network has no embedding.
    """

    def __init__(self, settings: VicregSettings, context: Context) -> None:
        super().__init__("vicreg", settings.stream, context)
        self.projection = lightly_parts.heads().VICRegProjectionHead(
            self.dimension, settings.hidden, settings.projection
        )
        self.loss = lightly_parts.losses().VICRegLoss(
            lambda_param=settings.invariance, mu_param=settings.variance, nu_param=settings.covariance
        )

    def forward(self, outputs: Views, batches: Records) -> Term:  # noqa: ARG002 - the outputs say it all
        """The loss of the batch; a zero on the graph below two images, which have no variance."""
        embeddings = self.embeddings(outputs)
        images = len(embeddings[0])
        if images < 2:
            return no_term(*embeddings, parameters=self.parameters())
        with torch.autocast(embeddings[0].device.type, enabled=False):
            first, second = (self.projection(each.float()) for each in embeddings)
            mean = self.loss(first, second)
        return Term(mean * images, torch.tensor(images, device=mean.device))
