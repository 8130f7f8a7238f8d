"""Semantic Abstraction Loss: one embedding a level of the hierarchy, all from the same features.

Source: thesis on privileged information, section 3.4.1, eqs 3.11 to 3.13. The projections of the first two
are the network's own (`models.heads`).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import SemanticAbstractionSettings
from .inputs import labels_of
from .metric_losses import metric_loss
from .terms import combined, no_term


class SemanticAbstraction(nn.Module):
    """The weighted sum of the metric losses of all levels, eq 3.13.

    Args:
        settings: weights and losses.
        classes: level name to how many classes it has; the leaf first, then upwards.
        dimension: D of each level's embedding.

    Raises:
        RecipeError: if there is not one weight a level, a level that is named does not exist, or a level has
            one class only.

    >>> settings = SemanticAbstractionSettings(alphas=(1, 0.5))
    >>> abstraction = SemanticAbstraction(settings, classes={"view": 18, "meta": 5}, dimension=4)
    >>> labels = {"view": torch.tensor([0, 0, 1]), "meta": torch.tensor([0, 0, 0])}
    >>> term = abstraction({"view": torch.rand(3, 4), "meta": torch.rand(3, 4)}, labels)
    >>> sorted(term.monitors)
    ['meta', 'view']
    """

    def __init__(
        self, settings: SemanticAbstractionSettings, classes: Mapping[str, int], dimension: int
    ) -> None:
        super().__init__()
        self.levels = tuple(classes)
        one_each("alphas", settings.alphas, self.levels)
        _known_levels("level_losses", settings.level_losses, self.levels)
        for level, count in classes.items():
            if count < 2:
                raise RecipeError(f"a level needs at least 2 classes, but level '{level}' has {count}.")
        self.alphas = settings.alphas
        self.losses = nn.ModuleList(
            metric_loss(settings.level_losses.get(level, settings.loss), count, dimension)
            for level, count in classes.items()
        )

    def forward(self, embeddings: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Term:
        """Eq 3.13, counted once a case that has a label at any level.

        Where the weight of a level is 0, nothing is compared there.

        Args:
            embeddings: level name to (B, D), normalised or not.
            labels: level name to (B,) class numbers, -1 for unknown.

        Raises:
            RecipeError: if a level that counts has no labels.
        """
        parts = {
            level: (
                alpha,
                loss(embeddings[level], labels_of(level, labels)) if alpha else no_term(embeddings[level]),
            )
            for level, alpha, loss in zip(self.levels, self.alphas, self.losses, strict=True)
        }
        return combined(parts, labelled(self.levels, labels))


class SemanticAbstractionObjective(Objective):
    """The recipe's objective `semantic_abstraction`, on the levels of the hierarchy.

    Args:
        settings: see `SemanticAbstractionSettings`.
        context: gives the levels, their sizes and the width of the embeddings.
    """

    def __init__(self, settings: SemanticAbstractionSettings, context: Context) -> None:
        super().__init__()
        levels = tuple(context.known("semantic_abstraction").classes)
        widths = [context.embedding("semantic_abstraction", level)[1] for level in levels]
        self.loss = SemanticAbstraction(
            settings, {level: context.sizes[level] for level in levels}, widths[0]
        )

    def forward(self, output: Output, batch: Record) -> Term:
        """Eq 3.13 of the batch."""
        return self.loss(output.embeddings, level_labels(self.loss.levels, batch))


def level_labels(levels: Sequence[str], batch: Record) -> dict[str, Tensor]:
    """The labels of a batch by level, (B,) each."""
    return {level: batch.fields[f"label.{level}"] for level in levels}


def labelled(levels: Sequence[str], labels: Mapping[str, Tensor]) -> Tensor:
    """How many cases have a label at any level, a scalar."""
    return torch.stack([labels[level] >= 0 for level in levels if level in labels]).any(0).sum()


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
