"""OBO terms: `is_a`, `relationship`, names and synonyms. What is obsolete is left out."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from sonoprior.core.errors import MissingExtraError, OntologyError

from .ontology import IS_A, Edge, Ontology, Term

try:
    fastobo: Any = import_module("fastobo")  # compiled, and without types
except ModuleNotFoundError as error:
    if error.name != "fastobo":
        raise
    raise MissingExtraError(
        "an ontology in OBO needs fastobo, which comes with the extra 'ontology'; install it with"
        " pip install 'sonoprior[ontology]'."
    ) from error


def read_obo(content: bytes, name: str) -> Ontology:
    """The ontology of an OBO document; what it imports is not fetched.

    Raises:
        OntologyError: if the document is damaged, names an unknown term, or runs in a circle.
    """
    try:
        document = fastobo.loads(content.decode("utf-8"), threads=1)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise OntologyError(f"{name} cannot be read as OBO: {error}.") from error
    frames = [
        frame for frame in document if isinstance(frame, fastobo.term.TermFrame) and not _obsolete(frame)
    ]
    return Ontology(name, map(_term, frames), [edge for frame in frames for edge in _edges(frame)])


def _obsolete(frame: Any) -> bool:
    return any(isinstance(clause, fastobo.term.IsObsoleteClause) and clause.obsolete for clause in frame)


def _term(frame: Any) -> Term:
    code = str(frame.id)
    names = [clause.name for clause in frame if isinstance(clause, fastobo.term.NameClause)]
    synonyms = [clause.synonym.desc for clause in frame if isinstance(clause, fastobo.term.SynonymClause)]
    return Term(code, names[0] if names else code, tuple(dict.fromkeys(synonyms)), code)


def _edges(frame: Any) -> Iterator[Edge]:
    for clause in frame:
        if isinstance(clause, fastobo.term.IsAClause):
            yield Edge(str(frame.id), IS_A, str(clause.term))
        elif isinstance(clause, fastobo.term.RelationshipClause):
            yield Edge(str(frame.id), str(clause.typedef), str(clause.term))
