"""Similarity through typed edges: two terms are near when they point to the same disorder, or near ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import within
from sonoprior.core.errors import OntologyError

from .ontology import Ontology
from .sets import set_similarity
from .similarity import TermSimilarity

Floats = NDArray[np.float64]


def pointed_to(ontology: Ontology, relation: str) -> list[frozenset[str]]:
    """What each term points to by a relation, in the ontology's order.

    A term points to what its ancestors point to, as a kind of a sign suggests what the sign suggests. A term
    that others point to, and every kind of it, points to itself, so that a sign is near to the disorder it
    suggests.

    Raises:
        OntologyError: if the ontology has no such relation.
    """
    direct = {term: ontology.related(term, relation) for term in ontology.order}
    targets = {end for ends in direct.values() for end in ends}
    return [
        frozenset(end for ancestor in ontology.ancestors(term) for end in direct[ancestor])
        | ({term} if targets & ontology.ancestors(term) else frozenset())
        for term in ontology.order
    ]


def with_typed_edges(
    ontology: Ontology,
    similarity: TermSimilarity,
    relations: Sequence[str] = ("suggests", "seen_in"),
    weight: float = 0.5,
) -> TermSimilarity:
    """The similarities of `term_similarity`, averaged with those of what the terms point to.

    (1 - weight) s(a, b) + weight mean over relations of BMA(to(a), to(b)), with s the similarity through
    `is_a`, `to` as in `pointed_to`, and BMA the best-match average of s. A relation by which either term
    points to nothing is left out of the mean: absent is not different. Where none is left, s alone counts.
    This is the project's own definition for what the thesis asks for in section 3.6.2. Symmetry, range and
    the 1 of a term with itself are those of s.

    Args:
        ontology: the graph.
        similarity: of its terms through `is_a`, in its order.
        relations: the typed edges that count.
        weight: of the typed edges, in [0, 1].

    Raises:
        OntologyError: if a relation is unknown, none is named, the weight is out of range, or the
        similarities
            are not of this ontology.
    """
    within("the weight of typed edges", weight, 0.0, 1.0, OntologyError)
    if not relations:
        raise OntologyError("similarity through typed edges needs at least one relation, but got none.")
    if similarity.terms != ontology.order:
        raise OntologyError(
            f"the similarities must be those of the terms of the ontology '{ontology.name}', in its order,"
            f" but got {len(similarity.terms)} others."
        )
    through_edges = _mean_over_relations(ontology, similarity, relations)
    mixed = (1 - weight) * similarity.values + weight * through_edges
    return TermSimilarity(similarity.terms, np.where(np.isnan(through_edges), similarity.values, mixed))


def _mean_over_relations(ontology: Ontology, similarity: TermSimilarity, relations: Sequence[str]) -> Floats:
    """(n, n), NaN for a pair that no relation compares."""
    total = np.zeros_like(similarity.values)
    count = np.zeros_like(similarity.values)
    for relation in relations:
        ends = pointed_to(ontology, relation)
        near = set_similarity(ends, ends, similarity)
        count += ~np.isnan(near)
        total += np.nan_to_num(near)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
