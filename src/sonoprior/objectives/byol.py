"""BYOL: one view predicts what a momentum network makes of the other view of the image.

Source: Grill et al., "Bootstrap your own latent", NeurIPS 2020, section 3.1. Loss and heads are lightly's.
"""

import torch

from . import lightly_parts
from .base import Context, Records, Term, Views
from .leaf_views import LeafViewsObjective
from .momentum import MomentumNetwork
from .self_supervised_settings import ByolSettings
from .terms import no_term


class ByolObjective(LeafViewsObjective):
    """The recipe's objective `byol`: minus the cosine of prediction and target, over both directions.

    No image is compared with another, so there are no negatives; what keeps all embeddings from becoming one
    is that the prediction is trained and the target follows behind.

    Args:
        settings: see `ByolSettings`.
        context: gives the network and its embedding, which takes the place of the backbone's features.

    Raises:
        MissingExtraError: if lightly is not installed.
        RecipeError: if the network has no embedding.
    """

    def __init__(self, settings: ByolSettings, context: Context) -> None:
        super().__init__("byol", settings.stream, context)
        losses, heads = lightly_parts.losses(), lightly_parts.heads()
        widths = (self.dimension, settings.hidden, settings.projection)
        self.projection = heads.BYOLProjectionHead(*widths)
        self.prediction = heads.BYOLPredictionHead(settings.projection, settings.hidden, settings.projection)
        self.target = MomentumNetwork(
            settings, context.network, self.projection, heads.BYOLProjectionHead(*widths)
        )
        self.loss = losses.NegativeCosineSimilarity()

    def forward(self, outputs: Views, batches: Records) -> Term:
        """Summed over the images; a zero on the graph below two, which have no batch statistics."""
        embeddings = self.embeddings(outputs)
        images = len(embeddings[0])
        if images < 2:
            trained = [*self.projection.parameters(), *self.prediction.parameters()]
            return no_term(*embeddings, parameters=trained)
        with torch.autocast(embeddings[0].device.type, enabled=False):
            first, second = (self.prediction(self.projection(each.float())) for each in embeddings)
        of_first, of_second = (
            self.target(batches[view].fields["image"], outputs[view], self.level) for view in self.views
        )
        mean = (self.loss(first, of_second) + self.loss(second, of_first)) / 2
        return Term(mean * images, torch.tensor(images, device=mean.device))

    def after_step(self) -> None:
        """The momentum network follows."""
        self.target.follow()
