"""Language guidance: similarities of images shall look like similarities of what is said of them.

What is said is any similarity of classes or of cases: cosines of the embeddings of captions by a frozen text
encoder, or the similarity of terms in an ontology.

Source: thesis on privileged information, sections 3.3.2.6 and 3.4.2.2, eq 3.9, after Roth, Vinyals
and Akata, "Integrating language guidance into vision-based deep metric learning", CVPR 2022.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.errors import RecipeError

from .base import Term
from .embedding_settings import LanguageGuidanceSettings
from .inputs import check_batch, check_labels, check_similarity
from .terms import counted, no_term


def cosines(embeddings: Tensor) -> Tensor:
    """The cosine of every two rows of (n, D): (n, n)."""
    unit = functional.normalize(embeddings)
    return unit @ unit.T


def matching_term(image: Tensor, text: Tensor, labels: Tensor, settings: LanguageGuidanceSettings) -> Term:
    """Eq 3.9: the divergence of the row-wise softmaxes, as a sum over rows and their number.

    Args:
        image: (n, n), similarities of images, on the graph.
        text: (n, n), similarities of what is said of them.
        labels: (n,), all known.
        settings: temperature, direction, and what becomes of entries of one class.
    """
    same = labels[:, None] == labels
    if settings.same_class == "mask":
        rows = ~same.all(1)  # in a batch of one class nothing is left to compare
        return _summed(divergences(image[rows], text[rows], settings, without=same[rows]))
    if settings.same_class == "clamp":
        clamped = 1 + settings.gamma
        image = image.masked_fill(same, clamped)
        text = (text + settings.gamma).masked_fill(same, clamped)
    return _summed(divergences(image, text, settings))


def divergences(
    image: Tensor, text: Tensor, settings: LanguageGuidanceSettings, without: Tensor | None = None
) -> Tensor:
    """The Kullback-Leibler divergence of the softmaxes of each row of two matrices (n, m): (n,).

    Args:
        image: similarities.
        text: similarities.
        settings: temperature and direction.
        without: (n, m), the entries that are left out of both softmaxes; at least one stays in each row.
    """
    absent = torch.zeros_like(image, dtype=torch.bool) if without is None else without
    logs = [
        functional.log_softmax((matrix / settings.temperature).masked_fill(absent, -torch.inf), 1)
        for matrix in (image, text)
    ]
    left, right = logs if settings.direction == "image||text" else reversed(logs)
    return (left.exp() * (left - right).masked_fill(absent, 0)).sum(1)


def _summed(rows: Tensor) -> Term:
    return Term(rows.sum(), counted(len(rows), rows))


class LanguageGuidance(nn.Module):
    """The matching loss with what is said of the classes, or of the cases, at hand.

    Args:
        settings: see `LanguageGuidanceSettings`.
        similarity: (C, C) between classes, frozen; None if every batch brings its own.

    Raises:
        RecipeError: if the similarity is not a square matrix of finite numbers.

    >>> guidance = LanguageGuidance(LanguageGuidanceSettings(), torch.eye(3))
    >>> term = guidance(torch.rand(4, 8), torch.tensor([0, 1, 2, -1]))
    >>> int(term.count)
    3
    """

    similarity: Tensor | None

    def __init__(self, settings: LanguageGuidanceSettings, similarity: Tensor | None = None) -> None:
        super().__init__()
        if similarity is not None:
            check_similarity(similarity)
        self.settings = settings
        self.register_buffer("similarity", similarity, persistent=False)

    def forward(self, embeddings: Tensor, labels: Tensor, text: Tensor | None = None) -> Term:
        """Eq 3.9 over the cases with a label; a zero on the graph if there is none.

        Args:
            embeddings: (B, D), of images.
            labels: (B,) class numbers, -1 for unknown.
            text: (B, B), similarities of what is said of these cases, instead of that of their classes.

        Raises:
            RecipeError: if there is neither, a shape does not fit, or a label lies beyond the classes.
        """
        check_batch(embeddings, labels)
        if text is not None and text.shape != 2 * labels.shape:
            raise RecipeError(
                f"the similarity of {len(labels)} cases must be a square matrix of theirs, but got"
                f" {tuple(text.shape)}."
            )
        known = labels >= 0
        if not known.any():
            return no_term(embeddings)
        wanted = self._of_classes(labels[known]) if text is None else text[known][:, known]
        with torch.autocast(embeddings.device.type, enabled=False):  # differences of cosines are small
            image = cosines(embeddings[known].to(torch.promote_types(embeddings.dtype, torch.float32)))
            return matching_term(image, wanted.detach().to(image), labels[known], self.settings)

    def _of_classes(self, labels: Tensor) -> Tensor:
        if self.similarity is None:
            raise RecipeError("language guidance needs a similarity of classes, or one of the batch's cases.")
        check_labels(labels, len(self.similarity))
        return self.similarity[labels][:, labels]
