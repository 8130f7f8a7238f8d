"""What XML may do to its reader, refused before a parser meets it.

Expat neither opens external entities for rdflib nor lets an entity grow without bound, but how far it lets it
grow depends on the version that Python was built with. Ontologies use entities for one thing only, short
prefixes of names; so anything else is refused here, and the bound holds everywhere.
"""

from xml.parsers import expat

from sonoprior.core.errors import OntologyError

_LONGEST_ENTITY = 500
_MOST_GROWTH = 100_000_000


class _Done(Exception):  # noqa: N818 (it ends the reading; nothing went wrong)
    """The head of the document is read."""


def check_xml(content: bytes, name: str) -> None:
    """Refuse a document whose head declares what an ontology does not need.

    Args:
        content: the whole document.
        name: for the message.

    Raises:
        OntologyError: if it names an outer file, or declares an entity that is long, stands on others, or is
            used so often that the document would grow by more than 100 MB; or if the head is not XML.
    """
    lengths = [0]

    def entity(text: str, is_parameter: int, value: str | None, *_: str | None) -> None:
        if value is None or is_parameter:
            raise OntologyError(
                f"{name} declares the XML entity '{text}' outside of itself, which is never opened."
            )
        if len(value) > _LONGEST_ENTITY or "&" in value:
            raise OntologyError(
                f"{name} declares the XML entity '{text}', which must be a text of at most {_LONGEST_ENTITY}"
                " letters without other entities in it."
            )
        lengths.append(len(value))

    def doctype(_: str, system: str | None, *__: object) -> None:
        if system is not None:
            raise OntologyError(f"{name} names an outer document type, '{system}', which is never opened.")

    def element(*_: object) -> None:
        raise _Done

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = entity
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = element
    try:
        parser.Parse(content, True)
    except _Done:
        pass
    except expat.ExpatError as error:
        raise not_xml(name, error) from error
    if content.count(b"&") * max(lengths) > _MOST_GROWTH:
        raise OntologyError(f"{name} uses XML entities so often that it would grow by more than 100 MB.")


def not_xml(name: str, error: Exception) -> OntologyError:
    """What is raised for a document that is not XML."""
    return OntologyError(
        f"{name} is not XML ({error}); an ontology in Turtle needs the suffix .ttl, one in OBO .obo."
    )
