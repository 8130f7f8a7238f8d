"""SKOS concepts as terms: `broader` and `narrower` as `is_a`, `related` as a relation."""

from rdflib import SKOS, Graph, URIRef
from rdflib.term import Node

from .ontology import IS_A, Edge, Ontology
from .rdf import are, code_among, code_of, term_of

RELATED = "related"


def read_skos(graph: Graph, name: str, language: str = "en") -> Ontology:
    """The ontology of the concepts of a graph.

    Raises:
        OntologyError: if a concept stands under one that the document does not declare, two have the same
            code, or they run in a circle.
    """
    found = dict.fromkeys(concepts(graph))
    terms = [term_of(graph, node, language) for node in found]
    edges = [
        Edge(code_of(node), relation, code_among(found, end))
        for node in found
        for relation, end in _stated(graph, node)
        if isinstance(end, URIRef)
    ]
    return Ontology(name, terms, edges)


def concepts(graph: Graph) -> list[URIRef]:
    """The named concepts, in the order of the document."""
    return are(graph, SKOS.Concept)


def _stated(graph: Graph, node: URIRef) -> list[tuple[str, Node]]:
    """What a concept stands in, as pairs of a relation and another concept."""
    up = [*graph.objects(node, SKOS.broader), *graph.subjects(SKOS.narrower, node)]
    # A relation without direction: said once, it holds both ways.
    beside = [*graph.objects(node, SKOS.related), *graph.subjects(SKOS.related, node)]
    return [*((IS_A, other) for other in up), *((RELATED, other) for other in beside)]
