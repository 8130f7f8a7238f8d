"""DINO: one view is sorted as a momentum network sorts the other, among prototypes that nobody named.

Source: Caron et al., "Emerging properties in self-supervised vision transformers", ICCV 2021, section 3.1,
with the two whole views alone and no smaller crops. Loss and head are lightly's.
"""

import torch

from . import lightly_parts
from .base import Context, Records, Term, Views
from .leaf_views import LeafViewsObjective
from .momentum import MomentumNetwork
from .self_supervised_settings import DinoSettings
from .terms import no_term


class DinoObjective(LeafViewsObjective):
    """The recipe's objective `dino`: cross-entropy between the two networks, over both directions.

    Args:
        settings: see `DinoSettings`.
        context: gives the network and its embedding, which takes the place of the backbone's features.

    Raises:
        MissingExtraError: if lightly is not installed.
        RecipeError: if the network has no embedding.
    """

    def __init__(self, settings: DinoSettings, context: Context) -> None:
        super().__init__("dino", settings.stream, context)
        widths = (self.dimension, settings.hidden, settings.bottleneck, settings.prototypes)
        self.projection = lightly_parts.dino_head(*widths)
        self.teacher = MomentumNetwork(
            settings, context.network, self.projection, lightly_parts.dino_head(*widths)
        )
        self.loss = lightly_parts.losses().DINOLoss(
            output_dim=settings.prototypes,
            teacher_temp=settings.teacher_temperature,
            student_temp=settings.temperature,
            center_momentum=settings.center_momentum,
        )

    def forward(self, outputs: Views, batches: Records) -> Term:
        """Summed over the images; a zero on the graph if there are none. The running mean follows."""
        embeddings = self.embeddings(outputs)
        images = len(embeddings[0])
        if images == 0:
            return no_term(*embeddings, parameters=self.projection.parameters())
        teacher = [
            self.teacher(batches[view].fields["image"], outputs[view], self.level) for view in self.views
        ]
        with torch.autocast(embeddings[0].device.type, enabled=False):
            student = [self.projection(each.float()) for each in embeddings]
            mean = self.loss(teacher, student)
        return Term(mean * images, torch.tensor(images, device=mean.device))

    def after_step(self) -> None:
        """The momentum network follows."""
        self.teacher.follow()
