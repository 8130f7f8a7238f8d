"""CLIP on small sets: images and texts of one class belong together, however many there are of each.

Source: thesis on privileged information, sections 3.3.2.5 and 3.5.1.2, after Radford et al., "Learning
transferable visual models from natural language supervision", ICML 2021. The cross-entropy over a whole batch
becomes a binary one a pair, so that an image may match several texts, and a triplet term is added. The thesis
states no scale and no bias; as in CLIP and in Zhai et al., "Sigmoid loss for language image pre-training",
ICCV 2023, both are learned.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sonoprior.core.checks import one_of
from sonoprior.core.errors import RecipeError

from .base import Context, Objective, Output, Record, Term, TextSpace
from .embedding_settings import ClipSettings
from .terms import combined, no_term
from .tuple_losses import Triplet, over_items


class Clip(nn.Module):
    """Binary cross-entropy over pairs of an image and a text, plus a triplet term over the images.

    Args:
        settings: see `ClipSettings`.

    >>> clip = Clip(ClipSettings())
    >>> images, labels = torch.rand(4, 8), torch.tensor([0, 0, 1, -1])
    >>> captions = torch.rand(2, 8)  # one a class
    >>> sorted(clip(images, labels, captions, torch.tensor([0, 1])).monitors)
    ['pairs', 'triplet']
    """

    def __init__(self, settings: ClipSettings) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(settings.scale)))
        self.bias = nn.Parameter(torch.tensor(settings.bias))
        self.triplet_weight = settings.triplet_weight
        self.triplet = Triplet(settings.triplet, classes=0, dimension=0)  # it has no proxies

    def forward(self, images: Tensor, labels: Tensor, texts: Tensor, text_labels: Tensor) -> Term:
        """Both terms, counted once an image with a label; a zero on the graph if no pair is of two classes.

        Args:
            images: (B, D), embeddings.
            labels: (B,) class numbers, -1 for unknown.
            texts: (T, D), embeddings of one text an image, one a class, or any others; a frozen encoder's
                without a graph.
            text_labels: (T,) class numbers, -1 for unknown.

        Raises:
            RecipeError: if images and texts do not have the same width.
        """
        if images.shape[1] != texts.shape[1]:
            raise RecipeError(
                "images and texts need embeddings of one width, but got"
                f" {tuple(images.shape)} and {tuple(texts.shape)}."
            )
        known, said = labels >= 0, text_labels >= 0
        match = labels[known][:, None] == text_labels[said]
        if match.all():  # so it is where there are no pairs
            return no_term(images, texts, parameters=self.parameters())
        with torch.autocast(images.device.type, enabled=False):
            logits = self.logits(images[known].to(self.bias.dtype), texts[said].to(self.bias.dtype))
            pairs = functional.binary_cross_entropy_with_logits(logits, match.to(logits), reduction="none")
        parts = {
            "pairs": (1.0, over_items(pairs)),
            "triplet": (self.triplet_weight, self.triplet(images, labels)),
        }
        return combined(parts, known.sum())

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Of "this image and this text belong together", for (n, D) and (m, D): (n, m)."""
        return self.log_scale.exp() * functional.normalize(images) @ functional.normalize(texts).T + self.bias


class ClipObjective(Objective):
    """The recipe's objective `clip`: images against the captions of the classes in the batch, at one level.

    Args:
        settings: see `ClipSettings`.
        context: gives what is said of the classes.
    """

    def __init__(self, settings: ClipSettings, context: Context) -> None:
        super().__init__()
        self.level, dimension = context.embedding("clip", settings.level)
        knowledge = context.known("clip")
        one_of("the level of clip", self.level, knowledge.classes, RecipeError)
        self.texts = knowledge.texts(self.level, dimension, trained=settings.text == "trained")
        self.text_space = TextSpace(self.level, self.texts)
        self.loss = Clip(settings)

    def forward(self, output: Output, batch: Record) -> Term:
        """The loss of the batch; each class that occurs has its caption once."""
        images, labels = output.embeddings[self.level], batch.fields[f"label.{self.level}"]
        classes = labels[labels >= 0].unique()
        if not len(classes):
            return no_term(images, parameters=self.parameters())
        return self.loss(images, labels, self.texts(classes), classes)
