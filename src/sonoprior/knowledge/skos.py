"""SKOS concepts as terms: `broader` and `narrower` as `is_a`, `related` as a relation."""

from rdflib import SKOS, Graph, URIRef

from .ontology import IS_A, Edge, Ontology
from .rdf import are, code_of, term_of

RELATED = "related"


def read_skos(graph: Graph, name: str, language: str = "en") -> Ontology:
    """The ontology of the concepts of a graph.

    Raises:
        OntologyError: if a concept stands under one that the document does not declare, two have the same
            code, or they run in a circle.
    """
    found = concepts(graph)
    terms = [term_of(graph, node, language) for node in found]
    return Ontology(name, terms, [edge for node in found for edge in _edges(graph, node)])


def concepts(graph: Graph) -> list[URIRef]:
    """The named concepts, in the order of the document."""
    return are(graph, SKOS.Concept)


def _edges(graph: Graph, node: URIRef) -> list[Edge]:
    code = code_of(node)
    up = [*graph.objects(node, SKOS.broader), *graph.subjects(SKOS.narrower, node)]
    edges = [Edge(code, IS_A, code_of(parent)) for parent in up if isinstance(parent, URIRef)]
    # A relation without direction: said once, it holds both ways.
    beside = [*graph.objects(node, SKOS.related), *graph.subjects(SKOS.related, node)]
    return edges + [Edge(code, RELATED, code_of(other)) for other in beside if isinstance(other, URIRef)]
