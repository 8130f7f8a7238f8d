"""OWL classes as terms: subclasses as `is_a`, `someValuesFrom` restrictions as typed relations.

What else OWL can say (unions, complements, numbers, individuals) has no place in a graph of terms.
"""

from collections.abc import Iterator

from rdflib import OWL, RDFS, Graph, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from sonoprior.core.errors import OntologyError

from .ontology import IS_A, Edge, Ontology
from .rdf import are, code_among, code_of, term_of


def read_owl(graph: Graph, name: str, language: str = "en") -> Ontology:
    """The ontology of the named classes of a graph; deprecated ones are left out.

    Raises:
        OntologyError: if a class stands under one that the document does not declare (what it imports is not
            fetched), two have the same code, or they run in a circle.
    """
    found = dict.fromkeys(classes(graph))
    terms = [term_of(graph, node, language) for node in found]
    edges = [
        Edge(code_of(node), relation, code_among(found, end))
        for node in found
        for relation, end in _stated(graph, node, name, language)
    ]
    return Ontology(name, terms, edges)


def classes(graph: Graph) -> list[URIRef]:
    """The named classes that are in use, in the order of the document."""
    named = are(graph, OWL.Class, RDFS.Class)
    return [node for node in named if node != OWL.Thing and not _deprecated(graph, node)]


def _deprecated(graph: Graph, node: URIRef) -> bool:
    return any(str(value).lower() in {"true", "1"} for value in graph.objects(node, OWL.deprecated))


def _stated(graph: Graph, node: URIRef, name: str, language: str) -> Iterator[tuple[str, URIRef]]:
    """What a class stands in, as pairs of a relation and another class."""
    superiors = list(graph.objects(node, RDFS.subClassOf))
    # A named equivalent would be a parent and a child at once; a described one says what the class is.
    same = graph.objects(node, OWL.equivalentClass)
    superiors += [other for other in same if not isinstance(other, URIRef)]
    for superior in superiors:
        for part in _parts(graph, superior, name):
            if isinstance(part, URIRef):
                yield IS_A, part
            else:
                yield from _restriction(graph, part, language)


def _parts(graph: Graph, node: Node, name: str) -> list[Node]:
    """A class, or each class of an intersection, but for the one that everything is."""
    members = graph.value(node, OWL.intersectionOf)
    if isinstance(node, URIRef) or members is None:
        parts = [node]
    else:
        try:
            parts = list(Collection(graph, members))
        except ValueError as error:  # a list that runs in a circle
            raise OntologyError(f"{name} holds a damaged list: {error}.") from error
    return [part for part in parts if part != OWL.Thing]


def _restriction(graph: Graph, node: Node, language: str) -> Iterator[tuple[str, URIRef]]:
    relation, end = graph.value(node, OWL.onProperty), graph.value(node, OWL.someValuesFrom)
    if isinstance(relation, URIRef) and isinstance(end, URIRef):
        yield term_of(graph, relation, language).name, end
