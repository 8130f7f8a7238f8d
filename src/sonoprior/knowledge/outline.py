"""An ontology as an outline: every term under what it is a kind of, down to a depth."""

from dataclasses import dataclass

from sonoprior.core.checks import at_least
from sonoprior.core.errors import OntologyError

from .ontology import Ontology, Term


@dataclass(frozen=True)
class Branch:
    """A term and what stands under it.

    Attributes:
        term: itself.
        below: how many terms are kinds of it, itself not counted.
        related: relation to the terms that it points to.
        children: what is directly a kind of it; empty where the outline ends.
        again: it stands higher up in the outline too, and what is under it is shown there.
    """

    term: Term
    below: int
    related: dict[str, tuple[Term, ...]]
    children: tuple["Branch", ...]
    again: bool


def outline(ontology: Ontology, under: str | None = None, depth: int | None = None) -> tuple[Branch, ...]:
    """The branches of an ontology, one a root.

    Args:
        ontology: the graph.
        under: a term to start from instead: its code, name or synonym.
        depth: how many steps to go down; by default all.

    Raises:
        OntologyError: if the term is unknown or the depth is negative.
    """
    at_least("depth", 0 if depth is None else depth, 0, OntologyError)
    starts = ontology.roots if under is None else (ontology.find(under).id,)
    writer = _Writer(ontology)
    return tuple(writer.branch(start, depth) for start in starts)


class _Writer:
    """Goes down from the roots and remembers whose children were shown."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self.below = dict.fromkeys(ontology.order, -1)
        for code in ontology.order:
            for ancestor in ontology.ancestors(code):
                self.below[ancestor] += 1
        self.shown: set[str] = set()

    def branch(self, code: str, depth: int | None) -> Branch:
        again = code in self.shown
        children: tuple[Branch, ...] = ()
        if depth != 0 and not again:
            self.shown.add(code)
            left = None if depth is None else depth - 1
            children = tuple(self.branch(child, left) for child in self.ontology.children(code))
        return Branch(self.ontology.terms[code], self.below[code], self._related(code), children, again)

    def _related(self, code: str) -> dict[str, tuple[Term, ...]]:
        found = {name: self.ontology.related(code, name) for name in self.ontology.relations}
        return {
            name: tuple(map(self.ontology.terms.__getitem__, ends)) for name, ends in found.items() if ends
        }
