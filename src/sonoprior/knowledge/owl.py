"""OWL classes as terms: subclasses as `is_a`, `someValuesFrom` restrictions as typed relations.

What else OWL can say (unions, complements, numbers, individuals) has no place in a graph of terms.
"""

from collections.abc import Iterator

from rdflib import OWL, RDFS, Graph, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from .ontology import IS_A, Edge, Ontology
from .rdf import are, code_of, term_of


def read_owl(graph: Graph, name: str, language: str = "en") -> Ontology:
    """The ontology of the named classes of a graph; deprecated ones are left out.

    Raises:
        OntologyError: if a class stands under one that the document does not declare (what it imports is not
            fetched), two have the same code, or they run in a circle.
    """
    found = classes(graph)
    terms = [term_of(graph, node, language) for node in found]
    edges = [edge for node in found for edge in _edges(graph, node, language)]
    return Ontology(name, terms, edges)


def classes(graph: Graph) -> list[URIRef]:
    """The named classes that are in use, in the order of the document."""
    named = are(graph, OWL.Class, RDFS.Class)
    return [node for node in named if node != OWL.Thing and not _deprecated(graph, node)]


def _deprecated(graph: Graph, node: URIRef) -> bool:
    return any(str(value).lower() in {"true", "1"} for value in graph.objects(node, OWL.deprecated))


def _edges(graph: Graph, node: URIRef, language: str) -> Iterator[Edge]:
    stated = list(graph.objects(node, RDFS.subClassOf))
    # A named equivalent would be a parent and a child at once; a described one says what the class is.
    stated += [other for other in graph.objects(node, OWL.equivalentClass) if not isinstance(other, URIRef)]
    for superior in stated:
        for part in _parts(graph, superior):
            edge = _edge(graph, node, part, language)
            if edge is not None:
                yield edge


def _parts(graph: Graph, node: Node) -> Iterator[Node]:
    """A class, or each class of an intersection."""
    members = graph.value(node, OWL.intersectionOf)
    if isinstance(node, URIRef) or members is None:
        yield node
    else:
        yield from Collection(graph, members)


def _edge(graph: Graph, node: URIRef, superior: Node, language: str) -> Edge | None:
    if isinstance(superior, URIRef):
        return None if superior == OWL.Thing else Edge(code_of(node), IS_A, code_of(superior))
    relation, end = graph.value(superior, OWL.onProperty), graph.value(superior, OWL.someValuesFrom)
    if isinstance(relation, URIRef) and isinstance(end, URIRef):
        return Edge(code_of(node), term_of(graph, relation, language).name, code_of(end))
    return None
