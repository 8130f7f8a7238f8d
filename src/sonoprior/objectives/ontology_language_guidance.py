"""Ontology Language Guidance: language guidance at every level of the hierarchy.

Source: thesis on privileged information, section 3.4.2.2, eq 3.14.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from sonoprior.core.errors import RecipeError

from .base import Term
from .embedding_settings import OntologyLanguageGuidanceSettings
from .inputs import labels_of
from .language_guidance import LanguageGuidance
from .semantic_abstraction import SemanticAbstraction, one_each
from .terms import combined, no_term


class OntologyLanguageGuidance(nn.Module):
    """Eq 3.14: at each level alpha_l times a metric loss plus w_l times the matching loss.

    Args:
        settings: see `OntologyLanguageGuidanceSettings`.
        features: the width of the shared features.
        classes: level name to how many classes it has; the leaf first, then upwards.
        similarities: level name to (C_l, C_l) between its classes; a level that is not named needs the
            similarity of its cases in every batch, unless its weight is 0.

    Raises:
        RecipeError: if there is not one weight a level, or a similarity does not fit the classes.

    >>> import torch
    >>> from sonoprior.objectives.embedding_settings import SemanticAbstractionSettings
    >>> settings = OntologyLanguageGuidanceSettings(
    ...     weights=(1, 0.5), abstraction=SemanticAbstractionSettings(alphas=(1, 0.5), dimension=4)
    ... )
    >>> similarities = {"view": torch.eye(3), "meta": torch.eye(2)}
    >>> guided = OntologyLanguageGuidance(settings, 8, {"view": 3, "meta": 2}, similarities)
    >>> labels = {"view": torch.tensor([0, 1, 2]), "meta": torch.tensor([0, 0, 1])}
    >>> term = guided(torch.rand(3, 8), labels)
    >>> sorted(term.monitors)
    ['guidance.meta', 'guidance.view', 'meta', 'view']
    """

    def __init__(
        self,
        settings: OntologyLanguageGuidanceSettings,
        features: int,
        classes: Mapping[str, int],
        similarities: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.abstraction = SemanticAbstraction(settings.abstraction, features, classes)
        one_each("weights", settings.weights, self.abstraction.levels)
        for level, similarity in similarities.items():
            if len(similarity) != classes.get(level, 0):
                raise RecipeError(
                    f"level '{level}' has {classes.get(level, 0)} classes, but its similarity has"
                    f" {len(similarity)} rows."
                )
        self.weights = settings.weights
        self.guidance = nn.ModuleList(
            LanguageGuidance(settings.guidance, similarities.get(level)) for level in classes
        )

    def forward(
        self, features: Tensor, labels: Mapping[str, Tensor], text: Mapping[str, Tensor] | None = None
    ) -> Term:
        """Eq 3.14, counted once a case that has a label at any level.

        Args:
            features: (B, F), shared by all levels.
            labels: level name to (B,) class numbers, -1 for unknown.
            text: level name to (B, B), similarities of what is said of these cases at that level.
        """
        embeddings = self.abstraction.embeddings(features)
        parts = self.abstraction.terms(embeddings, labels)
        for level, weight, guidance in zip(self.abstraction.levels, self.weights, self.guidance, strict=True):
            said = (text or {}).get(level)
            matched = (
                guidance(embeddings[level], labels_of(level, labels), said)
                if weight
                else no_term(embeddings[level])
            )
            parts[f"guidance.{level}"] = (weight, matched)
        return combined(parts, self.abstraction.labelled(labels))

    def embed(self, features: Tensor) -> Tensor:
        """What is compared at inference; see `SemanticAbstraction.embed`."""
        return self.abstraction.embed(features)
