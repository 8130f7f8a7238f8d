"""Training: the recipe, its assembly into objects, the loop, and a run in use."""

from importlib import import_module
from typing import Any

# Loaded on first use, because most of it needs torch.
_LAZY = {
    "Ensemble": "ensemble",
    "Experiment": "experiment",
    "Plan": "run",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "Recipe": "recipe",
    "assemble": "assemble",
    "load": "predictor",
    "load_ensemble": "ensemble",
    "load_recipe": "recipe_file",
    "train_run": "run",
}
__all__ = [
    "Ensemble",
    "Experiment",
    "Plan",
    "Prediction",
    "Predictor",
    "Recipe",
    "assemble",
    "load",
    "load_ensemble",
    "load_recipe",
    "train_run",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
