"""The hierarchy of the labels that a recipe asks for, read off an ontology or the cases. Free of torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.cells import EMPTY, split_items
from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.knowledge import Ontology, read_ontology
from sonoprior.knowledge.levels import Levels, Rule, levels
from sonoprior.knowledge.similarity import TermSimilarity, term_similarity
from sonoprior.knowledge.typed_edges import with_typed_edges

from .hierarchy_settings import HierarchySettings, SimilaritySettings

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Hierarchy:
    """The levels of the labels of a case set, and how near their classes are.

    Attributes:
        settings: of the recipe.
        levels: the path of every leaf class; `levels.paths` is (C, L).
        ontology: where the paths come from; None where they were read off the cases.
        case_set: the cases.
        train: (m,) the cases whose terms may say how much information a term has; all of them where None.
    """

    settings: HierarchySettings
    levels: Levels
    ontology: Ontology | None
    case_set: CaseSet
    train: Integers | None = None

    def compared_by(self, similarity: SimilaritySettings) -> "Hierarchy":
        """The same hierarchy by this similarity of its terms; itself, as computed, if it has that one."""
        settings = self.settings.model_copy(update=dict(similarity))
        return self if settings == self.settings else replace(self, settings=settings)

    @property
    def leaf(self) -> str:
        """The level of the labels themselves."""
        return self.levels.names[0]

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of every level, the leaf's first."""
        return dict(zip(self.levels.names, self.levels.classes, strict=True))

    def labels(self, level: str) -> Integers:
        """The class of every case at a level, (n,); -1 where unknown.

        What the case set says of a case stands; where it says nothing, the leaf's path does.
        """
        own = self.case_set.labels(self.leaf)
        by_path = np.where(own >= 0, self.levels.paths[own, self.levels.names.index(level)], -1)
        if level not in self.case_set.info.levels:
            return by_path
        said = self.case_set.labels(level)
        return np.where(said >= 0, said, by_path)

    def similarity(self, level: str) -> Floats:
        """How near the terms of the classes of a level are, (C_l, C_l), at most 1.

        Raises:
            RecipeError: if there is no ontology.
        """
        codes = [self._code(name) for name in self.classes[level]]
        return self.terms.between(codes, codes)

    def distances(self, level: str) -> Floats:
        """How far apart the classes of a level are, (C_l, C_l) in [0, 1], 0 on the diagonal.

        1 minus the similarity of their terms; without an ontology the share of the levels above that have to
        be climbed until both are in one class.
        """
        if self.ontology is None:
            return self._climbed(level)
        apart = np.clip(1 - self.similarity(level), 0, None)
        np.fill_diagonal(apart, 0)
        return apart

    @cached_property
    def terms(self) -> TermSimilarity:
        """How near all terms of the ontology are, at most 1, also through the relations that count.

        A measure without a bound is divided by its largest value.

        Raises:
            RecipeError: if there is no ontology.
        """
        settings, ontology = self.settings, self._ontology()
        images = [codes for codes in self._shown_to_learn_from() if codes]
        found = term_similarity(ontology, settings.measure, settings.information, images)
        if settings.relations:
            found = with_typed_edges(ontology, found, settings.relations, settings.relations_weight)
        return TermSimilarity(found.terms, found.values / max(1.0, float(found.values.max())))

    @cached_property
    def shown(self) -> list[tuple[str, ...]]:
        """The terms that each case shows, by code; one that the ontology does not have as it is written."""
        ontology = self._ontology()
        cells = self.case_set.column("terms")
        written = [split_items(cell) if cell and cell != EMPTY else [] for cell in cells]
        known = {text: ontology.find(text).id for cell in written for text in cell if text in ontology}
        return [tuple(dict.fromkeys(known.get(text, text) for text in cell)) for cell in written]

    @cached_property
    def mirrored(self) -> dict[str, str]:
        """For each term with a side the term that a mirrored image shows in its place, by code."""
        ontology, called = self._ontology(), self.settings.terms
        codes = {}
        for pair in self.case_set.info.mirror:
            one, other = (
                ontology.find(text).id if (text := called.get(name, name)) in ontology else text
                for name in pair
            )
            codes |= {one: other, other: one}
        return codes

    def under(self, kind: str) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
        """The terms below one that occur, and which cases show them: (T,) codes and (n, T)."""
        ontology = self._ontology()
        below = {*ontology.descendants(ontology.find(kind).id)}
        codes = tuple(sorted({code for case in self.shown for code in case if code in below}))
        return codes, self.shows(codes)

    def shows(self, codes: Sequence[str]) -> NDArray[np.bool_]:
        """Which cases show which terms: (n, T)."""
        return np.array([[code in case for code in codes] for case in map(set, self.shown)], dtype=np.bool_)

    def _shown_to_learn_from(self) -> list[tuple[str, ...]]:
        return self.shown if self.train is None else [self.shown[case] for case in self.train]

    def _ontology(self) -> Ontology:
        if self.ontology is None:
            raise RecipeError(
                "the similarity of terms needs an ontology, but hierarchy.ontology is not set; name one that"
                " comes with the project (early_pregnancy) or a file."
            )
        return self.ontology

    def _code(self, name: str) -> str:
        return self._ontology().find(self.settings.terms.get(name, name)).id

    def _climbed(self, level: str) -> Floats:
        at = self.levels.names.index(level)
        classes, above = len(self.levels.classes[at]), len(self.levels.names) - at
        steps = np.full((classes, classes), above)
        for further in range(above - 1, -1, -1):
            parent = np.full(classes, -1)
            parent[self.levels.paths[:, at]] = self.levels.paths[:, at + further]
            steps[parent[:, None] == parent] = further
        np.fill_diagonal(steps, 0)
        return steps / above


