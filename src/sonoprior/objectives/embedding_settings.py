"""The settings of the objectives on embeddings and on hierarchies, one model an objective.

Free of torch, so that a recipe is checked without it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .metric_loss_settings import (
    MetricLossSettings,
    MultiSimilaritySettings,
    NotNegative,
    Positive,
    TripletSettings,
)


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricSettings(_Settings):
    """One metric loss on one embedding.

    Attributes:
        loss: which one.
        level: whose labels and embedding; the leaf's where none is named.
    """

    loss: MetricLossSettings = MultiSimilaritySettings()
    level: str | None = None


class SemanticAbstractionSettings(_Settings):
    """Semantic Abstraction Loss, eqs 3.11 to 3.13.

    Attributes:
        alphas: the weight of each level, the leaf's first; as printed alpha_0 is 1.
        loss: the metric loss of every level.
        level_losses: by level, where a level has another.
    """

    alphas: Annotated[tuple[NotNegative, ...], Field(min_length=1)]
    loss: MetricLossSettings = MultiSimilaritySettings()
    level_losses: dict[str, MetricLossSettings] = {}


class LanguageGuidanceSettings(_Settings):
    """The matching loss of eq 3.9.

    Attributes:
        temperature: what both similarities are divided by before the softmax.
        direction: "image||text" is KL(image || text), as printed; "text||image" the other.
        same_class: what becomes of the entries of two cases of one class. "clamp": 1 + gamma in both
            matrices, and gamma is added to the others of the text matrix, as the method's authors have it;
            "mask": they are left out of both softmaxes; "keep": they stay as they are.
        gamma: of "clamp". Images of two classes are led to the similarity of their texts plus gamma: above 0
            it holds classes together, against a metric loss that drives them apart.
    """

    temperature: Positive = 1.0
    direction: Literal["image||text", "text||image"] = "image||text"
    same_class: Literal["clamp", "mask", "keep"] = "clamp"
    gamma: Annotated[float, Field(allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _gamma_only_with_clamp(self) -> Self:
        if self.same_class != "clamp" and "gamma" in self.model_fields_set:
            raise ValueError(f"gamma belongs to same_class 'clamp', but same_class is '{self.same_class}'")
        return self


class OntologyLanguageGuidanceSettings(_Settings):
    """Language guidance at the levels of a hierarchy: the second sum of eq 3.14; of eq 3.10 with one weight.

    Attributes:
        weights: w_l of each level, the leaf's first.
        guidance: the matching loss.
    """

    weights: Annotated[tuple[NotNegative, ...], Field(min_length=1)]
    guidance: LanguageGuidanceSettings = LanguageGuidanceSettings()


class GraphGuidanceSettings(_Settings):
    """The similarity of the terms of cases as what guides that of their images.

    Attributes:
        guidance: the matching loss.
        level: whose embedding; the leaf's where none is named.
    """

    guidance: LanguageGuidanceSettings = LanguageGuidanceSettings()
    level: str | None = None


class ClipSettings(_Settings):
    """CLIP on small sets, section 3.5.1.2.

    Attributes:
        scale: what the cosines of images and texts are multiplied by; learned from this value on.
        bias: what is added to them; learned from this value on.
        triplet_weight: of the triplet term.
        triplet: its margin and selection.
        text: "frozen": the encoder is left as it is, and a linear layer brings its embeddings to the images';
            "trained": the encoder is trained with the images.
        level: whose embedding and captions; the leaf's where none is named.
    """

    scale: Positive = 10.0
    bias: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    triplet_weight: NotNegative = 1.0
    triplet: TripletSettings = TripletSettings()
    text: Literal["frozen", "trained"] = "frozen"
    level: str | None = None


class HierarchicalTripletSettings(_Settings):
    """Triplet loss with a margin that grows with the distance of the two classes.

    Attributes:
        margin: beta, between classes at distance 0.
        growth: by how much the margin grows for a distance of 1.
    """

    margin: NotNegative = 0.1
    growth: Positive = 0.5


class HierarchicalCrossEntropySettings(_Settings):
    """Cross-entropy along the path of a label.

    Attributes:
        alpha: each level down the hierarchy weighs exp(-alpha) of the one above. 0 is the plain
            cross-entropy; the larger, the more it matters to be right about the meta-class.
    """

    alpha: NotNegative = 0.1


class SoftLabelSettings(_Settings):
    """Cross-entropy with targets that fall off with the distance from the label.

    Attributes:
        beta: a class at distance d gets exp(-beta d), up to a constant; infinity would be the plain
            cross-entropy.
    """

    beta: Positive = 10.0


class SubspaceSettings(_Settings):
    """An embedding whose parts each separate the classes of one meta-class.

    Attributes:
        loss: the metric loss, on the whole embedding and on each part.
        parts_weight: of the mean over the parts, beside the loss on the whole.
    """

    loss: MetricLossSettings = MultiSimilaritySettings()
    parts_weight: NotNegative = 1.0
