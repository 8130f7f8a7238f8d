"""The graph: order, ancestors, finding, and what it refuses."""

from itertools import pairwise

import networkx
import numpy as np
import pytest

from sonoprior.core.errors import OntologyError
from sonoprior.knowledge import Edge, Ontology, Term


def made(edges, names=None, **texts):
    codes = dict.fromkeys(code for start, _, end in edges for code in (end, start))
    terms = [Term(code, (names or {}).get(code, code), texts.get(code, ())) for code in codes]
    return Ontology("small", terms, [Edge(*edge) for edge in edges])


DIAMOND = [
    ("b", "is_a", "a"),
    ("c", "is_a", "a"),
    ("d", "is_a", "b"),
    ("d", "is_a", "c"),
    ("d", "seen_in", "b"),
]


def test_a_term_may_have_several_parents():
    graph = made(DIAMOND)
    assert graph.parents("d") == ("b", "c")
    assert graph.children("a") == ("b", "c")
    assert graph.ancestors("d") == {"a", "b", "c", "d"}
    assert graph.descendants("c") == ("c", "d")
    assert graph.roots == ("a",)


def test_the_nearest_common_ancestors_of_two_terms():
    graph = made([*DIAMOND, ("e", "is_a", "b"), ("e", "is_a", "c"), ("x", "is_a", "y")])
    assert graph.nearest_common("b", "c") == ("a",)
    assert graph.nearest_common("d", "e") == ("b", "c")
    assert graph.nearest_common("d", "b") == ("b",)
    assert graph.nearest_common("d", "x") == ()


def test_typed_relations_are_no_part_of_the_hierarchy():
    graph = made(DIAMOND)
    assert graph.relations == ("seen_in",)
    assert graph.related("d", "seen_in") == ("b",)
    assert graph.related("a", "seen_in") == ()


def test_the_order_and_the_ancestors_of_random_graphs_agree_with_networkx():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pairs = [(child, int(parent)) for child in range(1, 25) for parent in rng.choice(child, 2)]
        pairs = [(str(24 - child), str(24 - parent)) for child, parent in pairs]
        graph = made([(child, "is_a", parent) for child, parent in pairs])
        oracle = networkx.DiGraph(pairs)
        for code in graph.terms:
            assert graph.ancestors(code) == networkx.descendants(oracle, code) | {code}
            assert all(graph.positions[parent] < graph.positions[code] for parent in graph.parents(code))
        assert sorted(graph.order) == sorted(graph.terms)


def test_a_statement_that_stands_twice_counts_once():
    assert made([("b", "is_a", "a"), ("b", "is_a", "a")]).parents("b") == ("a",)


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ([("a", "is_a", "a")], "a is_a a"),
        ([("a", "is_a", "b"), ("b", "is_a", "a")], "(a is_a b is_a a|b is_a a is_a b)"),
        (
            [("x", "is_a", "r"), ("x", "is_a", "y"), ("y", "is_a", "x"), ("z", "is_a", "x")],
            "(x is_a y|y is_a x)",
        ),
    ],
)
def test_a_circle_is_refused_and_named(edges, circle):
    with pytest.raises(OntologyError, match=f"'small' runs in a circle: {circle}"):
        made(edges)


def test_the_circle_is_named_in_its_own_direction():
    with pytest.raises(OntologyError) as refused:
        made([("a", "is_a", "b"), ("b", "is_a", "c"), ("c", "is_a", "a")])
    said = str(refused.value).removesuffix(".").split(": ")[1].split(" is_a ")
    assert set(pairwise(said)) == {("a", "b"), ("b", "c"), ("c", "a")}


def test_unknown_ends_codes_and_relations_are_refused():
    with pytest.raises(OntologyError, match="says 'uterus is_a organ', but it has no term 'organ'"):
        Ontology("small", [Term("uterus", "uterus")], [Edge("uterus", "is_a", "organ")])
    graph = made(DIAMOND)
    with pytest.raises(OntologyError, match="has no term with the code 'e'"):
        graph.parents("e")
    with pytest.raises(OntologyError, match="a relation of the ontology 'small' must be one of seen_in"):
        graph.related("d", "is_a")


def test_two_terms_of_one_code_and_no_terms_are_refused():
    with pytest.raises(OntologyError, match="two terms with the code 'a'"):
        Ontology("small", [Term("a", "one"), Term("a", "two")], [])
    with pytest.raises(OntologyError, match="at least one term"):
        Ontology("small", [], [])


def test_an_ontology_may_have_several_roots():
    graph = made([("b", "is_a", "a"), ("d", "is_a", "c")], {"a": "view", "c": "finding"})
    assert graph.roots == ("a", "c")
    assert graph.nearest_common("b", "d") == ()


def test_a_term_is_found_by_code_name_and_synonym():
    graph = made(
        [("V2", "is_a", "V1")], {"V1": "View", "V2": "Coupe de l'utérus"}, V2=("Uterus view", "view")
    )
    assert graph.find("V2").id == graph.find("coupe de l'UTÉRUS").id == graph.find("uterus VIEW").id == "V2"
    assert graph.find("view").id == "V1"  # a name before a synonym
    with pytest.raises(OntologyError, match=r"has no term 'uterus veiw'\. Did you mean 'uterus view'"):
        graph.find("uterus veiw")


def test_a_text_that_stands_for_two_terms_is_refused():
    graph = made([("b", "is_a", "a"), ("c", "is_a", "a")], {"b": "cyst", "c": "Cyst"})
    with pytest.raises(OntologyError, match=r"'cyst' stands for several terms .*: b, c; name the one"):
        graph.find("cyst")
