"""The label path: to which class of every level a label belongs.

A level is a named set of classes, as in `dataset.yaml`, or the terms at a depth below the one root of all
labels. A label may be an inner node, and is then its own class where it stands in a level's set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import OntologyError

from .ontology import IS_A, Ontology

Rule = Sequence[str] | int
"""The classes of a level, or the depth at which they stand; the root has depth 0."""


@dataclass(frozen=True)
class Levels:
    """Label paths.

    Attributes:
        names: of the levels, the labels' own first.
        classes: of every level: of a named set all and in its order, at a depth those that some label
            belongs to, in the ontology's.
        paths: (labels, levels) position of each label's class in `classes`; `paths[leaf]` of (B,) leaf labels
            gives their (B, levels) labels at every level.
    """

    names: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
    paths: NDArray[np.int64]

    def of(self, label: str) -> dict[str, str]:
        """The class of a label at every level, by the level's name.

        Raises:
            OntologyError: if it is not one of the labels.
        """
        one_of("a label", label, self.classes[0], OntologyError)
        path = self.paths[self.classes[0].index(label)]
        return {name: classes[at] for name, classes, at in zip(self.names, self.classes, path, strict=True)}


def levels(
    ontology: Ontology, labels: Sequence[str], higher: Mapping[str, Rule], leaf: str = "leaf"
) -> Levels:
    """The class of every label at every level.

    In a named set the class of a label is the label itself or the nearest class above it; at a depth it is
    the term there on the way to the root.

    Args:
        ontology: the graph.
        labels: codes, names or synonyms of terms; they are the first level.
        higher: the levels above, from the nearest to the labels upwards.
        leaf: name of the labels' own level.

    Raises:
        OntologyError: if a label or class is unknown or stands twice, a label has no class at some level or
            several (every way is shown), all labels share one class, a level is named twice, or depths are
            counted from several roots.
    """
    if leaf in higher:
        raise OntologyError(f"a level must have a name of its own, but two are called '{leaf}'.")
    codes = _codes(ontology, leaf, labels)
    found = {leaf: (dict(zip(codes, labels, strict=True)), codes)}
    for level, rule in higher.items():
        if isinstance(rule, int):
            found[level] = _by_depth(ontology, level, rule, codes)
        else:
            found[level] = _by_set(ontology, level, rule, codes)
    for level, (_, path) in found.items():
        _check_divides(ontology, level, path)
    places = [{code: at for at, code in enumerate(known)} for known, _ in found.values()]
    columns = [[at[code] for code in path] for at, (_, path) in zip(places, found.values(), strict=True)]
    classes = tuple(tuple(known.values()) for known, _ in found.values())
    return Levels(tuple(found), classes, np.array(columns, dtype=np.int64).T)


Found = tuple[dict[str, str], list[str]]
"""The classes of a level, as codes with names, and the class of every label."""


def _codes(ontology: Ontology, level: str, names: Sequence[str]) -> list[str]:
    codes = [ontology.find(name).id for name in names]
    for position, code in enumerate(codes):
        if code in codes[:position]:
            raise OntologyError(
                f"the level '{level}' must name every term once, but '{names[codes.index(code)]}' and"
                f" '{names[position]}' are the same."
            )
    return codes


def _by_set(ontology: Ontology, level: str, names: Sequence[str], codes: Sequence[str]) -> Found:
    known = dict(zip(_codes(ontology, level, names), names, strict=True))

    def nearest_to(code: str) -> list[str]:
        above = [each for each in known if each in ontology.ancestors(code)]
        return [near for near in above if not any(_beyond(ontology, near, other) for other in above)]

    return known, [_only(ontology, level, code, nearest_to(code)) for code in codes]


def _beyond(ontology: Ontology, far: str, near: str) -> bool:
    return far != near and far in ontology.ancestors(near)


def _by_depth(ontology: Ontology, level: str, depth: int, codes: Sequence[str]) -> Found:
    _check_one_root(ontology, level, codes)
    depths: dict[str, set[int]] = {}
    for code in ontology.order:
        depths[code] = {1 + above for parent in ontology.parents(code) for above in depths[parent]} or {0}
    there = [code for code in ontology.order if depth in depths[code]]
    found = [
        _only(ontology, level, code, [each for each in there if each in ontology.ancestors(code)])
        for code in codes
    ]
    return {code: ontology.terms[code].name for code in there if code in found}, found


def _check_one_root(ontology: Ontology, level: str, codes: Sequence[str]) -> None:
    """Terms of two trees at one depth have nothing in common."""
    above = frozenset().union(*(ontology.ancestors(code) for code in codes))
    roots = [ontology.terms[code].name for code in ontology.roots if code in above]
    if len(roots) > 1:
        raise OntologyError(
            f"the labels must lie under one root of the ontology '{ontology.name}', because the level"
            f" '{level}' is a depth below it, but they lie under {len(roots)}: {listed(roots)}; name the"
            " classes of the level instead."
        )


def _only(ontology: Ontology, level: str, code: str, found: Sequence[str]) -> str:
    name = ontology.terms[code].name
    if not found:
        raise OntologyError(f"the label '{name}' must have a class at the level '{level}', but has none.")
    if len(found) > 1:
        ways = "; ".join(_way(ontology, code, above) for above in found)
        raise OntologyError(
            f"the label '{name}' must have one class at the level '{level}', but {len(found)} ways lead"
            f" there: {ways}."
        )
    return found[0]


def _way(ontology: Ontology, code: str, above: str) -> str:
    """The steps from a term up to one of its ancestors."""
    steps = [code]
    while steps[-1] != above:
        steps.append(
            next(parent for parent in ontology.parents(steps[-1]) if above in ontology.ancestors(parent))
        )
    return f" {IS_A} ".join(ontology.terms[step].name for step in steps)


def _check_divides(ontology: Ontology, level: str, path: Sequence[str]) -> None:
    used = {ontology.terms[code].name for code in path}
    if len(used) < 2:
        raise OntologyError(
            f"the level '{level}' must divide the labels, but all of them share one class: {listed(used)}."
        )
