"""A graph of terms: what is a kind of what, and the typed relations between them.

Every reader (OWL, OBO, SKOS, YAML) ends here, and everything that uses an ontology starts here. The
hierarchy, `is_a`, may give a term several parents but never runs in a circle; any other relation is free.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import OntologyError

IS_A = "is_a"


@dataclass(frozen=True)
class Term:
    """A concept.

    Attributes:
        id: its code, unique in the ontology.
        name: its preferred label; the code where it has none.
        synonyms: its other labels.
        source: where it is defined, for a reader who wants to check.
    """

    id: str
    name: str
    synonyms: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Edge:
    """One statement: `start` stands in `relation` to `end`.

    Attributes:
        start, end: codes of terms.
        relation: `is_a`, or the name of another relation such as `seen_in`.
        source: where the statement is taken from.
    """

    start: str
    relation: str
    end: str
    source: str = ""


class Ontology:
    """An immutable graph of terms.

    Args:
        name: for messages, tables and pages.
        terms: the terms, in file order.
        edges: the statements between them; one that stands twice counts once.
        about: what it covers, where it is from, and what it must not be used for.

    Attributes:
        name, about: as given.
        terms: the terms by code, in file order.
        edges: the statements, in file order.
        roots: the terms without a parent, in file order; an ontology may have several.
        relations: the names of all relations but `is_a`, sorted.
        order: all codes, parents before children, else in file order; positions in it index every matrix.
        positions: the position of each code in `order`.

    Raises:
        OntologyError: if it has no term, a code stands twice, a statement names an unknown term, or `is_a`
            runs in a circle.
    """

    def __init__(self, name: str, terms: Iterable[Term], edges: Iterable[Edge], about: str = "") -> None:
        self.name = name
        self.about = about
        self.terms: Mapping[str, Term] = MappingProxyType(_by_code(name, terms))
        self.edges = tuple({(edge.start, edge.relation, edge.end): edge for edge in edges}.values())
        self._check_ends()
        self._parents = self._neighbours(IS_A)
        self._children = self._neighbours(IS_A, backwards=True)
        self.relations = tuple(sorted({edge.relation for edge in self.edges} - {IS_A}))
        self._related = {relation: self._neighbours(relation) for relation in self.relations}
        self.roots = tuple(code for code in self.terms if not self._parents[code])
        self.order = self._ordered()
        self.positions: Mapping[str, int] = MappingProxyType(
            {code: position for position, code in enumerate(self.order)}
        )
        self._ancestors = self._all_ancestors()
        self._by_text = self._index()

    def __repr__(self) -> str:
        return f"Ontology('{self.name}', {len(self.terms)} terms)"

    def __contains__(self, text: object) -> bool:
        """Whether a term has this code, name or synonym."""
        return isinstance(text, str) and (text in self.terms or text.casefold() in self._by_text)

    def parents(self, term: str) -> tuple[str, ...]:
        """The codes of the terms that `term` is directly a kind of."""
        return self._parents[self._known(term)]

    def children(self, term: str) -> tuple[str, ...]:
        """The codes of the terms that are directly a kind of `term`."""
        return self._children[self._known(term)]

    def related(self, term: str, relation: str) -> tuple[str, ...]:
        """The codes that `term` itself points to by a relation; what its parents point to is not added.

        Raises:
            OntologyError: if the term or the relation is unknown.
        """
        one_of(f"a relation of the ontology '{self.name}'", relation, self.relations, OntologyError)
        return self._related[relation][self._known(term)]

    def ancestors(self, term: str) -> frozenset[str]:
        """The codes of everything that `term` is a kind of, itself included."""
        return self._ancestors[self._known(term)]

    def descendants(self, term: str) -> tuple[str, ...]:
        """The codes of everything that is a kind of `term`, itself included, parents first."""
        self._known(term)
        return tuple(code for code in self.order if term in self._ancestors[code])

    def nearest_common(self, first: str, second: str) -> tuple[str, ...]:
        """The common ancestors of two terms that are above no other one; none under different roots."""
        common = self.ancestors(first) & self.ancestors(second)
        passed = {parent for code in common for parent in self._parents[code]}
        return tuple(code for code in self.order if code in common - passed)

    def find(self, text: str) -> Term:
        """The term of a code, else of a name, else of a synonym, in upper or lower case.

        Raises:
            OntologyError: if nothing is called so (the nearest name is offered), or several terms are.
        """
        if text in self.terms:
            return self.terms[text]
        found = self._by_text.get(text.casefold(), ())
        if len(found) == 1:
            return self.terms[found[0]]
        if found:
            raise OntologyError(
                f"'{text}' stands for several terms of the ontology '{self.name}': {listed(found)};"
                " name the one that is meant by its code."
            )
        raise OntologyError(
            f"the ontology '{self.name}' has no term '{text}'.{nearest(text.casefold(), self._by_text)}"
        )

    def _known(self, term: str) -> str:
        if term not in self.terms:
            raise OntologyError(f"the ontology '{self.name}' has no term with the code '{term}'.")
        return term

    def _check_ends(self) -> None:
        for edge in self.edges:
            for end in (edge.start, edge.end):
                if end not in self.terms:
                    raise OntologyError(
                        f"the ontology '{self.name}' says '{edge.start} {edge.relation} {edge.end}', but it"
                        f" has no term '{end}'.{nearest(end, self.terms)}"
                    )

    def _neighbours(self, relation: str, *, backwards: bool = False) -> dict[str, tuple[str, ...]]:
        reached: dict[str, list[str]] = {code: [] for code in self.terms}
        for edge in self.edges:
            if edge.relation == relation:
                start, end = (edge.end, edge.start) if backwards else (edge.start, edge.end)
                reached[start].append(end)
        return {code: tuple(ends) for code, ends in reached.items()}

    def _ordered(self) -> tuple[str, ...]:
        try:
            return tuple(TopologicalSorter(self._parents).static_order())
        except CycleError as error:
            # graphlib names each term before the one that depends on it: a parent before its child.
            circle = f" {IS_A} ".join(reversed(error.args[1]))
            raise OntologyError(f"the ontology '{self.name}' runs in a circle: {circle}.") from error

    def _all_ancestors(self) -> dict[str, frozenset[str]]:
        ancestors: dict[str, frozenset[str]] = {}
        for code in self.order:
            ancestors[code] = frozenset({code}).union(*(ancestors[parent] for parent in self._parents[code]))
        return ancestors

    def _index(self) -> dict[str, tuple[str, ...]]:
        """Codes by text; where a text is one term's name and another's synonym, the name counts."""
        names: dict[str, tuple[str, ...]] = {}
        synonyms: dict[str, tuple[str, ...]] = {}
        for term in self.terms.values():
            for text in {term.id.casefold(), term.name.casefold()}:
                names[text] = (*names.get(text, ()), term.id)
            for text in {synonym.casefold() for synonym in term.synonyms}:
                synonyms[text] = (*synonyms.get(text, ()), term.id)
        return synonyms | names


def _by_code(name: str, terms: Iterable[Term]) -> dict[str, Term]:
    found: dict[str, Term] = {}
    for term in terms:
        if term.id in found:
            raise OntologyError(f"the ontology '{name}' has two terms with the code '{term.id}'.")
        found[term.id] = term
    if not found:
        raise OntologyError(f"the ontology '{name}' must have at least one term, but it has none.")
    return found
