"""An ontology from a file of any known form, or one that comes with the project, by its name."""

from collections.abc import Callable
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import OntologyError

from .ontology import Ontology
from .yaml_form import read_yaml

MOST_BYTES = 200_000_000
"""More than the largest well-known ontologies have; a larger file is no ontology."""
_HEAD = 512

Reader = Callable[[bytes, str, str], Ontology]
"""Content, name, preferred language."""


def read_ontology(source: str | Path, language: str = "en") -> Ontology:
    """The ontology of a bundled name, or of a file: OWL or SKOS in RDF/XML or Turtle, OBO, or YAML.

    Args:
        source: one of `bundled()`, or a path. The form follows from the suffix (`.owl`, `.rdf`, `.xml`,
            `.ttl`, `.obo`, `.yaml`, `.yml`); without one of these, and for `.owl`, from how the content
            begins.
        language: whose labels become names where terms are labelled in several; the others are synonyms.

    Raises:
        OntologyError: if there is no such file, it is too large, damaged, or says nothing of terms.
        MissingExtraError: if the form's library is not installed.
    """
    if isinstance(source, str) and source in bundled():
        with as_file(_shelf() / f"{source}.yaml") as path:
            return read_yaml(path.read_bytes(), source)
    path = Path(source)
    content = _content(path)
    return _reader(path, content)(content, path.stem, language)


def bundled() -> list[str]:
    """The names of the ontologies that come with the project, sorted."""
    return sorted(Path(file.name).stem for file in _shelf().iterdir() if file.name.endswith(".yaml"))


def _shelf() -> Traversable:
    return files("sonoprior.knowledge") / "ontologies"


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise OntologyError(
            f"there is no ontology '{path}': neither a file nor one of those that come with the project,"
            f" {listed(bundled())}.{nearest(str(path), bundled())}"
        )
    if path.stat().st_size > MOST_BYTES:
        raise OntologyError(
            f"{path} must not be larger than {MOST_BYTES:,} bytes, but has {path.stat().st_size:,}."
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise OntologyError(f"{path} cannot be read: {error.strerror or error}.") from error


def _reader(path: Path, content: bytes) -> Reader:
    readers = {
        ".rdf": _xml,
        ".xml": _xml,
        ".ttl": _turtle,
        ".obo": _obo,
        ".yaml": _yaml,
        ".yml": _yaml,
    }
    known = readers.get(path.suffix.lower()) or _by_beginning(content)
    if known is None and path.suffix.lower() == ".owl":
        return _xml  # whose message says what was expected
    if known is None:
        raise OntologyError(
            f"{path} must be an ontology in RDF/XML, Turtle, OBO or YAML, with one of the suffixes .owl,"
            f" {listed(readers)}, but neither its name nor how it begins says which."
        )
    return known


def _by_beginning(content: bytes) -> Reader | None:
    lines = content[:_HEAD].decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n").splitlines()
    first = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
    if first.startswith(("<?xml", "<!DOCTYPE", "<rdf:RDF", "<!--")):
        return _xml
    if first.lower().startswith(("@prefix", "@base", "prefix ", "base ")):
        return _turtle
    return _obo if first.startswith("format-version:") else None


def _xml(content: bytes, name: str, language: str) -> Ontology:
    from .rdf import read_rdf

    return read_rdf(content, name, "xml", language)


def _turtle(content: bytes, name: str, language: str) -> Ontology:
    from .rdf import read_rdf

    return read_rdf(content, name, "turtle", language)


def _obo(content: bytes, name: str, language: str) -> Ontology:  # noqa: ARG001 (OBO labels have no language)
    from .obo import read_obo

    return read_obo(content, name)


def _yaml(content: bytes, name: str, language: str) -> Ontology:  # noqa: ARG001 (the form has one language)
    return read_yaml(content, name)
