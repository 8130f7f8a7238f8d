"""What a run learns from a case set: the levels of its labels, and what its network gives for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.combinations import BETWEEN, NONE
from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.metrics.catalogue import class_of
from sonoprior.metrics.cluster_matching import cluster_count
from sonoprior.models.heads import Heads

from .hierarchy import Hierarchy, read_hierarchy
from .parts import UNLABELLED, Parts
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
        singles: the C single classes of the leaf.
        members: (K, C) bool, which of them each class number of the leaf holds: itself, or what a label
            combination unites.
        combinations: which class numbers have a logit of their own beside the C classes; empty without.
    """

    level: str
    classes: Mapping[str, Sequence[str]]
    labels: Mapping[str, Integers]
    heads: Heads
    hierarchy: Hierarchy | None
    singles: Sequence[str]
    members: NDArray[np.bool_]
    combinations: Integers

    @property
    def several(self) -> bool:
        """Whether each class is a decision of its own."""
        return self.heads.several

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

    def unlearnt(self, train: Integers) -> list[str]:
        """The classes of the leaf that no labelled training case shows.

        Args:
            train: (m,) the cases that are learnt from.
        """
        labels = self.labels[self.level][train]
        known = labels[labels >= 0]
        if self.several:
            shown = np.flatnonzero(self.members[known].any(axis=0))
            return [name for at, name in enumerate(self.singles) if at not in shown]
        return [name for at, name in enumerate(self.classes[self.level]) if at not in known]


def task_of(recipe: Recipe, case_set: CaseSet, parts: Parts | None = None) -> Task:
    """What a recipe learns from a case set.

    Args:
        recipe: names levels, hierarchy and heads.
        case_set: the cases.
        parts: of the run; where None all cases are trained with, to try what can be had.

    Raises:
        RecipeError, DataError, OntologyError: if a level, the hierarchy or the heads cannot be had.
    """
    level = level_of(recipe, case_set)
    train = None if parts is None else parts["train"]
    parts = {"train": np.arange(len(case_set))} if parts is None else parts
    hierarchy = recipe.hierarchy and read_hierarchy(recipe.hierarchy, case_set, train)
    singles, members = case_set.singles(level), case_set.members(level)
    if recipe.decides:
        _check_told_apart(level, singles)
        _check_metrics(recipe, level, singles)
    combinations = _combinations(recipe, level, case_set, parts)
    clusters = _clusters(recipe, level, case_set, parts)
    count = len(singles) if recipe.data.several else len(members)
    heads = heads_of(recipe, level, count, len(combinations), clusters)
    of_hierarchy = hierarchy.classes if hierarchy else (level,)
    wanted = dict.fromkeys([*of_hierarchy, *heads.levels, *(recipe.retrieval.also if heads.embeds else ())])
    classes = {name: _classes(name, hierarchy, case_set) for name in wanted}
    labels = {name: _labels(name, hierarchy, case_set) for name in wanted}
    return Task(level, classes, labels, heads, hierarchy, singles, members, combinations)


def check_divided(task: Task, case_set: CaseSet) -> None:
    """Refuse a level at which all cases share one class: nothing is learnt there, and every case is right.

    Its classes may be several all the same, where they are those that are declared.

    Args:
        task: what is learnt.
        case_set: the cases.

    Raises:
        DataError: naming the level and the class.
    """
    for level, labels in task.labels.items():
        found = np.unique(labels[labels >= 0])
        if len(found) < 2:
            shared = listed(f"'{task.classes[level][number]}'" for number in found)
            raise DataError(
                f"the level '{level}' must have cases of at least 2 classes, but the labelled cases of"
                f" {case_set.root} are of {shared or 'none'}; leave the level out, or add cases."
            )


def _combinations(recipe: Recipe, level: str, case_set: CaseSet, parts: Parts) -> Integers:
    """The class numbers with a logit of their own: those with enough labelled training cases."""
    spec = recipe.model.combinations
    if spec is None:
        return np.empty(0, np.int64)
    labels = case_set.labels(level)[parts["train"]]
    counts = np.bincount(labels[labels >= 0], minlength=len(case_set.classes(level)))
    found = np.flatnonzero(counts >= spec.least)
    if len(found) < 2:
        raise DataError(
            f"model.combinations needs at least 2 label combinations with {spec.least} labelled training"
            f" case(s), but there are {len(found)}; lower model.combinations.least, or label more cases."
        )
    return found


def _clusters(recipe: Recipe, level: str, case_set: CaseSet, parts: Parts) -> int:
    """How many clusters there are.

    Label combinations are counted in the training part; for a run that trains without a label in the
    validation part, by which its clusters are matched.
    """
    spec = recipe.model.clusters
    if spec is None:
        return 0
    count = spec.count
    if count == "combinations":
        labels = case_set.labels(level)
        given = [labels[parts[part]] for part in ("train", "validation") if part in parts]
        known = next((of[of >= 0] for of in given if (of >= 0).any()), np.empty(0, np.int64))
        count = cluster_count(case_set.members(level)[known], spec.least)
    images = len(parts["train"]) + len(parts.get(UNLABELLED, ()))
    if not 2 <= count <= images:
        raise DataError(
            f"model.clusters must be between 2 and {images}, the number of images that are trained with, but"
            f" it is {count}; set model.clusters.count."
        )
    return count


def _check_told_apart(level: str, singles: Sequence[str]) -> None:
    """Refuse names of classes that could be read as several classes, or as none."""
    for name in singles:
        if name == NONE or BETWEEN in name:
            raise DataError(
                f"a class of the level '{level}' must not be called '{NONE}' or hold '{BETWEEN}' where"
                f" several may be predicted at once, but one is called '{name}'; rename it."
            )


def _check_metrics(recipe: Recipe, level: str, singles: Sequence[str]) -> None:
    """Refuse a metric of a class that is not there."""
    for name in recipe.metrics_named:
        if of := class_of(name):
            one_of(f"the metric {name}: a class of the level '{level}'", of, singles, RecipeError)


def heads_of(recipe: Recipe, level: str, classes: int, combinations: int = 0, clusters: int = 0) -> Heads:
    """What the network of a recipe gives.

    Args:
        recipe: names the levels that are embedded.
        level: the leaf.
        classes: how many classes it has; single ones, where each is a decision of its own.
        combinations: how many label combinations have a logit beside those of the classes.
        clusters: how many clusters have one.

    Raises:
        RecipeError: if a level is compared at inference that has no embedding.
    """
    logits = classes if recipe.classifies else 0
    several = recipe.data.several and recipe.classifies
    spec = recipe.model.embedding
    if spec is None:
        return Heads(logits, several=several, combinations=combinations, clusters=clusters)
    levels = spec.levels or (recipe.hierarchy.levels if recipe.hierarchy else (level,))
    compared = levels[:1] if spec.inference == "leaf" else spec.inference
    for name in compared:
        one_of("model.embedding.inference", name, levels, RecipeError)
    return Heads(logits, levels, spec.dimension, compared, several, combinations, clusters)


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
