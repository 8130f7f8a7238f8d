"""Semantic Abstraction Loss: one embedding a level of the hierarchy, all from the same features.

Source: thesis on privileged information, section 3.4.1, eqs 3.11 to 3.13. The print has f after phi; what is
meant is a projection phi^l after the shared features f.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import RecipeError

from .base import Term
from .embedding_settings import SemanticAbstractionSettings
from .inputs import labels_of
from .metric_losses import metric_loss
from .terms import combined, no_term


class SemanticAbstraction(nn.Module):
    """Projections, and the weighted sum of the metric losses of all levels.

    At inference only `embed` is needed, and no label of any level.

    Args:
        settings: weights, losses, and what is compared at inference.
        features: the width of the shared features.
        classes: level name to how many classes it has; the leaf first, then upwards.

    Raises:
        RecipeError: if there is not one weight a level, a level that is named does not exist, or a level has
            one class only.

    >>> settings = SemanticAbstractionSettings(alphas=(1, 0.5), dimension=4)
    >>> abstraction = SemanticAbstraction(settings, features=8, classes={"view": 18, "meta": 5})
    >>> labels = {"view": torch.tensor([0, 0, 1]), "meta": torch.tensor([0, 0, 0])}
    >>> features = torch.rand(3, 8)
    >>> term = abstraction(features, labels)
    >>> sorted(term.monitors)
    ['meta', 'view']
    >>> abstraction.embed(features).shape
    torch.Size([3, 4])
    """

    def __init__(
        self, settings: SemanticAbstractionSettings, features: int, classes: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.levels = tuple(classes)
        one_each("alphas", settings.alphas, self.levels)
        _known_levels("level_losses", settings.level_losses, self.levels)
        for level, count in classes.items():
            if count < 2:
                raise RecipeError(f"a level needs at least 2 classes, but level '{level}' has {count}.")
        self.alphas = settings.alphas
        self.inference = self.levels[:1] if settings.inference == "leaf" else settings.inference
        _known_levels("inference", self.inference, self.levels)
        self.projections = nn.ModuleList(nn.Linear(features, settings.dimension) for _ in self.levels)
        self.losses = nn.ModuleList(
            metric_loss(settings.level_losses.get(level, settings.loss), count, settings.dimension)
            for level, count in classes.items()
        )

    def forward(self, features: Tensor, labels: Mapping[str, Tensor]) -> Term:
        """Eq 3.13, counted once a case that has a label at any level.

        Args:
            features: (B, F), shared by all levels.
            labels: level name to (B,) class numbers, -1 for unknown.
        """
        return combined(self.terms(self.embeddings(features), labels), self.labelled(labels))

    def embeddings(self, features: Tensor) -> dict[str, Tensor]:
        """Eqs 3.11 and 3.12: level name to the normalised embedding (B, D)."""
        return {level: functional.normalize(each) for level, each in self.projected(features).items()}

    def projected(self, features: Tensor) -> dict[str, Tensor]:
        """The embeddings before they are normalised, (B, D) by level; what attribution takes."""
        return {
            level: projection(features)
            for level, projection in zip(self.levels, self.projections, strict=True)
        }

    def embed(self, features: Tensor) -> Tensor:
        """What is compared at inference: (B, D) for the leaf, (B, n D) for n levels; normalised."""
        found = self.embeddings(features)
        return functional.normalize(torch.cat([found[level] for level in self.inference], 1))

    def terms(
        self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> dict[str, tuple[float, Term]]:
        """Level name to its weight and its metric loss; where the weight is 0, nothing is compared.

        Raises:
            RecipeError: if a level that counts has no labels.
        """
        return {
            level: (
                alpha,
                loss(embeddings[level], labels_of(level, labels)) if alpha else no_term(embeddings[level]),
            )
            for level, alpha, loss in zip(self.levels, self.alphas, self.losses, strict=True)
        }

    def labelled(self, labels: Mapping[str, Tensor]) -> Tensor:
        """How many cases have a label at any level, a scalar."""
        there = [labels[level] >= 0 for level in self.levels if level in labels]
        return torch.stack(there).any(0).sum()


def one_each(what: str, weights: tuple[float, ...], levels: tuple[str, ...]) -> None:
    """Refuse weights that are not one a level.

    Raises:
        RecipeError: naming the levels in their order.
    """
    if len(weights) != len(levels):
        raise RecipeError(
            f"{what} needs one weight a level, the leaf's first ({listed(levels)}: {len(levels)}), but got"
            f" {len(weights)}."
        )


def _known_levels(what: str, named: Mapping[str, object] | tuple[str, ...], levels: tuple[str, ...]) -> None:
    for level in named:
        if level not in levels:
            raise RecipeError(
                f"{what} names the level '{level}', but the levels are {listed(levels)}."
                f"{nearest(level, levels)}"
            )
