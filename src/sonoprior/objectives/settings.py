"""The settings of every objective, one model an objective.

Free of torch, so that a recipe is checked without it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .clustering_settings import DeepClusteringSettings
from .contrastive_settings import NTXentSettings, SupervisedContrastiveSettings
from .embedding_settings import (
    ClipSettings,
    GraphGuidanceSettings,
    HierarchicalCrossEntropySettings,
    HierarchicalTripletSettings,
    MetricSettings,
    OntologyLanguageGuidanceSettings,
    SemanticAbstractionSettings,
    SoftLabelSettings,
    SubspaceSettings,
)
from .self_supervised_settings import ByolSettings, DinoSettings, VicregSettings
from .semi_supervised_settings import (
    FixMatchSettings,
    MultiLabelCrossEntropySettings,
    OneHeadFixMatchSettings,
    TwoHeadCrossEntropySettings,
    TwoHeadFixMatchSettings,
)


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CrossEntropySettings(_Settings):
    """Cross-entropy over the labels of one level.

    Attributes:
        class_weights: "none", or "balanced" (inverse class frequency in the training part, mean 1).
        smoothing: label smoothing.
    """

    class_weights: Literal["none", "balanced"] = "none"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class AttributionSettings(_Settings):
    """What is attributed, how, and which channels belong to which prior.

    Attributes:
        method: "grad" (eq 2.3), "grad_input" (eq 2.4), or "grad_cam" (class activation).
        target: the output that is differentiated: the "sum" of the logits (as printed), the logit of the
            "label", or of the "predicted" class; where a case may show several, the sum of the logits of all
            its labels, or of all that are predicted. Where the network gives no logits: the "sum" of the
            leaf's embedding before it is normalised, or the similarity to the "positives"
            (`attributed_similarity`); with clusters alone, the "sum" of their logits.
        allocation: "all" (each channel alone must match), or the channels whose mean must match: "mean",
            "half", "quarter", "three_quarters", or a number: "first 4".
        batch_norm: how the batch statistics of the tail enter the attribution: "detached" (each image's
            map is its own), "running" (the statistics of inference), or "mixed" (as autograd gives it,
            the images of a batch attribute to each other).
    """

    method: Literal["grad", "grad_input", "grad_cam"] = "grad_input"
    target: Literal["sum", "label", "predicted", "positives"] = "sum"
    allocation: str = "half"
    batch_norm: Literal["detached", "running", "mixed"] = "detached"


class PriorGuidedAttributionSettings(AttributionSettings):
    """Prior-Guided Attribution; the objective's weight in the recipe is the thesis's alpha.

    Attributes:
        reduction: "correlation" (the sum over positions divided by their number, in [-1, 1]), or "sum"
            (to which the published alphas belong).
        statistics: "standard" (mean and standard deviation over positions) or "printed" (the printed sums).
        empty: what a prior that is present but empty does: "skip" (no term) or "suppress" (attribution
            there is penalised).
    """

    reduction: Literal["correlation", "sum"] = "correlation"
    statistics: Literal["standard", "printed"] = "standard"
    empty: Literal["skip", "suppress"] = "skip"


SETTINGS: dict[str, type[BaseModel]] = {
    "byol": ByolSettings,
    "clip": ClipSettings,
    "cross_entropy": CrossEntropySettings,
    "deep_clustering": DeepClusteringSettings,
    "dino": DinoSettings,
    "fixmatch": FixMatchSettings,
    "fixmatch_one_head": OneHeadFixMatchSettings,
    "fixmatch_two_heads": TwoHeadFixMatchSettings,
    "graph_guidance": GraphGuidanceSettings,
    "hierarchical_cross_entropy": HierarchicalCrossEntropySettings,
    "hierarchical_triplet": HierarchicalTripletSettings,
    "language_guidance": OntologyLanguageGuidanceSettings,
    "metric": MetricSettings,
    "multi_label_cross_entropy": MultiLabelCrossEntropySettings,
    "nt_xent": NTXentSettings,
    "prior_guided_attribution": PriorGuidedAttributionSettings,
    "semantic_abstraction": SemanticAbstractionSettings,
    "soft_labels": SoftLabelSettings,
    "subspaces": SubspaceSettings,
    "supervised_contrastive": SupervisedContrastiveSettings,
    "two_head_cross_entropy": TwoHeadCrossEntropySettings,
    "vicreg": VicregSettings,
}
