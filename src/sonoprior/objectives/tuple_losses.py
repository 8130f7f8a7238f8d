"""Losses that compare the cases of a batch with each other, in pairs or triplets."""

from typing import Any

import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity, LpDistance
from pytorch_metric_learning.reducers import DoNothingReducer
from torch import Tensor

from .base import Term
from .inputs import check_labels
from .metric_loss_settings import (
    ContrastiveSettings,
    MarginSettings,
    MultiSimilaritySettings,
    NPairSettings,
    TripletSettings,
)
from .metric_losses import MetricLoss
from .terms import combined, counted, no_term


def over_items(values: Tensor) -> Term:
    """The sum of losses (n,), and how many they are."""
    return Term(values.sum(), torch.tensor(values.numel(), device=values.device))


def over_informative(values: Tensor) -> Term:
    """The sum of losses (n,), and how many of them are above 0."""
    return Term(values.sum(), (values > 0).sum())


def distance_weighted(
    settings: ContrastiveSettings | TripletSettings | MarginSettings,
) -> miners.DistanceWeightedMiner:
    """Draws as many triplets for each anchor as its class has cases, and their negatives by distance.

    The probability of a negative is inverse to how often its distance occurs on the sphere.

    Source: Wu et al., "Sampling matters in deep embedding learning", ICCV 2017, section 4.1.
    """
    return miners.DistanceWeightedMiner(
        settings.cutoff, nonzero_loss_cutoff=settings.farthest, distance=LpDistance()
    )


class Contrastive(MetricLoss):
    """Eq 3.2: D^2 for two cases of one class, max(margin - D, 0)^2 for two of two classes.

    Negative pairs are many and positive ones few; so each side is averaged over its own pairs, and the two
    means are added.

    Source: Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.
    """

    def __init__(self, settings: ContrastiveSettings, classes: int, dimension: int) -> None:  # noqa: ARG002
        super().__init__()
        self.draws = settings.sampling == "distance_weighted"
        self.miner = distance_weighted(settings) if self.draws else None
        self.loss = losses.ContrastiveLoss(
            pos_margin=0,
            neg_margin=settings.margin,  # pyright: ignore[reportArgumentType]
            distance=LpDistance(),
            reducer=DoNothingReducer(),
        )

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The two means, counted once a case."""
        chosen = None if self.miner is None else self.miner(embeddings, labels)
        found = self.loss(embeddings, labels, chosen)
        # The library gives D and max(margin - D, 0), without the squares.
        sides = {
            name: (1.0, over_items(_losses(found[key], embeddings).square()))
            for name, key in [("positive", "pos_loss"), ("negative", "neg_loss")]
        }
        return combined(sides, counted(len(labels), labels))


class Triplet(MetricLoss):
    """Eq 3.3: max(|a - p|^2 - |a - n|^2 + margin, 0), over the triplets of a selection.

    Source: Schroff, Kalenichenko and Philbin, "FaceNet: a unified embedding for face recognition and
    clustering", CVPR 2015; the average over informative triplets: Carvalho et al., "Cross-modal retrieval
    in the cooking context", SIGIR 2018.
    """

    def __init__(self, settings: TripletSettings, classes: int, dimension: int) -> None:  # noqa: ARG002
        super().__init__()
        distance = LpDistance(power=2)
        self.draws = settings.selection == "distance_weighted"
        self.miner = distance_weighted(settings) if self.draws else None
        if settings.selection == "semi_hard":
            self.miner = miners.TripletMarginMiner(
                settings.margin, type_of_triplets="semihard", distance=distance
            )
        elif settings.selection == "hard":
            self.miner = miners.BatchHardMiner(distance=distance)
        self.loss = losses.TripletMarginLoss(settings.margin, distance=distance, reducer=DoNothingReducer())
        self.average = over_informative if settings.selection == "informative" else over_items

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over the selected triplets, and how many there are (or are informative)."""
        chosen = None if self.miner is None else self.miner(embeddings, labels)
        return self.average(_losses(self.loss(embeddings, labels, chosen)["loss"], embeddings))


class NPair(MetricLoss):
    """For N classes one pair each: log(1 + sum over j != i of exp(a_i p_j - a_i p_i)).

    Source: Sohn, "Improved deep metric learning with multi-class N-pair loss objective", NIPS 2016, eq 7.
    """

    draws = True

    def __init__(self, settings: NPairSettings, classes: int, dimension: int) -> None:  # noqa: ARG002
        super().__init__()
        self.loss = losses.NPairsLoss(
            distance=DotProductSimilarity(normalize_embeddings=settings.normalised),
            reducer=DoNothingReducer(),
        )

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over the classes with a pair, and their number."""
        # The library takes the first pair of each class; in a drawn order that is a drawn pair.
        order = torch.randperm(len(labels)).to(labels.device)
        return over_items(_losses(self.loss(embeddings[order], labels[order])["loss"], embeddings))


class Margin(MetricLoss):
    """Eq 3.5: max(alpha + y (D - beta), 0), for the pairs of triplets drawn by their distance.

    As in its source, the sum is divided by the number of pairs with a loss.

    Source: Wu et al., "Sampling matters in deep embedding learning", ICCV 2017, section 4.2.
    """

    def __init__(self, settings: MarginSettings, classes: int, dimension: int) -> None:  # noqa: ARG002
        super().__init__()
        self.classes = classes
        self.draws = settings.sampling == "distance_weighted"
        self.miner = distance_weighted(settings) if self.draws else None
        self.loss = losses.MarginLoss(
            margin=settings.alpha,
            beta=settings.beta,
            learn_beta=settings.learn_beta,
            num_classes=classes if settings.per_class else None,
            distance=LpDistance(),
            reducer=DoNothingReducer(),
        )

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over the drawn pairs, and how many of them have a loss."""
        check_labels(labels, self.classes)
        chosen = None if self.miner is None else self.miner(embeddings, labels)
        found = self.loss(embeddings, labels, chosen)["margin_loss"]
        if not isinstance(found["losses"], Tensor):
            return no_term(embeddings, parameters=self.parameters())
        return Term(found["losses"].sum(), found["divisor"])


class MultiSimilarity(MetricLoss):
    """Eq 3.7, over the pairs that its miner finds hard enough; a case without such a pair counts as 0.

    Source: Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning",
    CVPR 2019, eqs 11, 12 and 15.
    """

    def __init__(self, settings: MultiSimilaritySettings, classes: int, dimension: int) -> None:  # noqa: ARG002
        super().__init__()
        distance = CosineSimilarity()
        self.miner = None
        if settings.epsilon is not None:
            self.miner = miners.MultiSimilarityMiner(settings.epsilon, distance=distance)
        self.loss = losses.MultiSimilarityLoss(
            alpha=settings.positive_scale,  # pyright: ignore[reportArgumentType]
            beta=settings.negative_scale,  # pyright: ignore[reportArgumentType]
            base=settings.base,
            distance=distance,
            reducer=DoNothingReducer(),
        )

    def compare(self, embeddings: Tensor, labels: Tensor) -> Term:
        """The sum over the cases, and their number."""
        chosen = None if self.miner is None else self.miner(embeddings, labels)
        return over_items(_losses(self.loss(embeddings, labels, chosen)["loss"], embeddings))


def _losses(found: dict[str, Any], embeddings: Tensor) -> Tensor:
    """The library's losses (n,); where it found nothing to compare it gives the number 0 or an empty list."""
    values = found["losses"]
    return values.flatten() if isinstance(values, Tensor) else embeddings[:0].sum(1)
