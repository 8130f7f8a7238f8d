"""Every loss, one file an idea. To add one: its file, its settings, and a line in `OBJECTIVES`."""

from importlib import import_module
from typing import Any

from sonoprior.core.errors import RecipeError
from sonoprior.core.registry import Registry

OBJECTIVES = Registry(
    "objectives",
    {
        "byol": "sonoprior.objectives.byol:ByolObjective",
        "clip": "sonoprior.objectives.clip:ClipObjective",
        "cross_entropy": "sonoprior.objectives.cross_entropy:CrossEntropy",
        "deep_clustering": "sonoprior.objectives.deep_clustering:DeepClusteringObjective",
        "dino": "sonoprior.objectives.dino:DinoObjective",
        "fixmatch": "sonoprior.objectives.fixmatch:FixMatchObjective",
        "fixmatch_one_head": "sonoprior.objectives.fixmatch_one_head:OneHeadFixMatchObjective",
        "fixmatch_two_heads": "sonoprior.objectives.fixmatch_two_heads:TwoHeadFixMatchObjective",
        "graph_guidance": "sonoprior.objectives.graph_guidance:GraphGuidanceObjective",
        "hierarchical_cross_entropy": (
            "sonoprior.objectives.hierarchical_cross_entropy:HierarchicalCrossEntropyObjective"
        ),
        "hierarchical_triplet": "sonoprior.objectives.hierarchical_triplet:HierarchicalTripletObjective",
        "language_guidance": "sonoprior.objectives.ontology_language_guidance:LanguageGuidanceObjective",
        "metric": "sonoprior.objectives.metric_losses:Metric",
        "multi_label_cross_entropy": (
            "sonoprior.objectives.multi_label_cross_entropy:MultiLabelCrossEntropyObjective"
        ),
        "nt_xent": "sonoprior.objectives.nt_xent:NTXentObjective",
        "prior_guided_attribution": "sonoprior.objectives.prior_guided_attribution:PriorGuidance",
        "semantic_abstraction": "sonoprior.objectives.semantic_abstraction:SemanticAbstractionObjective",
        "soft_labels": "sonoprior.objectives.soft_labels:SoftLabelsObjective",
        "subspaces": "sonoprior.objectives.subspaces:SubspacesObjective",
        "supervised_contrastive": (
            "sonoprior.objectives.supervised_contrastive:SupervisedContrastiveObjective"
        ),
        "two_head_cross_entropy": "sonoprior.objectives.fixmatch_two_heads:TwoHeadCrossEntropyObjective",
        "vicreg": "sonoprior.objectives.vicreg:VicregObjective",
    },
    RecipeError,
)

__all__ = ["OBJECTIVES", "PriorGuidedAttribution"]


def __getattr__(name: str) -> Any:
    if name == "PriorGuidedAttribution":  # it needs torch
        return import_module(f"{__name__}.prior_guided_attribution").PriorGuidedAttribution
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
