"""What a run learns from a case set: the levels of its labels, and what its network gives for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.models.heads import Heads

from .hierarchy import Hierarchy, read_hierarchy
from .recipe import Recipe

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """The labels of a run, and the heads of its network.

    Attributes:
        level: the one that is learnt, the leaf.
        classes: of every level that the run knows, the leaf's first.
        labels: by level (N,), of every case of the set; -1 where unknown.
        heads: what the network gives.
        hierarchy: of the recipe; None for a recipe without.
    """

    level: str
    classes: Mapping[str, Sequence[str]]
    labels: Mapping[str, Integers]
    heads: Heads
    hierarchy: Hierarchy | None

    @property
    def sizes(self) -> dict[str, int]:
        """How many classes every level has."""
        return {level: len(names) for level, names in self.classes.items()}

    @property
    def metas(self) -> Integers | None:
        """For each leaf class the number of its class one level up, (C,); None without such a level."""
        if self.hierarchy is None or len(self.hierarchy.levels.names) < 2:
            return None
        return self.hierarchy.levels.paths[:, 1]


def task_of(recipe: Recipe, case_set: CaseSet, train: Integers | None = None) -> Task:
    """What a recipe learns from a case set.

    Args:
        recipe: names levels, hierarchy and heads.
        case_set: the cases.
        train: (m,) the training cases; all where None, to try what can be had.

    Raises:
        RecipeError, DataError, OntologyError: if a level or the hierarchy cannot be had.
    """
    level = level_of(recipe, case_set)
    hierarchy = recipe.hierarchy and read_hierarchy(recipe.hierarchy, case_set, train)
    heads = heads_of(recipe, level, len(case_set.classes(level)))
    of_hierarchy = hierarchy.classes if hierarchy else (level,)
    wanted = dict.fromkeys([*of_hierarchy, *heads.levels, *(recipe.retrieval.also if heads.embeds else ())])
    classes = {name: _classes(name, hierarchy, case_set) for name in wanted}
    labels = {name: _labels(name, hierarchy, case_set) for name in wanted}
    return Task(level, classes, labels, heads, hierarchy)


def heads_of(recipe: Recipe, level: str, classes: int) -> Heads:
    """What the network of a recipe gives.

    Args:
        recipe: names the levels that are embedded.
        level: the leaf.
        classes: how many classes it has.

    Raises:
        RecipeError: if a level is compared at inference that has no embedding.
    """
    spec = recipe.model.embedding
    if spec is None:
        return Heads(classes)
    levels = spec.levels or (recipe.hierarchy.levels if recipe.hierarchy else (level,))
    compared = levels[:1] if spec.inference == "leaf" else spec.inference
    for name in compared:
        one_of("model.embedding.inference", name, levels, RecipeError)
    return Heads(classes if spec.logits else 0, levels, spec.dimension, compared)


def level_of(recipe: Recipe, case_set: CaseSet) -> str:
    """The label level that a recipe learns from a case set.

    Raises:
        RecipeError: if the case set has no such level.
        DataError: if it has fewer than two classes there.
    """
    level = recipe.data.level or case_set.default_level
    if level not in case_set.info.levels:
        raise RecipeError(
            f"data.level must be one of {listed(case_set.info.levels)}, the levels of {case_set.root},"
            f" but got '{level}'."
        )
    if len(case_set.classes(level)) < 2:
        raise DataError(
            f"the level '{level}' of {case_set.root} must have at least 2 classes, but it has"
            f" {listed(case_set.classes(level)) or 'none'}."
        )
    return level


def _classes(level: str, hierarchy: Hierarchy | None, case_set: CaseSet) -> Sequence[str]:
    return hierarchy.classes[level] if hierarchy and level in hierarchy.classes else case_set.classes(level)


def _labels(level: str, hierarchy: Hierarchy | None, case_set: CaseSet) -> Integers:
    return hierarchy.labels(level) if hierarchy and level in hierarchy.classes else case_set.labels(level)
