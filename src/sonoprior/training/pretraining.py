"""A run before the run: it learns from unlabelled cases, and the other begins with its backbone."""

import hashlib
import json
from pathlib import Path

import numpy as np

from .parts import UNLABELLED, Parts, training_side
from .recipe import Recipe
from .recipe_file import pretraining_recipe


def pretraining_parts(parts: Parts) -> Parts:
    """The parts of a run before: the whole training side without labels, validation, and no test part."""
    none = np.empty(0, np.int64)
    return {"train": none, UNLABELLED: training_side(parts), "validation": parts["validation"], "test": none}


def pretraining_folder(recipe: Recipe, name: str, fold: int, seed: int, root: Path) -> Path:
    """Where a run before is kept: one folder for all runs that begin with the same.

    Args:
        recipe: of the run before.
        name: of it.
        fold: of the runs that begin with it.
        seed: of these runs.
        root: of all such folders.
    """
    key = hashlib.sha256(json.dumps(recipe.decisive(), sort_keys=True).encode()).hexdigest()[:8]
    return root / f"{name}-{key}" / f"fold{fold}-seed{seed}"


def epochs_before(recipe: Recipe) -> int:
    """How many epochs are trained before those of the recipe itself."""
    name = recipe.pretrained_with
    return 0 if name is None else pretraining_recipe(recipe, name).training.epochs


def epochs_in_all(recipe: Recipe) -> int:
    """How many epochs a run of the recipe trains at most, those before its own included."""
    return epochs_before(recipe) + recipe.training.epochs


def with_weights(recipe: Recipe, weights: str) -> Recipe:
    """The recipe, beginning with other weights, such as the folder of a finished run."""
    model = recipe.model.model_copy(update={"weights": weights})
    return recipe.model_copy(update={"model": model})
