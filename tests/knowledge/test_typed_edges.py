"""Similarity through typed edges, on a few signs and disorders."""

import numpy as np
import pytest

from small_graphs import graph, metals
from sonoprior.core.errors import OntologyError
from sonoprior.knowledge.similarity import MEASURES, TermSimilarity, term_similarity
from sonoprior.knowledge.typed_edges import pointed_to, with_typed_edges

SIGNS = graph(
    "ring is_a sign",
    "fluid is_a sign",
    "thin is_a sign",
    "bright_ring is_a ring",
    "plain is_a sign",
    "tubal is_a ectopic",
    "scar is_a ectopic",
    "ectopic is_a disorder",
    "miscarriage is_a disorder",
    "adnexa is_a view",
    "uterus is_a view",
    "ring suggests tubal",
    "fluid suggests tubal",
    "thin suggests scar",
    "ring seen_in adnexa",
    "thin seen_in uterus",
    "plain excludes tubal",
)
PATHS = term_similarity(SIGNS, "shortest_path")


def of(similarity, first, second):
    return similarity.between([first], [second])[0, 0]


def test_a_kind_of_a_sign_points_to_what_the_sign_points_to():
    found = dict(zip(SIGNS.order, pointed_to(SIGNS, "suggests"), strict=True))
    assert found["bright_ring"] == {"tubal"}
    assert found["tubal"] == {"tubal"}  # what is pointed to points to itself
    assert found["ectopic"] == found["plain"] == found["sign"] == frozenset()


def test_signs_of_one_disorder_are_nearer_than_their_names():
    found = with_typed_edges(SIGNS, PATHS, ["suggests"])
    assert of(PATHS, "ring", "fluid") == of(PATHS, "ring", "thin") == pytest.approx(1 / 3)
    assert of(found, "ring", "fluid") == pytest.approx((1 / 3 + 1) / 2)
    assert of(found, "ring", "thin") == pytest.approx(1 / 3)  # tubal and scar are 1 / 3 apart, too
    assert of(found, "bright_ring", "fluid") == pytest.approx((1 / 4 + 1) / 2)


def test_a_sign_is_near_to_the_disorder_it_suggests():
    found = with_typed_edges(SIGNS, PATHS, ["suggests"], weight=0.25)
    assert of(PATHS, "ring", "tubal") == 0
    assert of(found, "ring", "tubal") == pytest.approx(0.25)
    assert of(found, "ring", "scar") == pytest.approx(0.25 / 3)


def test_several_relations_are_averaged_where_both_terms_have_them():
    found = with_typed_edges(SIGNS, PATHS, ["suggests", "seen_in"])
    assert of(found, "ring", "thin") == pytest.approx((1 / 3 + (1 / 3 + 1 / 3) / 2) / 2)
    assert of(found, "ring", "fluid") == pytest.approx((1 / 3 + 1) / 2)  # fluid is seen anywhere


def test_where_nothing_is_pointed_to_the_hierarchy_counts_alone():
    found = with_typed_edges(SIGNS, PATHS)
    assert of(found, "plain", "ring") == of(PATHS, "plain", "ring")
    assert of(found, "tubal", "scar") == of(PATHS, "tubal", "scar")
    assert of(found, "tubal", "miscarriage") == of(PATHS, "tubal", "miscarriage")


@pytest.mark.parametrize("name", MEASURES.names())
def test_the_laws_of_the_measure_stay(name):
    plain = term_similarity(SIGNS, name)
    found = with_typed_edges(SIGNS, plain, weight=0.7).values
    assert np.allclose(found, found.T)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-12
    if MEASURES.load(name).of_itself_is_one:
        assert np.allclose(np.diag(found), 1)
    assert np.array_equal(with_typed_edges(SIGNS, plain, weight=0).values, plain.values)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(OntologyError, match="excludes, seen_in, suggests, but got 'suggest'"):
        with_typed_edges(SIGNS, PATHS, ["suggest"])
    with pytest.raises(OntologyError, match="at least one relation, but got none"):
        with_typed_edges(SIGNS, PATHS, [])
    with pytest.raises(OntologyError, match="weight of typed edges must lie between 0 and 1, but got 2"):
        with_typed_edges(SIGNS, PATHS, weight=2)
    with pytest.raises(OntologyError, match="of the ontology 'small', in its order, but got 8 others"):
        with_typed_edges(SIGNS, term_similarity(metals()))
    with pytest.raises(OntologyError, match="in its order"):
        with_typed_edges(SIGNS, TermSimilarity(PATHS.terms[::-1], PATHS.values))
