"""RDF, in XML or in Turtle, as triples: read without reaching for anything outside, told OWL from SKOS."""

from collections.abc import Collection, Iterator
from xml.sax import SAXException

from sonoprior.core.errors import MissingExtraError, OntologyError

from .ontology import Ontology, Term
from .xml_guard import check_xml, not_xml

try:
    from rdflib import RDF, RDFS, SKOS, Graph, Literal, URIRef
    from rdflib.exceptions import ParserError
    from rdflib.plugins.parsers.notation3 import BadSyntax
except ModuleNotFoundError as error:
    if error.name != "rdflib":
        raise
    raise MissingExtraError(
        "an ontology in RDF needs rdflib, which comes with the extra 'ontology'; install it with"
        " pip install 'sonoprior[ontology]'."
    ) from error

_SYNONYMS = (
    SKOS.prefLabel,
    RDFS.label,
    SKOS.altLabel,
    SKOS.hiddenLabel,
    URIRef("http://www.geneontology.org/formats/oboInOwl#hasExactSynonym"),
)


def read_rdf(content: bytes, name: str, form: str, language: str = "en") -> Ontology:
    """The ontology in a document: of its OWL classes or, where it has none, of its SKOS concepts.

    Args:
        content: the document.
        name: of the ontology.
        form: "xml" or "turtle".
        language: whose labels become names.

    Raises:
        OntologyError: if the document is damaged, is dangerous to read, or has neither classes nor concepts.
    """
    from .owl import classes, read_owl
    from .skos import concepts, read_skos

    graph = _parsed(content, name, form)
    if classes(graph):
        return read_owl(graph, name, language)
    if concepts(graph):
        return read_skos(graph, name, language)
    raise OntologyError(f"{name} must hold OWL classes or SKOS concepts, but it holds neither.")


def _parsed(content: bytes, name: str, form: str) -> Graph:
    if form == "xml":
        check_xml(content, name)
    graph = Graph(store="SimpleMemory", bind_namespaces="none")
    try:
        graph.parse(data=content, format=form)
    except SAXException as error:
        raise not_xml(name, error) from error
    # A document that ends too early shows as an IndexError, one nested without end as a RecursionError.
    except (ParserError, BadSyntax, UnicodeDecodeError, IndexError, RecursionError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise OntologyError(f"{name} cannot be read as RDF in {form}: {line[:200]}.") from error
    return graph


def term_of(graph: Graph, node: URIRef, language: str) -> Term:
    """A class or concept with its labels; one without any keeps its code as name."""
    labels = list(dict.fromkeys(str(label) for label in _labels(graph, node)))
    name = _preferred(graph, node, language) or code_of(node)
    return Term(code_of(node), name, tuple(label for label in labels if label != name), str(node))


def code_of(node: URIRef) -> str:
    """What stands behind the last # or / of a name."""
    return str(node).rstrip("#/").rpartition("#")[2].rpartition("/")[2]


def code_among(nodes: Collection[URIRef], node: URIRef) -> str:
    """The code of a node that is a term; of another one its whole name, which no term has as a code."""
    return code_of(node) if node in nodes else str(node)


def _labels(graph: Graph, node: URIRef) -> Iterator[Literal]:
    for kind in _SYNONYMS:
        yield from (label for label in graph.objects(node, kind) if isinstance(label, Literal))


def _preferred(graph: Graph, node: URIRef, language: str) -> str | None:
    """The preferred label, else any label: in the language, else in none, else in the first by its code."""
    for kind in (SKOS.prefLabel, RDFS.label):
        found = [label for label in graph.objects(node, kind) if isinstance(label, Literal)]
        if found:
            return str(min(found, key=lambda label: _distance(label.language, language)))
    return None


def _distance(came: str | None, wanted: str) -> tuple[int, str]:
    if came is None:
        return 1, ""
    return (0 if came.split("-")[0].lower() == wanted.lower() else 2), came


def are(graph: Graph, *kinds: URIRef) -> list[URIRef]:
    """The named things of some kinds, in the order of the document."""
    found = (node for kind in kinds for node in graph.subjects(RDF.type, kind))
    return [node for node in dict.fromkeys(found) if isinstance(node, URIRef)]