def read_hierarchy(
    settings: HierarchySettings, case_set: CaseSet, train: Integers | None = None
) -> Hierarchy:
    """The hierarchy that a recipe asks for.

    Args:
        settings: of the recipe.
        case_set: gives the classes of the levels, and without an ontology the paths.
        train: (m,) the cases that may be learnt from.

    Raises:
        RecipeError: if the case set lacks a level that has no depth in the ontology either.
        DataError: if a leaf class has no class, or several, at some level of the cases.
        OntologyError: if the ontology cannot be read, lacks a class, or leaves its path open.
    """
    leaf, *above = settings.levels
    for level in (leaf, *(level for level in above if level not in settings.depths)):
        if level not in case_set.info.levels:
            known = case_set.info.levels
            raise RecipeError(
                f"hierarchy.levels must be levels of {case_set.root} ({listed(known)}), or have a depth in"
                f" the ontology, but got '{level}'.{nearest(level, known)}"
            )
    for name in settings.terms:
        known = [each for level in settings.levels for each in case_set.info.levels.get(level, [])]
        one_of("a class in hierarchy.terms", name, known, RecipeError)
    if settings.ontology is None:
        return Hierarchy(settings, _paths_of_cases(case_set, settings.levels), None, case_set, train)
    ontology = read_ontology(settings.ontology)
    return Hierarchy(settings, _paths_of(ontology, settings, case_set), ontology, case_set, train)


def _paths_of(ontology: Ontology, settings: HierarchySettings, case_set: CaseSet) -> Levels:
    """The paths through the ontology, with the classes called as the case set calls them."""

    def terms(level: str) -> list[str]:
        return [settings.terms.get(name, name) for name in case_set.classes(level)]

    leaf, *above = settings.levels
    rules: dict[str, Rule] = {level: settings.depths.get(level) or terms(level) for level in above}
    found = levels(ontology, terms(leaf), rules, leaf)
    own = [
        classes if level in settings.depths else tuple(case_set.classes(level))
        for level, classes in zip(found.names, found.classes, strict=True)
    ]
    return Levels(found.names, tuple(own), found.paths)


def _paths_of_cases(case_set: CaseSet, names: Sequence[str]) -> Levels:
    """The class at every level that the cases of each leaf class have."""
    leaf, classes = names[0], case_set.classes(names[0])
    own = case_set.labels(leaf)
    paths = np.empty((len(classes), len(names)), dtype=np.int64)
    paths[:, 0] = np.arange(len(classes))
    for place, level in enumerate(names[1:], 1):
        said = case_set.labels(level)
        for number, name in enumerate(classes):
            paths[number, place] = _only(set(said[(own == number) & (said >= 0)]), name, level, case_set)
        if len(set(paths[:, place])) < 2:
            raise DataError(
                f"the level '{level}' must divide the classes of '{leaf}', but all of them share one class."
            )
    return Levels(tuple(names), tuple(tuple(case_set.classes(level)) for level in names), paths)


def _only(found: set[int], name: str, level: str, case_set: CaseSet) -> int:
    if len(found) == 1:
        return found.pop()
    several = listed(case_set.classes(level)[number] for number in sorted(found))
    raise DataError(
        f"{case_set.root}: the class '{name}' must have one class at the level '{level}', but its cases have"
        f" {several or 'none'}; name an ontology in hierarchy.ontology, or mend the labels."
    )
