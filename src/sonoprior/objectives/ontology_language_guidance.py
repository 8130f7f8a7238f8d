"""Ontology Language Guidance: language guidance at every level of the hierarchy.

Source: thesis on privileged information, section 3.4.2.2, eq 3.14. Its first sum is the Semantic
Abstraction Loss; this is the second. A recipe names both. With a weight for the leaf alone it is Expert
Language Guidance, section 3.3.2.6, eq 3.10.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from .base import Context, Objective, Output, Record, Term
from .embedding_settings import OntologyLanguageGuidanceSettings
from .inputs import labels_of
from .language_guidance import LanguageGuidance
from .semantic_abstraction import labelled, level_labels, one_each
from .terms import combined, no_term


class OntologyLanguageGuidance(nn.Module):
    """The sum over levels of w_l times the matching loss of eq 3.9.

    Args:
        settings: see `OntologyLanguageGuidanceSettings`.
        similarities: level name to (C_l, C_l) between its classes, the leaf first; None for a level whose
            cases bring their similarity in every batch.

    Raises:
        RecipeError: if there is not one weight a level.

    >>> import torch
    >>> settings = OntologyLanguageGuidanceSettings(weights=(1, 0.5))
    >>> guidance = OntologyLanguageGuidance(settings, {"view": torch.eye(3), "meta": torch.eye(2)})
    >>> labels = {"view": torch.tensor([0, 1, 2]), "meta": torch.tensor([0, 0, 1])}
    >>> term = guidance({"view": torch.rand(3, 4), "meta": torch.rand(3, 4)}, labels)
    >>> sorted(term.monitors)
    ['meta', 'view']
    """

    def __init__(
        self, settings: OntologyLanguageGuidanceSettings, similarities: Mapping[str, Tensor | None]
    ) -> None:
        super().__init__()
        self.levels = tuple(similarities)
        one_each("weights", settings.weights, self.levels)
        self.weights = settings.weights
        self.guidance = nn.ModuleList(
            LanguageGuidance(settings.guidance, similarity) for similarity in similarities.values()
        )

    def forward(
        self,
        embeddings: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        text: Mapping[str, Tensor] | None = None,
    ) -> Term:
        """The sum, counted once a case that has a label at any level; a level of weight 0 is left out.

        Args:
            embeddings: level name to (B, D), normalised or not.
            labels: level name to (B,) class numbers, -1 for unknown.
            text: level name to (B, B), similarities of what is said of these cases at that level.
        """
        said = text or {}
        parts = {
            level: (
                weight,
                guidance(embeddings[level], labels_of(level, labels), said.get(level))
                if weight
                else no_term(embeddings[level]),
            )
            for level, weight, guidance in zip(self.levels, self.weights, self.guidance, strict=True)
        }
        return combined(parts, labelled(self.levels, labels))


class LanguageGuidanceObjective(Objective):
    """The recipe's objective `language_guidance`.

    Args:
        settings: see `OntologyLanguageGuidanceSettings`.
        context: gives the levels and what is said of their classes.
    """

    def __init__(self, settings: OntologyLanguageGuidanceSettings, context: Context) -> None:
        super().__init__()
        knowledge = context.known("language_guidance")
        one_each("weights", settings.weights, tuple(knowledge.classes))
        said: dict[str, Tensor | None] = {}
        for level, weight in zip(knowledge.classes, settings.weights, strict=True):
            context.embedding("language_guidance", level)
            said[level] = knowledge.similarity(level) if weight else None
        self.loss = OntologyLanguageGuidance(settings, said)

    def forward(self, output: Output, batch: Record) -> Term:
        """The sum of the batch."""
        return self.loss(output.embeddings, level_labels(self.loss.levels, batch))
