"""An ontology of any origin written in the project's own form, and read again."""

import pytest

from sonoprior.knowledge import read_ontology
from sonoprior.knowledge.ontology import Edge, Ontology, Term
from sonoprior.knowledge.yaml_form import as_yaml, read_yaml


def again(ontology):
    return read_yaml(as_yaml(ontology).encode(), "again")


def assert_same(found, wanted):
    assert (found.name, found.about) == (wanted.name, wanted.about)
    assert list(found.terms.values()) == list(wanted.terms.values())
    assert set(found.edges) == set(wanted.edges)
    assert found.order == wanted.order


def test_the_ontology_that_comes_with_the_project():
    ontology = read_ontology("early_pregnancy")
    assert_same(again(ontology), ontology)


@pytest.mark.parametrize("code", ["1", "no", "http://x.org/o#V1", "a: b", "näher", "- x"])
def test_codes_and_names_that_yaml_would_take_for_something_else(code):
    ontology = Ontology("x", [Term(code, "null", ("yes", "2"), "p. 3"), Term("root", "root")], [])
    assert_same(again(ontology), ontology)


def test_a_statement_with_another_source_than_its_term():
    terms = [Term("a", "a", (), "book"), Term("b", "b"), Term("c", "c")]
    edges = [
        Edge("a", "is_a", "b", "book"),
        Edge("a", "is_a", "c", "paper"),
        Edge("b", "seen_in", "c"),
        Edge("b", "seen_in", "a", "book"),
        Edge("c", "is_a", "b"),
    ]
    ontology = Ontology("small", terms, edges, "two lines\nof text")
    assert_same(again(ontology), ontology)
    assert again(ontology).ancestors("a") == {"a", "b", "c"}
