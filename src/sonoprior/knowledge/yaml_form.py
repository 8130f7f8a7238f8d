"""The project's own small form of an ontology: YAML that a person can write and check.

    name: small
    about: two views, and where each is taken from
    sources:
      book: The book's title, publisher, year
    terms:
      view: {}
      uterus view: {is_a: view, source: book, synonyms: [view of the uterus]}
      sac: {name: gestational sac}
    relations:
      - {relation: seen_in, source: book, holds: {sac: [uterus view]}}

A term's key is its code, and its name where none is given. `source` names an entry of `sources`: beside a
term it covers what the term is a kind of, in `relations` every statement that holds there.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import OntologyError
from sonoprior.core.strict_yaml import load_yaml

from .ontology import IS_A, Edge, Ontology, Term


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _nothing_said(value: Any) -> Any:
    return {} if value is None else value


Names = Annotated[list[str], BeforeValidator(_one_or_several)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Term(_Strict):
    name: str = ""
    synonyms: Names = []
    is_a: Names = []
    source: str = ""


class _Relations(_Strict):
    relation: str
    source: str = ""
    holds: dict[str, Names]


class _File(_Strict):
    name: str
    about: str = ""
    sources: dict[str, str] = {}
    terms: Annotated[dict[str, Annotated[_Term, BeforeValidator(_nothing_said)]], Field(min_length=1)]
    relations: list[_Relations] = []


def read_yaml(content: bytes, where: str) -> Ontology:
    """The ontology of a document in the project's own form.

    Args:
        content: the document.
        where: for messages.

    Raises:
        OntologyError: if it is not YAML, a field is unknown or wrong, or the graph is refused.
    """
    try:
        loaded = load_yaml(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise OntologyError(f"{where} cannot be read as YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(loaded, dict):
        raise OntologyError(
            f"{where} must hold fields such as 'terms: ...', but got {type(loaded).__name__}."
        )
    try:
        file = _File.model_validate(loaded)
    except ValidationError as error:
        raise OntologyError(f"{where}: {_sentence(error)}") from error
    for source in {*(term.source for term in file.terms.values()), *(r.source for r in file.relations)} - {
        ""
    }:
        one_of(f"{where}: a source", source, file.sources, OntologyError)
    return Ontology(file.name, _terms(file), _edges(file), file.about)


def as_yaml(ontology: Ontology) -> str:
    """An ontology of any origin as a document in this form, which `read_yaml` reads as the same ontology."""
    texts = [term.source for term in ontology.terms.values()] + [edge.source for edge in ontology.edges]
    sources = {text: f"s{at}" for at, text in enumerate(dict.fromkeys(filter(None, texts)), start=1)}
    kinds: dict[str, list[str]] = {}
    for edge in ontology.edges:
        if _beside(ontology, edge):
            kinds.setdefault(edge.start, []).append(edge.end)
    content = {
        "name": ontology.name,
        "about": ontology.about,
        "sources": {code: text for text, code in sources.items()},
        "terms": {
            code: _term_as_plain(term, kinds.get(code, []), sources) for code, term in ontology.terms.items()
        },
        "relations": _relations_as_plain(ontology, sources),
    }
    said = {name: value for name, value in content.items() if value}
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=110)


def _term_as_plain(term: Term, is_a: list[str], sources: Mapping[str, str]) -> dict[str, Any]:
    plain = {
        "name": "" if term.name == term.id else term.name,
        "synonyms": list(term.synonyms),
        "is_a": is_a,
        "source": sources.get(term.source, ""),
    }
    return {name: value for name, value in plain.items() if value}


def _beside(ontology: Ontology, edge: Edge) -> bool:
    """Whether a statement stands beside its term, whose source covers it."""
    return edge.relation == IS_A and edge.source == ontology.terms[edge.start].source


def _relations_as_plain(ontology: Ontology, sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """All other statements, in one block for each relation and source."""
    blocks: dict[tuple[str, str], dict[str, list[str]]] = {}
    for edge in ontology.edges:
        if not _beside(ontology, edge):
            blocks.setdefault((edge.relation, edge.source), {}).setdefault(edge.start, []).append(edge.end)
    return [
        {"relation": relation} | ({"source": sources[source]} if source else {}) | {"holds": holds}
        for (relation, source), holds in blocks.items()
    ]


def _terms(file: _File) -> Iterator[Term]:
    for code, term in file.terms.items():
        yield Term(code, term.name or code, tuple(term.synonyms), file.sources.get(term.source, ""))


def _edges(file: _File) -> Iterator[Edge]:
    for code, term in file.terms.items():
        for parent in term.is_a:
            yield Edge(code, IS_A, parent, file.sources.get(term.source, ""))
    for block in file.relations:
        for start, ends in block.holds.items():
            for end in ends:
                yield Edge(start, block.relation, end, file.sources.get(block.source, ""))


def _sentence(error: ValidationError) -> str:
    """One of pydantic's complaints, in our words: an unknown field first, since it explains a missing one."""
    complaints = error.errors(include_url=False)
    first = next((each for each in complaints if each["type"] == "extra_forbidden"), complaints[0])
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"the field '{field}' is wrong: {first['msg']}."
    known = _fields_beside(first["loc"])
    return (
        f"the field '{field}' is unknown; known are {listed(known)}.{nearest(str(first['loc'][-1]), known)}"
    )


def _fields_beside(place: tuple[int | str, ...]) -> list[str]:
    kinds: dict[int | str, type[BaseModel]] = {"terms": _Term, "relations": _Relations}
    return list((kinds[place[0]] if len(place) > 1 else _File).model_fields)
