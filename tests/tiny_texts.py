"""A tiny run that compares images with captions by a tiny text encoder."""

import copy
from pathlib import Path
from typing import Any

from sonoprior.cases import CaseSet
from sonoprior.training.machine import choose_device
from sonoprior.training.recipe import Recipe
from sonoprior.training.run import Computing, plan_run, train_run
from tiny import EMBEDDING


def clip_recipe(
    encoder: str,
    epochs: int = 1,
    inference: tuple[str, ...] = ("view",),
    training: dict[str, Any] | None = None,
    **clip: Any,
) -> Recipe:
    """The recipe of an embedding, with the objective `clip` and its settings."""
    content = copy.deepcopy(EMBEDDING)
    content["objectives"] = {
        "similarity": {"type": "semantic_abstraction", "alphas": [1, 0.5]},
        "words": {"type": "clip"} | clip,
    }
    content["model"]["embedding"]["inference"] = list(inference)
    content["language"] = {"encoder": encoder, "templates": {"view": ["{view} from the {meta}", "{view}"]}}
    content["training"] |= {"epochs": epochs} | (training or {})
    content["study"]["variants"] = {"plain": {}}
    return Recipe.model_validate(content)


def clip_run(views: CaseSet, folder: Path, encoder: str, **settings: Any) -> Path:
    """A finished run of it."""
    plan = plan_run(clip_recipe(encoder, **settings), views, "plain")
    return train_run(plan, folder, Computing(choose_device("cpu")))
