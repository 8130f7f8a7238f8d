"""Every loss, one file an idea. To add one: its file, its settings, and a line in `OBJECTIVES`."""

from importlib import import_module
from typing import Any

from sonoprior.core.errors import RecipeError
from sonoprior.core.registry import Registry

OBJECTIVES = Registry(
    "objectives",
    {
        "cross_entropy": "sonoprior.objectives.cross_entropy:CrossEntropy",
        "prior_guided_attribution": "sonoprior.objectives.prior_guided_attribution:PriorGuidance",
    },
    RecipeError,
)

__all__ = ["OBJECTIVES", "PriorGuidedAttribution"]


def __getattr__(name: str) -> Any:
    if name == "PriorGuidedAttribution":  # it needs torch
        return import_module(f"{__name__}.prior_guided_attribution").PriorGuidedAttribution
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
